"""The environment variables that libraries read, beside the settings.

A library that meets a bad one raises an error which often names no variable, perhaps in a task. So
each is checked, by name, before what reads it is made.
"""

import os
import re
import ssl
from importlib.util import find_spec
from pathlib import Path
from urllib.request import getproxies

from agent_actors.errors import StartupError
from agent_actors.forms.file import require_regular
from agent_actors.forms.line import one_line

OPENAI = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS")
"""OpenAI's client sends them as headers, to any server."""
DAPR_NUMBERS = ("DAPR_HTTP_TIMEOUT_SECONDS", "DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES")
"""The first is read when an actor type is registered, the other by workflows."""
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+", re.IGNORECASE)
"""The name by which OpenSSL finds a certificate in a folder."""


def require_key_log() -> None:
    """Checks `SSLKEYLOGFILE`, which Python opens for the first TLS context of its default kind.

    aiohttp makes one when it is imported, so this check comes before that import.

    Raises:
        StartupError: The file cannot be written.
    """
    file = os.environ.get("SSLKEYLOGFILE")
    if not file:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).keylog_filename = file
    except OSError as error:
        raise StartupError(
            f"SSLKEYLOGFILE names a file that cannot be written ({error.strerror}); set it to"
            " another, or unset it."
        ) from None


def require_server() -> None:
    """Checks what uvicorn reads, although the commands serve from one process.

    Raises:
        StartupError: The number of workers is no number.
    """
    value = os.environ.get("WEB_CONCURRENCY")
    if value is not None:  # uvicorn takes an empty one for a number, too.
        _require_number("WEB_CONCURRENCY", value)


def require_dapr(*, workflow: bool) -> None:
    """Checks what the Dapr SDK reads on every runtime, and what its workflows read.

    Raises:
        StartupError: One is no number.
    """
    for name in DAPR_NUMBERS if workflow else DAPR_NUMBERS[:1]:
        if value := os.environ.get(name):
            _require_number(name, value)


def _require_number(name: str, value: str) -> None:
    try:
        int(value)
    except ValueError:
        shown = one_line(value, 40)
        raise StartupError(
            f"{name} has to be a whole number, and is {shown!r}; correct it, or unset it."
        ) from None


def require_web() -> None:
    """Checks what every HTTP client to other machines reads: proxies and certificates.

    Raises:
        StartupError: A variable has a value that such a client cannot use.
    """
    require_key_log()
    _require_proxies()
    _require_certificates()


def require_model_client() -> None:
    """Checks what the client of a model's server reads; raises like `require_web`."""
    require_web()
    for name in OPENAI:
        value = os.environ.get(name, "").replace("\n", "")
        if not (value.isascii() and (value.isprintable() or not value)):
            raise StartupError(
                f"{name} cannot be sent in an HTTP header: it may have printable ASCII characters"
                " only; correct it, or unset it."
            )


def _require_proxies() -> None:
    proxies = getproxies()
    if "*" in [host.strip() for host in proxies.get("no", "").split(",")]:
        return
    for scheme in ("http", "https", "all"):
        value = proxies.get(scheme)
        if value and (reason := _unusable(value)):
            raise StartupError(
                f"{_variable(scheme, value)} {reason}; use http://HOST:PORT, or unset it."
            )


def _unusable(value: str) -> str | None:
    """Why a proxy cannot be used; its text is not shown, since it may have a password."""
    import httpx2

    try:
        # As the client reads it.
        url = httpx2.Proxy(value if "://" in value else f"http://{value}").url
    except httpx2.InvalidURL:
        return "is not the URL of a proxy"
    except ValueError:
        scheme = value.partition("://")[0]
        known = "http, https or socks5"
        return f"has a scheme that HTTP clients do not know ({scheme!r}, not {known})"
    if not url.host or url.port == 0 or (url.port or 1) > 65_535:
        return "names no host and port of a proxy"
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        return "is a SOCKS proxy, which needs the package socksio (`pip install socksio`)"
    return None


def _variable(scheme: str, value: str) -> str:
    """The variable that Python took a proxy from: in lower case, if both are set."""
    name = f"{scheme}_proxy"
    if os.environ.get(name) == value:
        return name
    found = (each for each in os.environ if each.lower() == name and os.environ[each] == value)
    return next(found, f"The system's {scheme} proxy")


def _require_certificates() -> None:
    # The folder is read only where no file is named.
    if file := os.environ.get("SSL_CERT_FILE"):
        try:
            require_regular(Path(file))
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except ssl.SSLError:
            raise StartupError(
                "SSL_CERT_FILE names a file without certificates in PEM form; set it to a bundle"
                " of certificates, or unset it."
            ) from None
        except OSError as error:
            raise StartupError(
                f"SSL_CERT_FILE names a file that cannot be read ({error.strerror}); set it to a"
                " bundle of certificates, or unset it."
            ) from None
        return
    folders = os.environ.get("SSL_CERT_DIR")
    if folders and not any(map(_has_certificates, folders.split(os.pathsep))):
        raise StartupError(
            "SSL_CERT_DIR names no folder with certificates under their hashes (`openssl rehash`"
            " makes those names); set it to one, or unset it."
        )


def _has_certificates(folder: str) -> bool:
    try:
        return any(_HASHED.fullmatch(name) for name in os.listdir(folder))
    except OSError:
        return False
