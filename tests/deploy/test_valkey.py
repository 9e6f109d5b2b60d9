"""Valkey starts as its manifest says, wants its password, and keeps what it was told."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent_actors.engine import binaries
from agent_actors.engine.ports import accepts, free_port
from tests.deploy.manifests import K8S, PLAIN, pod, rendered, the
from tests.e2e.service import eventually

PASSWORD = "of $HOME and `two` words"
CONFIGURATION = (K8S / "base/valkey.conf").read_text(encoding="utf-8")


async def test_valkey_asks_for_its_password_and_keeps_what_it_was_told(tmp_path: Path):
    """What was written before a stop is there after it, for those who know the password."""
    port = free_port()
    async with served(tmp_path, port):
        assert asked(port, "PING").startswith("-NOAUTH")
        assert asked(port, f'AUTH "{PASSWORD}"', "SET a 1").endswith("+OK\r\n")

    async with served(tmp_path, port):
        said = asked(port, f'AUTH "{PASSWORD}"', "GET a", "CONFIG GET maxmemory-policy")

    assert "\r\n1\r\n" in said
    assert "noeviction" in said


@asynccontextmanager
async def served(folder: Path, port: int) -> AsyncIterator[None]:
    """The server while the block lasts; its arguments do not show the password."""
    process = started(folder, port)
    try:
        await eventually(answering(port), "Valkey answers", 20.0)

        assert PASSWORD not in shown(process.pid)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The manifest's own command, with a folder and a port of this test's for those of the pod."""
    (container,) = pod(the(rendered(PLAIN), "StatefulSet", "valkey"))["containers"]
    script = container["command"][-1].replace("/etc/valkey/", f"{folder}/")
    text = CONFIGURATION.replace("dir /data", f"dir {folder}").replace("port 6379", f"port {port}")
    (folder / "valkey.conf").write_text(text.replace("bind * -::*", "bind 127.0.0.1"))
    installed = binaries.redis()
    assert installed is not None
    server = folder / "bin/valkey-server"
    server.parent.mkdir(exist_ok=True)
    server.unlink(missing_ok=True)
    server.symlink_to(installed)
    return subprocess.Popen(
        [*container["command"][:-1], script],
        env={"REDISCLI_AUTH": PASSWORD, "PATH": f"{server.parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )


def shown(process: int) -> str:
    """The arguments of a process, as `ps` shows them."""
    done = subprocess.run(
        ["ps", "-o", "args=", "-p", str(process)], capture_output=True, text=True, timeout=10
    )
    assert done.stdout
    return done.stdout


def answering(port: int):
    async def answers() -> bool:
        return accepts(port)

    return answers


def asked(port: int, *commands: str) -> str:
    """What the server says to some commands, one after the other."""
    said = ""
    with socket.create_connection(("127.0.0.1", port), 5.0) as connection:
        for command in commands:
            connection.sendall(f"{command}\r\n".encode())
            said += connection.recv(4096).decode()
    return said


def test_the_memory_of_valkey_is_less_than_its_limit():
    """A full Valkey refuses writes before the kernel ends it."""
    (container,) = pod(the(rendered(PLAIN), "StatefulSet", "valkey"))["containers"]

    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert "\nmaxmemory 512mb\n" in CONFIGURATION
    assert "\nappendonly yes\n" in CONFIGURATION
