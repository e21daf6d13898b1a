"""Modules may import only from the layers below them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ("authjwt", "config", "tasks")

# What each module may import from the project. The longest matching name applies.
MAY_IMPORT = {
    "authjwt.conf": set[str](),
    "authjwt.exceptions": set[str](),
    "authjwt.jwks": set(),
    "authjwt.fetch": {"authjwt.exceptions"},
    "authjwt.keys": {"authjwt.exceptions", "authjwt.fetch", "authjwt.jwks", "authjwt.wording"},
    "authjwt.user_ids": set[str](),
    "authjwt.wording": set[str](),
    "authjwt.claims": {
        "authjwt.conf",
        "authjwt.exceptions",
        "authjwt.user_ids",
        "authjwt.wording",
    },
    "authjwt.tokens": {
        "authjwt.claims",
        "authjwt.exceptions",
        "authjwt.jwks",
        "authjwt.keys",
    },
    "authjwt.bearer": {
        "authjwt.claims",
        "authjwt.conf",
        "authjwt.exceptions",
        "authjwt.keys",
        "authjwt.tokens",
    },
    "authjwt.resource": {"authjwt.conf"},
    "authjwt.answers": {"authjwt.exceptions", "authjwt.resource"},
    "authjwt": {"authjwt"},
    "tasks.models": {"authjwt.user_ids"},
    "tasks.limits": set(),
    "tasks.operations": {"tasks.models"},
    "tasks.operations.role": set[str](),
    "tasks.operations.earlier_release": {"authjwt.wording", "tasks.operations.role"},
    "tasks.operations.installation": {
        "tasks.operations.earlier_release",
        "tasks.operations.role",
    },
    "tasks.operations.shards": {"tasks.operations.installation", "tasks.operations.role"},
    "tasks.dates": set(),
    "tasks.schemas": {"tasks.dates", "tasks.models"},
    "tasks.query": {"tasks.dates", "tasks.models", "tasks.schemas"},
    "tasks.cursor": set(),
    "tasks.headers": {"tasks.models"},
    "tasks.sync": {"tasks.operations"},
    "tasks.api": {
        "authjwt.bearer",
        "tasks.cursor",
        "tasks.headers",
        "tasks.models",
        "tasks.operations",
        "tasks.query",
        "tasks.schemas",
        "tasks.sync",
    },
    "tasks.people": {"tasks.people"},
    "tasks.people.table": set[str](),
    "tasks.orphans": {"tasks.people"},
    "tasks.admin": {
        "authjwt.user_ids",
        "authjwt.wording",
        "tasks.admin",
        "tasks.audit",
        "tasks.dates",
        "tasks.exchange",
        "tasks.history",
        "tasks.limits",
        "tasks.models",
        "tasks.operations.shards",
        "tasks.orphans",
        "tasks.people",
        "tasks.schemas",
        "tasks.undo",
    },
    "tasks.audit": {"authjwt.wording", "tasks.history", "tasks.models"},
    "tasks.undo": {"tasks.exchange", "tasks.history", "tasks.models"},
    "tasks.exchange": {"tasks.dates", "tasks.models"},
    "tasks.history": {"authjwt.wording", "tasks.dates", "tasks.models"},
    "tasks.management.commands.api_role": {"tasks.operations.role"},
    "tasks.management.commands.shard_plan": {
        "tasks.operations.role",
        "tasks.operations.shards",
    },
    "tasks.management.commands.migrate": {
        "tasks.management.lock",
        "tasks.operations.earlier_release",
        "tasks.operations.installation",
        "tasks.operations.role",
    },
    "tasks.management.lock": set[str](),
    "tasks.management.arguments": {"authjwt.user_ids"},
    "tasks.management.maintenance": {
        "authjwt.wording",
        "tasks.management.lock",
        "tasks.management.users",
        "tasks.operations.shards",
    },
    "tasks.management.users": {
        "tasks.history",
        "tasks.management.arguments",
        "tasks.models",
        "tasks.people",
    },
    "tasks.management.reading": {
        "authjwt.user_ids",
        "tasks.exchange",
        "tasks.models",
        "tasks.query",
        "tasks.schemas",
    },
    "tasks.management": {
        "authjwt.wording",
        "tasks.exchange",
        "tasks.history",
        "tasks.management",
        "tasks.models",
        "tasks.orphans",
        "tasks.people",
        "tasks.schemas",
    },
    "tasks": {"tasks.models"},
    "config.env": set[str](),
    # A module that handles a request early may import those that handle it later.
    "config.server.stats": set[str](),
    "config.server.memory": set[str](),
    "config.server": {"authjwt.bearer", "authjwt.exceptions", "config.server"},
    "config.database": {"config.database", "config.server.stats"},
    "config.http.addresses": {"authjwt.exceptions", "authjwt.user_ids"},
    "config.http.errors": {"config.http.addresses", "config.server.bodies"},
    "config.http.hints": {"tasks.schemas"},
    "config.http.query": {"config.http.errors", "config.http.hints"},
    "config.http.parser": {"config.http.errors"},
    "config.http.openapi": {
        "authjwt.exceptions",
        "config.http.addresses",
        "config.http.errors",
        "tasks.models",
        "tasks.schemas",
    },
    "config.http.bookmarks": {"config.server.replica"},
    "config.http.docs": set[str](),
    "config.http.clients": set[str](),
    "config.http.rate_limits": {
        "authjwt.bearer",
        "authjwt.exceptions",
        "authjwt.claims",
        "config.http.clients",
    },
    "config.http.handlers": {
        "authjwt.answers",
        "authjwt.exceptions",
        "config.http.addresses",
        "config.http.errors",
        "config.http.hints",
        "config.http.parser",
        "config.http.rate_limits",
        "config.server",
        "tasks.headers",
        "tasks.models",
        "tasks.operations",
        "tasks.query",
        "tasks.schemas",
    },
    "config.http.health": {
        "authjwt",
        "config.http.errors",
        "config.server.connection",
        "config.server.process",
        "config.server.replica",
        "tasks.models",
        "tasks.operations",
    },
    "config.http.middleware": {
        "config.database",
        "config.http.errors",
        "config.http.origins",
        "config.server",
    },
    "config.http.origins": set[str](),
    "config.http.api": {"config", "config.http", "tasks.api"},
    "config.models": set[str](),
    "config.staff.start": {
        "authjwt.bearer",
        "authjwt.wording",
        "config.http.health",
        "config.staff",
        "tasks.admin",
        "tasks.history",
        "tasks.models",
        "tasks.people",
    },
    "config.staff.chart": {"tasks.admin.overview"},
    "config.staff.refusals": {
        "authjwt.bearer",
        "authjwt.exceptions",
        "config.server.logs",
        "tasks.limits",
        "tasks.models",
    },
    "config.staff": {
        "config.http.clients",
        "config.http.errors",
        "config.models",
        "config.server.logs",
        "config.staff",
        "tasks.limits",
    },
    "config.operator": {
        "authjwt",
        "config.database",
        "config.env",
        "config.operator",
        "config.server.connection",
        "tasks.operations",
        "tasks.people",
    },
    "config": {"authjwt", "config", "tasks"},
}


def modules() -> list[Path]:
    return sorted(
        path.relative_to(ROOT)
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if "migrations" not in path.parts
    )


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def imports(path: Path) -> set[str]:
    """Absolute names of the project's modules that a file imports."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}.{node.module or ''}".rstrip(".") if node.level else node.module
            found |= {
                f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else str(base)
                for alias in node.names
            }
    return {name for name in found if within(name, set(APPS))}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_module_imports_only_what_it_may(path: Path) -> None:
    name = name_of(path)
    rule = max((rule for rule in MAY_IMPORT if within(name, {rule})), key=len)

    forbidden = {module for module in imports(path) if not within(module, MAY_IMPORT[rule])}

    assert not forbidden, f"{name} must not import {', '.join(sorted(forbidden))}"
