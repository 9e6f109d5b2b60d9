"""Valkey starts with the command of its manifest, wants its password, and keeps its data."""

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
(CONTAINER,) = pod(the(rendered(PLAIN), "StatefulSet", "valkey"))["containers"]


async def test_valkey_wants_its_password_and_keeps_its_data(tmp_path: Path):
    """A value that was written before a stop is there after it, for whoever has the password."""
    port = free_port()
    async with running(tmp_path, port):
        assert answers(port, "PING").startswith("-NOAUTH")
        assert answers(port, f'AUTH "{PASSWORD}"', "SET a 1").endswith("+OK\r\n")

    async with running(tmp_path, port):
        text = answers(port, f'AUTH "{PASSWORD}"', "GET a", "CONFIG GET maxmemory-policy")

    assert "\r\n1\r\n" in text
    assert "noeviction" in text


@asynccontextmanager
async def running(folder: Path, port: int) -> AsyncIterator[None]:
    """The server, while the block runs; its arguments do not show the password."""
    process = started(folder, port)

    async def listens() -> bool:
        return accepts(port)

    try:
        await eventually(listens, "Valkey listens", 20.0)
        assert PASSWORD not in arguments_of(process.pid)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The command of the manifest, with a folder and a port of the test instead of the pod's."""
    script = CONTAINER["command"][-1].replace("/etc/valkey/", f"{folder}/")
    text = CONFIGURATION.replace("dir /data", f"dir {folder}").replace("port 6379", f"port {port}")
    (folder / "valkey.conf").write_text(text.replace("bind * -::*", "bind 127.0.0.1"))
    installed = binaries.redis()
    assert installed is not None
    server = folder / "bin/valkey-server"
    server.parent.mkdir(exist_ok=True)
    server.unlink(missing_ok=True)
    server.symlink_to(installed)
    return subprocess.Popen(
        [*CONTAINER["command"][:-1], script],
        env={"REDISCLI_AUTH": PASSWORD, "PATH": f"{server.parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )


def arguments_of(process: int) -> str:
    """The arguments of a process, as `ps` shows them to everybody."""
    command = ["ps", "-o", "args=", "-p", str(process)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.stdout
    return done.stdout


def answers(port: int, *commands: str) -> str:
    """What the server answers to some commands, one after the other."""
    text = ""
    with socket.create_connection(("127.0.0.1", port), 5.0) as connection:
        for command in commands:
            connection.sendall(f"{command}\r\n".encode())
            text += connection.recv(4096).decode()
    return text


def test_the_memory_of_valkey_is_less_than_its_limit():
    """A full Valkey refuses writes before the kernel kills it."""
    assert CONTAINER["resources"]["limits"]["memory"] == "1Gi"
    assert "\nmaxmemory 512mb\n" in CONFIGURATION
    assert "\nappendonly yes\n" in CONFIGURATION
