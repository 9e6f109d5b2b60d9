"""Messages from Kafka, on both runtimes: one service each, which is hurt more from test to test."""

import pytest

from tests.e2e.service import clock
from tests.kafka.rig import Listening, said

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_message_is_answered(listener: Listening):
    """What a record says is in the history, with its answer."""
    listener.say("ada", "Hello")
    await listener.heard("ada", "Hello")
    history = await listener.service.history("ada")

    assert [each["role"] for each in history] == ["user", "assistant"]
    assert "Hello" in history[1]["content"]


async def test_messages_of_an_actor_keep_their_order(listener: Listening):
    """Those of one key are in one partition, and are said one after the other."""
    contents = [f"number {number}" for number in range(8)]
    for content in contents:
        listener.say("bea", content, partition=1)

    await listener.heard("bea", *contents)


async def test_a_slow_model_holds_up_nobody(listener: Listening):
    """The next message of the partition is answered while the model is at work; then it is, too."""
    listener.say("cyd", "/slow 3 first")
    listener.say("dan", "second")
    await listener.heard("dan", "second")

    assert await listener.contents("cyd") == []
    await listener.heard("cyd", "/slow 3 first")


POISON = {
    "no JSON": b"Hello?",
    "no text": b"\xff\x00\xfe",
    "no object": b"[1]",
    "another role": said("eve", "x").replace(b'"user"', b'"assistant"'),
    "no message": b'{"actor_id": "eve"}',
    "a bad id": said("e v e", "x"),
    "a session's id": said("session:eve", "x"),
    "blank": said("eve", " \n"),
    "too long": said("eve", "x" * 2_001),
    "half a character": said("eve", "x").replace(b'"x"', b'"\\ud800"'),
    "a model that fails": said("eve", "/fail"),
}


async def test_a_poisoned_message_is_a_dead_letter(listener: Listening):
    """It blocks nobody, it is kept byte for byte, and when it is requeued it fails again."""
    offsets = {name: listener.send(POISON[name], key="eve") for name in POISON}
    listener.say("eve", "still there")
    await listener.heard("eve", "still there")

    for name, offset in offsets.items():
        letter = await listener.letter(offset)
        assert letter["topic"] == "kafka-binding"
        event = letter["event"]
        assert event.get("data_base64") or event["data"].encode() == POISON[name]
        assert (name, await listener.requeue(letter)) == (name, 409)
        assert await listener.letter(offset)


async def test_what_says_nothing_is_passed_over(listener: Listening):
    """Neither a tombstone nor an empty record is a message, or a letter."""
    known = await listener.letters()
    listener.send(None, key="fay")
    listener.send(b"", key="fay")
    listener.say("fay", "Hello")
    await listener.heard("fay", "Hello")

    assert (await listener.letters()).keys() == known.keys()


FORGED = [
    ("authorization", "Bearer x"),
    ("dapr-api-token", "x"),
    ("idempotency-key", "k"),
    ("prefer", "respond-async"),
    ("dapr-reentrancy-id", "r"),
    ("content-type", "application/cloudevents+json"),
    ("x-forwarded-for", "192.0.2.1"),
    ("__offset", "0"),
]


async def test_headers_of_a_record_change_nothing(listener: Listening):
    """With forged ones, two messages are two turns, and answered as others are."""
    for content in ("one", "two"):
        listener.send(said("gil", content), key="gil", headers=FORGED)
    await listener.heard("gil", "one", "two")


async def test_a_message_id_is_said_once(listener: Listening):
    """Sent twice, it is one turn; with another text, it is a dead letter."""
    for _ in range(2):
        listener.send(said("hal", "once", message_id="m-1"), key="hal")
    other = listener.send(said("hal", "other", message_id="m-1"), key="hal")
    listener.say("hal", "twice")
    listener.say("hal", "twice")
    await listener.heard("hal", "once", "twice", "twice")

    assert "used with another" in (await listener.letter(other))["reason"]


async def test_a_broker_that_restarts_is_found_again(listener: Listening):
    """What is sent then is answered."""
    listener.broker.stop()
    await clock.sleep(0.5)
    listener.broker.start()
    listener.say("ida", "after")

    await listener.heard("ida", "after")


async def test_an_app_that_is_killed_says_it_once(listener: Listening):
    """What it was busy with, and what came meanwhile, is answered once it is back, once."""
    listener.say("jim", "/slow 2 first")
    await clock.sleep(0.3)
    listener.kill_app()
    listener.say("jim", "second")
    await listener.service.start()

    await listener.heard("jim", "/slow 2 first", "second")


USERS = ("ada", "bea", "cyd", "dan", "eve", "fay", "gil", "hal", "ida", "jim")


async def test_everything_again_changes_nothing(listener: Listening):
    """A group that is set back to the beginning says nothing twice, and keeps no letter twice."""
    before = {user: await listener.contents(user) for user in USERS}
    letters = await listener.letters()
    await listener.again(partitions=2)

    assert {user: await listener.contents(user) for user in USERS} == before
    assert (await listener.letters()).keys() == letters.keys()


async def test_a_letter_whose_cause_has_gone_can_be_requeued(listener: Listening):
    """Then it is said, once, and there is no letter any more."""
    offset = listener.send(said("kim", "y" * 2_001), key="kim")
    letter = await listener.letter(offset)
    await listener.restart(message_bytes=65_536)

    assert await listener.requeue(letter) == 200
    assert await listener.requeue(letter) == 404
    await listener.heard("kim", "y" * 2_001)
