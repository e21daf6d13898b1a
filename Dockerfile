# The image of the service: docs/deployment.md says how to run it. Debian's Python, so that CI can
# build the same file system from Debian's packages and run these commands in it.
FROM debian:bookworm-slim AS python
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*

FROM python AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /app
COPY requirements.txt ./
# Every package has a hash in the lock, so pip refuses any other file.
RUN python3 -m venv .venv \
 && .venv/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements.txt \
 && .venv/bin/pip uninstall --yes pip setuptools
COPY manage.py ./
COPY authjwt ./authjwt
COPY config ./config
COPY tasks ./tasks
# The files belong to root and are read-only for the service, so it could not write this later.
RUN .venv/bin/python -m compileall -q .

FROM python
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:/usr/bin:/bin
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
# Whether the process answers. Not /health/ready: a restart does not help against a database that is
# down. It needs /bin/sh for the variable.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:${PORT:-8000}/health', timeout=4)"
CMD ["python", "manage.py", "serve"]
