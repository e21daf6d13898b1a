"""Strict access to environment variables."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.env import Environment, generated


def read(**variables: str) -> Environment:
    return Environment(variables)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("TRUE", True), ("1", True), ("false", False), ("0", False)]
)
def test_a_boolean_is_true_or_false(text: str, value: bool) -> None:  # noqa: FBT001
    env = read(DEBUG=text)

    assert env.boolean("DEBUG", default=not value) is value
    assert env.errors == []


@pytest.mark.parametrize("text", ["yes", "on", "2", "tru", "True "])
def test_any_other_boolean_is_an_error(text: str) -> None:
    env = read(DEBUG=text)

    assert env.boolean("DEBUG", default=True) is False
    assert env.errors == ['DEBUG must be "true" or "false".']


@pytest.mark.parametrize(
    ("text", "value"), [("", "a"), ("a", "a"), ("b", "b"), ("B", "b"), ("c", "a"), ("a b", "a")]
)
def test_a_choice_is_one_of_its_words(text: str, value: str) -> None:
    env = read(MODE=text)

    assert env.choice("MODE", "a", "b") == value
    assert env.errors == ([] if text.lower() in ("", "a", "b") else ['MODE must be "a" or "b".'])


@pytest.mark.parametrize("text", ["0", "65536", "-1", "8000.0", "eighty", "٨٠", "9" * 5000])
def test_a_number_out_of_range_is_an_error(text: str) -> None:
    env = read(PORT=text)

    assert env.integer("PORT", 8000, minimum=1, maximum=65535) == 8000
    assert env.errors == ["PORT must be a whole number from 1 to 65535."]


def test_a_number_in_range_is_read() -> None:
    assert read(PORT="80").integer("PORT", 8000, minimum=1, maximum=65535) == 80


def test_an_empty_variable_counts_as_unset() -> None:
    env = read(DEBUG="", PORT="", NAME="", NAMES=" , ")

    assert env.boolean("DEBUG", default=True) is True
    assert env.integer("PORT", 8000, minimum=1, maximum=65535) == 8000
    assert env.text("NAME", "default") == "default"
    assert env.comma_separated("NAMES") == []
    assert env.errors == []


@pytest.mark.parametrize(
    ("text", "rate"), [("100/60", (100, 60)), ("1/1", (1, 1)), ("999999/86400", (999_999, 86_400))]
)
def test_a_rate_is_requests_per_seconds(text: str, rate: tuple[int, int]) -> None:
    env = read(RATE=text)

    assert env.rate("RATE") == rate
    assert env.rate("NONE") is None
    assert env.errors == []


@pytest.mark.parametrize(
    "text",
    ["100", "100/", "/60", "0/60", "100/0", "100/m", "1.5/60", "100 / 60", "-1/60", "1/86401"],
)
def test_any_other_rate_is_an_error(text: str) -> None:
    env = read(RATE=text)

    assert env.rate("RATE") is None
    (error,) = env.errors
    assert error == (
        "RATE must be requests/seconds, for instance 100/60, with 1 to 999999 requests and 1 to "
        "86400 seconds."
    )


@pytest.mark.parametrize("text", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_an_address_is_read(text: str) -> None:
    env = read(HOST=text)

    assert env.address("HOST", "10.0.0.1") == text
    assert env.errors == []


@pytest.mark.parametrize("text", ["localhost", "127.1", "0.0.0.0:8000", "[::1]", "eth0"])
def test_anything_but_an_ip_address_is_an_error(text: str) -> None:
    env = read(HOST=text)

    assert env.address("HOST", "0.0.0.0") == "0.0.0.0"
    assert env.errors == ["HOST must be an IP address, for instance 0.0.0.0."]


def test_items_are_separated_by_commas() -> None:
    assert read(NAMES=" a, b ,,c").comma_separated("NAMES") == ["a", "b", "c"]


def test_pairs_are_separated_by_commas() -> None:
    assert read(NAMES=" a = b ,c=d=e,").pairs("NAMES") == {"a": "b", "c": "d=e"}
    assert read().pairs("NAMES") == {}


@pytest.mark.parametrize("text", ["a", "a=", "=b", "a=b,c", "a=b,a=c"])
def test_anything_but_pairs_is_an_error(text: str) -> None:
    env = read(NAMES=text)

    assert env.pairs("NAMES") == {}
    assert env.errors == ["NAMES must be pairs between commas, such as a=1,b=2."]


def test_a_variable_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")

    assert read(SECRET_FILE=str(tmp_path / "secret")).text("SECRET") == "from a file"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    env = read(A_FILE=str(tmp_path / "none"), B_FILE=str(tmp_path / "bytes"))

    assert env.required("A") == ""
    assert env.text("B") == ""
    assert env.errors == [
        f"A_FILE: {tmp_path}/none cannot be read (FileNotFoundError).",
        f"B_FILE: {tmp_path}/bytes cannot be read (UnicodeDecodeError).",
    ]


def test_a_variable_and_its_file_may_not_both_be_set(tmp_path: Path) -> None:
    env = read(SECRET="a", SECRET_FILE=str(tmp_path))
    env.text("SECRET")

    assert env.errors == ["SECRET and SECRET_FILE are both set: remove one of them."]


def test_a_missing_required_variable_is_an_error() -> None:
    env = read(A="a")

    assert env.required("A") == "a"
    assert env.required("B") == ""
    assert env.errors == ["B (or B_FILE) must be set."]


def test_a_secret_is_generated_once_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    with ThreadPoolExecutor(8) as pool:
        (secret,) = set(pool.map(generated, [path] * 32))

    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret"]
