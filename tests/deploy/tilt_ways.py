"""What a Tiltfile has to keep to where it leads to pods: its ports, links, buttons and keys.

Each rule yields what breaks it, so that tests can also see that it would.
"""

import functools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import httpx2

from agent_actors.app import create_app
from agent_actors.cli.client import Client
from agent_actors.engine.ports import free_port
from agent_actors.settings import Settings
from tests.deploy.command_line import mistake, option, parsed
from tests.deploy.manifests import Object, of_kind, pod, workloads
from tests.deploy.tilt_rules import NAMESPACE, PAGE, Check
from tests.deploy.tiltfile import Call, Record
from tests.fakes import FakeRuntime

OF_TILT = 10350
OF_DASHBOARD = 8080
"""The port of the Service in Dapr's chart `dapr-dashboard`."""

SERVICE = "agent-actors"


def on_the_page() -> dict[str, int]:
    """The port of each thing that `docs/kubernetes.md` says to look at, by its name there."""
    rows = re.findall(r"<http://localhost:(\d+)[^>]*>(?: \(([^)]*)\))?", PAGE)
    return {name or port: int(port) for port, name in rows if int(port) != OF_TILT}


def containers_of(record: Record, name: str) -> list[Object]:
    """The containers of a workload."""
    found = [each for each in workloads(record.manifests) if each["metadata"]["name"] == name]
    return [container for each in found for container in pod(each)["containers"]]


def ports_of(record: Record, name: str) -> set[int]:
    """The ports of a workload's containers."""
    ports = [port for each in containers_of(record, name) for port in each.get("ports", ())]
    return {port["containerPort"] for port in ports}


def ports_lead_to_pods(record: Record) -> Iterator[str]:
    """Each port that is forwarded is one of a container of that workload, and has a name."""
    for each in record.of("k8s_resource"):
        for port in each.get("port_forwards", ()):
            if port["container_port"] not in ports_of(record, each["workload"]):
                yield f"{each['workload']} has no port {port['container_port']}"
            if not port.get("name"):
                yield f"{port['container_port']} has no name"


def ports_are_those_of_the_page(record: Record) -> Iterator[str]:
    """Everything is on the port of this machine that the page names for it."""
    page = on_the_page()
    named = {SERVICE: page["8000"]} | {name.lower(): port for name, port in page.items()}
    for each in record.of("k8s_resource"):
        here = [port["local_port"] for port in each.get("port_forwards", ())]
        wanted = [named[each["workload"]]] if each.get("workload") in named else []
        if here != wanted:
            yield f"{each.get('workload')} is on {here}, and the page says {wanted}"


def the_dashboard_is_forwarded(record: Record) -> Iterator[str]:
    """What is forwarded to Dapr's dashboard is its Service, and is asked whether it is there."""
    dashboard = record.resources()["dashboard"]
    installed, words = dashboard["cmd"], dashboard["serve_cmd"]
    here = on_the_page()["Dapr's dashboard"]
    at = ["port-forward", "--namespace", option(installed, "--namespace")]
    if words[3:] != [*at, f"service/{installed[3]}", f"{here}:{OF_DASHBOARD}"]:
        yield f"{words[3:]} does not lead to the dashboard"
    if dashboard["readiness_probe"]["http_get"]["port"] != here:
        yield "nobody asks the dashboard"
    if [each["url"] for each in dashboard["links"]] != [f"http://localhost:{here}"]:
        yield "the link does not lead to the dashboard"


def links_lead_somewhere(record: Record) -> Iterator[str]:
    """Each link of the service is a page of it, on a port that is forwarded."""
    (service,) = (each for each in record.of("k8s_resource") if each.get("workload") == SERVICE)
    here = [f"http://localhost:{port['local_port']}" for port in service["port_forwards"]]
    for link in service["links"]:
        start = next((each for each in here if link["url"].startswith(each)), None)
        if start is None or link["url"].removeprefix(start) not in pages():
            yield f"{link['url']} is nothing of the service"
    if {each["name"] for each in service["links"]} != {"OpenAPI", "Metrics"}:
        yield "a link is missing"


@functools.cache
def described() -> dict[str, Any]:
    """The API, as it describes itself."""
    return create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()


def pages() -> set[str]:
    """Every path of the service that can be looked at."""
    paths = described()["paths"]
    return {"/docs"} | {path for path, operations in paths.items() if "get" in operations}


def buttons_are_those_of_the_page(record: Record) -> Iterator[str]:
    """There is a first message, a list of actors and the doctor, by the names of the page."""
    if len(record.of("cmd_button")) != len({"first message", "list of actors", "doctor"}):
        yield "a button is missing"
    for each in record.of("cmd_button"):
        if f"button *{each['text']}*" not in PAGE or each["resource"] != SERVICE:
            yield f"the page has no button {each['text']!r} at {each['resource']}"


def buttons_run_in_the_service(record: Record) -> Iterator[str]:
    """The command of each button is one of a container that there is, which understands it."""
    for button in record.of("cmd_button"):
        words = button["argv"]
        at = words.index("--") if "--" in words else len(words)
        yield from _not_in_a_pod(record, words[:at])
        program, *rest = words[at + 1 :] or [""]
        if program == "python" and rest[:1] == ["-c"]:
            continue  # Another rule runs it.
        if (said := mistake([program, *rest])) is not None:
            yield f"{button['name']}: {said}"


def _not_in_a_pod(record: Record, words: list[str]) -> Iterator[str]:
    """What is wrong with `kubectl … exec …`."""
    names = {
        f"{each['kind'].lower()}/{each['metadata']['name']}": each["metadata"]["name"]
        for each in workloads(record.manifests)
    }
    (target,) = [*{*words} & names.keys()] or [""]
    there = [each["name"] for each in containers_of(record, names.get(target, ""))]
    kubectl = ["kubectl", "--context", option(words, "--context"), "--namespace", NAMESPACE]
    if words != [*kubectl, "exec", target, "--container", option(words, "--container")]:
        yield f"{words} runs nothing in a pod of ours"
    if option(words, "--container") not in there:
        yield f"{target} has no container {option(words, '--container')}"


def _button(record: Record, name: str) -> list[str]:
    found: list[Call] = [each for each in record.of("cmd_button") if each["name"] == name]
    words: list[str] = found[0]["argv"] if found else ["--"]
    return words[words.index("--") + 1 :]


def the_first_message_is_the_pages(record: Record) -> Iterator[str]:
    """The button sends what the page's curl sends, to where the service is in its container."""
    try:
        given = parsed(_button(record, "first-message"))
    except click.UsageError as error:
        yield error.format_message()
        return
    port, path, body = first_message()
    if httpx2.URL(given["url"]).port not in ports_of(record, SERVICE):
        yield f"nobody is at {given['url']}"
    if sent(given["url"], given["actor_id"], given["message"]) != (path, body):
        yield f"{given} is not what the page sends"
    if port not in [each["local_port"] for each in record.of("port_forward")]:
        yield f"the page asks port {port}"


def first_message() -> tuple[int, str, Any]:
    """Port, path and body of the page's first curl."""
    found = re.search(r"curl -s localhost:(\d+)(/\S+) .*-d '(.*)'", PAGE)
    assert found is not None
    return int(found[1]), found[2], json.loads(found[3])


def sent(url: str, actor_id: str, text: str) -> tuple[str, Any]:
    """Path and body of what our command line sends for a message."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"response": {"content": ""}})

    with Client(url, transport=httpx2.MockTransport(answer)) as client:
        client.say(actor_id, text)
    (request,) = seen
    return request.url.path, json.loads(request.content)


def the_list_of_actors_is_the_sidecars(record: Record) -> Iterator[str]:
    """The button's script prints each type that a sidecar knows, with how many there are."""
    program, *rest = _button(record, "list-actors") or [""]
    if [program, *rest[:1]] != ["python", "-c"] or len(rest) != 2:
        yield "no script is run"
        return
    with sidecar() as port:
        done = subprocess.run(
            [sys.executable, *rest],
            env={"DAPR_HTTP_PORT": str(port)},
            capture_output=True,
            timeout=30,
            check=False,
        )
    if (done.returncode, done.stdout) != (0, b"2 ChatAgent\n0 Scheduled\n"):
        yield f"it says {(done.stderr or done.stdout).decode()!r}"


class _Sidecar(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        types = [{"type": "ChatAgent", "count": 2}, {"type": "Scheduled"}]
        self.send_response(200 if self.path == "/v1.0/metadata" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"actorRuntime": {"activeActors": types}}).encode())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def sidecar() -> Iterator[int]:
    """The port of something that says what a sidecar says of its actors."""
    with ThreadingHTTPServer(("127.0.0.1", free_port()), _Sidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(timeout=10)


KEYS = {"GEMINI_API_KEY": "of-gemini", "OPENAI_API_KEY": "of-openai"}


def keys_are_in_their_secret_only(record: Record) -> Iterator[str]:
    """A key of the environment is in the Secret that pods take, under its name, and nowhere else.

    Holds of a Tiltfile that was given `KEYS`.
    """
    made = [
        (each["apiVersion"], each["stringData"])
        for each in of_kind(record.manifests, "Secret")
        if each["metadata"]["name"] == "model-keys"
    ]
    if made != [("v1", KEYS)]:
        yield "the keys are not in their Secret"
    for call in record.calls:
        if call.function != "k8s_yaml" and any(key in str(call.given) for key in KEYS.values()):
            yield f"{call.function} is told a key"
    taken = {
        item["name"]: item["valueFrom"]["secretKeyRef"]
        for container in containers_of(record, SERVICE)
        for item in container["env"]
        if item["name"] in KEYS
    }
    wanted = {name: {"name": "model-keys", "key": name, "optional": True} for name in KEYS}
    if taken != wanted:
        yield "the pods do not take the keys, or need them"


WAYS: list[Check] = [
    ports_lead_to_pods,
    ports_are_those_of_the_page,
    the_dashboard_is_forwarded,
    links_lead_somewhere,
    buttons_are_those_of_the_page,
    buttons_run_in_the_service,
    the_first_message_is_the_pages,
    the_list_of_actors_is_the_sidecars,
    keys_are_in_their_secret_only,
]
