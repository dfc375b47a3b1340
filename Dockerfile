# Two stages: one that can build, one that can only run. How to pin the base by its digest, and how
# this is built and run where there is no engine: docs/how-to/run-in-production.md.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /app
COPY requirements/runtime.txt requirements/build.txt ./requirements/
# What builds the wheel is locked as well; nothing of it comes into /app.
RUN /app/bin/python -m pip install --require-hashes --only-binary=:all: -r requirements/runtime.txt \
    && python -m pip install --require-hashes --only-binary=:all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY migrations ./migrations
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /app/bin/python -m pip install --no-deps /wheels/*.whl \
    && /app/bin/python -m pip uninstall --yes pip

FROM ${BASE}
LABEL org.opencontainers.image.title="Partner Connector" \
      org.opencontainers.image.licenses="Apache-2.0"
# Neither pip, nor the copy of it that Python carries, nor a file that gives anybody more rights.
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && rm -rf "$(python -c 'import ensurepip; print(ensurepip.__path__[0])')" \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && groupadd --gid 10001 connector \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin connector \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /app /app
# A worker has no port but METRICS_PORT: HEALTH_URL=http://127.0.0.1:9000/metrics asks that.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HEALTH_URL=http://127.0.0.1:8000/livez \
    PARTNER_CONNECTOR_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=2)"]
ENTRYPOINT ["partner-connector"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--with-worker"]
