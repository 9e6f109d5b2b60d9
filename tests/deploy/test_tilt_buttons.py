"""Ports, links and buttons of `tilt up` lead to pods, and are those of `docs/kubernetes.md`."""

import functools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import httpx2
import jsonschema
import pytest

from agent_actors.app import create_app
from agent_actors.cli import main
from agent_actors.cli.client import Client
from agent_actors.engine.ports import free_port
from agent_actors.settings import Settings
from tests.deploy.manifests import (
    PAGE,
    containers,
    of_kind,
    service_container,
)
from tests.deploy.tiltfile import CONTEXT, KEYS, Call, Record, edited, evaluate
from tests.fakes import FakeRuntime

Rule = Callable[[Record], None]
SERVICE = NAMESPACE = "agent-actors"


def on_the_page() -> dict[str, int]:
    """The local port of each thing that the page says to look at, by its workload."""
    rows = re.findall(r"<http://localhost:(\d+)[^>]*>(?: \(([^)]*)\))?", PAGE)
    found = {name.lower(): int(port) for port, name in rows if port != "10350"}  # Tilt's own.
    return {{"": SERVICE, "dapr's dashboard": "dashboard"}.get(x, x): found[x] for x in found}


def ports_are_those_of_the_page(record: Record) -> None:
    """Each forwarded port is that of the page, leads to a port of the pod, and has a name."""
    page = on_the_page()
    for each in record.of("k8s_resource"):
        name = str(each.get("workload"))
        given = {port["containerPort"] for port in ports_of(record, name)}
        forwards = each.get("port_forwards", ())
        assert [port["local_port"] for port in forwards] == [page[x] for x in {name} & page.keys()]
        assert {port["container_port"] for port in forwards} <= given
        assert all(port["name"] for port in forwards)


def ports_of(record: Record, name: object) -> Iterator[Call]:
    for owner, container in containers(record.manifests):
        yield from container.get("ports", ()) if owner == name else ()


def dashboard_is_forwarded(record: Record) -> None:
    """Dapr's dashboard is forwarded from its Service, probed and linked."""
    dashboard, port = record.resources()["dashboard"], on_the_page()["dashboard"]
    command = ["kubectl", "--context", CONTEXT, "port-forward", "--namespace", "dapr-system"]

    # The Service of the chart listens on port 8080.
    assert dashboard["serve_cmd"] == [*command, "service/dapr-dashboard", f"{port}:8080"]
    assert dashboard["readiness_probe"]["http_get"]["port"] == port
    assert [each["url"] for each in dashboard["links"]] == [f"http://localhost:{port}"]


def links_lead_to_pages(record: Record) -> None:
    """Each link of the service is one of its pages."""
    pages = {path for path, operations in api()["paths"].items() if "get" in operations} | {"/docs"}
    links = {each["name"]: each["url"] for each in record.resources()[SERVICE]["links"]}

    assert links.keys() == {"OpenAPI", "Metrics"}
    for url in links.values():
        assert url.removeprefix(f"http://localhost:{on_the_page()[SERVICE]}") in pages


@functools.cache
def api() -> dict[str, Any]:
    """The description of the API."""
    return create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()


def button(record: Record, name: str) -> list[str]:
    """The command that a button runs in the container of the service."""
    (each,) = [each for each in record.of("cmd_button") if each["name"] == name]
    words = ["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE]
    words += ["exec", f"deployment/{SERVICE}", "--container", SERVICE, "--"]

    assert each["argv"][: len(words)] == words
    return list(each["argv"][len(words) :])


def buttons_are_those_of_the_page(record: Record) -> None:
    """Each button stands at the service, under the name that the page has for it."""
    buttons = record.of("cmd_button")

    assert {each["text"] for each in buttons} == set(
        re.findall(r"button \*([^*]+)\*", PAGE, re.IGNORECASE)
    )
    assert {each["resource"] for each in buttons} == {SERVICE}
    assert service_container(record.manifests)["name"] == SERVICE
    assert parsed(button(record, "doctor")) is not None


def parsed(words: list[str]) -> dict[str, Any] | None:
    """What a command of ours would be called with; None if it has no such option or value."""
    program, name, *rest = words
    command = main.commands.get(name)
    try:
        found = command.make_context(name, rest).params if command else None
    except click.UsageError:
        return None
    return found if program == "agent-actors" else None


def first_message_is_the_pages(record: Record) -> None:
    """The button sends what the page's curl sends, to the port of the service."""
    given = parsed(button(record, "first-message"))
    assert given is not None
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"response": {"content": ""}})

    with Client(given["url"], transport=httpx2.MockTransport(answer)) as client:
        client.say(given["actor_id"], given["message"])
    port, path, body = curl()
    (request,) = seen
    assert (request.url.path, json.loads(request.content)) == (path, body)
    assert request.url.port in [each["containerPort"] for each in ports_of(record, SERVICE)]
    assert port == on_the_page()[SERVICE]


def curl() -> tuple[int, str, Any]:
    """Port, path and body of the page's first curl."""
    found = re.search(r"curl -s localhost:(\d+)(/\S+) .*-d '(.*)'", PAGE)
    assert found is not None
    return int(found[1]), found[2], json.loads(found[3])


def list_of_actors_is_the_sidecars(record: Record) -> None:
    """The button's script prints each type that a sidecar has, with its number of actors."""
    program, *rest = button(record, "list-actors")
    assert [program, *rest[:1]] == ["python", "-c"]
    with sidecar() as port:
        done = subprocess.run(
            [sys.executable, "-I", *rest],
            env={"DAPR_HTTP_PORT": str(port)},
            capture_output=True,
            timeout=30,
        )
    assert done.stdout == b"2 ChatAgent\n0 Scheduled\n"


class _Sidecar(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        types = [{"type": "ChatAgent", "count": 2}, {"type": "Scheduled"}]
        self.send_response(200 if self.path == "/v1.0/metadata" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"actorRuntime": {"activeActors": types}}).encode())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def sidecar() -> Iterator[int]:
    """The port of a server that answers as a sidecar does for its actors."""
    with ThreadingHTTPServer(("127.0.0.1", free_port()), _Sidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(timeout=10)


def keys_are_in_their_secret_only(record: Record) -> None:
    """Keys of the environment are in the Secret that the pods take, and nowhere else."""
    assert secrets(record) == [KEYS]
    for function, call in record.calls:
        assert function == "k8s_yaml" or not [key for key in KEYS.values() if key in str(call)]
    assert {
        item["name"]: item["valueFrom"]["secretKeyRef"]
        for item in service_container(record.manifests)["env"]
        if item["name"] in KEYS
    } == {name: {"name": "model-keys", "key": name, "optional": True} for name in KEYS}


def secrets(record: Record) -> list[Any]:
    return [
        each["stringData"]
        for each in of_kind(record.manifests, "Secret")
        if (each["metadata"]["name"], each["apiVersion"]) == ("model-keys", "v1")
    ]


DOCTOR = "['agent-actors', 'doctor']"
EDITS: list[tuple[Rule, str, str]] = [
    # The rule that is broken, and what is replaced by what.
    (ports_are_those_of_the_page, "port_forward(8000, 8000", "port_forward(8000, 8080"),
    (ports_are_those_of_the_page, "port_forward(port, port", "port_forward(port + 1, port"),
    (dashboard_is_forwarded, "'8080:8080'", "'8081:8080'"),
    (dashboard_is_forwarded, "http_get_action(8080)", "http_get_action(8000)"),
    (links_lead_to_pages, "localhost:8000/docs", "localhost:8000/doc"),
    (links_lead_to_pages, "localhost:8000/metrics", "localhost:9090/metrics"),
    (buttons_are_those_of_the_page, "text='List actors'", "text='Actors'"),
    (buttons_are_those_of_the_page, "resource='agent-actors', text='D", "resource='dapr', text='D"),
    (buttons_are_those_of_the_page, "'--container', 'agent-actors'", "'--container', 'daprd'"),
    (buttons_are_those_of_the_page, DOCTOR, "['agent-actors', 'doctors']"),
    (buttons_are_those_of_the_page, DOCTOR, "['agent-actors', 'doctor', '--runtimes', 'dapr']"),
    (first_message_is_the_pages, "'chat', 'ada', 'Hello'", "'chat', 'Hello', 'ada'"),
    (first_message_is_the_pages, "'Hello']", "'Hello', '--url', 'http://127.0.0.1:8080']"),
    (list_of_actors_is_the_sidecars, "/v1.0/metadata", "/v1.0/metadatas"),
    (list_of_actors_is_the_sidecars, "'activeActors'", "'active_actors'"),
    (keys_are_in_their_secret_only, "{'name': 'model-keys'}", "{'name': 'model-key'}"),
    (keys_are_in_their_secret_only, "'GEMINI_API_KEY', 'OPENAI", "'GEMINI_KEY', 'OPENAI"),
    (keys_are_in_their_secret_only, DOCTOR, "['env', os.getenv('OPENAI_API_KEY')]"),
]
RULES = [*dict.fromkeys(rule for rule, _, _ in EDITS)]


@pytest.fixture(params=[False, True], ids=["all", "lean"], scope="module")
def record(request: pytest.FixtureRequest) -> Record:
    return evaluate(lean=request.param, environment=KEYS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tiltfile_keeps_its_rules(record: Record, rule: Rule):
    """Each rule holds, with `--lean` and without."""
    rule(record)


@pytest.mark.parametrize(("rule", "right", "wrong"), EDITS)
def test_a_careless_edit_is_noticed(rule: Rule, right: str, wrong: str):
    """It breaks the rule that is about it."""
    with pytest.raises(AssertionError):
        rule(edited(right, wrong))


def test_everything_to_look_at_is_forwarded():
    """API, dashboard, traces, metrics and their pictures are on localhost."""
    record = evaluate()
    there = {each["local_port"] for each in record.of("port_forward")}
    there |= {each["port"] for each in record.of("http_get_action")}

    assert there == {*on_the_page().values()}
    assert len(there) == 5


def test_the_pages_first_message_is_one_of_the_api():
    """Its path is a route, and its body is valid there."""
    _, path, body = curl()
    (operations,) = (
        each
        for template, each in api()["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and "post" in each
    )
    schema = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(api() | schema)

    assert not [*validator.iter_errors(body)]
    assert [*validator.iter_errors(body | {"role": "nobody"})]


@pytest.mark.parametrize("given", [{}, {"OPENAI_API_KEY": "o"}, KEYS, {"GEMINI_API_KEY": ""}])
def test_keys_are_optional(given: dict[str, str]):
    """Without keys in the environment there is no Secret for them."""
    wanted = {name: key for name, key in given.items() if key}

    assert secrets(evaluate(environment=given)) == ([wanted] if wanted else [])
