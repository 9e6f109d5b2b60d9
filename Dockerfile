# The image of the service. `docker build -t agent-actors .`; with `--target dev` the one that Tilt
# writes changed files into. Every package comes from a lock, with its hash.
#
# The base is pinned by its tag: pin the digest, too, where you build (`python:…@sha256:…`).
FROM python:3.13.16-slim-trixie AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# What builds, and stays in this stage.
COPY requirements-build.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r requirements-build.lock
# What the service needs, in a layer that a change of its code leaves alone. Wheels only: a package
# that would have to be compiled is refused here, where no compiler is.
COPY requirements-image.lock ./
RUN uv venv /opt/agent-actors \
    && uv pip install --python /opt/agent-actors --only-binary :all: --require-hashes \
        -r requirements-image.lock
# The service itself, as a wheel of our own.
COPY pyproject.toml README.md LICENSE ./
COPY components ./components
COPY src ./src
RUN python -m hatchling build -t wheel -d dist \
    && uv pip install --python /opt/agent-actors --no-deps --no-index --find-links dist agent-actors

# For Tilt: the code of /app/src comes before the installed one, and starts again when it changes.
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

# What runs. No HEALTHCHECK: Kubernetes does not read it, and asks /livez and /readyz itself.
FROM python:3.13.16-slim-trixie AS runtime
ENV HOME=/tmp \
    PATH=/opt/agent-actors/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Nothing is installed from here on, by nobody.
RUN python -m pip uninstall --yes pip
COPY --from=build /opt/agent-actors /opt/agent-actors
WORKDIR /app
# For the data of the embedded runtime, without a sidecar: put a volume there. Pods do not write it.
RUN install --directory --owner 10001 --group 10001 .agent-actors
# A number: Kubernetes cannot tell of a name that it is not root.
USER 10001:10001
EXPOSE 8000
CMD ["agent-actors", "serve", "--host", "0.0.0.0", "--port", "8000"]
