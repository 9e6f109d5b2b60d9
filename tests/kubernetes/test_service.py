"""The service in its pod, with a real sidecar that gets its components from the operator."""

import base64
import json
import socket
from collections.abc import Iterator

import httpx2
import pytest

from agent_actors.engine.ports import LOOPBACK, status
from tests.kubernetes.deployed import API, APP, DAPR, SIDECAR, VALKEY, Deployed
from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.overlays import PASSWORD, TOKEN, Overlays


@pytest.fixture(scope="module")
def deployed(overlays: Overlays, kubelet: Kubelet) -> Iterator[Deployed]:
    """A running pod of production."""
    with Deployed(overlays, kubelet, "production") as deployed:
        yield deployed.start()


def test_the_operator_delivers_what_was_applied(deployed: Deployed):
    """The sidecar has all of our components, subscriptions and policies, and nothing else."""
    metadata = deployed.metadata()
    subscriptions = [thing for thing in deployed.manifests if thing["kind"] == "Subscription"]

    assert {each["name"] for each in metadata["components"]} == deployed.names("Component")
    assert {each["name"] for each in metadata["resiliencies"]} == deployed.names("Resiliency")
    assert {
        (each["topic"], each.get("deadLetterTopic", "")) for each in metadata["subscriptions"]
    } == {
        (each["spec"]["topic"], each["spec"].get("deadLetterTopic", "")) for each in subscriptions
    }
    assert metadata["actorRuntime"]["placement"] == "placement: connected"


def test_the_sidecar_reads_our_configuration(deployed: Deployed):
    """The sidecar refuses an API that our Configuration does not list."""
    url = f"http://{LOOPBACK}:{DAPR}/v1.0/state/statestore/anything"

    assert httpx2.get(url, trust_env=False).status_code in (403, 404)
    assert "statestore" in {each["name"] for each in deployed.metadata()["components"]}


def test_a_turn_is_answered_and_remembered(deployed: Deployed):
    """A message is answered, its state is in Valkey, and its event has reached memory."""
    reply = deployed.reply("hello from a pod")
    deployed.remembered("hello from a pod")

    assert reply in deployed.contents("/chat/ada/history", "history")
    keys = valkey("KEYS agents||ChatAgent||ada||*", password=PASSWORD)
    assert "agents||ChatAgent||ada" in keys


def test_valkey_wants_its_password(deployed: Deployed):
    """Without the password of the Secret, Valkey answers no command."""
    assert "NOAUTH" in valkey("KEYS *")


def valkey(command: str, password: str = "") -> str:
    """The answer of Valkey to a command."""
    auth = f'AUTH "{password}"\r\n' if password else ""
    with socket.create_connection((LOOPBACK, VALKEY), 5.0) as connection:
        connection.sendall(f"{auth}{command}\r\nQUIT\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.read().decode()


def test_a_caller_without_a_token_is_refused(deployed: Deployed):
    """Production requires a token, and refuses another user's conversation."""
    body = {"role": "user", "content": "hello"}
    bare = httpx2.post(f"http://{LOOPBACK}:{API}/chat/ada", json=body, trust_env=False)

    assert bare.status_code == 401
    assert deployed.http.post("/chat/bob", json=body).status_code == 403


def test_secrets_are_in_no_log(deployed: Deployed):
    """Neither the containers nor Valkey write a secret into their logs."""
    logs = {name: child.log.read_text() for name, child in deployed.children.items()}

    assert set(logs) == {APP, SIDECAR, "valkey"}
    assert not [name for name in logs if TOKEN in logs[name] or PASSWORD in logs[name]]


def test_doctor_finds_nothing(deployed: Deployed):
    """In the container, each line of `agent-actors doctor` is `ok` or says why it is skipped."""
    doctor = deployed.execute("agent-actors", "doctor")
    lines = [line.split()[:2] for line in doctor.log.read_text(encoding="utf-8").splitlines()]

    assert doctor.code == 0, doctor.tail()
    assert {check for _, check in lines} >= {"settings", "sidecar", "actors", "clock"}
    assert not [check for status, check in lines if status not in {"ok", "skip"}], doctor.tail()


def test_a_conversation_outlives_all_pods(deployed: Deployed):
    """After all processes have stopped and started, the conversation is still there."""
    deployed.reply("remember me")
    deployed.stop()
    deployed.start()

    assert "remember me" in deployed.contents("/chat/ada/history", "history")


def test_a_token_that_only_the_sidecar_has_is_noticed(
    overlays: Overlays, kubelet: Kubelet, deployed: Deployed
):
    """A pod with a new app token in its sidecar only is not ready until the service restarts."""
    deployed.stop()
    with Deployed(overlays, kubelet, "rotated") as rotated:
        rotated.start_valkey()
        app = rotated.start_app()
        secret = ["secret", "agent-actors-app-token", "-n", rotated.namespace]
        token = {"data": {"token": base64.b64encode(b"another").decode()}}
        overlays.cluster.kubectl("patch", *secret, "-p", json.dumps(token))
        rotated.start_sidecar()
        # Readiness calls an actor, and the service refuses the callback and logs why.
        refused = "refused a callback without this app's APP_API_TOKEN"
        app.wait_until(lambda: not rotated.ready() and app.logged(refused), 30.0)

        assert status(API, "/readyz") == 503
        assert status(API, "/livez") == 200
        app.terminate()
        again = rotated.start_app()
        again.wait_until(rotated.ready, 30.0)
