"""Migrations that run while the service is in use, and can be repeated after an interruption."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently

BRIEFLY = ("SET LOCAL lock_timeout = '1s'", "SET LOCAL statement_timeout = '5s'")
"""For a migration in one transaction. Requests wait behind it, so it must be short."""

EXCLUSIVELY = ("SET lock_timeout = '1s'", "SET statement_timeout = '5s'")
"""The same for a migration without a transaction. Requests wait behind its statement."""

BESIDE_OTHERS = ("SET lock_timeout = '5min'", "SET statement_timeout = 0")
"""For statements that wait for others while those read and write. Building an index must not time
out, whatever timeout the role has: an interrupted build leaves an invalid index."""

RESET = ("RESET lock_timeout", "RESET statement_timeout")


class IndexConcurrently(AddIndexConcurrently):
    """First drops the invalid index that an interrupted build has left, which no query uses.

    IF NOT EXISTS alone would mistake it for a valid one.
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
