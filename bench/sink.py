"""A collector that accepts everything and keeps nothing.

Run as `python -m bench.sink PORT`.
"""

import sys

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bench.serve import serve


async def sink(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads a request and accepts it."""
    await Request(scope, receive).body()
    await Response(b"{}", media_type="application/json")(scope, receive, send)


if __name__ == "__main__":
    serve(sink, int(sys.argv[1]))
