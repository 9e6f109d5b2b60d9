"""Chromium without a window, driven by its own protocol (Chrome DevTools Protocol).

It has a profile of its own, finds no host but this machine, and is ended with the test.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from agent_actors.engine.ports import free_port
from tests.fakes import eventually

DEADLINE = 30.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # Tests may run as root, which Chromium's sandbox refuses.
    "--window-size=1280,1024",  # Where ReDoc shows its menu.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def executable() -> str:
    """The browser; without one, the test is skipped with a reason."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no browser: install Debian's chromium, or Chrome")
    return found


class Page:
    """An open tab: what it has asked for, and what its console says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.requested: list[str] = []
        self.console: list[str] = []
        self.loads = 0

    async def open(self, url: str) -> Self:
        """Opens an address and waits until everything that its HTML names is loaded."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self._call(f"{domain}.enable")
        before = self.loads
        await self._call("Page.navigate", url=url)
        async with asyncio.timeout(DEADLINE):
            while self.loads == before:
                await self._receive()
        return self

    async def run(self, script: str) -> Any:
        """The value of an expression; that of its promise, if it is one."""
        answer = await self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Waits until an expression is true; its value then."""
        return await self.run(
            f"new Promise((done) => {{ const look = () => {{ const found = {script};"
            " found ? done(found) : setTimeout(look, 50) }; look() })"
        )

    async def type(self, field: str, text: str) -> None:
        """Types into a field, once there is one, and leaves it."""
        await self.until(f"!!({field})")
        await self.run(f"{field}.focus()")
        await self._call("Input.insertText", text=text)
        await self.run(f"{field}.blur()")

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(DEADLINE):
            while True:
                message = await self._receive()
                if message.get("id") == self._number:
                    assert "result" in message, message
                    result: dict[str, Any] = message["result"]
                    return result

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._socket.receive_json()
        event, told = message.get("method"), message.get("params", {})
        if event == "Network.requestWillBeSent":
            self.requested.append(told["request"]["url"])
        elif event == "Log.entryAdded":
            self.console.append(told["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and told["type"] in {"error", "warning"}:
            self.console.append(str([each.get("value") for each in told["args"]]))
        elif event == "Runtime.exceptionThrown":
            self.console.append(str(told["exceptionDetails"]))
        elif event == "Page.loadEventFired":
            self.loads += 1
        return message


@asynccontextmanager
async def tab(folder: Path) -> AsyncIterator[Page]:
    """A browser with one tab."""
    port = free_port()
    options = [*OPTIONS, f"--remote-debugging-port={port}", f"--user-data-dir={folder / 'profile'}"]
    with (folder / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            executable(), *options, "about:blank", stdout=log, stderr=log
        )
    try:
        async with aiohttp.ClientSession() as http:
            tabs: list[dict[str, str]] = []

            async def listed() -> bool:
                assert process.returncode is None, (folder / "browser.log").read_text()
                try:
                    async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                        tabs[:] = await answer.json()
                except aiohttp.ClientConnectionError:
                    return False
                return any(each["type"] == "page" for each in tabs)

            await eventually(listed)
            address = next(each for each in tabs if each["type"] == "page")
            async with http.ws_connect(address["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.kill()
        await process.wait()
