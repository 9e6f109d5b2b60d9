"""`kill -9` under load: what was answered is there once, and nothing else is.

`KILLS` (30) kills at moments drawn from `SEED` (1), some of them while the service still starts.
"""

import asyncio
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from agent_actors.documents import Mark, Memory, read
from agent_actors.model.echo import SHOWN
from tests.e2e.service import Service, clock, eventually

KILLS = int(os.environ.get("KILLS", "30"))
SEED = int(os.environ.get("SEED", "1"))
USERS = 6
BRISK = 4
"""Users of quick turns only: a kill hits one of them between its save and its event."""
KNOWN = 200
"""Turns back that a late retry goes: fewer than the outcomes that are kept."""
REST = 60.0
AGAIN = {429, 503}
PREFER = ("wait=5", "wait=1", "respond-async", None)
LOST = "The turn was started 3 times"
REPLY = re.compile(r"Memory: (.*)\. Got your message: (.*) at \S+", re.DOTALL)


@dataclass
class Turn:
    """A message that was answered: `reply` is None where its end is a recorded failure."""

    content: str
    turn_id: str | None
    reply: str | None


@dataclass
class Client:
    """A user who says one thing after another, each with a key, until each is answered."""

    service: Service
    user: str
    random: Random
    numbers: Counter[str]
    brisk: bool = False
    turns: list[Turn] = field(default_factory=list)

    async def talk(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            number = len(self.turns)
            content = self._something(number)
            key = f"{self.user}-{number}"
            asked = [self._ask(content, key) for _ in range(self.random.choice((1, 1, 1, 2)))]
            first, *others = await asyncio.gather(*asked)
            for other in others:
                if content.startswith("/fail"):
                    break  # A quick failure is not recorded: each try is a call of its own.
                assert other == first, "two requests with one key got different answers"
            self.turns.append(first)
            if self.random.random() < 0.15:
                await self._again(self.random.randrange(max(0, number - KNOWN), number + 1))

    def _something(self, number: int) -> str:
        shares = (97, 0, 0, 3) if self.brisk else (60, 12, 20, 8)
        kind = self.random.choices(("quick", "slow", "short", "fail"), shares)[0]
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
                return await self.service.http.get(address)
            return await self.service.say(
                self.user, content, key=key, prefer=self.random.choice(PREFER)
            )
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


async def strike(service: Service, random: Random) -> None:
    """One kill at some moment, sometimes during the start, and a new process."""
    await clock.sleep(random.choice((random.uniform(0.05, 1.0), random.uniform(1.0, 4.0))))
    service.kill()
    service.spawn()
    if random.random() < 0.15:
        await clock.sleep(random.uniform(0.1, 1.5))
        return
    await service.ready()


async def at_rest(service: Service) -> None:
    """Waits until nothing is owed: then no reminder is registered any more."""

    async def settled() -> bool:
        return service.reminders() == 0

    await eventually(settled, "every conversation is settled", 15.0)


async def check_conversation(service: Service, client: Client) -> None:
    """History, count and memory are those of the answers that this client got."""
    said = [(turn.content, turn.reply) for turn in client.turns if turn.reply is not None]
    history = await service.history(client.user)
    entries = [entry["content"] for entry in history]
    assert list(zip(entries[::2], entries[1::2], strict=True)) == said
    assert [entry["role"] for entry in history] == ["user", "assistant"] * len(said)
    assert await service.count(client.user) == len(said)
    ids = [turn.turn_id for turn in client.turns if turn.turn_id]
    assert len(ids) == len(set(ids))
    check_effects(service, client.user, history)


def check_effects(service: Service, user: str, history: list[dict[str, str]]) -> None:
    """Every event took effect once, in order: at the end, and in each reply on the way."""
    sql = "SELECT value FROM state WHERE type = 'MemoryAgentActor' AND id = ? AND key = ?"
    mark, memory = Mark(), Memory()
    for (value,) in service.rows(sql, f"memory-{user}", f"s:{user}"):
        mark = read(value, Mark)
    for (value,) in service.rows(sql, f"memory-{user}", "memory"):
        memory = read(value, Memory)
    assert mark.seq == len(history) // 2
    assert [{"role": each.role, "content": each.content} for each in memory.entries] == history[-3:]
    applied = 0
    for number in range(len(history) // 2):
        found = REPLY.fullmatch(history[2 * number + 1]["content"])
        assert found is not None
        candidates = [m for m in range(applied, number + 1)
                      if context(history, m, number) == found.group(1)]  # fmt: skip
        assert candidates, f"turn {number + 1} of {user} saw a memory that never was"
        applied = candidates[0]


def context(history: list[dict[str, str]], applied: int, number: int) -> str:
    """What a reply says of memory after that many events."""
    if applied == 0:
        return f"Message count: {number + 1}"
    last = history[max(0, 2 * applied - 3) : 2 * applied]
    return "; ".join(f"{entry['role']}: {entry['content'][:SHOWN]}" for entry in last)


@pytest.mark.timeout(600)
async def test_kills_under_load_lose_nothing_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """After the kills every answered turn is in the history once, and took effect once."""
    begun = clock.monotonic()
    random, numbers, stop = Random(SEED), Counter[str](), asyncio.Event()
    service = Service(
        tmp_path, model="scripted", parking_time=0.2, recovery_period=1, delivery_backoff=0.05
    )
    clients = [
        Client(service, f"user{n}", Random(SEED * 1000 + n), numbers, brisk=n >= USERS)
        for n in range(USERS + BRISK)
    ]
    try:
        await service.start()
        talks = [asyncio.create_task(client.talk(stop)) for client in clients]
        for _ in range(KILLS):
            await strike(service, random)
            for talk in talks:
                if talk.done():
                    talk.result()
        await service.ready()
        stop.set()
        async with clock.timeout(REST):
            await asyncio.gather(*talks)
        await at_rest(service)
        for client in clients:
            await check_conversation(service, client)
    finally:
        await service.close()
    seconds = clock.monotonic() - begun
    turns = sum(len(client.turns) for client in clients)
    with capsys.disabled():
        shown = ", ".join(f"{numbers[name]} {name}" for name in sorted(numbers))
        sys.stdout.write(f"\nkills {KILLS}, turns {turns} ({shown}), seconds {seconds:.0f}\n")

    assert turns > KILLS
