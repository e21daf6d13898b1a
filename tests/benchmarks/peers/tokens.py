"""Verifies the bearer token with PyJWT at each request, as in its documentation."""

import json
import os
from urllib.request import urlopen

import jwt

ISSUER = os.environ["BETTER_AUTH_URL"]
SECRET = os.environ["BETTER_AUTH_SECRET"]

with urlopen(f"{ISSUER}/api/auth/jwks") as answer:
    DOCUMENT = json.load(answer)
KEYS = {key.key_id: key for key in jwt.PyJWKSet.from_dict(DOCUMENT).keys}


def user_of(token: str) -> str:
    """The subject of a valid token. Raises jwt.InvalidTokenError otherwise."""
    kid = jwt.get_unverified_header(token).get("kid")
    if kid is None:
        key: jwt.PyJWK | str = SECRET
        algorithm = "HS256"
    elif kid in KEYS:
        key, algorithm = KEYS[kid], "EdDSA"
    else:
        raise jwt.InvalidTokenError("unknown key")
    claims = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        issuer=ISSUER,
        audience=ISSUER,
        options={"require": ["exp", "sub"]},
    )
    return str(claims["sub"])
