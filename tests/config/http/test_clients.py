"""The address of a client: a client cannot choose it."""

from typing import Any

import pytest
from django.test import RequestFactory

from config.http.clients import client_address

OFFICE = "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "header", "expected"),
    [
        (0, None, OFFICE),
        (0, "198.51.100.7", OFFICE),
        (1, None, OFFICE),
        (1, "", OFFICE),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7, 192.0.2.3", "198.51.100.7"),
        (2, "203.0.113.9,, 198.51.100.7, 192.0.2.3", "198.51.100.7"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, "198.51.100.7, nonsense", None),
        (1, "198.51.100.7, 999.1.1.1", None),
        (1, "203.0.113.9," * 5000 + "198.51.100.7", "198.51.100.7"),
        (2, "x" * 100_000 + ", 198.51.100.7, 192.0.2.3", "198.51.100.7"),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "[2001:db8:1:2::7]:4711", "2001:db8:1:2::"),
        (1, "[2001:db8:1:2::7]", "2001:db8:1:2::"),
        (1, "[]:1", None),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (9, ", ".join(["2001:0db8:0001:0002:ffff:ffff:ffff:ffff"] * 12), "2001:db8:1:2::"),
    ],
)
def test_only_addresses_from_trusted_proxies_are_used(
    settings: Any, proxies: int, header: str | None, expected: str | None
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {} if header is None else {"X-Forwarded-For": header}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=OFFICE)

    assert client_address(request) == expected
