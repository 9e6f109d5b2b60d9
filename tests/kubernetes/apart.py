"""Runs pytest isolated from the machine, so that it can reach nothing and leaves nothing behind.

It has its own network with only loopback, where service addresses stay local and fixed ports are
free; its own mounts, for the files of containers; and its own process ids, so that the kernel ends
all processes that pytest started, whatever happens to it.

    python -m tests.kubernetes.apart tests/kubernetes
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

from agent_actors.engine import binaries
from agent_actors.errors import StartupError
from tools import kubernetes_servers

APART = "TESTS_ARE_APART"
"""Set when pytest is isolated; without it, the tests of this folder are not collected."""

_UNSHARE = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1


def main(arguments: list[str]) -> None:
    """Becomes pytest. Where isolation is impossible, prints why and exits with 0, in CI with 1."""
    reason = missing()
    if reason is not None:
        sys.stderr.write(f"Skipped: {reason}.\n")
        sys.exit(1 if os.environ.get("CI") else 0)
    inside = [sys.executable, "-m", "tests.kubernetes.apart", "--inside", *arguments]
    os.execvp("unshare", ["unshare", *_UNSHARE, *inside])  # noqa: S606 - It takes our place.


def missing() -> str | None:
    """The reason why the tests cannot run here, if there is one."""
    for find in (kubernetes_servers.find, binaries.find):
        try:
            find()
        except (kubernetes_servers.NotThere, StartupError) as error:
            return str(error).rstrip(".")
    if shutil.which("unshare") is None:
        return "there is no `unshare` (Linux only, package util-linux)"
    tried = subprocess.run(["unshare", *_UNSHARE, "true"], capture_output=True, text=True)
    if tried.returncode:
        # A user namespace would suffice for the network, but not to run containers as their users.
        return f"this needs root, with the right to unshare: {tried.stderr.strip()}"
    return None


def inside(arguments: list[str]) -> None:
    """Becomes pytest in the new namespaces."""
    _raise_loopback()
    # Dapr's fixed ports (50001 to 50006) are among those that the kernel gives to connections.
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("52000 60999")
    environment = os.environ | {APART: "yes"}
    command = [sys.executable, "-m", "pytest", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 - It takes our place.


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        asked = struct.pack("16sh", b"lo", 0)
        name, flags = struct.unpack("16sh", fcntl.ioctl(any_socket, _GET_FLAGS, asked))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", name, flags | _UP))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2:])
    main(sys.argv[1:])
