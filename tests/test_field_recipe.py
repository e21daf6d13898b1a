"""Follows the recipe for a new field in CONTRIBUTING.md, in a copy of the project.

The new field is `note`, an optional text. Afterwards it must be in create, read, change, replace,
list, export, import, admin and OpenAPI: so the recipe names every file that there is to change.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.operations.installation import REVISION
from tests import contract
from tests.cluster import Cluster, manage, version_of_the_tests
from tests.people import SECRET, token_of
from tests.processes import ROOT
from tests.server import Server

# By file: the beginning of a line, and what is written below that line.
BELOW: dict[str, list[tuple[str, str]]] = {
    "tasks/models.py": [
        (
            "    description = models.TextField(",
            "    note = models.TextField(max_length=500, null=True, blank=True)",
        ),
        (
            "        constraints = (",
            """            models.CheckConstraint(
                name="task_note_length",
                condition=LessThanOrEqual(Length("note"), 500),
                violation_error_message="The note must have at most 500 characters.",
            ),""",
        ),
    ],
    "tasks/operations/operations.sql": [
        (
            "        || ',\"description\":'",
            "        || ',\"note\":' || coalesce(to_json(task.note)::text, 'null')",
        ),
        (
            "        AND coalesce(jsonb_typeof(given -> 'description')",
            "        AND coalesce(jsonb_typeof(given -> 'note') IN ('string', 'null'), true)",
        ),
        (
            "        title = coalesce(given ->> 'title', stored.title),",
            "        note = CASE WHEN given ? 'note' THEN given ->> 'note' ELSE stored.note END,",
        ),
    ],
    "tasks/schemas.py": [
        (
            "    description: Description | None = None",
            "    note: Annotated[str, Field(max_length=500)] | None = None",
        ),
        ("    description: Annotated[", "    note: Annotated[str, Field(max_length=500)] | None"),
    ],
}
# By file: a part of a line, and what is written in its place.
INSTEAD: dict[str, list[tuple[str, str]]] = {
    "tasks/operations/operations.sql": [
        ('{"description": null,', '{"description": null, "note": null,'),
        ("'{title,description,", "'{title,description,note,"),
        ("(user_id, title, description,", "(user_id, title, description, note,"),
        ("fields ->> 'description',\n", "fields ->> 'description', fields ->> 'note',\n"),
    ],
    "tasks/operations/installation.py": [
        (f"REVISION = {REVISION}", f"REVISION = {REVISION + 1}"),
    ],
    "README.md": [("description, complete,", "description, note, complete,")],
    "CHANGELOG.md": [("### API and tokens\n", "### API and tokens\n\n* Tasks have a `note`.\n")],
}
BY_COMMAND = {"tasks/migrations/", "tests/openapi.json", "examples/nextjs/lib/openapi.ts"}
BESIDE = {"tests/tasks/operations/test_operations.py"}
"""What the recipe names and this copy lacks: the tests."""


def test_the_recipe_names_what_is_edited() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = text.partition("… a field of a task")[2].partition("### …")[0]

    assert {*re.findall(r"^\| `(\S+)` \|", recipe, re.MULTILINE)} == {
        *(BELOW | INSTEAD),
        *BY_COMMAND,
        *BESIDE,
    }


def edit(root: Path) -> None:
    for name in BELOW | INSTEAD:
        path = root / name
        text = path.read_text(encoding="utf-8")
        for line, new in BELOW.get(name, []):
            start = text.index(f"\n{line}") + 1
            end = text.index("\n", start) + 1
            text = f"{text[:end]}{new}\n{text[end:]}"
        for old, new in INSTEAD.get(name, []):
            assert old in text, (name, old)
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the field, and without the folders that a checkout makes for itself."""
    root = tmp_path_factory.mktemp("copy")
    for name in ("authjwt", "config", "tasks", "manage.py", "README.md", "CHANGELOG.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    edit(root)
    return root


@pytest.fixture(scope="module")
def cluster(copy: Path) -> Iterator[Cluster]:
    with Cluster.running(version_of_the_tests()) as cluster:
        made = manage(cluster.url, "makemigrations", "tasks", root=copy)
        assert made.returncode == 0, made.stderr
        assert len(re.findall(r"^    [+~] ", made.stdout, re.MULTILINE)) == 2
        migrated = manage(cluster.url, "migrate", root=copy)
        assert migrated.returncode == 0, migrated.stderr
        yield cluster


def test_the_field_is_everywhere(
    copy: Path, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of("alice")
    given = {"DATABASE_URL": cluster.url, "BETTER_AUTH_SECRET": SECRET}
    with Server(tmp_path / "log", copy, **given) as server:

        def send(method: str, path: str = "", body: object = None) -> dict[str, object]:
            answer = server.request(method, f"/api/alice/tasks{path}", body, token=token)
            found: dict[str, object] = answer.json()
            return found

        document = server.request("GET", "/openapi.json").json()
        # From here on, the answers are checked against the document with the new field.
        its_contract = contract.Contract(document)
        monkeypatch.setattr(contract, "contract", lambda: its_contract)

        created = send("POST", body={"title": "Buy milk", "note": "two"})
        path = f"/{created['id']}"
        assert created["note"] == "two"
        assert send("GET", path) == created
        assert send("GET")["tasks"] == [created]
        changed = send("PATCH", path, {"note": "three"})
        assert changed["note"] == "three"
        assert str(changed["updated_at"]) > str(created["updated_at"])
        assert send("PATCH", path, {"title": "Buy bread"})["note"] == "three"
        assert send("PUT", path, {"title": "Buy bread", "complete": False})["note"] is None
        assert send("PATCH", path, {"note": 3})["error_code"] == "VALIDATION_ERROR"
        send("PATCH", path, {"note": "kept"})

        schemas = document["components"]["schemas"]
        having = {
            name for name, schema in schemas.items() if "note" in schema.get("properties", {})
        }
        assert having == {"TaskIn", "TaskPut", "TaskPatch", "TaskOut"}

    form = "from tasks.admin.change import TaskForm; print(*TaskForm().fields)"
    shown = manage(cluster.url, "shell", "--no-imports", "--command", form, root=copy)
    assert "note" in shown.stdout.split(), shown.stderr

    exported = manage(cluster.url, "export_tasks", "--format", "jsonl", root=copy)
    assert json.loads(exported.stdout)["note"] == "kept"
    (tmp_path / "tasks.jsonl").write_text(exported.stdout, encoding="utf-8")
    cluster.execute("TRUNCATE tasks_task")
    imported = manage(cluster.url, "import_tasks", str(tmp_path / "tasks.jsonl"), root=copy)
    assert imported.returncode == 0, imported.stderr
    assert cluster.execute("SELECT title, note FROM tasks_task") == [("Buy bread", "kept")]
