"""A small app beside a sidecar: one actor type, which counts its calls and its reminders."""

import json
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONFIG = {"entities": ["Counter"], "drainOngoingCallTimeout": "1s"}
seen: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    """The routes that a sidecar calls, and what a test asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answers = {"/dapr/config": CONFIG, "/dapr/subscribe": [], "/readyz": {}, "/seen": seen}
        self._answer(200 if self.path in answers else 404, answers.get(self.path))

    def do_PUT(self) -> None:
        """`/actors/Counter/<id>/method/<name>`, or `…/method/remind/<name>`."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, _, rest = self.path.partition("/actors/Counter/")
        seen[rest] += 1
        self._answer(200, seen[rest])

    def do_DELETE(self) -> None:
        self._answer(200, None)

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Handler).serve_forever()
