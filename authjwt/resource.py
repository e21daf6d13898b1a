"""The metadata of this API as an OAuth protected resource (RFC 9728).

Everything comes from the settings and nothing from the request, so that a hostile `Host` changes
nothing.
"""

from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from authjwt import conf

WELL_KNOWN = "/.well-known/oauth-protected-resource"
MAX_AGE = 300
"""Seconds for which a client may keep the metadata."""


def metadata_url() -> str:
    """Where clients find the metadata (RFC 9728, section 3.1); empty without a resource."""
    parts = urlsplit(conf.resource())
    if not parts.scheme:
        return ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


@require_safe
def metadata(_request: HttpRequest, path: str = "") -> JsonResponse:
    """The metadata at its address, and at the one without a path, where simple clients look."""
    own_path = urlsplit(conf.resource()).path
    if not conf.resource() or path.strip("/") not in ("", own_path.strip("/")):
        raise Http404
    return JsonResponse(
        {
            "resource": conf.resource(),
            "authorization_servers": [conf.authorization_server()],
            "scopes_supported": list(dict.fromkeys(conf.scopes())),
            "bearer_methods_supported": ["header"],
        },
        headers={"Cache-Control": f"public, max-age={MAX_AGE}"},
    )
