"""The host names by which the service may be called.

A web page whose name resolves to 127.0.0.1 (DNS rebinding) is, for a browser, the same origin as a
service on this machine. Its requests carry the page's name in `Host`, so that header tells them
apart from requests that are meant for the service.
"""

import ipaddress
import re
from dataclasses import dataclass

from agent_actors.errors import StartupError

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{0,5})?", re.ASCII)


def name_of(authority: str) -> str | None:
    """The name or address in `name:port`, in lower case; None if it is not of that form."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    name = found[1].lower().removesuffix(".")
    bracketed = name.startswith("[")
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None if bracketed or "" in name.split(".") else name
    if bracketed != (address.version == 6):
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_address(name: str) -> bool:
    """Whether a name is an IP address. No page can be rebound to one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether a name is `localhost` or an address of this machine alone."""
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)


@dataclass(frozen=True, slots=True)
class Hosts:
    """The allowed names; the names of this machine are always among them.

    `names` are exact, `suffixes` stand for subdomains (`.example.org`), and `every` allows any.
    """

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    every: bool = False

    @classmethod
    def parse(cls, text: str | None) -> "Hosts":
        """Parses AGENT_ACTORS_HOSTS: names separated by commas, `*.example.org`, or `*`.

        Ports are ignored.

        Raises:
            StartupError: An entry is not a host name.
        """
        entries = [each.strip() for each in (text or "").split(",") if each.strip()]
        if entries == ["*"]:
            return cls(every=True)
        names, suffixes = set[str](), list[str]()
        for number, entry in enumerate(entries, 1):
            bare = entry.removeprefix("*.")
            name = name_of(f"[{bare}]" if is_address(bare) and ":" in bare else bare)
            if name is None or (bare != entry and is_address(name)):
                raise StartupError(
                    f"AGENT_ACTORS_HOSTS: entry {number} is not a host name such as"
                    " agents.example.org, *.example.org or 192.168.1.5 (without a scheme or a path;"
                    " a name with other letters in its xn-- form)."
                )
            if bare != entry:
                suffixes.append(f".{name}")
            else:
                names.add(name)
        return cls(frozenset(names), tuple(suffixes))

    def allow(self, name: str) -> bool:
        """Whether the service may be called by this name, as `name_of` returns it."""
        return self.every or self.include(name)

    def include(self, name: str) -> bool:
        """The same without `*`: is this name one of ours?"""
        return name in self.names or name.endswith(self.suffixes) or is_loopback(name)
