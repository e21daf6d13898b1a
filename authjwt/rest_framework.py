"""Authentication of Django REST framework, which this package does not install."""

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from authjwt import answers
from authjwt.bearer import BearerToken
from authjwt.claims import Claims
from authjwt.exceptions import MissingToken, TokenError


@dataclass(frozen=True)
class TokenUser:
    """`request.user` of a request with a token. Nothing is looked up in the database."""

    pk: str
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True

    @property
    def id(self) -> str:
        return self.pk


class Refused(APIException):
    """A TokenError, in the form that Django REST framework turns into an answer."""

    def __init__(self, error: TokenError) -> None:
        super().__init__(answers.body(error))
        headers = answers.headers(error)
        self.status_code = answers.status(error)
        self.auth_header = headers.get("WWW-Authenticate")
        self.wait = int(headers.get("Retry-After", 0))


class BetterAuth(BaseAuthentication):
    """`request.user.pk` is the id of the user, and `request.auth` has the `Claims`.

    A request without a token is anonymous: permissions decide about it.
    """

    authenticate_token = BearerToken()

    def authenticate(self, request: Request) -> tuple[TokenUser, Claims] | None:
        try:
            claims = self.authenticate_token(request._request)  # noqa: SLF001
        except MissingToken:
            return None
        except TokenError as error:
            raise Refused(error) from error
        return TokenUser(claims.user_id), claims

    def authenticate_header(self, _request: Request) -> str:
        return answers.challenge()["WWW-Authenticate"]
