"""`manage.py check --deploy` with the settings of a production machine; any warning fails."""

import os
import subprocess
import sys
from pathlib import Path

PRODUCTION = {
    "SECRET_KEY": "a-long-key-of-fifty-characters-or-more-for-this-check-only-0123456789",
    "ALLOWED_HOSTS": "tasks.example.com",
    "DATABASE_URL": "postgresql://tasks:secret@db.example.com/tasks?sslmode=require",
    "BETTER_AUTH_URL": "https://app.example.com",
    "CORS_ALLOWED_ORIGINS": "https://app.example.com",
    "PATH": os.environ["PATH"],
}

sys.exit(
    subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=Path(__file__).parent.parent,
        env=PRODUCTION,
        check=False,
    ).returncode
)
