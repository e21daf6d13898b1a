from peers.django_settings import *  # noqa: F403
from peers.django_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework"]
ROOT_URLCONF = "peers.drf.api"
WSGI_APPLICATION = "peers.drf.app.application"
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["peers.drf.auth.BetterAuth"],
    "DEFAULT_PERMISSION_CLASSES": ["peers.drf.auth.IsOwner"],
    "UNAUTHENTICATED_USER": None,
}
