# The image of the service: `docker build -t agent-actors .`. With `--target dev`, the image that
# Tilt copies changed files into. Every package comes from a lock file and is checked by its hash.
#
# The base image is pinned by tag. Pin its digest as well where you build (`python:…@sha256:…`).
FROM python:3.13.16-slim-trixie AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# Build tools; they stay in this stage.
COPY requirements-build.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r requirements-build.lock
# Dependencies, in a layer that does not change with the code. Wheels only: there is no compiler, so
# a package that would have to be compiled is refused.
COPY requirements-image.lock ./
RUN uv venv /opt/agent-actors \
    && uv pip install --python /opt/agent-actors --only-binary :all: --require-hashes \
        -r requirements-image.lock
# The service itself, as a wheel.
COPY pyproject.toml README.md LICENSE ./
COPY components ./components
COPY src ./src
RUN python -m hatchling build -t wheel -d dist \
    && uv pip install --python /opt/agent-actors --no-deps --no-index --find-links dist agent-actors

# For Tilt: the code in /app/src shadows the installed one, and the service restarts when it
# changes.
FROM build AS dev
ENV HOME=/tmp \
    PATH=/opt/agent-actors/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app/src \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY --chown=10001:10001 src ./src
USER 10001:10001
EXPOSE 8000
CMD ["agent-actors", "dev", "--reload", "--runtime", "dapr", "--host", "0.0.0.0", "--port", "8000"]

# Production. No HEALTHCHECK: Kubernetes ignores it and probes /livez and /readyz itself.
FROM python:3.13.16-slim-trixie AS runtime
ENV HOME=/tmp \
    PATH=/opt/agent-actors/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Nothing can be installed from here on.
RUN python -m pip uninstall --yes pip
COPY --from=build /opt/agent-actors /opt/agent-actors
WORKDIR /app
# Data of the embedded runtime (no sidecar): mount a volume here. Pods on Kubernetes do not use it.
RUN install --directory --owner 10001 --group 10001 .agent-actors
# A number, because Kubernetes cannot tell whether a user name is root.
USER 10001:10001
EXPOSE 8000
CMD ["agent-actors", "serve", "--host", "0.0.0.0", "--port", "8000"]
