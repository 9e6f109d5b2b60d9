"""Ends of an answer, in every vendor's words (docs/models.md)."""

import httpx2
import pytest

from agent_actors.errors import ModelFailed
from tests.field.dialect import streamed, whole
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt

REFUSALS = [
    # BerriAI/litellm#40864, HKUDS/Vibe-Trading#308, rabuckley/GeminiDotnet#28: Gemini's own words.
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"),
    "FINISH_REASON_SAFETY",
    "content_filter",
    "refusal",  # Anthropic, by gateways.
    "sensitive",  # Zhipu.
    "guardrail_intervened",  # Bedrock.
]
BREAKS = [
    "MALFORMED_FUNCTION_CALL",  # NousResearch/hermes-agent#53610
    "OTHER",  # google-gemini/deprecated-generative-ai-js#165
    "abort",
    "error",
    "network_error",
    "insufficient_system_resource",
    "a word of tomorrow",
    7,
    ["stop"],
]
ENDS = ["stop", "STOP", "end_turn", "eos_token", "length", "MAX_TOKENS", {"type": "stop"}]


def answers(finish: object) -> list[httpx2.Response]:
    """Half an answer with this end: whole, streamed, and streamed with the end beside the text."""
    half = {"role": "assistant", "content": "half of it"}
    return [
        whole(half, finish),
        streamed({"content": "half "}, {"content": "of it"}, finish=finish),
    ]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("finish", REFUSALS)
async def test_a_refusal_keeps_nothing(
    ready: Ready, vendor: Vendor, clock: HandClock, finish: str, streams: bool
):
    """It is said to be one, and the same message is not worth sending again."""
    vendor.will(answers(finish)[streams])
    failed = await failing(await ready(model_stream=streams), clock)

    assert isinstance(failed, ModelFailed)
    assert (failed.detail, failed.retry) == ("The model refused.", "no")
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("finish", BREAKS, ids=str)
async def test_an_answer_that_breaks_off_is_not_kept(
    ready: Ready, vendor: Vendor, clock: HandClock, finish: object, streams: bool
):
    """Neither by a word for it, nor by one that nobody knows."""
    vendor.will(answers(finish)[streams])
    failed = await failing(await ready(model_stream=streams), clock)

    assert failed.status == 502
    assert failed.retry != "no"


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("finish", ENDS, ids=str)
async def test_an_end_is_an_end_in_other_words(
    ready: Ready, vendor: Vendor, finish: object, streams: bool
):
    """The answer is the turn's."""
    vendor.will(answers(finish)[streams])
    reply = await (await ready(model_stream=streams)).reply(a_prompt())

    assert reply.content == "half of it"


async def test_a_whole_answer_needs_no_word_for_its_end(ready: Ready, vendor: Vendor):
    """It is there; a stream that just stops is not (tests/unit/model)."""
    vendor.will(whole({"role": "assistant", "content": "all of it"}, None))

    assert (await (await ready()).reply(a_prompt())).content == "all of it"
