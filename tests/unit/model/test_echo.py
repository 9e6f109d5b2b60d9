"""The default model's text."""

from agent_actors.model import Prompt
from agent_actors.model.echo import EchoModel
from agent_actors.protocol.messages import Exchange, Message, Reply
from tests.hand_clock import HandClock

AT = "2026-01-01T00:00:00+00:00"


def a_prompt(content: str, *memory: Message, number: int = 1) -> Prompt:
    window = (Exchange(Message("user", "w"), Message("assistant", "x")),)
    return Prompt("ada", "ada", "t", number, Message("user", content), memory, window)


async def reply(prompt: Prompt) -> Reply:
    return await EchoModel(HandClock()).reply(prompt)


async def test_the_first_reply_has_the_turns_number():
    """Without a memory the context is the number of this turn."""
    assert await reply(a_prompt("hi", number=3)) == Reply(
        f"Memory: Message count: 3. Got your message: hi at {AT}", "echo"
    )


async def test_a_reply_has_what_memory_holds():
    """Entries as `role: content`, joined by `; `, oldest first."""
    memory = (Message("assistant", "a"), Message("user", "b"), Message("assistant", "c"))

    assert (await reply(a_prompt("hi", *memory, number=9))).content == (
        f"Memory: assistant: a; user: b; assistant: c. Got your message: hi at {AT}"
    )


async def test_a_reply_has_no_replies_of_its_own():
    """Each answer of a conversation shows what the user said before, and no echo of an echo."""
    memory: list[Message] = []
    for number, said in enumerate(("I like tea", "And Memory: is a film", "What do I like?"), 1):
        answer = (await reply(a_prompt(said, *memory[-3:], number=number))).content
        assert answer.count("Got your message") == 1
        memory += [Message("user", said), Message("assistant", answer)]

    assert [entry.content.partition(". Got")[0] for entry in memory[1::2]] == [
        "Memory: Message count: 1",
        "Memory: user: I like tea",
        "Memory: user: And Memory: is a film",
    ]


async def test_an_entry_is_cut_to_80_characters():
    """Its content, not its role; characters, not bytes. The new message is repeated in full."""
    long, said = Message("user", "☃" * 81), 'x"\\\n' * 1000

    assert (await reply(a_prompt(said, long))).content == (
        f"Memory: user: {'☃' * 80}. Got your message: {said} at {AT}"
    )
