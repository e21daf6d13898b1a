from functools import partial

from django.apps import AppConfig
from django.conf import settings

from authjwt import keys


class Config(AppConfig):
    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401, PLC0415  registers them
        from config.server import replica  # noqa: PLC0415
        from config.server.pool import Pool  # noqa: PLC0415
        from config.server.stats import stats  # noqa: PLC0415
        from tasks import operations  # noqa: PLC0415  needs the models, which are loaded only now

        primary = Pool("api", settings.API_CONNECTIONS)
        operations.use(replica.install(primary) if "replica" in settings.DATABASES else primary)
        keys.on_wait.append(partial(stats.add_wait, "keys"))
