"""What is saved, and how it is read."""

import asyncio
import json
from typing import Any

import pytest

from tests.conformance.harness import Harness
from tests.conformance.probe import Hold
from tests.fakes import eventually


def upsert(key: str, value: Any) -> dict[str, Any]:
    return {"operation": "upsert", "request": {"key": key, "value": value}}


def delete(key: str) -> dict[str, Any]:
    return {"operation": "delete", "request": {"key": key}}


async def save(runtime: Harness, actor: str, *changes: dict[str, Any]) -> None:
    await runtime.call(actor, "Save", json.dumps(changes))


async def test_a_missing_key_is_empty(runtime: Harness):
    """A key that was never saved reads as no bytes at all."""
    assert await runtime.state("nobody", "nothing") == b""


async def test_one_transaction_saves_and_deletes(runtime: Harness):
    """Upserts and deletes of one transaction take effect together."""
    await save(runtime, "a", upsert("old", 1))
    await save(runtime, "a", upsert("new", {"n": None}), delete("old"), delete("never"))

    assert json.loads(await runtime.state("a", "new")) == {"n": None}
    assert await runtime.state("a", "old") == b""


@pytest.mark.parametrize("value", [0, "", [], False, {}])
async def test_an_empty_value_is_not_a_missing_one(runtime: Harness, value: Any):
    """Values that are false are saved like any other."""
    await save(runtime, "a", upsert("k", value))

    assert json.loads(await runtime.state("a", "k")) == value


async def test_a_bad_change_spoils_its_whole_transaction(runtime: Harness):
    """Where one change of a transaction cannot be made, none is."""
    bad = '[{"operation":"upsert","request":{"key":"k","value":1}},7]'

    assert await runtime.refuses(runtime.call("a", "Save", bad))
    assert await runtime.state("a", "k") == b""


@pytest.mark.parametrize(
    "text",
    [
        "10m",
        "2024-01-05 standup",
        'a "quote" \\ and \' more\n\t\x00',
        "x" * 65_536,
        'é "quote" \\ \u2028 👩‍👧\n' * 2_200,
    ],
    ids=["duration", "date", "quotes", "64KiB", "64KiB of everything"],
)
async def test_what_was_said_is_what_is_stored(runtime: Harness, text: str):
    """Any text comes back exactly: from state, and as an argument and result of a method."""
    await save(runtime, "a", upsert("text", text), upsert("deep", {text[:100]: [text]}))

    assert json.loads(await runtime.state("a", "text")) == text
    assert json.loads(await runtime.state("a", "deep")) == {text[:100]: [text]}
    assert await runtime.call("a", "Echo", text) == text


async def test_keys_and_actors_do_not_run_into_one_another(runtime: Harness):
    """Dapr's separator in a key reaches no other actor's key."""
    await save(runtime, "a", upsert("b||k", 1))
    await save(runtime, "a:b", upsert("k", 2))

    assert await runtime.state("a", "b||k") == b"1"
    assert await runtime.state("a:b", "k") == b"2"
    assert await runtime.state("a", "k") == b""


IDS = ["AZaz09_.:@~-", "azaz09_.:@~-", "a.b", "a:b", "a@b", "a~b", "a-b", "a_b", "ab", "a" * 128]


async def test_ids_of_every_form_stay_apart(runtime: Harness):
    """An id of any characters that ours may have reaches its own actor and its own state."""
    runtime.journal.gates["gate"].set()
    for actor in IDS:
        await runtime.call(actor, "Hold", Hold("gate"))
        await save(runtime, actor, upsert("s:a@b~c", actor), upsert("S:a@b~c", actor.upper()))

    assert [actor for _, actor, _ in runtime.journal.of("enter")] == IDS
    assert [json.loads(await runtime.state(actor, "s:a@b~c")) for actor in IDS] == IDS


async def test_only_an_active_actor_saves(runtime: Harness):
    """A save in the name of an actor that is not active is refused and changes nothing."""
    assert await runtime.refuses(runtime.save("away", json.dumps([upsert("k", 1)])))
    assert await runtime.state("away", "k") == b""

    await runtime.call("away", "Echo", "now it is active")
    await runtime.save("away", json.dumps([upsert("k", 1)]))

    assert await runtime.state("away", "k") == b"1"


async def test_reading_does_not_wait_for_a_running_turn(runtime: Harness):
    """Saved state is read from outside while a turn of that actor runs."""
    await save(runtime, "a", upsert("k", "before"))
    turn = asyncio.create_task(runtime.call("a", "Hold", Hold("gate")))
    await eventually(lambda: len(runtime.journal.of("enter")) == 1)

    assert await runtime.state("a", "k") == b'"before"'

    runtime.journal.gates["gate"].set()
    await turn

    assert await runtime.state("a", "held") == b'"gate"'


async def test_state_outlives_a_restart(runtime: Harness):
    """What was saved is there when runtime and app come back."""
    await save(runtime, "a", upsert("k", "kept"))
    await runtime.stop()
    await runtime.start()

    assert await runtime.state("a", "k") == b'"kept"'
