"""The API: its routers, its parser of bodies, its errors."""

from config import VERSION
from config.http import errors, health
from config.http.docs import locked_down
from config.http.openapi import DocumentedAPI
from config.http.parser import JSONParser
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
