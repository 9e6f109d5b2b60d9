"""Storms on real Dapr: people talk to replicas of the service while parts of it are taken away.

Afterwards nothing may be owed any more, and every answer must be in its history, once.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import httpx2

from agent_actors.state.documents.conversation import Head
from agent_actors.state.versions import read
from tests.dapr.engine import Cluster, Engine, Replica
from tests.e2e.service import clock, eventually
from tests.faults import people, report
from tests.faults.people import BRISK, QUICK, Person

SEED = int(os.environ.get("SEED", "1"))
COMMAND = [sys.executable, "-m", "tests.faults.counted"]
SETTINGS: dict[str, Any] = {"model": "scripted", "parking_time": 0.3, "recovery_period": 1}
PACE = 0.1
REST = 45.0
PATIENCE = 60.0


class Replicas:
    """The replicas as their callers see them.

    Everyone has a replica that he talks to; when it is away, or says 503, he goes to the next.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.seen: Counter[str] = Counter()
        """What callers got: a status, or the kind of a broken connection."""
        self._at: dict[str, int] = {}
        self._http = httpx2.AsyncClient(timeout=PATIENCE, trust_env=False)

    async def say(
        self, user: str, content: str, *, key: str | None = None, prefer: str | None = None
    ) -> httpx2.Response:
        """Posts a message."""
        given = {"Idempotency-Key": key, "Prefer": prefer}
        headers = {name: value for name, value in given.items() if value is not None}
        body = {"role": "user", "content": content}
        return await self._send(user, "POST", f"/chat/{user}", json=body, headers=headers)

    async def get(self, user: str, path: str, **at: int) -> httpx2.Response:
        """Reads what is of that user."""
        return await self._send(user, "GET", path, params=at)

    async def stored(self, actor_type: str, actor_id: str, key: str) -> bytes | None:
        """A stored document."""
        path = f"actors/{actor_type}/{quote(actor_id)}/state/{quote(key, safe='')}"
        answer = await self.sidecar("GET", path)
        assert answer.is_success, answer.text
        return answer.content or None

    async def reminded(self, user: str) -> bool:
        """Has the conversation its reminder?"""
        answer = await self.sidecar("GET", f"actors/ChatAgent/{user}/reminders/settle")
        assert answer.status_code in {200, 404}, answer.text
        return answer.status_code == 200

    async def sidecar(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """Asks the first sidecar that is there."""
        replica = next(each for each in self.cluster.replicas if each.sidecar.alive)
        url = f"http://127.0.0.1:{replica.sidecar.http_port}/v1.0/{path}"
        return await self._http.request(method, url, **given)

    async def subscribe(self, replica: Replica, envelope: dict[str, Any]) -> httpx2.Response:
        """Delivers an event as the sidecar of that replica does."""
        headers = {"dapr-api-token": self.cluster.app_token}
        return await self._http.post(f"{replica.url}/subscribe", json=envelope, headers=headers)

    async def through(self, replica: int, user: str, content: str) -> httpx2.Response:
        """Posts a message without a key to that replica."""
        body = {"role": "user", "content": content}
        return await self._http.post(f"{self.cluster.replicas[replica].url}/chat/{user}", json=body)

    def send_to(self, replica: int, users: Sequence[Person]) -> None:
        """From now on those talk to that replica."""
        self._at.update({person.user: replica for person in users})

    def only_the_living(self) -> None:
        """Nobody talks to a replica that a test has ended for good."""
        self._at = {user: self._alive(at) for user, at in self._at.items()}

    def _alive(self, at: int) -> int:
        replicas = self.cluster.replicas
        by_turns = (number % len(replicas) for number in range(at, at + len(replicas)))
        return next(number for number in by_turns if replicas[number].app.alive)

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, user: str, method: str, path: str, **given: Any) -> httpx2.Response:
        replicas = self.cluster.replicas
        # By turns, so that neighbours in a list of people do not all share a replica.
        at = self._at.setdefault(user, len(self._at)) % len(replicas)
        try:
            answer = await self._http.request(method, replicas[at].url + path, **given)
        except httpx2.TransportError as error:
            self.seen[type(error).__name__] += 1
            self._at[user] = at + 1
            raise
        self.seen[str(answer.status_code)] += 1
        if answer.status_code == 503:
            self._at[user] = at + 1
        return answer


class Storm:
    """People who talk to a cluster while its parts are taken away.

    Args:
        name: Of the fault, in the report; it also seeds what is drawn by chance.
        cluster: What they talk to.
        talkers: How many people talk all the time; a third of them only briskly.
        watchers: How many say one thing after each fault, to see when they are served again.
    """

    def __init__(self, name: str, cluster: Cluster, *, talkers: int = 6, watchers: int = 4) -> None:
        self.name = name
        self.cluster = cluster
        self.place = Replicas(cluster)
        self.random = Random(f"{SEED} {name}")
        self.numbers: Counter[str] = Counter()
        brisk = talkers // 3
        self.talkers = [
            self._person(f"user{n}", BRISK if n < brisk else people.MIXED) for n in range(talkers)
        ]
        self.watchers = [self._person(f"watcher{n}", QUICK) for n in range(watchers)]

    @property
    def people(self) -> list[Person]:
        return [*self.talkers, *self.watchers]

    def _person(self, user: str, shares: tuple[int, int, int, int]) -> Person:
        random = Random(f"{SEED} {self.name} {user}")
        return Person(self.place, user, random, self.numbers, shares, PACE)

    @asynccontextmanager
    async def blowing(self) -> AsyncIterator[None]:
        """People talk while the block runs; at its end each waits for his last answer."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as talks:
            await asyncio.gather(*(watcher.once() for watcher in self.watchers))
            for talker in self.talkers:
                talks.create_task(talker.talk(stop))
            yield
            stop.set()

    async def pause(self, least: float = 0.3, most: float = 1.5) -> None:
        """A while, by chance."""
        await clock.sleep(self.random.uniform(least, most))

    async def recovered(
        self, since: float, watchers: Sequence[Person] = (), *, fault: str = ""
    ) -> None:
        """Waits until each watcher has an answer, and notes how long that took."""
        await self.served(watchers)
        self.noted(since, fault=fault)

    async def served(self, watchers: Sequence[Person] = ()) -> None:
        """Waits until each watcher has an answer to one thing more."""
        async with clock.timeout(PATIENCE):
            await asyncio.gather(*(each.once() for each in watchers or self.watchers))

    def noted(self, since: float, *, fault: str = "") -> None:
        """Notes a recovery: from then until now."""
        report.recovered(fault or self.name, clock.monotonic() - since)

    async def rest(self, users: Sequence[str] = ()) -> None:
        """Waits until nothing is owed: nothing waits, memory has all, no reminder is left."""
        for user in users or [person.user for person in self.people]:

            async def settled(user: str = user) -> bool:
                value = await self.place.stored("ChatAgent", user, "head")
                head = read(value, Head) if value else Head()
                if head.queue or await people.mark(self.place, user) != head.seq:
                    return False
                return not await self.place.reminded(user)

            await eventually(settled, f"{user} is owed nothing", REST)

    async def check(self, *, paid: int = 1) -> None:
        """Rest, and then: each answer once in its history, each event once in its memory.

        Args:
            paid: Model calls that a turn may have cost.
        """
        await self.rest()
        self.place.only_the_living()
        everyone = [person.user for person in self.people]
        for person in self.people:
            await people.check_conversation(self.place, person)
            entries = await people.history(self.place, person.user)
            people.check_walls(entries, person.user, everyone)
        self.check_paid(paid)
        self.tell()

    def check_paid(self, most: int) -> None:
        """Each answer has cost a model call in each process at most once, and not too many."""
        # By what was said, not by the turn's id: an attempt under another id is paid as well.
        answered = {turn.content for each in self.people for turn in each.turns if turn.reply}
        begun = [call for call in calls(self.cluster) if call["said"] in answered]
        by_process = Counter((call["said"], call["pid"]) for call in begun)
        assert not [call for call, number in by_process.items() if number > 1]
        bill = Counter(call["said"] for call in begun)
        assert bill.keys() == answered
        assert not [said for said, number in bill.items() if number > most]
        self.numbers["paid again"] = sum(bill.values()) - len(bill)

    def tell(self) -> None:
        """Prints what there was."""
        turns = sum(len(person.turns) for person in self.people)
        report.felt(self.name, self.place.seen, turns)
        numbers = ", ".join(f"{self.numbers[name]} {name}" for name in sorted(self.numbers))
        seen = ", ".join(f"{what}: {number}" for what, number in self.place.seen.most_common())
        sys.stdout.write(f"{self.name}, seed {SEED}: turns {turns} ({numbers}); got {seen}\n")


@asynccontextmanager
async def storm(
    name: str, engine: Engine, folder: Path, *, replicas: int = 1, **settings: Any
) -> AsyncIterator[Storm]:
    """A storm over a cluster of its own, whose replicas are ready."""
    people_of = {key: settings.pop(key) for key in ("talkers", "watchers") if key in settings}
    with engine.cluster(folder, command=COMMAND, **(SETTINGS | settings)) as cluster:
        for _ in range(replicas):
            cluster.replica()
        await asyncio.to_thread(cluster.start)
        storm = Storm(name, cluster, **people_of)
        try:
            yield storm
        finally:
            await storm.place.close()


def calls(cluster: Cluster) -> list[dict[str, Any]]:
    """The model calls that were begun, with the number of the replica that began each."""
    found: list[dict[str, Any]] = []
    for number in range(len(cluster.replicas)):
        path = cluster.folder / f"replica-{number}" / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        found += [json.loads(line) | {"replica": number} for line in lines]
    return found
