"""How a migration runs while the service goes on, and can be run again where it was interrupted."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently

BRIEFLY = ("SET LOCAL lock_timeout = '1s'", "SET LOCAL statement_timeout = '5s'")
"""For a migration that is one transaction: others wait behind it."""

EXCLUSIVELY = ("SET lock_timeout = '1s'", "SET statement_timeout = '5s'")
"""The same for one that is not: others wait behind its statement."""

BESIDE_OTHERS = ("SET lock_timeout = '5min'", "SET statement_timeout = 0")
"""For statements that wait for others, who read and write meanwhile. An index takes what it takes,
whatever timeout a host has given the role: interrupted, it is invalid."""

RESET = ("RESET lock_timeout", "RESET statement_timeout")


class IndexConcurrently(AddIndexConcurrently):
    """Drops first what an interrupted build has left: an invalid index, which no query uses.

    IF NOT EXISTS alone would take it for the real one.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: Any,  # noqa: ARG002  the signature is Django's
        to_state: Any,
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, concurrently=True)
            create = self.index.create_sql(model, schema_editor, concurrently=True)
            create.template = create.template.replace(
                "INDEX CONCURRENTLY", "INDEX CONCURRENTLY IF NOT EXISTS"
            )
            schema_editor.execute(create, params=None)
