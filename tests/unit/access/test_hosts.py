"""Names and addresses of a `Host` header, and AGENT_ACTORS_HOSTS."""

import pytest

from agent_actors.access.hosts import Hosts, name_of
from agent_actors.errors import StartupError


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8000", "localhost"),
        ("localhost.", "localhost"),
        ("localhost:", "localhost"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[::1]:8000", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("agent_actors:8000", "agent_actors"),
        ("", None),
        (":8000", None),
        (".", None),
        ("a..b", None),
        ("::1", None),
        ("[localhost]", None),
        ("[127.0.0.1]", None),
        ("[::1", None),
        ("localhost:port", None),
        ("localhost:123456", None),
        ("localhost:80@evil.example", None),
        ("user@localhost", None),
        ("localhost/", None),
        ("localhost, evil.example", None),
        ("local host", None),
        ("locälhost", None),
        ("localhost\n", None),
    ],
)
def test_a_host_header_is_a_name_and_a_port(authority: str, name: str | None):
    """Everything else has no name."""
    assert name_of(authority) == name


@pytest.mark.parametrize("text", [None, "", " , ", "other.example"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_names_of_this_machine_are_always_allowed(text: str | None, name: str):
    """Whatever the setting says."""
    assert Hosts.parse(text).allow(name)


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "192.168.1.5",
        "2130706433",
        "0x7f.1",
        "127.1",
        "xlocalhost",
    ],
)
def test_other_names_are_not(name: str):
    """Names that only look like this machine are other names."""
    assert not Hosts.parse(None).allow(name)


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("agents.example.org", ["agents.example.org"], ["example.org", "a.agents.example.org"]),
        ("Agents.Example.org:8443, b", ["agents.example.org", "b"], ["c"]),
        ("*.example.org", ["a.example.org", "a.b.example.org"], ["example.org", "aexample.org"]),
        ("*.example.org,example.org", ["example.org", "a.example.org"], ["example.com"]),
        ("192.168.1.5", ["192.168.1.5"], ["192.168.1.50"]),
        ("[fd00::1]:80,fd00::2", ["fd00::1", "fd00::2"], ["fd00::3"]),
        ("xn--mnchen-3ya.example", ["xn--mnchen-3ya.example"], ["munchen.example"]),
        ("*", ["evil.example", "10.0.0.1"], []),
    ],
)
def test_a_setting_names_hosts(text: str, allowed: list[str], refused: list[str]):
    """Exact names, subdomains, addresses, or all; ports are ignored."""
    hosts = Hosts.parse(text)

    assert [name for name in allowed if not hosts.allow(name)] == []
    assert [name for name in refused if hosts.allow(name)] == []


@pytest.mark.parametrize(
    "entry",
    [
        "https://agents.example.org",
        "agents.example.org/chat",
        "münchen.example",
        "*.",
        "**.example.org",
        "a.*.org",
        "*.127.0.0.1",
        "*.[::1]",
        ".example.org",
        "user:secret@example.org",
        "a b",
        "*",
    ],
)
def test_what_is_no_host_name_is_refused_at_the_start(entry: str):
    """The text says which entry, and how one looks; it does not repeat it."""
    with pytest.raises(StartupError, match=r"^AGENT_ACTORS_HOSTS: entry \d is not a host") as error:
        Hosts.parse(f"{entry},a.example")

    assert "secret" not in str(error.value)
