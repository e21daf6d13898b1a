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


def sql_of(path: Path) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", "sqlmigrate", path.parent.parent.name, path.stem],
        cwd=ROOT,
        env={**os.environ, "DEBUG": "true"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


with TemporaryDirectory() as folder:
    migrations = []
    for path in sorted(ROOT.glob("*/migrations/[0-9]*.py")):
        migrations.append(f"{path.parent.parent.name}-{path.stem}.sql")
        Path(folder, migrations[-1]).write_text(sql_of(path), encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("squawk")),
        f"--pg-version={OLDEST_VERSION}",
        f"--exclude={','.join(EXCLUDED)}",
        *migrations,
    ]
    sys.exit(subprocess.run(command, cwd=folder, check=False).returncode)
