"""Says where Dapr's servers are; builds them with Go where there are none."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent_actors.engine import binaries
from agent_actors.errors import StartupError

MODULE = "github.com/dapr/dapr"


def main() -> None:
    """Builds what is missing."""
    try:
        binaries.dapr()
    except StartupError:
        build(binaries.destination())
    found = binaries.find()
    print(f"Dapr {binaries.version(found.daprd)}: {found.daprd.parent}")
    print(f"Redis: {found.redis}")


def build(folder: Path) -> None:
    """Builds the three servers; they come to the folder when all of them are done.

    Raises:
        StartupError: There is no Go, or it failed.
    """
    go = shutil.which("go")
    if go is None:
        raise StartupError(
            "Go is needed to build Dapr's servers (https://go.dev/dl); or take built ones with"
            " `dapr init --slim`."
        )
    print(
        "Building Dapr's servers with Go: about 6 minutes on two cores the first time", flush=True
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as building:
        packages = [f"{MODULE}/cmd/{name}" for name in binaries.SERVERS]
        options = ["-tags", "allcomponents", "-ldflags", _linked(), "-o", f"{building}/"]
        done = subprocess.run([go, "build", *options, *packages], cwd=binaries.GO_MODULE)
        if done.returncode:
            raise StartupError("Go could not build Dapr's servers; its messages are above.")
        folder.mkdir(exist_ok=True)
        for name in binaries.SERVERS:
            Path(building, name).replace(folder / name)


def _linked() -> str:
    """Without debug tables, and with the version, which Dapr's own build sets this way."""
    version = _version()
    return f"-s -w -X {MODULE}/pkg/buildinfo.version={version} -X {_LOGGER}={version}"


_LOGGER = "github.com/dapr/kit/logger.DaprVersion"


def _version() -> str:
    text = (binaries.GO_MODULE / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{MODULE} v(\S+)", text, flags=re.MULTILINE)
    if found is None:
        raise StartupError(f"tools/dapr/go.mod does not name {MODULE}.")
    return found.group(1)


if __name__ == "__main__":
    try:
        main()
    except StartupError as error:
        sys.exit(f"Error: {error}")
