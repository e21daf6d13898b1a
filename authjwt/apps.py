from django.apps import AppConfig


class AuthJWT(AppConfig):
    name = "authjwt"

    def ready(self) -> None:
        from authjwt import checks  # noqa: F401, PLC0415  registers them
