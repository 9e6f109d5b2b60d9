"""Where actors live: spread over replicas, and apart in namespaces (`docs/actors.md`)."""

from pathlib import Path

import httpx2
import pytest

from tests.dapr.engine import Cluster, Engine, Replica
from tests.dapr.redis_monitor import watching

IDS = [f"user{number}" for number in range(24)]


def say(replica: Replica, actor_id: str, content: str) -> str:
    """One turn; its answer."""
    body = {"role": "user", "content": content}
    url = f"{replica.url}/chat/{actor_id}"
    answer = httpx2.post(url, json=body, timeout=20.0, trust_env=False)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["response"]["content"])


def said(replica: Replica, actor_id: str) -> list[str]:
    """What the user has said."""
    url = f"{replica.url}/chat/{actor_id}/history"
    entries = httpx2.get(url, timeout=20.0, trust_env=False).json()["history"]
    return [each["content"] for each in entries if each["role"] == "user"]


def living(replica: Replica) -> int:
    """How many conversations live at this replica, as its sidecar says."""
    url = f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0/metadata"
    told = httpx2.get(url, timeout=20.0, trust_env=False).json()
    counts = {each["type"]: each.get("count", 0) for each in told["actorRuntime"]["activeActors"]}
    return int(counts.get("ChatAgent", 0))


@pytest.fixture
def cluster(engine: Engine, tmp_path: Path):
    with engine.cluster(tmp_path) as cluster:
        yield cluster


def test_each_conversation_lives_at_one_replica(cluster: Cluster):
    """They are shared out, and any replica answers for all of them."""
    one, other = cluster.replica(), cluster.replica()
    cluster.start()
    for number, actor_id in enumerate(IDS):
        say((one, other)[number % 2], actor_id, "hello")
    # The readiness check of each replica wakes one more.
    shares = (living(one), living(other))

    assert len(IDS) <= sum(shares) <= len(IDS) + 1
    assert min(shares) > 0
    assert all(said(other, each) == ["hello"] for each in IDS)


def test_namespaces_are_apart(engine: Engine, tmp_path: Path):
    """The same app, the same ids, the same control plane: neither sees a turn of the other."""
    first, second = (engine.cluster(tmp_path / name) for name in ("first", "second"))
    with first, second:
        here, there = first.start().replica().start(), second.start().replica().start()
        for each in IDS:
            say(here, each, "said here")
            say(there, each, "said there")

        assert all(said(here, each) == ["said here"] for each in IDS)
        assert all(said(there, each) == ["said there"] for each in IDS)


def test_a_document_is_written_once(cluster: Cluster):
    """A save of the service is one write per document (`writeTimeout` would make it two)."""
    replica = cluster.start().replica().start()
    with watching(cluster.redis.port) as commands:
        say(replica, "ada", "hello")
        commands.until("||ChatAgent||ada||head")

    heads = [
        each for each in commands.seen if '"HSET"' in each and "||ChatAgent||ada||head" in each
    ]
    assert len(heads) == 1
