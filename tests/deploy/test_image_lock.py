"""What the image installs has a wheel for its Python, on every machine it is built for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import stages
from tests.deploy.manifests import ROOT

MACHINES = ("x86_64", "aarch64")
LOCKS = ("requirements-image.lock", "requirements-build.lock")
UV = Path(sys.executable).with_name("uv")
REFUSED = 1
"""How uv ends when it was answered, and finds no solution; any other trouble is 2."""

HASTY = {"UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"}
"""So that an index that never answers is noticed before the test's own time is over."""

UNREACHED = ("Failed to fetch", "Request failed", "network was disabled")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_a_wheel(lock: str, machine: str, tmp_path: Path):
    """On the Python of the image, nothing would have to be compiled, where no compiler is."""
    done = resolved(ROOT / lock, machine, tmp_path / "target")
    lines = re.findall(r"^([\w.-]+==\S+)( ;)?", (ROOT / lock).read_text(), re.MULTILINE)
    found = set(re.findall(r"^ \+ (\S+)$", done.stderr, re.MULTILINE))

    assert done.returncode == 0, done.stderr
    assert found <= {pin for pin, _ in lines}
    assert found >= {pin for pin, only_somewhere in lines if not only_somewhere}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_package_without_a_wheel_is_refused(machine: str, tmp_path: Path):
    """A release from before this Python, of which there is only the source, is noticed."""
    lock = tmp_path / "lock"
    lock.write_text(f"cffi==1.15.1 --hash=sha256:{'0' * 64}\n")
    done = resolved(lock, machine, tmp_path / "target")

    assert done.returncode == REFUSED, done.stderr
    assert "wheels" in done.stderr


def resolved(lock: Path, machine: str, target: Path) -> subprocess.CompletedProcess[str]:
    """What uv would install into an empty folder, on the base of the image; nothing is fetched."""
    where = ["--python-version", python(), "--python-platform", f"{machine}-manylinux_2_28"]
    how = ["--dry-run", "--only-binary", ":all:", "--require-hashes", "--target", str(target)]
    done = subprocess.run(
        [str(UV), "pip", "install", *how, *where, "-r", str(lock)],
        env=HASTY | os.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if any(each in done.stderr for each in UNREACHED):
        without_an_index(done.stderr)
    return done


def without_an_index(said: str) -> None:
    """Skips the test; where all of it has to run, fails it."""
    end = pytest.fail if os.environ.get("CI") else pytest.skip
    why = next((line for line in said.splitlines() if line.startswith("error: ")), said)
    end(f"the package index cannot be reached: {why}")


def python() -> str:
    """The version of the base of both stages."""
    (version,) = {
        each.base.partition(":")[2].partition("-")[0]
        for each in stages().values()
        if each.base not in stages()
    }
    return version


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, pytest.skip.Exception), ({"CI": "1"}, pytest.fail.Exception)],
    ids=["laptop", "CI"],
)
def test_without_an_index_it_says_so(
    variables: dict[str, str],
    said: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """A laptop without a network skips, and CI does not."""
    monkeypatch.delenv("CI", raising=False)
    given = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")} | variables
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(said, match="cannot be reached"):
        resolved(ROOT / LOCKS[0], MACHINES[0], tmp_path / "target")
