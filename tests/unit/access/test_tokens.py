"""Tokens of the settings."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent_actors.access import LONGEST, Access
from agent_actors.access.caller import Caller
from agent_actors.access.claims import SignedTokens
from agent_actors.access.tokens import Tokens, digest
from agent_actors.clock import SystemClock
from agent_actors.errors import Forbidden, StartupError, Unauthorized
from agent_actors.settings import Settings, read

ADAS = "ada-0123456789abcdef"
ROOTS = "root-0123456789abcdef"
NAME = "AGENT_ACTORS_ACCESS_TOKENS"


def tokens(*entries: dict[str, Any]) -> Tokens:
    return Tokens.read([(NAME, json.dumps(entries))])


def access(**settings: Any) -> Access | None:
    return Access.open(Settings(**settings), SystemClock())


def test_a_token_is_its_subjects():
    """It identifies the configured subject, who may have two; other tokens are unknown."""
    another = "ada-fedcba9876543210"
    known = tokens(
        {"token": ADAS, "subject": "ada"},
        {"token": another, "subject": "ada"},
        {"token": ROOTS, "subject": "root", "admin": True},
    )

    assert known.caller(ADAS) == known.caller(another) == Caller("ada")
    assert known.caller(ROOTS) == Caller("root", admin=True)
    assert known.caller(ADAS + "x") is None
    assert known.caller("") is None


def test_a_token_may_be_given_as_its_digest():
    """The setting then holds nothing that could be shown."""
    hashed = hashlib.sha256(ADAS.encode()).hexdigest()

    assert tokens({"sha256": hashed.upper(), "subject": "ada"}).caller(ADAS) == Caller("ada")
    assert tokens({"sha256": hashed, "subject": "ada"}).caller(hashed) is None
    assert digest(ADAS).hex() == hashed


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        '["secret-0123456789abcdef"]',
        '[{"token": "secret-0123456789abcdef"}]',
        '[{"subject": "ada"}]',
        '[{"token": "secret-short", "subject": "ada"}]',
        '[{"token": "secret with spaces in it", "subject": "ada"}]',
        '[{"token": "secret-0123456789abcdef\\n", "subject": "ada"}]',
        '[{"token": "secret-0123456789abcdef", "subject": "session:1"}]',
        '[{"token": "secret-0123456789abcdef", "subject": "a b"}]',
        '[{"token": "secret-0123456789abcdef", "subject": "ada", "role": "x"}]',
        '[{"token": "secret-0123456789abcdef", "sha256": "00", "subject": "ada"}]',
        '[{"sha256": "secret", "subject": "ada"}]',
        '[{"token": "secret-0123456789abcdef", "subject": "ada", "admin": "yes"}]',
        '[{"token": "secret-0123456789abcdef", "subject": "ada"},'
        ' {"token": "secret-0123456789abcdef", "subject": "ben"}]',
    ],
)
def test_tokens_of_another_form_stop_the_start(text: str):
    """One line names the setting and the place, and never repeats a token."""
    with pytest.raises(StartupError) as caught:
        Tokens.read([(NAME, text)])

    assert str(caught.value).startswith(NAME)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tokens_come_from_a_file_too(tmp_path: Path):
    """A mounted Secret adds to the setting; a token that both have is there twice."""
    file = tmp_path / "tokens"
    file.write_text(json.dumps([{"token": ROOTS, "subject": "root", "admin": True}]))
    ours = json.dumps([{"token": ADAS, "subject": "ada"}])
    assert access(access_tokens=ours, access_tokens_file=file) is not None

    file.write_text(ours)
    with pytest.raises(StartupError, match=r"^AGENT_ACTORS_ACCESS_TOKENS_FILE: .*duplicate"):
        access(access_tokens=ours, access_tokens_file=file)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, content: bytes | None):
    """One line names the setting, and the file."""
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(StartupError, match=r"^AGENT_ACTORS_ACCESS_TOKENS_FILE: \S+ cannot be read"):
        access(access_tokens_file=file)


def test_a_pipe_stops_the_start(tmp_path: Path):
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "tokens")

    with pytest.raises(StartupError, match=r"cannot be read: it is not a regular file\.$"):
        access(access_tokens_file=tmp_path / "tokens")


def test_a_file_without_end_stops_the_start(tmp_path: Path):
    """It is not read into memory."""
    with (tmp_path / "tokens").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(StartupError, match=r"cannot be read: it has more than 1,048,576 bytes\.$"):
        access(access_tokens_file=tmp_path / "tokens")


@pytest.mark.parametrize(
    ("settings", "on"),
    [
        ({}, False),
        ({"access_tokens": " "}, False),
        ({"access": "required"}, True),
        ({"access_tokens": "[]"}, True),
        ({"access_tokens_file": "x"}, True),
        ({"jwt_issuer": "https://issuer.example"}, True),
        ({"jwt_audience": "x"}, True),
        ({"access": "off", "access_tokens": "[]"}, False),
    ],
)
def test_access_is_on_where_somebody_has_it(settings: dict[str, Any], on: bool):
    """By itself where tokens or an issuer are set, else as the setting says."""
    assert Settings(**settings).access_on is on


@pytest.mark.parametrize("settings", [{"access": "required"}, {"access_tokens": "[]"}])
def test_access_that_nobody_has_stops_the_start(settings: dict[str, Any]):
    """A service that refuses everybody is a mistake."""
    with pytest.raises(StartupError, match="AGENT_ACTORS_ACCESS"):
        access(**settings)


def test_what_comes_from_a_file_ends_in_a_newline(monkeypatch: pytest.MonkeyPatch):
    """White space is stripped, and a blank value is unset."""
    monkeypatch.setenv("AGENT_ACTORS_JWT_ISSUER", "https://issuer.example\n")
    monkeypatch.setenv("AGENT_ACTORS_JWT_AUDIENCE", " \n")

    assert (read().jwt_issuer, read().jwt_audience) == ("https://issuer.example", None)


def test_tokens_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    """Neither text nor repr of the settings has them."""
    monkeypatch.setenv(NAME, json.dumps([{"token": ADAS, "subject": "ada"}]))
    settings = read()

    assert settings.access_on
    assert ADAS not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic " + ADAS, ADAS, f"Bearer {ADAS}x", "Bearer " + "x" * 20_000],
)
async def test_a_header_without_a_known_token_is_refused(header: str):
    """A challenge says what to send, and names an error only where a token was shown."""
    known = access(access_tokens=json.dumps([{"token": ADAS, "subject": "ada"}]))
    assert known is not None

    with pytest.raises(Unauthorized) as caught:
        await known.caller(header)
    shown = header.startswith("Bearer ") and header != "Bearer "
    assert ('error="invalid_token"' in caught.value.challenge) is shown
    assert ADAS not in caught.value.detail


async def test_a_token_without_end_is_not_looked_into():
    """Whatever an issuer's token has in it, it is not that long."""

    class Taken(SignedTokens):
        def __init__(self) -> None:
            """It has no keys."""

        async def caller(self, token: str) -> Caller:
            return Caller("ada")

    known = Access(Tokens({}), Taken())

    assert await known.caller("Bearer " + "x" * LONGEST) == Caller("ada")
    with pytest.raises(Unauthorized):
        await known.caller("Bearer " + "x" * (LONGEST + 1))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_written_in_any_case(scheme: str):
    """As HTTP has it."""
    known = access(access_tokens=json.dumps([{"token": ADAS, "subject": "ada"}]))
    assert known is not None

    assert await known.caller(f"{scheme} {ADAS}") == Caller("ada")


def test_a_caller_acts_for_itself():
    """Only an admin may act for another user; a subject that is not a user id gives no access."""
    Caller("ada").require("ada")
    Caller("root", admin=True).require("ada")
    for caller in (Caller("ben"), Caller("Ada"), Caller("session:1"), Caller("a|b")):
        with pytest.raises(Forbidden):
            caller.require("ada")
    with pytest.raises(Forbidden, match="SUBJECT_CLAIM"):
        Caller("session:1").require("session:1")
