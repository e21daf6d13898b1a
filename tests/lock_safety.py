"""Checks the SQL of every migration with squawk, for statements that lock a table for long."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
OLDEST_VERSION = "15"
EXCLUDED = (
    # The API promises these lengths. Raising one only changes the catalogue, and no row.
    "prefer-text-field",
    # A migration that may be repeated drops a constraint right before it adds it.
    "ban-drop-constraint",
    # A foreign key has the type of the ids of Django's accounts.
    "prefer-bigint-over-int",
)


def sql_of(migration: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", "sqlmigrate", "tasks", migration],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "true"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


with TemporaryDirectory() as folder:
    migrations = sorted(path.stem for path in (ROOT / "tasks/migrations").glob("[0-9]*.py"))
    for migration in migrations:
        Path(folder, f"{migration}.sql").write_text(sql_of(migration), encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("squawk")),
        f"--pg-version={OLDEST_VERSION}",
        f"--exclude={','.join(EXCLUDED)}",
        *(f"{migration}.sql" for migration in migrations),
    ]
    sys.exit(subprocess.run(command, cwd=folder, check=False).returncode)
