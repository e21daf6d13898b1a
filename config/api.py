"""The API: its routers, its parser of bodies, its errors."""

from config import VERSION, errors, health
from config.docs import locked_down
from config.openapi import DocumentedAPI
from config.parser import JSONParser
from tasks.api import router as tasks

api = DocumentedAPI(
    title="Tasks",
    version=VERSION,
    description="Each task belongs to the user of the token. Errors have one form on every route.",
    docs_decorator=locked_down,
    parser=JSONParser(),
)
errors.install(api)
api.add_router("/api", tasks)
api.add_router("/health", health.router)
