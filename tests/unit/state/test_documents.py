"""What is stored, and how an older form of it is read."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from agent_actors.errors import Defect
from agent_actors.protocol.codec import encode
from agent_actors.protocol.dead_letters import Envelope
from agent_actors.protocol.messages import Message, Reply, SessionExchange, Usage
from agent_actors.state.documents.conversation import (
    EarlierSummary,
    Head,
    OutcomeRecords,
    Pair,
    QueuedTurn,
    Segment,
    find_record,
    segment_of,
)
from agent_actors.state.documents.dead_letters import Letter, LetterIndex, LetterPage, ListedLetter
from agent_actors.state.documents.users import (
    Analytics,
    LastExchanges,
    Mark,
    Memory,
    ModelUse,
    Profile,
    SessionIndex,
    SessionPage,
    Tombstone,
    UserPreferences,
)
from agent_actors.state.versions import Upgrade, read
from tests.fakes import a_pair, a_record, a_turn


@dataclass(frozen=True, slots=True)
class Third:
    """A document in its third version."""

    v: int
    name: str
    tags: tuple[str, ...]


def _to_second(stored: dict[str, Any]) -> dict[str, Any]:
    return {"v": 2, "name": stored["title"]}


def _to_third(stored: dict[str, Any]) -> dict[str, Any]:
    return stored | {"v": 3, "tags": []}


UPGRADES: Mapping[type, Sequence[Upgrade]] = {Third: [_to_second, _to_third]}


@pytest.mark.parametrize(
    "stored",
    [
        {"v": 1, "title": "a"},
        {"v": 2, "name": "a"},
        {"v": 3, "name": "a", "tags": []},
    ],
)
def test_an_older_document_is_upgraded_when_it_is_read(stored: dict[str, Any]):
    """Each older version goes through the steps that are left to today's."""
    assert read(json.dumps(stored).encode(), Third, UPGRADES) == Third(3, "a", ())


@pytest.mark.parametrize(
    ("stored", "today"),
    [
        (
            {"v": 1, "user": "ada", "seq": 1, "start": 0, "low": 1, "tail": [], "recent": [],
             "queue": []},
            Head(user="ada", seq=1),
        ),
        (
            {"v": 1, "pairs": [{"seq": 1, "turn_id": "t", "occurred_at": "",
                                "input": {"role": "user", "content": "hi"},
                                "output": {"content": "yes", "model": "echo"}}]},
            Segment(pairs=(Pair(1, "t", Message("user", "hi"), Reply("yes", "echo"), ""),)),
        ),
        (
            {"v": 1, "entries": [{"role": "user", "content": "hi"}], "seen": ["e"]},
            Memory(entries=(Message("user", "hi"),), seen=("e",)),
        ),
    ],
)  # fmt: skip
def test_what_the_first_release_stored_is_read(stored: dict[str, Any], today: Any):
    """With what it did not know left at its default."""
    assert read(json.dumps(stored).encode(), type(today)) == today


@pytest.mark.parametrize("version", [4, 0, -1])
def test_a_document_of_another_release_is_refused(version: int):
    """A version that this release does not know is an error, not an empty document."""
    stored = {"v": version, "name": "a", "title": "a", "tags": []}

    with pytest.raises(Defect):
        read(json.dumps(stored).encode(), Third, UPGRADES)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"{}", b'{"v":"1"}', b'{"v":1,"seq":"x"}', b'{"v":99}']
)
def test_a_broken_document_is_refused(data: bytes):
    """What cannot be read is a defect, and not an empty document."""
    with pytest.raises(Defect):
        read(data, Head)


def test_the_error_of_a_broken_document_has_none_of_its_text():
    """The error names the field, without its text."""
    data = b'{"v":1,"entries":[{"role":"secret","content":"secret"}]}'

    with pytest.raises(Defect) as caught:
        read(data, Memory)

    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    "document",
    [
        Head(user="ada", seq=1, tail=(a_pair(1),), recent=(a_record(0, 1),),
             queue=(QueuedTurn(a_turn("hi", key="k"), 1),)),
        Segment(pairs=(a_pair(1, "10m", "2024-01-05 standup"),)),
        OutcomeRecords(records=(a_record(0),)),
        Head(ended="closed", earlier=EarlierSummary(3, "They greeted.")),
        Memory(entries=(Message("user", "\x00 ☃ “"),), seen=("id",), events=2, summarised=1,
               fresh=(Message("user", "10m"),)),
        Profile(name="Ada"),
        LastExchanges(exchanges=(SessionExchange("10m", "2024-01-05"),), seen=("id",)),
        UserPreferences(values=(("style", "10m"),)),
        SessionIndex(first=1, last=3, open=2),
        SessionPage(session_ids=("a", "b")),
        Analytics(message_count=2, usage=Usage(1, 2), models=(("gpt", ModelUse(1, 2, 3)),),
                  seen=("turn",)),
        Tombstone(at=1.5),
        Mark(seq=3),
        Letter("news", "why", 3, 1.5, 2, Envelope.of(b"\xff")),
        LetterPage(letters=(ListedLetter("id", 1.5),)),
        LetterIndex(first=1, last=2, count=3),
    ],
)  # fmt: skip
def test_every_document_survives(document: Any):
    """What is stored is what is read."""
    assert read(encode(document), type(document)) == document


def test_documents_are_not_changed():
    """A document is replaced; no field of it can be set."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Head().seq = 1  # type: ignore[misc]


def test_a_segment_has_eight_pairs():
    """Pairs 1 to 8 are in segment 0, pair 9 begins segment 1."""
    assert [segment_of(seq) for seq in (1, 8, 9, 16, 17)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("inside", [True, False])
def test_a_record_is_found_by_key_or_id(inside: bool):
    """The newest first; no key finds no record of another, and a search is not stored."""
    first = dataclasses.replace(a_record(0), key_hash="k")
    again = dataclasses.replace(a_record(1), key_hash="k")
    document = OutcomeRecords(records=(first, again, a_record(2)))
    stored = encode(document)
    find = document.find if inside else partial(find_record, document.records)

    assert find("?", "k") == again
    assert find("turn 0", "") == first
    assert find("?", "") is None
    assert find("?", "other") is None
    assert encode(document) == stored
