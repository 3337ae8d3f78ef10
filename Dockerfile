# syntax=docker/dockerfile:1
# script/check-dockerfile replays these steps without a Docker engine.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/nizam
COPY requirements/build.lock requirements/runtime.lock /src/requirements/
RUN /opt/nizam/bin/pip install --require-hashes --only-binary=:all: -r /src/requirements/build.lock
# txpostgres has no wheel; everything else comes as one.
RUN /opt/nizam/bin/pip install --require-hashes --no-build-isolation --only-binary=:all: \
    --no-binary=txpostgres -r /src/requirements/runtime.lock
COPY pyproject.toml setup.cfg README.md /src/
COPY nizam /src/nizam
COPY twisted /src/twisted
RUN /opt/nizam/bin/pip install --no-deps --no-build-isolation /src
# What only installing needs; the plugin cache has to be made while the folder is writable.
RUN /opt/nizam/bin/pip uninstall --yes setuptools pip && /opt/nizam/bin/twistd nizam --help >/dev/null

FROM python:3.13-slim
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="NIZAM" \
    org.opencontainers.image.description="The control plane for FreeSWITCH" \
    org.opencontainers.image.version=$VERSION \
    org.opencontainers.image.revision=$REVISION
COPY --from=build /opt/nizam /opt/nizam
RUN install -d -m 0750 -o 10001 -g 10001 /var/lib/nizam /var/lib/nizam/media
ENV PATH=/opt/nizam/bin:$PATH PYTHONUNBUFFERED=1 NIZAM_HTTP_HOST=0.0.0.0 NIZAM_HTTP_PORT=8080
USER 10001:10001
WORKDIR /var/lib/nizam
VOLUME /var/lib/nizam/media
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"NIZAM_HTTP_PORT\"]}/api/health', timeout=4)"]
CMD ["twistd", "--nodaemon", "--pidfile=", "nizam"]
