from peers.django_settings import *  # noqa: F403
from peers.django_settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_bolt"]
ROOT_URLCONF = "peers.bolt.urls"
BOLT_API = ["peers.bolt.api:api"]
