"""The API: its routers, its body parser and its error handlers."""

from django.conf import settings

from config import VERSION
from config.http import handlers, health, query, rate_limits
from config.http.docs import with_content_security_policy
from config.http.openapi import DocumentedAPI
from config.http.parser import JSONParser
from tasks.api import router as tasks

api = DocumentedAPI(
    title="Tasks",
    version=VERSION,
    description="Each task belongs to the user of the token. Errors have one form on every route.",
    docs_decorator=with_content_security_policy,
    parser=JSONParser(),
)
handlers.install(api)
query.check(tasks)
api.add_router(settings.API_URL, tasks, auth=rate_limits.bearer_token(owner="user_id"))
api.add_router("/health", health.router)
