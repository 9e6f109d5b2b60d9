"""Bodies that are no JSON object: the answer says what to write, and repeats nothing."""

import json
from typing import Any

import pytest

from agent_actors.routes.edge.unreadable_bodies import why_not_json
from tests.conftest import Serve, Served
from tests.fakes import QuickModel
from tests.unit.routes.edge.test_problems import BODIES, a_problem, fill

JSON = "application/json"
GOOD = b'{"role": "user", "content": "secret-1"}'
PREFERENCES = "/users/{user_id}/preferences"

NOT_JSON: list[tuple[str, int, str]] = [
    # fastapi/fastapi #674
    ("{\"content\": 'secret-1'}", 12, "double quotes"),
    # a newcomer's try: what Python prints of a dict
    ("{'text': 'secret-1'}", 1, "double quotes"),
    # curl/curl #4737, nodejs/node #13138: a Windows shell
    ("'{content:secret-1}'", 0, "double quotes"),
    # oreilly/couchdb-guide #244, Kong/insomnia #802: the same with the outer quotes removed
    ("{content:secret-1}", 1, "double quotes"),
    # a newcomer's try: quotes of a word processor
    ("{“content”: “secret-1”}", 1, "double quotes"),
    ('{"content": secret-1}', 12, "double quotes"),
    # microsoftgraph/microsoft-graph-explorer-v4 #557, dialogflow/fulfillment-webhook-json #4
    ('{"role": "user", "content": "secret-1",}', 39, "no comma after it"),
    ('{"tags": ["secret-1", ]}', 22, "no comma after it"),
    ('{"a": {"b": "secret-1",\n}\n}', 24, "no comma after it"),
    # a newcomer's try: a body that was cut off
    ('{"role": "user", "content": "secret-1"', 38, "ends too early"),
    ('{"role": "user", "content":', 27, "ends too early"),
    ('{"role": "user", "content": "secret-1', 28, "no end"),
    ('{"role":', 8, "ends too early"),
    (" \n ", 3, "white space"),
    # aristanetworks/cvprac #141, IIC2233/syllabus-2019-1 #577: two values
    ('{"content": "secret-1"}{"content": "secret-1"}', 23, "after the end of the first value"),
    ('{"content": "secret-1"}\n{"content": "secret-1"}\n', 24, "after the end"),
    ('{"content": "secret-1"}}', 23, "after the end of the first value"),
    # guokr/swagger-py-codegen #140, kdalanon/ChatGPT-AutoHotkey-Utility #14 (a tab)
    ('{"content": "secret-1\n"}', 21, "\\n"),
    ('{"content": "secret-1\t"}', 21, "\\t"),
    # anthropics/anthropic-sdk-go #42
    ('{"content": "secret-1\\x02"}', 21, "backslash"),
    # a newcomer's try: paths of Windows
    ('{"content": "C:\\dir\\secret-1"}', 15, "backslash"),
    ('{"content": "C:\\users\\secret-1"}', 16, "hexadecimal"),
    # 0xacx/chatGPT-shell-cli #94: texts that are put into JSON as they are
    ('{"content": "he said "secret-1" to me"}', 22, 'written \\"'),
    ('{"role": "user" "content": "secret-1"}', 16, "comma is missing"),
    ('{"role" "user"}', 8, "colon"),
    # a newcomer's try: Python's and JavaScript's words, comments, forms
    ('{"content": None}', 12, "null, true and false"),
    ('{"content": True}', 12, "null, true and false"),
    ('{"content": undefined}', 12, "null, true and false"),
    ('{"content": "secret-1", // hello\n"role": "user"}', 24, "no comments"),
    ('# hello\n{"content": "secret-1"}', 0, "no comments"),
    ('{"content": /* hello */ "secret-1"}', 12, "no comments"),
    ("role=user&content=secret-1", 0, "begin with {"),
    ("<message>secret-1</message>", 0, "begin with {"),
    ('{"content":, "role": "user"}', 11, "is missing"),
    ("{,}", 1, "is missing"),
]


async def send(served: Served, path: str, content: bytes, kind: str | None = JSON) -> Any:
    """The answer to a body as it is."""
    method = "PUT" if path == PREFERENCES else "POST"
    headers = {} if kind is None else {"content-type": kind}
    return await served.http.request(method, fill(path, "ada"), content=content, headers=headers)


def reason_of(answer: Any) -> str:
    """The reason of a problem that is about the body as a whole."""
    problem = a_problem(answer, 422)
    (row,) = problem["errors"]
    assert row["field"] == "body"
    assert problem["detail"] == f"body: {row['reason']}"
    assert problem["retry"] == "no"
    assert "secret-1" not in answer.text
    reason: str = row["reason"]
    return reason


@pytest.mark.parametrize(("body", "at", "remedy"), NOT_JSON)
async def test_what_is_not_json_is_told_where_and_why(
    serve: Serve, body: str, at: int, remedy: str
):
    """The answer is 422; it names the character and what to write, and nothing is begun."""
    async with serve(model=QuickModel()) as served:
        reason = reason_of(await send(served, "/chat/{actor_id}", body.encode()))

        assert reason.startswith(f"not JSON at character {at}: ")
        assert remedy in reason
        assert await served.history("ada") == {"history": []}


def test_newer_pythons_name_the_comma_themselves():
    """From Python 3.13 on, the parser stops at the comma and says so; the answer is the same."""
    body = '{"role": "user",}'
    old = why_not_json(body, 16, "Expecting property name enclosed in double quotes")
    new = why_not_json(body, 15, "Illegal trailing comma before end of object")

    assert old == new
    assert "no comma" in new


NO_OBJECTS: list[tuple[bytes, str]] = [
    (b"", "empty"),  # fastify/fastify #1252, fastapi/fastapi #690
    (b"null", "null"),  # fastapi/fastapi #918
    (b"[]", "a list"),  # fastapi/fastapi #918
    (b'[{"role": "user", "content": "secret-1"}]', "a list"),  # fastapi/fastapi #3373
    (b'"secret-1"', "a text"),  # fastapi/fastapi #2820
    (json.dumps(GOOD.decode()).encode(), "encode it once"),  # a newcomer's try: dumps, twice
    (b"7", "a number"),
    (b"NaN", "a number"),
    (b"false", "true or false"),
]


@pytest.mark.parametrize(("body", "remedy"), NO_OBJECTS)
async def test_what_is_no_object_is_told_what_it_is(serve: Serve, body: bytes, remedy: str):
    """Every route with a body says what it got, and asks for an object."""
    async with serve(model=QuickModel(), reentrancy_depth=2) as served:
        for path in BODIES:
            assert remedy in reason_of(await send(served, path, body))


TYPES: list[tuple[str | None, str]] = [
    (None, "is missing"),  # fastapi/fastapi #3412: fetch
    (
        "application/x-www-form-urlencoded",
        "form",
    ),  # visini/abstracting-fastapi-services #8: curl -d
    ("multipart/form-data; boundary=x", "form"),  # d8ahazard/sd_dreambooth_extension #967
    ("text/plain", "application/json"),  # fastapi/fastapi #3373
    ("text/plain;charset=UTF-8", "application/json"),
    ("application/octet-stream", "application/json"),
    ("text/json", "application/json"),
    ("json", "application/json"),  # a newcomer's try
    ("secret-1", "application/json"),
]


@pytest.mark.parametrize(("kind", "remedy"), TYPES)
async def test_another_content_type_is_told_the_header(serve: Serve, kind: str | None, remedy: str):
    """Every route with a body says which header to send."""
    async with serve(model=QuickModel(), reentrancy_depth=2) as served:
        for path, body in BODIES.items():
            reason = reason_of(await send(served, path, json.dumps(body).encode(), kind))
            assert remedy in reason
            assert "Content-Type: application/json" in reason


NUMBERS: list[tuple[str, str, str]] = [
    # Kludex/starlette #548: Python's parser takes them
    ("/chat/{actor_id}", '{"role": "user", "content": NaN}', "content"),
    ("/chat/", '{"user_id": "ada", "text": -Infinity}', "text"),
    ("/chat/", '{"user_id": "ada", "text": "hi", "tags": [NaN]}', "tags.0"),
    ("/chat/{actor_id}/schedules", '{"content": "hi", "every": NaN}', "every"),
    ("/chat/{actor_id}/schedules", '{"content": "hi", "due_in": Infinity}', "due_in"),
    ("/analytics/{user_id}/initialize", '{"message_count": 1e999}', "message_count"),
    (PREFERENCES, '{"language": NaN}', "language"),
]


@pytest.mark.parametrize(("path", "body", "field"), NUMBERS)
async def test_numbers_that_json_does_not_have_are_named(
    serve: Serve, path: str, body: str, field: str
):
    """NaN, the infinities, and what is too large for a float."""
    async with serve(model=QuickModel()) as served:
        (row,) = a_problem(await send(served, path, body.encode()), 422)["errors"]

        assert row == {
            "field": field,
            "reason": "this is no finite number: JSON has no NaN and no Infinity",
        }


@pytest.mark.parametrize(
    "body", [b'{"a":' * 50_000, b"[" * 50_000, b'{"message_count": ' + b"9" * 5_000 + b"}"]
)
async def test_what_the_parser_cannot_hold_is_refused(serve: Serve, body: bytes):
    """Thousands of levels or digits are 400, and the answer says so."""
    async with serve(model=QuickModel()) as served:
        answer = await send(served, "/analytics/{user_id}/initialize", body)

        detail = a_problem(answer, 400)["detail"]
        assert "nested" in detail
        assert "digits" in detail


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (GOOD, "application/json;charset=utf-8"),
        (b"\xef\xbb\xbf" + GOOD, JSON),  # a newcomer's try: Windows' mark of UTF-8
        (b"\r\n\t " + GOOD + b"\n", "Application/JSON"),
        (GOOD, "application/vnd.api+json"),
    ],
)
async def test_what_can_be_read_is_read(serve: Serve, body: bytes, kind: str):
    """White space, a mark and parameters change nothing."""
    async with serve(model=QuickModel()) as served:
        assert (await send(served, "/chat/{actor_id}", body, kind)).status_code == 200
