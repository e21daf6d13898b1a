"""The result of one check of the doctor."""

from dataclasses import dataclass

from authjwt.report import Status


@dataclass(frozen=True)
class Check:
    """A warning is a choice of the operator, or worth knowing; only `wrong` is a problem."""

    name: str
    status: Status
    detail: str
    advice: str = ""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{1 if seconds >= 0.01 else 2}f} ms"  # noqa: PLR2004
