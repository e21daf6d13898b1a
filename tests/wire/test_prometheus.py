"""The dashboard and the alerts in `deploy`, in a real Prometheus that scrapes a real server."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.authjwt.conftest import document, signer
from tests.commands import wait_until
from tests.people import SECRET, token_of
from tests.processes import ROOT
from tests.server import Server, free_port, send
from tests.wire.daemons import Prometheus, program

Serve = Callable[..., Server]

DEPLOY = ROOT / "deploy"
COMPARISON = re.compile(r" (?:[<>]=?|==) [0-9.]+")
QUIET = "0+0x60"
"""A series of promtool without a change in 60 steps."""


@pytest.fixture
def prometheus(serve: Serve) -> Iterator[Prometheus]:
    """It has scraped a server that answered some valid and invalid requests."""
    port = free_port()
    server = serve(
        BETTER_AUTH_SECRET=SECRET,
        BETTER_AUTH_URL="https://app.example.com",
        BETTER_AUTH_JWKS=document(signer()).decode(),
        METRICS_PORT=str(port),
    )
    server.request("GET", "/health/ready")
    with Prometheus(port) as started:
        wait_until(lambda: send("GET", f"{started.url}/-/ready").status == 200)

        def counted() -> bool:
            for token in (token_of("alice"), token_of("bob"), token_of("alice", exp=1)):
                server.request("POST", "/api/alice/tasks", {"title": "x"}, token=token)
            return len(result(started, "rate(tasks_requests_total[1m]) > 0")) >= 3

        wait_until(counted)
        yield started


def ask(prometheus: Prometheus, path: str) -> Any:
    found = send("GET", f"{prometheus.url}/api/v1/{path}").json()
    assert found["status"] == "success", found
    return found["data"]


def result(prometheus: Prometheus, query: str) -> list[Any]:
    found: list[Any] = ask(prometheus, f"query?query={quote(query)}")["result"]
    return found


def test_every_panel_shows_something(prometheus: Prometheus) -> None:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    assert len(queries) > 10
    empty = [
        query
        for query in queries
        if not result(prometheus, query.replace("$__rate_interval", "1m"))
    ]
    assert empty == []


def test_alerts_are_evaluated_on_the_metrics_of_the_service(prometheus: Prometheus) -> None:
    """None of them fires, and without its thresholds each expression has a value."""
    (group,) = ask(prometheus, "rules")["groups"]
    alerts = group["rules"]
    wait_until(
        lambda: all(
            rule["health"] == "ok" for rule in ask(prometheus, "rules")["groups"][0]["rules"]
        )
    )

    assert len(alerts) == 5
    assert {alert["state"] for alert in ask(prometheus, "rules")["groups"][0]["rules"]} == {
        "inactive"
    }
    for alert in alerts:
        query = COMPARISON.sub("", alert["query"]).replace('status=~"5.."', 'status=~"4.."')
        assert query != alert["query"]
        if alert["name"] == "TasksWaitForConnections":
            query = query.replace(" and ", " + ")
        assert result(prometheus, query), alert["name"]


def test_prometheus_accepts_the_rules() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "rules", DEPLOY / "prometheus-alerts.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 rules found" in done.stdout


def requests(status: int, values: str) -> dict[str, str]:
    labels = f'operation="listTasks",status="{status}",error_code=""'
    return {"series": f"tasks_requests_total{{{labels}}}", "values": values}


def durations(fast: str, all_: str) -> list[dict[str, str]]:
    name = "tasks_request_duration_seconds_bucket"
    return [
        {"series": f'{name}{{operation="listTasks",le="{le}"}}', "values": values}
        for le, values in (("0.5", fast), ("1.0", fast), ("2.5", all_), ("+Inf", all_))
    ]


def gauges(**values: int) -> list[dict[str, str]]:
    return [{"series": name, "values": f"{value}+0x60"} for name, value in values.items()]


UP = {"series": 'up{job="tasks"}', "values": "1+0x60"}
HEALTHY = [
    UP,
    requests(200, "0+1000x60"),
    requests(503, "0+9x60"),
    *durations("0+995x60", "0+1000x60"),
    *gauges(
        tasks_workers=2,
        tasks_database_connections_in_use=16,
        tasks_database_requests_waiting=0,
        tasks_keys_age_seconds=36_000,
        tasks_keys_fetch_failures=0,
    ),
]
"""Keys that are ten hours old are no trouble while no token needs newer ones."""
TROUBLE: dict[str, list[dict[str, str]]] = {
    "TasksErrors": [UP, requests(200, "0+980x60"), requests(503, "0+20x60")],
    "TasksSlow": [UP, *durations("0+980x60", "0+1000x60")],
    "TasksWaitForConnections": [
        UP,
        *gauges(tasks_database_connections_in_use=16, tasks_database_requests_waiting=1),
    ],
    "TasksKeysOld": [UP, *gauges(tasks_keys_age_seconds=3700, tasks_keys_fetch_failures=2)],
    "TasksNoWorker": [UP, *gauges(tasks_workers=0)],
    "TasksNoWorker without an answer": [{"series": 'up{job="tasks"}', "values": "0+0x60"}],
    "TasksNoWorker without a target": [{"series": "something", "values": QUIET}],
}


@pytest.mark.parametrize("trouble", [None, *TROUBLE])
def test_each_alert_fires_only_for_its_trouble(trouble: str | None, tmp_path: Path) -> None:
    name = trouble.partition(" ")[0] if trouble else None
    alerts = "ALERTS{alertstate='firing'}"
    firing = [{"labels": f'firing{{alertname="{name}"}}', "value": 1}] if name else []
    query = f"label_replace(sum by (alertname) ({alerts}), '__name__', 'firing', '', '')"
    path = tmp_path / "test.yml"
    path.write_text(
        json.dumps(
            {
                "rule_files": [str(DEPLOY / "prometheus-alerts.yml")],
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": TROUBLE[trouble] if trouble else HEALTHY,
                        "promql_expr_test": [
                            {"expr": query, "eval_time": "30m", "exp_samples": firing}
                        ],
                    }
                ],
            }
        )
    )

    done = subprocess.run(
        [program("promtool"), "test", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
