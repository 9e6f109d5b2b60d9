#!/usr/bin/env bash
# fastapi 0.165.0: `include_router` keeps the router, and makes each of its routes again (parameters,
# dependencies, pydantic's adapters) when the first request comes to that app, even one for a path
# that does not exist. The first request of a process waits for all of them, and a test suite that
# makes an app for each test pays it each time.
# The same routes given to `FastAPI(routes=…)` are made once, where they are declared.
#
# Seen, with 40 routes:
#   include_router: adapters made at the first request: 120
#   routes: adapters made at the first request: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
  fastapi==0.165.0 starlette==1.10.0 pydantic==2.14.3
cat > "$work/seen.py" <<'PY'
import asyncio

import pydantic
from fastapi import APIRouter, FastAPI

MADE = 0
plain = pydantic.TypeAdapter.__init__


def counted(self, *arguments, **more):
    global MADE
    MADE += 1
    plain(self, *arguments, **more)


pydantic.TypeAdapter.__init__ = counted


class Body(pydantic.BaseModel):
    text: str


router = APIRouter()
for number in range(40):

    @router.post(f"/{number}/{{user}}")
    def route(user: str, body: Body) -> Body:
        return body


async def first_request(app: FastAPI) -> int:
    """How many of pydantic's adapters it makes."""
    before = MADE

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": "/nothing", "headers": [], "query_string": b""}
    await app({**scope, "http_version": "1.1", "scheme": "http", "asgi": {"version": "3.0"}}, receive, send)
    return MADE - before


included = FastAPI()
included.include_router(router)
for name, app in (("include_router", included), ("routes", FastAPI(routes=[*router.routes]))):
    print(f"{name}: adapters made at the first request: {asyncio.run(first_request(app))}")
PY
"$work/venv/bin/python" "$work/seen.py" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
include_router: adapters made at the first request: 120
routes: adapters made at the first request: 0
SEEN
