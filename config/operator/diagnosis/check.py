"""One line of what the doctor finds."""

from dataclasses import dataclass

from authjwt.report import Status


@dataclass(frozen=True)
class Check:
    """A warning is what an operator chose, or may want to know; only what is wrong is a fault."""

    name: str
    status: Status
    detail: str
    advice: str = ""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{1 if seconds >= 0.01 else 2}f} ms"  # noqa: PLR2004
