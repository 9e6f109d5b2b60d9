"""The commands that speak to a running service."""

import asyncio

import pytest

from tests.e2e.service import AnyService, command

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ask(shared: AnyService, *arguments: str, typed: str = "") -> tuple[int, str, str]:
    """Another command that speaks to the service: exit code, output, errors."""
    done = await asyncio.to_thread(command, *arguments, "--url", shared.url, typed=typed)
    return done.returncode, done.stdout, done.stderr


async def test_chat_and_history_speak_to_the_service(shared: AnyService):
    """One message, a conversation from a pipe, and all that was said."""
    code, out, err = await ask(shared, "chat", "ada1", "Hello from the terminal")

    assert (code, err) == (0, "")
    assert "Got your message: Hello from the terminal at" in out

    code, out, _ = await ask(shared, "chat", "ada1", typed="one\n\ntwo ☃\n")

    assert code == 0
    assert [line.rpartition("message: ")[2][:3] for line in out.splitlines()] == ["one", "two"]

    code, out, _ = await ask(shared, "history", "ada1")

    assert code == 0
    assert [line for line in out.splitlines() if line.startswith("user: ")] == [
        "user: Hello from the terminal",
        "user: one",
        "user: two ☃",
    ]


async def test_a_slow_answer_reaches_the_terminal(shared: AnyService):
    """The command waits for a parked turn."""
    code, out, _ = await ask(shared, "chat", "ada2", "/slow 1 hi")

    assert code == 0
    assert "Got your message: /slow 1 hi at" in out


async def test_a_refusal_is_one_line_at_the_terminal(shared: AnyService):
    """A model that fails is told on stderr, with exit code 1."""
    code, out, err = await ask(shared, "chat", "ada3", "/fail")

    assert (code, out) == (1, "")
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
