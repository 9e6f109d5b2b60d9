"""Addresses of servers in settings, before anything is sent to them."""

from urllib.parse import urlsplit


def is_address(url: str) -> bool:
    """Is it one of HTTP, with a host, and with a port that there is if it has one?"""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # Of brackets that do not close, or of a port that is no number.
        return False
