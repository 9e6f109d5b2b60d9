"""The service below a path of another app: paths, addresses, and an app whose start never ran."""

from starlette.types import Message, Receive, Scope, Send

from agent_actors.errors import Unavailable
from agent_actors.routes.edge.problems import document
from agent_actors.routes.edge.security_headers import PLAIN

NOT_STARTED = (
    "The service has not been started: its lifespan has not run. An app that mounts it enters"
    " router.lifespan_context in its own lifespan; a TestClient is used in a with block; uvicorn"
    " runs without --lifespan off (docs/mounting.md)."
)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers 503, and says how to start the service."""
    answer = document(Unavailable(NOT_STARTED))
    answer.raw_headers.extend(PLAIN)
    await answer(scope, receive, send)


def below(root: str, scope: Scope, send: Send) -> tuple[Scope, Send]:
    """The request without the path under which the app is mounted, and answers with it.

    What checks a request goes by its path: access rules, callbacks, probes.
    """
    path: str = scope["path"]
    rest = path.removeprefix(root) if path.startswith(f"{root}/") else path

    async def send_below(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [_below(root, *each) for each in message.get("headers", ())]
        await send(message)

    return {**scope, "path": rest}, send_below


def whole(root: str, scope: Scope) -> Scope:
    """The request with that path again."""
    return {**scope, "path": root + scope["path"]} if scope["type"] == "http" else scope


def _below(root: str, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header; an address on this host gets the path before it, if it has it not."""
    path = root.encode()
    local = value.startswith(b"/") and not value.startswith((b"//", path + b"/"))
    return (name, path + value if name.lower() == b"location" and local else value)
