"""Errors and waiting times, in every vendor's words."""

from typing import Any

import httpx2
import pytest

from agent_actors.errors import ModelError
from agent_actors.protocol.messages import Exchange, Message
from tests.field.dialect import call, error, events, stream, whole
from tests.field.test_tool_calls import Weather
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing, in_time
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt, answer

GEMINI = "type.googleapis.com/google.rpc"
TOO_LONG: list[tuple[int, Any]] = [
    (400, {"error": {"code": "context_length_exceeded", "message": "…"}}),
    # ggml-org/llama.cpp#15780, and its older word (#19774)
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 256}}),
    (500, {"error": {"code": 500, "message": "Context size has been exceeded."}}),
    # oobabooga/textgen#7257: the same with status 200
    (200, {"error": {"code": 400, "type": "exceed_context_size_error"}}),
    # vLLM, with and without an `error` around it
    (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}),
    (400, {"error": {"message": "…is longer than the maximum model length of 8192.", "code": 400}}),
    # Gemini, in a list
    (400, [{"error": {"message": "The input token count (9) exceeds the maximum", "status": "X"}}]),
    (400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}),
    (413, {"error": "Request too large: reduce the length of the messages"}),
    (
        422,
        {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096", "error_type": "validation"},
    ),
    (400, {"detail": "Too many tokens in the prompt"}),
    (400, "input is too long for requested model"),
    # Tried by hand: xAI, Groq, GitHub, Zhipu, Anthropic, LM Studio (also with status 200), AI21,
    # Perplexity.
    (400, {"code": "…", "error": "This model's maximum prompt length is 8 but the request has 9."}),
    (413, {"error": {"message": "Request too large for model `x`, reduce your message size"}}),
    (413, {"error": {"code": "tokens_limit_reached", "message": "Request body too large"}}),
    (400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}),
    (400, {"error": {"message": "input length and `max_tokens` exceed context limit: 9 > 8"}}),
    (413, {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}),
    (400, {"error": "…the model is loaded with context length of only 4096 tokens"}),
    (200, {"error": "…the model is loaded with context length of only 4096 tokens"}),
    (400, {"detail": "Prompt has 300000 tokens, exceeding the limit of 262144"}),
    (400, {"error": {"message": "Input prompt is too large. 9 tokens > 8"}}),
]
FINAL: list[tuple[int, Any, str]] = [
    (401, {"error": {"message": "…", "code": None}}, "AGENT_ACTORS_MODEL_API_KEY"),
    (401, "Unauthorized", "AGENT_ACTORS_MODEL_API_KEY"),
    (403, {"message": "forbidden"}, "AGENT_ACTORS_MODEL_API_KEY"),
    (
        400,
        [{"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}],
        "AGENT_ACTORS_MODEL_API_KEY",
    ),
    (
        404,
        {"error": {"message": "model 'x' not found", "type": "not_found_error"}},
        "AGENT_ACTORS_MODEL",
    ),
    (404, "404 page not found", "AGENT_ACTORS_MODEL_BASE_URL"),
    (400, {"error": {"code": "model_not_found"}}, "AGENT_ACTORS_MODEL"),
    (400, {"error": {"code": "content_policy_violation"}}, "refused"),
    (400, {"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "refused"),
    (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
    (429, {"error": {"code": "insufficient_quota"}}, "quota"),
    (400, {"error": {"message": "Your credit balance is too low to access the API"}}, "quota"),
    (
        429,
        [{"error": {"details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerModel"}]}]}}],
        "quota",
    ),
    # Tried by hand: Zhipu, DeepSeek, xAI, OpenRouter.
    (429, {"error": {"code": "1113", "message": "Please recharge."}}, "quota"),
    (429, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}, "quota"),
    (429, {"code": "…", "error": "Your team has used all available credits."}, "quota"),
    (429, {"error": {"message": "Rate limit exceeded: free-models-per-day"}}, "quota"),
    (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "422"),
]
WAITS: list[tuple[Any, dict[str, str], float]] = [
    # googleapis/python-genai#1875, langchain-ai/langchain-google#945, dcdpr/jp#1061
    ({"error": {"details": [{"@type": f"{GEMINI}.RetryInfo", "retryDelay": "41s"}]}}, {}, 41),
    ([{"error": {"details": [{"retryDelay": "45.837906927s"}]}}], {}, 45.837906927),
    ({"error": {"message": "You exceeded it. Please retry in 53.5s."}}, {}, 53.5),
    ({"error": {"message": "Please try again in 1m30.5s. Visit…"}}, {}, 90.5),
    ({"error": {"message": "Rate limit reached. Try again in 2h"}}, {}, 7_200),
    ({"error": {"message": "…"}, "retry_after": 33}, {}, 33),
    ("slow down; retry after 40 seconds", {}, 40),
    # Tried by hand.
    ({"error": {"retry_after": "41"}}, {}, 41),
    ({"error": {"message": "…"}}, {"retry_after": "41s"}, 41),
    ({"error": {"retry_after": 41}}, {"retry_after": ""}, 41),
    ({"error": {"message": "please wait 2 minutes and try again"}}, {}, 120),
    ({"error": {"message": "Try again in 1 hour 3 minutes"}}, {}, 3_780),
    ({"error": {"message": "…"}}, {"retry_after": "99999999999999999999999"}, 604_800),
    ({"error": {"message": "…"}}, {"retry_after": "Mon, 30 Nov 2099 18:00:00 GMT"}, 604_800),
    ('{"retry_after": ' + "9" * 400 + "}", {}, 604_800),
    ({"error": {"message": "…"}}, {"retry_after_ms": "31500"}, 31.5),
    ({"error": {"message": "retry in 99s"}}, {"retry_after": "37"}, 37),
]


@pytest.mark.parametrize(("status", "body"), TOO_LONG, ids=str)
async def test_too_long_is_recognised(
    ready: Ready, vendor: Vendor, clock: HandClock, status: int, body: Any
):
    """The window is halved by itself, once; then the setting is named."""
    vendor.will(error(status, body), error(status, body))
    window = tuple(
        Exchange(Message("user", f"q{n}"), Message("assistant", f"a{n}")) for n in range(4)
    )
    model = await ready()
    with pytest.raises(ModelError) as caught:
        await in_time(model.reply(a_prompt("hi", *window)), clock)

    assert "AGENT_ACTORS_WINDOW_TOKENS" in caught.value.detail
    assert caught.value.retry == "no"
    sent = [[each["content"] for each in body["messages"][1:]] for body in vendor.bodies]
    assert sent == [
        ["q0", "a0", "q1", "a1", "q2", "a2", "q3", "a3", "hi"],
        ["q2", "a2", "q3", "a3", "hi"],
    ]


async def test_half_the_window_may_be_enough(ready: Ready, vendor: Vendor, clock: HandClock):
    """Then the user does not hear of it."""
    vendor.will(error(*TOO_LONG[1]), answer("done"))
    window = [Exchange(Message("user", "q"), Message("assistant", "a"))]

    assert (await (await ready()).reply(a_prompt("hi", *window))).content == "done"


async def test_no_tool_runs_again_for_a_window(ready: Ready, vendor: Vendor, clock: HandClock):
    """A run that is too long after a tool is not started again."""
    tools = Weather()
    calls = {"content": None, "tool_calls": [call("weather", {"city": "Rome"}, id="a")]}
    vendor.will(whole(calls, "tool_calls"), error(*TOO_LONG[1]))
    window = [Exchange(Message("user", "q"), Message("assistant", "a"))]
    model = await ready(tools=tools.tools)
    with pytest.raises(ModelError, match="too long"):
        await in_time(model.reply(a_prompt("hi", *window)), clock)

    assert tools.asked == ["Rome"]


@pytest.mark.parametrize(("status", "body", "named"), FINAL, ids=str)
async def test_what_waiting_does_not_help_is_not_tried_again(
    ready: Ready, vendor: Vendor, clock: HandClock, status: int, body: Any, named: str
):
    """Neither by the service nor, by its advice, by the client."""
    vendor.will(error(status, body))
    failed = await failing(await ready(), clock)

    assert named in failed.detail
    assert (failed.retry, len(vendor.requests)) == ("no", 1)


@pytest.mark.parametrize(("body", "headers", "seconds"), WAITS, ids=str)
async def test_a_long_wait_is_told_to_the_caller(
    ready: Ready,
    vendor: Vendor,
    clock: HandClock,
    body: Any,
    headers: dict[str, str],
    seconds: float,
):
    """Wherever the server says it, and not tried before it is over."""
    vendor.will(error(429, body, **headers))
    failed = await failing(await ready(), clock)

    assert failed.retry_after == pytest.approx(seconds)
    assert failed.retry != "no"
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("said", ["2500ms", "2500 milliseconds", "2.5 sec"])
async def test_a_short_wait_is_kept(ready: Ready, vendor: Vendor, clock: HandClock, said: str):
    """The call is sent again after it."""
    vendor.will(error(429, {"error": {"message": f"Please try again in {said}."}}), answer("done"))
    before = clock.monotonic()
    reply = await in_time((await ready()).reply(a_prompt()), clock)

    assert reply.content == "done"
    assert 2.5 <= clock.monotonic() - before < 60


@pytest.mark.parametrize(
    "header",
    [
        "Mon, 30 Nov 2026 00:00:00 +99999999999999999999",
        "Mon, 30 Nov 99999999999 00:00:00 GMT",
        "2026-11-30T23:00:00Z",
        "-5",
        "soon",
    ],
)
async def test_a_wait_that_cannot_be_read_is_none(
    ready: Ready, vendor: Vendor, clock: HandClock, header: str
):
    """Tried by hand: dates beyond every calendar. The failure stays that of the server."""
    vendor.will(*[error(429, {}, retry_after=header) for _ in range(3)])
    failed = await failing(await ready(), clock)

    assert failed.retry_after is None
    assert "limits the rate" in failed.detail


def test_a_wait_has_a_unit_of_time():
    """Other words that begin like one are none."""
    from agent_actors.model.dialects.errors import wait_of

    for said in ("wait 5 messages", "retry 3 more times", "try again in 1 month"):
        assert wait_of({}, {"error": {"message": said}}) is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "upstream failed", "code": 500}},
        {"error": "upstream failed"},
        {"error": {"message": "upstream failed", "code": "server_error"}},
        {"error": {"message": None, "code": None}},
        {"error": ["upstream failed"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_an_error_instead_of_an_answer_may_be_charged(
    ready: Ready, vendor: Vendor, clock: HandClock, body: Any, streams: bool
):
    """With status 200 it is a failure; the call is not sent again by itself."""
    import json

    one = '{"choices": [{"index": 0, "delta": {"content": "half"}}]}'
    broken = stream(events([one, json.dumps(body)])) if streams else error(200, body)
    vendor.will(broken)
    failed = await failing(await ready(model_stream=streams), clock)

    assert (failed.status, len(vendor.requests)) == (502, 1)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "body",
    ["", "<html>Bad gateway</html>", "null", "[]", "7", "{}", '{"choices": []}', "{" * 9_999],
)
async def test_what_is_no_answer_is_a_failure(
    ready: Ready, vendor: Vendor, clock: HandClock, body: str, streams: bool
):
    """Whatever its type is said to be."""
    for kind in ("application/json", "text/html"):
        vendor.will(httpx2.Response(200, text=body, headers={"content-type": kind}))
        assert (await failing(await ready(model_stream=streams), clock)).status == 502


def test_a_word_is_read_where_it_stands():
    """A message that speaks of tokens is no error of its length."""
    from agent_actors.model.dialects.errors import code_of

    assert code_of(400, {"error": {"message": "temperature must be below 2"}}) is None
    too_many = "max_tokens is too large: 9. This model supports at most 8 completion tokens"
    assert code_of(400, {"error": {"message": too_many}}) is None
    assert code_of(503, {"error": {"message": "the context window is being loaded"}}) is None
    assert code_of(400, {"error": {"message": "billing_address is unknown"}}) is None
