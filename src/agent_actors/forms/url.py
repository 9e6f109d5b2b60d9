"""URLs of servers, checked before anything is sent."""

from urllib.parse import urlsplit


def is_address(url: str) -> bool:
    """Is it an HTTP URL with a host, and a possible port if there is one?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # Unbalanced brackets, or a port that is not a number.
        return False


def origin(url: str) -> str:
    """Scheme, host and port: the part of a server's URL that is no secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
