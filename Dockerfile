# Two stages: one that can build, one that can only run.
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /app
COPY requirements.txt ./
RUN /app/bin/python -m pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY migrations ./migrations
RUN python -m pip wheel --no-deps --wheel-dir /wheels . \
    && /app/bin/python -m pip install --no-deps /wheels/*.whl \
    && /app/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim-bookworm
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --gid 10001 connector \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin connector \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PARTNER_CONNECTOR_DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["partner-connector"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--with-worker"]
