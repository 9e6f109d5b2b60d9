"""Bodies in other encodings than UTF-8, which Python's JSON parser takes without being asked.

RFC 8259 allows UTF-8 alone; modelcontextprotocol/python-sdk#3182 and pallets/flask#2691 met
senders of UTF-16.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Request

from tests.conftest import Serve, Served
from tests.fakes import QuickModel
from tests.unit.routes.edge.test_problems import BODIES, a_problem, fill

ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "Application/JSON",
    "application/problem+json",
]
LATIN = [
    '{"role":"user","content":"Zürich"}'.encode("latin-1"),
    '{"role":"user","content":"€"}'.encode("cp1252"),
    '{"role":"user","content":"日本"}'.encode("shift_jis"),
    b'{"role":"user","content":"\xc0\xaf"}',
    b'{"role":"user","content":"\xf0\x9f\x98"}',
]
UTF_8 = ["Zürich", "日本", "😀", "\u0000", "\ufeff"]


async def put(served: Served, path: str, content: bytes, kind: str = TYPES[0]) -> Any:
    """The answer to a body of bytes."""
    method = "PUT" if path.endswith("preferences") else "POST"
    headers = {"content-type": kind}
    return await served.http.request(method, fill(path, "ada"), content=content, headers=headers)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("path", BODIES)
async def test_no_route_takes_another_encoding(serve: Serve, path: str, encoding: str):
    """The answer is 400 and says what to send; nothing is begun."""
    async with serve(model=QuickModel()) as served:
        answer = await put(served, path, json.dumps(BODIES[path]).encode(encoding))

        assert "UTF-8" in a_problem(answer, 400)["detail"]
        assert (await served.http.get("/users/ada/export")).status_code == 404


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [1, 3])
async def test_a_body_in_parts_is_refused_as_well(serve: Serve, encoding: str, size: int):
    """However few bytes of it come at a time."""
    content = json.dumps(BODIES["/chat/{actor_id}"]).encode(encoding)

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(content), size):
            yield content[at : at + size]

    async with serve(model=QuickModel()) as served:
        headers = {"content-type": TYPES[0]}
        answer = await served.http.post("/chat/ada", content=parts(), headers=headers)

        a_problem(answer, 400)


@pytest.mark.parametrize("kind", TYPES)
async def test_a_type_does_not_change_it(serve: Serve, kind: str):
    """No parameter of the content type allows another encoding."""
    async with serve(model=QuickModel()) as served:
        content = json.dumps(BODIES["/chat/{actor_id}"]).encode("utf-16")

        a_problem(await put(served, "/chat/{actor_id}", content, kind), 400)


@pytest.mark.parametrize("content", LATIN)
async def test_bytes_that_are_not_utf_8_are_refused(serve: Serve, content: bytes):
    """Single bytes of older encodings, and broken sequences."""
    async with serve(model=QuickModel()) as served:
        a_problem(await put(served, "/chat/{actor_id}", content), 400)
        assert await served.history("ada") == {"history": []}


async def test_half_of_a_pair_is_named(serve: Serve):
    """Three bytes that UTF-8 does not allow, and that Python's parser reads as half a character."""
    async with serve(model=QuickModel()) as served:
        content = b'{"role":"user","content":"\xed\xa0\xbd"}'
        answer = await put(served, "/chat/{actor_id}", content)

        assert "surrogate" in a_problem(answer, 422)["detail"]


@pytest.mark.parametrize("text", UTF_8)
@pytest.mark.parametrize("escaped", [True, False])
async def test_utf_8_is_taken_as_it_is(serve: Serve, text: str, escaped: bool):
    """Written as it is or escaped, also what looks like another encoding's mark."""
    async with serve(model=QuickModel()) as served:
        body = json.dumps({"role": "user", "content": f"a {text}"}, ensure_ascii=escaped)
        answer = await put(served, "/chat/{actor_id}", body.encode())

        assert answer.json()["response"]["content"] == f"reply to a {text}"


async def test_a_body_that_is_not_json_may_have_any_bytes(serve: Serve):
    """A route that somebody adds to the app may take pictures."""
    async with serve() as served:

        @served.app.post("/picture")
        async def size(request: Request) -> int:
            return len(await request.body())

        answer = await put(served, "/picture", b"\x89PNG\0\0", "image/png")

        assert answer.json() == 6
