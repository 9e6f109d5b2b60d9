"""One running command, over HTTP: what the README and the first release promise."""

import asyncio

import httpx2
import pytest

from tests.e2e.service import AnyService, becomes, clock, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = [
    "10m",
    "2024-01-05 standup",
    "1e3",
    "null",
    '{"role": "system"}',
    "“quotes” 'and' \"quotes\" \\ \\n",
    "🦕 e\u0301 \u200d \ufeff \u2028 \U0010ffff",
    "\x01\x07\x1b[31m\x7f\t\r\n",
    "x" * 65_536,
]


async def test_the_first_conversation(shared: AnyService):
    """A greeting, a reply of the documented form, the history, the count, the memory."""
    welcome = await shared.http.get("/")
    reply = await shared.reply("ada1", "Hello")
    await shared.remembered("ada1", "Hello")

    assert welcome.json()["message"].startswith("Welcome")
    assert reply.startswith("Memory: Message count: 1. Got your message: Hello at 20")
    assert (await shared.http.get("/chat/ada1/history")).json() == {
        "history": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": reply},
        ]
    }
    assert await shared.count("ada1") == 1
    assert await shared.memory("ada1") == (await shared.history("ada1"))


async def test_the_third_reply_contains_the_second_message(shared: AnyService):
    """What was said before reaches the reply through memory."""
    await shared.reply("ada2", "My name is Ada")
    await shared.remembered("ada2", "My name is Ada")
    await shared.reply("ada2", "I like tea")
    await shared.remembered("ada2", "I like tea")
    third = await shared.reply("ada2", "What do I like?")

    assert "user: I like tea" in third


async def test_any_text_comes_back_unchanged(shared: AnyService):
    """Durations, dates, quotes, emoji, control characters and 64 KiB are text."""
    for said in SAID:
        reply = await shared.reply("ada3", said)

        assert f"Got your message: {said} at 20" in reply

    history = await shared.history("ada3")

    assert [entry["content"] for entry in history[::2]] == SAID


async def test_reads_answer_while_the_model_is_held(shared: AnyService):
    """History, memory, count and status do not wait for a turn that never ends."""
    await shared.reply("ada4", "first")
    await shared.remembered("ada4", "first")
    held = await shared.say("ada4", "/hang", prefer="wait=1")
    address = held.headers["location"]
    before = clock.monotonic()

    assert held.status_code == 202
    assert len(await shared.history("ada4")) == 2
    assert len(await shared.memory("ada4")) == 2
    assert await shared.count("ada4") == 1
    assert await shared.status(address) == "running"
    assert clock.monotonic() - before < 2.0


async def test_another_user_does_not_wait_for_a_held_model(shared: AnyService):
    """One conversation that hangs is one conversation."""
    await shared.say("ada5", "/hang", prefer="respond-async")
    before = clock.monotonic()
    await shared.reply("bob", "hi")

    assert clock.monotonic() - before < 2.0


async def test_a_caller_need_not_wait(shared: AnyService):
    """202 with Location; the turn's own address has the answer later."""
    accepted = await shared.say("ada6", "/slow 0.5 hi", prefer="respond-async")
    address = accepted.headers["location"]

    assert accepted.status_code == 202
    assert accepted.headers["preference-applied"] == "respond-async"
    assert accepted.json()["turn_id"] == address.rpartition("/")[2]
    assert address.startswith("/chat/ada6/turns/")
    await becomes(lambda: shared.status(address), "done")
    answer = (await shared.http.get(address)).json()

    assert "Got your message: /slow 0.5 hi at" in answer["response"]["content"]


async def test_a_caller_that_waits_gets_a_slow_answer(shared: AnyService):
    """Parked behind the scenes, answered as if nothing was."""
    reply = await shared.reply("ada7", "/slow 1 hi")

    assert "Got your message: /slow 1 hi at" in reply
    assert await shared.count("ada7") == 1


async def test_a_clear_hides_what_was_said(shared: AnyService):
    """Hidden at once, erased soon after; the count stays, and memory keeps what it has."""
    secret = "a secret of the cleared conversation"
    await shared.reply("ada8", secret)
    await shared.remembered("ada8", secret)

    assert any(secret.encode() in value for value in shared.stored("ChatAgent"))
    assert (await shared.http.delete("/chat/ada8/history")).status_code == 204
    assert await shared.history("ada8") == []
    assert await shared.count("ada8") == 1
    await eventually(
        lambda: all(secret.encode() not in value for value in shared.stored("ChatAgent")),
        "the text is gone from the conversation's state",
        10.0,
    )


async def test_a_hundred_conversations_at_once(shared: AnyService):
    """Each gets its own replies, and each memory is its user's."""

    async def talk(user: str) -> None:
        for number in range(3):
            said = f"{user} says {number}"

            async def answered(said: str = said) -> httpx2.Response | None:
                answer = await shared.say(user, said, key=said.replace(" ", "-"))
                return None if answer.status_code == 503 else answer  # A busy machine puts off.

            answer: httpx2.Response = await eventually(answered, f"{said} is answered")

            assert answer.status_code == 200, answer.text
            assert f"{said} at" in answer.json()["response"]["content"]

    users = [f"user{number}" for number in range(100)]
    await asyncio.gather(*(talk(user) for user in users))

    for user in users:
        await shared.remembered(user, f"{user} says 2")
    for user in users[::20]:
        history = await shared.history(user)

        assert len(history) == 6
        assert await shared.memory(user) == history[-3:]
