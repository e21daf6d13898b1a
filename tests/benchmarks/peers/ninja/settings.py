from peers.django_settings import *  # noqa: F403

ROOT_URLCONF = "peers.ninja.api"
WSGI_APPLICATION = "peers.ninja.app.application"
