"""People who talk while things break, and what must be true of what they were told."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import httpx2

from agent_actors.model.echo import SHOWN
from agent_actors.state.documents.users import Mark, Memory
from agent_actors.state.versions import read
from tests.e2e.service import clock

KNOWN = 200
"""Turns back that a late retry goes: fewer than the outcomes that are kept."""
AGAIN = {429, 503}
PREFER = ("wait=5", "wait=1", "respond-async", None)
LOST = "The turn was started 3 times"
REPLY = re.compile(r"Memory: (.*)\. Got your message: (.*) at \S+", re.DOTALL)
MIXED = (60, 12, 20, 8)
"""Shares of quick turns, turns of two seconds, of less than one, and of failing ones."""
BRISK = (97, 0, 0, 3)
"""The same, of quick turns only: a fault hits one of them between its save and its event."""
QUICK = (1, 0, 0, 0)


class Place(Protocol):
    """Where people talk."""

    async def say(
        self, user: str, content: str, *, key: str | None = None, prefer: str | None = None
    ) -> httpx2.Response:
        """Posts a message."""
        ...

    async def get(self, user: str, path: str, **at: int) -> httpx2.Response:
        """Reads what is of that user."""
        ...

    async def stored(self, actor_type: str, actor_id: str, key: str) -> bytes | None:
        """A stored document."""
        ...


@dataclass
class Turn:
    """A message that was answered: `reply` is None where its end is a recorded failure."""

    content: str
    turn_id: str | None
    reply: str | None


@dataclass
class Person:
    """Says one thing after another, each with a key, until each is answered.

    `shares` are those of the kinds of turns, `pace` is the longest pause between two of them.
    """

    place: Place
    user: str
    random: Random
    numbers: Counter[str]
    shares: tuple[int, int, int, int] = MIXED
    pace: float = 0.0
    turns: list[Turn] = field(default_factory=list)

    async def talk(self, stop: asyncio.Event) -> None:
        """Talks until told to stop, and then until the last message is answered."""
        while not stop.is_set():
            await self.once(self.random.choice((1, 1, 1, 2)))
            if self.random.random() < 0.15:
                number = len(self.turns) - 1
                await self._again(self.random.randrange(max(0, number - KNOWN), number + 1))
            await clock.sleep(self.random.random() * self.pace)

    async def once(self, requests: int = 1) -> None:
        """Says one thing, in that many requests at once."""
        number = len(self.turns)
        content = self._something(number)
        asked = [self._ask(content, f"{self.user}-{number}") for _ in range(requests)]
        first, *others = await asyncio.gather(*asked)
        for other in others:
            if content.startswith("/fail"):
                break  # A quick failure is not recorded: each try is a call of its own.
            assert other == first, "two requests with one key got different answers"
        self.turns.append(first)

    def _something(self, number: int) -> str:
        kind = self.random.choices(("quick", "slow", "short", "fail"), self.shares)[0]
        self.numbers[kind] += 1
        order = {"quick": "", "slow": "/slow 2 ", "short": "/slow 0.4 ", "fail": "/fail "}[kind]
        return f"{order}{self.user} says number {number}: “10m” \u2603 \x07"

    async def _again(self, number: int) -> None:
        """A retry long after the answer gets that answer."""
        turn = self.turns[number]
        if turn.reply is None:
            return
        self.numbers["late retries"] += 1
        assert await self._ask(turn.content, f"{self.user}-{number}") == turn

    async def _ask(self, content: str, key: str) -> Turn:
        """Sends one message until its end is told; follows a 202 by its address or its key."""
        address = None
        for tries in range(10_000):
            self.numbers["retries"] += tries > 0
            answer = await self._send(content, key, address)
            if answer is None or answer.status_code in AGAIN:
                assert answer is None or answer.json()["retry"] == "same-key", answer.text
                await clock.sleep(0.05 + self.random.random() * 0.1)
                continue
            body = answer.json()
            if answer.status_code == 202:
                self.numbers["accepted"] += 1
                address = answer.headers["location"] if self.random.random() < 0.5 else None
                continue
            ended = self._ended(content, answer.status_code, body)
            if ended is not None:
                return ended
            await clock.sleep(0.05)
        raise AssertionError("never answered")

    async def _send(self, content: str, key: str, address: str | None) -> httpx2.Response | None:
        try:
            if address is not None:
                return await self.place.get(self.user, address)
            prefer = self.random.choice(PREFER)
            return await self.place.say(self.user, content, key=key, prefer=prefer)
        except httpx2.TransportError:
            return None

    def _ended(self, content: str, status: int, body: Any) -> Turn | None:
        """The turn's end, or None while it has none."""
        if body.get("status") in {"queued", "running"}:
            return None
        if status == 200 and body.get("status") in {None, "done"}:
            return Turn(content, body["turn_id"], body["response"]["content"])
        error = body.get("error", body)
        known = content.startswith("/fail") or error["detail"].startswith(LOST)
        assert error["status"] == 502, body
        assert known, body
        self.numbers["lost"] += not content.startswith("/fail")
        return Turn(content, None, None)


async def history(place: Place, user: str) -> list[dict[str, str]]:
    """All that was said, oldest first."""
    entries: list[dict[str, str]] = []
    at = {"limit": 1000}
    while True:
        answer = await place.get(user, f"/chat/{user}/history", **at)
        assert answer.status_code == 200, answer.text
        entries = answer.json()["history"] + entries
        if answer.json()["next"] is None:
            return entries
        at["before"] = answer.json()["next"]


async def count(place: Place, user: str) -> int:
    """The number of turns."""
    number: int = (await place.get(user, f"/response/{user}/count")).json()["count"]
    return number


async def mark(place: Place, user: str) -> int:
    """How far the user's memory is."""
    value = await place.stored("MemoryAgentActor", f"memory-{user}", f"s:{user}")
    return read(value, Mark).seq if value else 0


async def check_conversation(place: Place, person: Person) -> None:
    """History, count and memory are those of the answers that this person got."""
    said = [(turn.content, turn.reply) for turn in person.turns if turn.reply is not None]
    entries = await history(place, person.user)
    contents = [entry["content"] for entry in entries]
    assert list(zip(contents[::2], contents[1::2], strict=True)) == said
    assert [entry["role"] for entry in entries] == ["user", "assistant"] * len(said)
    assert await count(place, person.user) == len(said)
    ids = [turn.turn_id for turn in person.turns if turn.turn_id]
    assert len(ids) == len(set(ids))
    await check_effects(place, person.user, entries)


async def check_effects(place: Place, user: str, entries: list[dict[str, str]]) -> None:
    """Every event took effect once, in order: at the end, and in each reply on the way."""
    value = await place.stored("MemoryAgentActor", f"memory-{user}", "memory")
    memory = read(value, Memory) if value else Memory()
    assert await mark(place, user) == len(entries) // 2
    assert [{"role": each.role, "content": each.content} for each in memory.entries] == entries[-3:]
    applied = 0
    for number in range(len(entries) // 2):
        found = REPLY.fullmatch(entries[2 * number + 1]["content"])
        assert found is not None
        candidates = [m for m in range(applied, number + 1)
                      if context(entries, m, number) == found.group(1)]  # fmt: skip
        assert candidates, f"turn {number + 1} of {user} saw a memory that never was"
        applied = candidates[0]


def context(entries: list[dict[str, str]], applied: int, number: int) -> str:
    """What a reply says of memory after that many events."""
    if applied == 0:
        return f"Message count: {number + 1}"
    last = entries[max(0, 2 * applied - 3) : 2 * applied]
    said = (entry for entry in last if entry["role"] == "user")
    return "; ".join(f"user: {entry['content'][:SHOWN]}" for entry in said)


def check_walls(entries: list[dict[str, str]], user: str, others: list[str]) -> None:
    """Nothing of another user's is in what was said here."""
    said = "\n".join(entry["content"] for entry in entries)
    strangers = [other for other in others if other != user and f"{other} says " in said]
    assert not strangers, f"{user} reads what {strangers} said"
