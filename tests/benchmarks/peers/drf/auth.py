from typing import Any

import jwt
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from peers.tokens import user_of


class BetterAuth(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[str, None] | None:
        scheme, _, token = get_authorization_header(request).decode().partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return user_of(token), None
        except jwt.InvalidTokenError:
            raise AuthenticationFailed from None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class IsOwner(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user is not None and request.user == view.kwargs["user_id"]
