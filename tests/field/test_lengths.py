"""Answers longer than any reply: each part is read once, and not all of them."""

import json
import time

import pytest

from agent_actors.model.dialects.events import LONGEST
from tests.field.dialect import chunks, error, events, stream, whole
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt

BRACKETS = b'{"a":{\n' + b",\n".join(b'"k%d":{\n}\n' % n for n in range(9_000)) + b"}}"
TEXT = "x" * 900_000
LINE = b"1" * (LONGEST // 8) + b",\n"
LONG = b"x" * (LONGEST + 1)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_lines_of_json_are_read_once(
    ready: Ready, vendor: Vendor, clock: HandClock, streams: bool
):
    """Tried by hand: an object of many lines that end in brackets held all turns for minutes."""
    vendor.will(stream(BRACKETS, 4_096, "text/plain"))
    model = await ready(model_stream=streams)
    before = time.process_time()
    failed = await failing(model, clock)

    assert failed.status == 502
    assert time.process_time() - before < 5


async def test_a_line_in_many_pieces_is_read_once(ready: Ready, vendor: Vendor):
    """Tried by hand: each piece of a long line copied all pieces before it."""
    vendor.will(stream(events(chunks({"content": TEXT})), 64))
    model = await ready(model_stream=True)
    before = time.process_time()

    assert (await model.reply(a_prompt())).content == TEXT
    assert time.process_time() - before < 5


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (whole({"role": "assistant", "content": "x" * LONGEST}).content, "application/json"),
        (events(chunks({"content": "x" * LONGEST})), "text/event-stream"),
        (b"{\n" + LINE * 9, "text/event-stream"),
        (b"data: [\n" + (b"data:" + LINE) * 9, "text/event-stream"),
        (LONG, "text/html"),
    ],
    ids=["whole", "event", "bare", "fields", "junk"],
)
async def test_an_endless_answer_is_not_read_to_its_end(
    ready: Ready, vendor: Vendor, clock: HandClock, body: bytes, kind: str, streams: bool
):
    """Tried by hand: all of it was kept in memory. The same message will not have a shorter one."""
    vendor.will(stream(body, 65_536, kind))
    failed = await failing(await ready(model_stream=streams), clock)

    assert (failed.status, failed.retry) == (502, "no")
    assert "too long an answer" in failed.detail
    assert len(vendor.requests) == 1


async def test_an_endless_error_is_not_read_to_its_end(
    ready: Ready, vendor: Vendor, clock: HandClock
):
    """Nor is one with status 500 sent again."""
    vendor.will(error(500, LONG.decode()))

    assert "too long an answer" in (await failing(await ready(), clock)).detail


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_brackets_in_strings_end_nothing(ready: Ready, vendor: Vendor, streams: bool):
    """An indented answer may be about JSON."""
    text = 'so: "}", \\ and ]} {'
    message = json.loads(whole({"role": "assistant", "content": text}).content)
    vendor.will(stream(json.dumps(message, indent=1).encode(), 3, "text/plain"))

    assert (await (await ready(model_stream=streams)).reply(a_prompt())).content == text
