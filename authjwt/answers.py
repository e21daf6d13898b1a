"""What a refused request is answered with: status, headers and JSON."""

from django.http import HttpRequest, JsonResponse

from authjwt.exceptions import (
    Forbidden,
    InsufficientScope,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    TokenError,
)
from authjwt.resource import metadata_url

KEYS_UNAVAILABLE = "The keys that verify tokens cannot be fetched at the moment. Please try again."
STATUSES: dict[type[TokenError], int] = {
    MissingToken: 401,
    InvalidToken: 401,
    Forbidden: 403,
    InsufficientScope: 403,
    KeysUnavailable: 503,
}


def headers(error: TokenError) -> dict[str, str]:
    """`WWW-Authenticate` (RFC 6750, section 3; RFC 9728, section 5.1) or `Retry-After`, if any."""
    match error:
        case KeysUnavailable():
            return {"Retry-After": str(error.retry_after)}
        case InvalidToken():
            return challenge(
                error="invalid_token", error_description=f"{error.reason}: {error.detail}"
            )
        case InsufficientScope():
            return challenge(error="insufficient_scope", scope=error.scope)
        case MissingToken():
            return challenge()
    return {}


def challenge(**parameters: str) -> dict[str, str]:
    if url := metadata_url():
        parameters["resource_metadata"] = url
    listed = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    return {"WWW-Authenticate": f"Bearer {listed}".rstrip()}


def status(error: TokenError) -> int:
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))


def body(error: TokenError) -> dict[str, str]:
    """`detail`, a sentence for the person who sent the token, and `reason`, one of REASONS."""
    match error:
        case InvalidToken():
            return {"detail": error.detail, "reason": error.reason}
        case KeysUnavailable():
            return {"detail": KEYS_UNAVAILABLE}
    return {"detail": str(error)}


def answer(_request: HttpRequest, error: TokenError) -> JsonResponse:
    """The answer to a request that raised `error`; also an exception handler of django-ninja."""
    return JsonResponse(
        body(error),
        status=status(error),
        headers={"Cache-Control": "private, no-store", **headers(error)},
    )
