"""The real command in processes of its own, and HTTP to it; every wait has a deadline.

`AnyService` is what a test sees of it; `Service` is one on the embedded runtime, `dapr.DaprService`
one beside a sidecar.
"""

import inspect
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Self

import httpx2

from agent_actors.clock import SystemClock
from agent_actors.engine.ports import free_port

COMMAND = [sys.executable, "-m", "agent_actors"]
DEADLINE = 60.0
"""Half of what a test may take: a start is two seconds, unless the machine does other things."""
PAUSE = 0.05

clock = SystemClock()


def environment(**settings: str) -> dict[str, str]:
    """This process's environment, without settings that are not the test's own."""
    foreign = ("AGENT_ACTORS_", "DAPR_", "APP_API_", "OPENAI_", "GEMINI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | settings


async def eventually(holds: Callable[[], Any], what: str, within: float = DEADLINE) -> Any:
    """Asks until the answer, or what it promises, is true; that answer.

    Raises:
        AssertionError: It was not within that many seconds.
    """
    end = clock.monotonic() + within
    while True:
        found = holds()
        if found := await found if inspect.isawaitable(found) else found:
            return found
        if clock.monotonic() > end:
            raise AssertionError(f"not within {within} s: {what}")
        await clock.sleep(PAUSE)


async def becomes(
    ask: Callable[[], Awaitable[Any]], wanted: object, within: float = DEADLINE
) -> None:
    """Asks until that is the answer.

    Raises:
        AssertionError: It was not within that many seconds; the text has the last answer.
    """
    end = clock.monotonic() + within
    while (found := await ask()) != wanted:
        assert clock.monotonic() < end, f"not within {within} s: {found} is not {wanted}"
        await clock.sleep(PAUSE)


def command(
    *arguments: str, typed: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A command that has ended: its exit code, its output, its errors."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env=environment(**variables),
    )


class AnyService:
    """One service: the address that it keeps, HTTP to it, and the processes that serve it now.

    Args:
        port: Where it listens, on loopback.
        token: What its callbacks want to see, where a test knows it.
    """

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.token = token
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=30.0, trust_env=False)

    def spawn(self) -> None:
        """Starts what does not run; it is not ready yet."""
        raise NotImplementedError

    def kill(self) -> None:
        """Ends everything at once, as a lost machine does; what is saved stays."""
        raise NotImplementedError

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process of the app."""
        raise NotImplementedError

    @property
    def code(self) -> int | None:
        """The exit code of the app; None while it runs."""
        raise NotImplementedError

    def logged(self) -> str:
        """All that its processes have logged."""
        raise NotImplementedError

    async def unsettled(self, user: str) -> bool:
        """Has the conversation a recovery reminder?"""
        raise NotImplementedError

    def stored(self, actor_type: str) -> list[bytes]:
        """Every document that actors of a type have saved."""
        raise NotImplementedError

    def places_of(self, word: str) -> list[str]:
        """Where in its database a word is stored: names of tables, or of keys."""
        raise NotImplementedError

    async def publish(self, topic: str, event: dict[str, Any]) -> None:
        """Hands over a CloudEvent that another service has published on `pubsub`."""
        raise NotImplementedError

    async def ready(self) -> None:
        """Waits until actors can be called."""

        async def answers() -> bool:
            assert self.code is None, self.logged()[-4000:]
            try:
                return (await self.http.get("/readyz")).status_code == 200
            except httpx2.TransportError:
                return False

        await eventually(answers, "the service is ready")

    async def start(self) -> Self:
        """Starts what does not run, and waits until it is ready."""
        self.spawn()
        await self.ready()
        return self

    async def ended(self, within: float = DEADLINE) -> int | None:
        """The exit code, once the app has ended by itself."""
        await eventually(lambda: self.code is not None, "the process has ended", within)
        return self.code

    async def close(self) -> None:
        """Leaves nothing behind."""
        self.kill()
        await self.http.aclose()

    async def say(
        self, user: str, content: str, *, key: str | None = None, prefer: str | None = None
    ) -> httpx2.Response:
        """Posts a message."""
        given = {"Idempotency-Key": key, "Prefer": prefer}
        headers = {name: value for name, value in given.items() if value is not None}
        body = {"role": "user", "content": content}
        return await self.http.post(f"/chat/{user}", json=body, headers=headers)

    async def reply(self, user: str, content: str) -> str:
        """The reply to a message that is answered."""
        answer = await self.say(user, content)
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["response"]["content"]
        return text

    async def history(self, user: str) -> list[dict[str, str]]:
        """All that was said, oldest first."""
        entries: list[dict[str, str]] = []
        at: dict[str, int] = {"limit": 1000}
        while True:
            answer = await self.http.get(f"/chat/{user}/history", params=at)
            assert answer.status_code == 200, answer.text
            entries = answer.json()["history"] + entries
            if answer.json()["next"] is None:
                return entries
            at["before"] = answer.json()["next"]

    async def count(self, user: str) -> int:
        """The number of turns."""
        number: int = (await self.http.get(f"/response/{user}/count")).json()["count"]
        return number

    async def status(self, address: str) -> str:
        """Where a turn is."""
        status: str = (await self.http.get(address)).json()["status"]
        return status

    async def memory(self, user: str) -> list[dict[str, str]]:
        """What the agent remembers."""
        entries: list[dict[str, str]] = (await self.http.get(f"/memory/{user}")).json()["memory"]
        return entries

    async def parked(self, content: str) -> None:
        """Waits until a turn is saved whose model takes its time; the model goes on."""
        said = content.encode()
        await eventually(
            lambda: any(said in each for each in self.stored("ChatAgent")),
            f"the turn is saved: {content}",
        )

    async def remembered(self, user: str, content: str) -> None:
        """Waits until memory has that."""

        async def there() -> bool:
            return content in [entry["content"] for entry in await self.memory(user)]

        await eventually(there, f"{user}'s memory has what was said")


class Service(AnyService):
    """A service on the embedded runtime: its data folder, and its one process.

    Args:
        folder: Where its data and its log are.
        token: `APP_API_TOKEN`, if there is to be one.
        settings: `AGENT_ACTORS_…` without that prefix, in lower case.
    """

    def __init__(self, folder: Path, *, token: str | None = None, **settings: Any) -> None:
        super().__init__(free_port(), token)
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.log = folder / "log"
        self._settings = {f"AGENT_ACTORS_{key.upper()}": str(settings[key]) for key in settings}
        if token is not None:
            self._settings["APP_API_TOKEN"] = token
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Starts the command; it is not ready yet."""
        arguments = ["dev", "--port", str(self.port), "--data", str(self.data)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments], stdout=log, stderr=log, env=environment(**self._settings)
            )

    @property
    def code(self) -> int | None:
        """The exit code of the app; None while it runs."""
        return None if self._process is None else self._process.poll()

    def logged(self) -> str:
        """All that the process has logged."""
        return self.log.read_text()

    def kill(self) -> None:
        """Ends the process at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    def rows(self, sql: str, *values: object) -> list[Any]:
        """What a query finds in the database, beside the running process."""
        uri = f"{(self.data / 'agent-actors.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            return connection.execute(sql, values).fetchall()

    def reminders(self) -> int:
        """How many reminders are registered."""
        number: int = self.rows("SELECT count(*) FROM reminders")[0][0]
        return number

    async def unsettled(self, user: str) -> bool:
        """Has the conversation a recovery reminder?"""
        return bool(self.rows("SELECT 1 FROM reminders WHERE id = ?", user))

    def stored(self, actor_type: str) -> list[bytes]:
        """Every document that actors of a type have saved."""
        rows = self.rows("SELECT value FROM state WHERE type = ?", actor_type)
        return [bytes(value) for (value,) in rows]

    def places_of(self, word: str) -> list[str]:
        """The tables that have a row with the word."""
        tables = [name for (name,) in self.rows("SELECT name FROM sqlite_master")]
        kept = [name for name in tables if not name.startswith("sqlite_")]
        rows = {name: self.rows(f"SELECT * FROM {name}") for name in kept}  # noqa: S608
        return [name for name in kept if word in repr(rows[name])]

    async def publish(self, topic: str, event: dict[str, Any]) -> None:
        """Posts it to the topic's routes, as a sidecar would: nobody else publishes here."""
        headers = {"dapr-api-token": self.token or ""}
        answer = await self.http.post(f"/{topic}", json=event, headers=headers)
        if answer.json() == {"status": "DROP"}:
            answer = await self.http.post(f"/{topic}/dead", json=event, headers=headers)
        assert answer.json() == {"status": "SUCCESS"}, answer.text


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Service]:
    """A service that is ready; the command is killed at the end."""
    service = Service(folder, **settings)
    try:
        yield await service.start()
    finally:
        await service.close()
