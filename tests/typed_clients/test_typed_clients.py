"""Common generators make clients from the OpenAPI document that compile and work.

Each client is generated in a folder of its own, from the document that a running service serves,
and its program in `programs/` is compiled strictly and run against the service.
"""

import json
import re

import pytest

from tests.processes import ROOT
from tests.typed_clients.workshop import COMPILE, PROGRAMS, Workshop

README = ROOT / "README.md"

# By program: the command that generates its client.
GENERATORS = {
    "openapi_fetch.ts": "openapi-typescript openapi.json --output generated/schema.ts",
    "hey_api.ts": "openapi-ts --file hey_api.config.mjs",
    "orval.ts": "orval --config orval.config.mjs",
    "kubb.ts": "kubb generate --config kubb.config.mjs",
    "client.py": "openapi-python-client generate --path openapi.json --meta none "
    "--output-path generated",
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "command",
    [
        "redocly lint --extends recommended --max-problems 100 openapi.json",
        "spectral lint --ruleset .spectral.yaml --fail-severity hint openapi.json",
    ],
    ids=lambda command: command.split()[0],
)
def test_linters_find_nothing(workshop: Workshop, command: str) -> None:
    workshop.take(".spectral.yaml")

    workshop.run(*command.split())


@pytest.mark.parametrize("program", GENERATORS)
def test_a_generated_client_compiles_and_works(workshop: Workshop, program: str) -> None:
    name, kind = program.split(".")
    for path in PROGRAMS.glob(f"{name}.*"):
        workshop.take(path.name)

    workshop.run(*GENERATORS[program].split())
    if kind == "ts":
        workshop.take("scenario.ts")
        workshop.take("tsconfig.json")
        workshop.run(*COMPILE)
        workshop.run("node", program, user=name)
    else:
        settings = {"include": [program], "typeCheckingMode": "strict"}
        (workshop.folder / "pyrightconfig.json").write_text(json.dumps(settings))
        workshop.run("pyright", "--warnings")
        workshop.run("python", program, user=name)


def test_the_requests_of_readme_compile(workshop: Workshop) -> None:
    """The examples with a typed client, and the bodies of the `curl` lines."""
    readme = README.read_text(encoding="utf-8")
    blocks = re.findall(r"^```ts\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    examples = [block for block in blocks if "openapi-fetch" in block]
    bodies = re.findall(r"^\| `([A-Z]+) …(/tasks[^`]*)` .* -d '(.*)' ", readme, re.MULTILINE)
    assert examples
    assert {method for method, _, _ in bodies} == {"POST", "PUT", "PATCH"}
    lines = ['import type { paths } from "./tasks";']
    for number, (method, path, body) in enumerate(bodies):
        path_of = "/api/{user_id}" + path.replace("7", "{task_id}")
        operation = f'paths["{path_of}"]["{method.lower()}"]'
        kind = f'{operation}["requestBody"]["content"]["application/json"]'
        lines.append(f"export const body{number}: {kind} = {body};")
    for number, text in enumerate([*examples, "\n".join(lines)]):
        (workshop.folder / f"readme{number}.ts").write_text(text, encoding="utf-8")
    workshop.take("tsconfig.json")

    workshop.run("openapi-typescript", "openapi.json", "--output", "tasks.ts")
    workshop.run(*COMPILE)
