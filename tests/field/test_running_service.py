"""`agent-actors doctor` in a second terminal: it reports what the service runs, not what it would.

Sources: firezone/firezone #553 (the saved settings shown for the running ones), openclaw/openclaw
#20412 and #36786 and ChronoAIProject/consensus-rnd #977 (a status of the environment that asks),
LionSR/TeXRA #4261 (models of another mode), Eigenwise/eigenwise-toolshed #275 (two commands that
disagree about who serves).
"""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from agent_actors.clock import SystemClock
from agent_actors.doctor import running as running_service
from agent_actors.doctor.finding import Context, Findings
from agent_actors.doctor.model import check_model
from agent_actors.doctor.running import check_running, differences
from agent_actors.doctor.service import check_service
from agent_actors.doctor.settings import check_access, check_limits
from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.settings import Settings
from tests.fakes import FakeRuntime
from tests.forked import run
from tests.hand_clock import HandClock
from tests.unit.cli.test_process import running
from tests.unit.doctor.conftest import answering, context
from tests.unit.routes.edge.access import ROOT

URL = "http://service:1"
READY = httpx2.Response(200, json={"status": "ok"})
TOLD = {"runtime": "embedded", "model": "echo", "access": "none", "own_model": False}


def told_by(url: str, *options: str, **variables: str) -> dict[str, list[tuple[str, str]]]:
    """By check: how it stands and what was found, in the words of the command."""
    done = run("doctor", "--json", *options, AGENT_ACTORS_URL=url, **variables)
    assert done.stderr == ""
    lines: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(done.stdout):
        lines.setdefault(each["check"], []).append((each["status"], each["found"]))
    return lines


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A service that differs from an empty environment: its model, its tokens, its folder."""
    data = tmp_path / "data"
    tokens = json.dumps([{"token": ROOT, "subject": "root", "admin": True}])
    set_there = {"AGENT_ACTORS_MODEL": "scripted", "AGENT_ACTORS_ACCESS_TOKENS": tokens}
    with running(data, APP_API_TOKEN="s3cret-of-the-sidecar", **set_there) as service:
        yield service.url, data


@pytest.mark.parametrize(
    "variables", [{"AGENT_ACTORS_TOKEN": ROOT}, {"APP_API_TOKEN": "s3cret-of-the-sidecar"}]
)
def test_a_second_terminal_sees_the_service(guarded: tuple[str, Path], variables: dict[str, str]):
    """Its model and its access; one line says that this environment has others."""
    url, data = guarded
    lines = told_by(url, **variables)

    runs, differs = lines["service"][1:]
    assert "model scripted" in runs[1]
    assert str(data) in runs[1]
    assert differs[0] == "warn"
    assert f"data folder {data} (here " in differs[1]
    assert "access token (here none)" in differs[1]
    assert lines["access"] == [("ok", "callers need a token, says the service")]
    assert lines["model"] == [
        ("warn", "the service answers with scripted; this environment has echo")
    ]
    assert "in the service" in lines["limits"][0][1]


def test_the_same_environment_differs_in_nothing(guarded: tuple[str, Path]):
    """No warning, and the lines that there were before."""
    url, data = guarded
    tokens = json.dumps([{"token": ROOT, "subject": "root", "admin": True}])
    same = {"AGENT_ACTORS_MODEL": "scripted", "AGENT_ACTORS_ACCESS_TOKENS": tokens}
    lines = told_by(url, "--data", str(data), AGENT_ACTORS_TOKEN=ROOT, **same)

    assert {status for each in lines.values() for status, _ in each} <= {"ok", "skip"}
    assert len(lines["service"]) == 2
    assert lines["model"] == [("ok", "scripted answers: no API key and no network needed")]


def test_without_an_admin_s_token_it_says_whose_lines_these_are(guarded: tuple[str, Path]):
    """And how to be told."""
    url, _ = guarded
    for variables in ({}, {"AGENT_ACTORS_TOKEN": "not that one, but long"}):
        lines = told_by(url, **variables)

        status, found = lines["service"][1]
        assert (status, len(lines["service"])) == ("skip", 2)
        assert "only to admins" in found
        assert "this environment" in found


def test_without_a_service_it_says_so():
    """Everything is then about this environment."""
    ((status, found),) = told_by("http://127.0.0.1:9")["service"]

    assert status == "skip"
    assert "about this environment" in found


async def asked(routes: Any, **given: Any) -> tuple[Context, Findings]:
    seen = context(clock=given.pop("clock", HandClock()), url=URL, **given)
    async with answering({"/readyz": READY, **routes}) as http:
        return seen, await check_service(seen, http)


def forging(**members: Any) -> httpx2.Response:
    return httpx2.Response(200, json=TOLD | members)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404),
        httpx2.Response(500, text="oops"),
        httpx2.Response(302, headers={"location": "http://elsewhere/"}),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json=["embedded"]),
        httpx2.Response(200, json={}),
        httpx2.Response(200, json={"runtime": None, "model": "gpt-5"}),
        httpx2.Response(200, json={"runtime": {"name": "embedded"}}),
        httpx2.Response(200, content=b'{"runtime": "\xff"}'),
        httpx2.Response(200, content=b'{"process": ' + b"9" * 5_000 + b', "runtime": "x"}'),
        httpx2.Response(200, content=b"[" * 60_000),
        httpx2.Response(200, content=b'{"runtime": "' + b"x" * 10_000_000),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("rubbish"),
        httpx2.ConnectError("gone"),
    ],
    ids=str,
)
async def test_what_says_nothing_breaks_nothing(answer: Any):
    """An older release, a stranger, one that hangs: the other lines are about this environment."""
    seen, findings = await asked({"/info": answer})

    assert [each.status for each in findings] == ["ok", "skip"]
    assert "about this environment" in findings[1].found
    assert seen.told == ServiceInfo()


async def test_one_that_sends_for_ever_is_left():
    """A byte now and then is no answer in time; the others are made all the same."""

    async def trickle() -> AsyncIterator[bytes]:
        clock = SystemClock()
        while True:
            await clock.sleep(0.01)
            yield b" "

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=trickle())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running_service, "WITHIN", 0.1)
        _, findings = await asked({"/info": answer}, clock=SystemClock())

    assert "in time" in findings[1].found


@pytest.mark.parametrize(
    "said",
    [
        "echo\nok    service    all is well",
        "echo\r\x1b[2Kok    model      all is well",
        "echo\u2028ok    data",
        "echo, says the service",
        "\u202eohce",
        "x" * 5_000,
    ],
)
async def test_no_answer_forges_a_line_or_our_words(said: str):
    """What is shown is one line, short, and in quotes where it has words."""
    names = ("version", "runtime", "model", "model_server", "data", "components", "secret_store")
    for name in names:
        seen, findings = await asked({"/info": forging(**{name: said})})
        async with answering({}) as http:
            findings += await check_model(seen, http, FakeRuntime().get_secret)
        for each in findings:
            assert each.found.isprintable()
            assert len(each.found) <= 300
            assert said not in each.found or repr(said) in each.found


async def test_tokens_are_sent_only_where_one_is_wanted():
    """A stranger that answers gets none; one that asks gets both."""
    seen: list[tuple[str | None, str | None]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        given = request.headers.get("authorization"), request.headers.get("dapr-api-token")
        seen.append(given)
        return forging() if len(seen) == 1 or any(given) else httpx2.Response(401)

    environment = {"AGENT_ACTORS_TOKEN": " mine "}
    for _ in range(2):
        settings = Settings(APP_API_TOKEN="ours")
        _, findings = await asked({"/info": answer}, settings=settings, environment=environment)
        assert findings[1].status == "ok"

    assert seen == [(None, None), (None, None), ("Bearer mine", "ours")]


@pytest.mark.parametrize("token", ["", "  ", "schlüssel", "a\nb"])
async def test_a_token_that_no_header_can_carry_is_not_sent(token: str):
    """It is as if there were none."""
    refused = httpx2.Response(401)
    _, findings = await asked({"/info": refused}, environment={"AGENT_ACTORS_TOKEN": token})

    assert "only to admins" in findings[1].found


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"runtime": "dapr", "sidecar_port": 3500, "data": None}, "runtime dapr (here embedded)"),
        ({"runtime": "dapr", "sidecar_port": 3500}, "DAPR_HTTP_PORT 3500 (here not set)"),
        ({"version": "9.9"}, "release 9.9 (here "),
        ({"data": "/elsewhere"}, "data folder /elsewhere (here "),
        ({"components": "/elsewhere"}, "component files /elsewhere (here "),
        ({"secret_store": "vault"}, "AGENT_ACTORS_SECRET_STORE vault (here not set)"),
        ({"orchestration": "workflow"}, "AGENT_ACTORS_ORCHESTRATION workflow (here turn)"),
        ({"access": "off"}, "access off (here none)"),
    ],
)
def test_each_difference_is_named(there: dict[str, Any], words: str):
    """And nothing else is."""
    here = ServiceInfo.of(Settings(), dapr=False)
    told = ServiceInfo(**here.model_dump() | there)
    found = list(differences(told, here))

    assert any(each.startswith(words) for each in found)
    assert len(found) == len(there) - ("data" in there and there["data"] is None)


def test_what_another_release_does_not_tell_is_no_difference():
    """It is not known."""
    here = ServiceInfo.of(Settings(secret_store="vault"), dapr=False)

    assert list(differences(ServiceInfo(runtime="embedded"), here)) == []


async def judged(told: dict[str, Any], routes: Any = (), **settings: Any) -> Findings:
    seen = context(Settings(**settings), told=ServiceInfo(**told))
    async with answering(dict(routes)) as http:
        return await check_model(seen, http, FakeRuntime().get_secret)


OPENAI = {"runtime": "embedded", "own_model": False, "model_server": "https://api.openai.com"}
LISTED = {"/v1/models": httpx2.Response(200, json={"data": [{"id": "gpt-5"}]})}


@pytest.mark.parametrize(
    ("told", "settings", "status", "words"),
    [
        (
            {"model": "gpt-5"},
            {"OPENAI_API_KEY": "k", "model": "gpt-5"},
            "ok",
            "accepts the API key",
        ),
        ({"model": "gpt-5"}, {"OPENAI_API_KEY": "k"}, "ok", "gpt-5 at api.openai.com"),
        ({"model": "gpt-5"}, {}, "warn", "this environment has echo"),
        ({"model": "gpt-5"}, {"model": "claude-x"}, "warn", "in this environment AGENT_ACTORS_"),
        (
            {"model": "gpt-5"},
            {"OPENAI_API_KEY": "k", "model": "gpt-4o"},
            "warn",
            "this environment has gpt-4o at https://api.openai.com",
        ),
        (
            {"model": "gpt-5", "model_server": "http://127.0.0.1:9"},
            {"OPENAI_API_KEY": "k", "model": "gpt-5"},
            "warn",
            "gpt-5 at http://127.0.0.1:9; this",
        ),
        ({"model": "echo", "model_server": None}, {}, "ok", "the built-in echo model"),
        (
            {"model": "echo", "model_server": None},
            {"OPENAI_API_KEY": "k"},
            "warn",
            "the service answers with echo; this environment has",
        ),
        ({"model": "Parrot", "own_model": True}, {}, "ok", "the code of the service brings it"),
        ({"model": None}, {"model": "scripted"}, "ok", "scripted answers"),
    ],
)
async def test_the_model_is_that_of_the_service(
    told: dict[str, Any], settings: dict[str, Any], status: str, words: str
):
    """Its key is checked where this environment has the key for it."""
    (finding,) = await judged(OPENAI | told, LISTED, **settings)

    assert (finding.status, words in finding.found) == (status, True), finding


async def test_no_key_goes_where_only_the_service_says():
    """A stranger cannot have it sent to itself."""
    asked_hosts: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked_hosts.append(request.url.host)
        return httpx2.Response(200, json={"data": []})

    for server in ("http://evil.example", "https://api.openai.com@evil.example", "x"):
        told = OPENAI | {"model": "gpt-5", "model_server": server}
        await judged(told, {"/v1/models": answer}, OPENAI_API_KEY="k", model="gpt-5")
    for name in ("../../evil", "//evil.example/x"):
        await judged(OPENAI | {"model": name}, {"/v1/models": answer}, OPENAI_API_KEY="k")

    assert set(asked_hosts) <= {"api.openai.com"}


@pytest.mark.parametrize(
    ("told", "runtime", "statuses"),
    [
        ({"runtime": "dapr", "sidecar_token": False, "access": "none"}, "dapr", ["warn", "ok"]),
        ({"runtime": "dapr", "sidecar_token": True, "access": "none"}, "dapr", ["ok"]),
        ({"runtime": "dapr", "sidecar_token": False, "access": "off"}, "embedded", ["warn", "ok"]),
        ({}, "dapr", ["warn", "ok"]),
        ({"runtime": "embedded", "sidecar_token": False}, "embedded", ["ok"]),
    ],
)
async def test_whether_callbacks_need_a_token_is_said_by_the_service(
    told: dict[str, Any], runtime: str, statuses: list[str]
):
    """Only without a service is it the environment that counts."""
    seen = context(Settings(dapr_http_port=1), runtime, told=ServiceInfo(**told))

    assert [each.status for each in await check_access(seen)] == statuses


async def test_limits_are_those_of_the_service():
    """A shell often has others."""
    seen = context(told=ServiceInfo(open_files=256))
    (finding,) = await check_limits(seen, lambda: 100_000)

    assert (finding.status, finding.found.partition(",")[0]) == (
        "warn",
        "at most 256 open files in the service",
    )


async def test_the_service_asks_itself_nothing(tmp_path: Path):
    """A URL below a path works, as an app that is mounted has one."""
    routes = {"/agents/info": forging(), "/agents/readyz": READY}
    seen = context(clock=HandClock())
    async with answering(routes) as http:
        findings = await check_running(seen, http, f"{URL}/agents")

    assert findings[0].status == "ok"
    assert seen.told.model == "echo"


@pytest.mark.parametrize("name", ["open_files", "own_tools", "process", "sidecar_port"])
@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "-1", "1e400"])
async def test_a_number_that_none_can_be_tells_nothing(name: str, number: str):
    """A program that is not this service may answer anything."""
    with pytest.raises(ValidationError):
        ServiceInfo.model_validate_json(f'{{"{name}": {number}}}')
