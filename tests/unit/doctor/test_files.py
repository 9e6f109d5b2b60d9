"""The component files, as `doctor` sees them."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_actors.doctor.files import check_dapr_files, check_embedded_files
from agent_actors.doctor.finding import Finding
from agent_actors.doctor.secrets import FileSecretStores
from agent_actors.errors import Invalid
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import context

ROOT = Path(__file__).parents[3]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of ours, and those of the bindings."""
    for folder in ("components", "components/bindings"):
        for each in (ROOT / folder).glob("*.yaml"):
            if each.name != "kustomization.yaml":
                shutil.copy(each, tmp_path)
    return tmp_path


async def look(files: Path, *, strict: bool = False, **settings: Any) -> Sequence[Finding]:
    check = check_embedded_files if strict else check_dapr_files
    return await check(context(Settings(components=files, **settings)))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def test_our_files_have_no_mistake(files: Path):
    """The finding has their number."""
    (found,) = await look(files)

    assert found.status == "ok", found
    assert found.found.startswith("6 components, 6 subscriptions")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("statestore.yaml", "readTimeout", "writeTimeout", "writes everything twice"),
        ("statestore.yaml", "actorStateStore", "someOther", "has no `actorStateStore"),
        ("kafka-binding.yaml", "consumeRetryEnabled", "clientID", "a record that fails is lost"),
        (
            "twilio-binding.yaml",
            "name: timeout",
            "name: toNumber",
            "one phone gets everybody's SMS",
        ),
        ("message-subscription.yaml", "deadLetterTopic", "other", "has no deadLetterTopic"),
    ],
)
async def test_a_mistake_is_reported(files: Path, file: str, old: str, new: str, words: str):
    """Each with what to do; Dapr starts with them, so they are warnings."""
    change(files / file, old, new)
    (found,) = await look(files)

    assert found.status == "warn"
    assert words in found.found
    assert found.advice


async def test_several_mistakes_are_several_lines(files: Path):
    """None hides another."""
    change(files / "statestore.yaml", "readTimeout", "writeTimeout")
    change(files / "statestore.yaml", "actorStateStore", "someOther")

    assert len(await look(files)) == 2


async def test_a_file_that_is_not_yaml_is_reported(files: Path):
    """With its name, and the line."""
    (files / "broken.yaml").write_text("kind: [Component\n")
    (found,) = await look(files, strict=True)

    assert found.status == "FAIL"
    assert "broken.yaml" in found.found


@pytest.mark.parametrize("name", ["pipe.yaml", "pipe.yml"])
@pytest.mark.parametrize("strict", [True, False])
async def test_a_pipe_among_the_files_is_not_opened(files: Path, name: str, *, strict: bool):
    """Opening it would block forever."""
    os.mkfifo(files / name)
    async with asyncio.timeout(10):
        (found,) = await look(files, strict=strict)

    assert found.status == "FAIL"
    assert name in found.found
    assert "it is not a regular file" in found.found


async def test_a_pipe_in_place_of_secrets_is_not_opened(files: Path):
    """Neither by the check of the files nor when a secret is asked for."""
    os.mkfifo(files / "secrets.json")
    store = yaml.safe_load((files / "secretstore.yaml").read_text())
    store["spec"] = {
        "type": "secretstores.local.file",
        "version": "v1",
        "metadata": [{"name": "secretsFile", "value": str(files / "secrets.json")}],
    }
    (files / "secretstore.yaml").write_text(yaml.safe_dump(store))
    async with asyncio.timeout(10):
        (found,) = await look(files, strict=True)
        with pytest.raises(Invalid, match=r"secrets\.json.* is not a regular file"):
            await FileSecretStores(Settings(components=files)).get("any", "key")

    assert found.status == "FAIL"
    assert "secrets.json" in found.found


async def test_what_the_embedded_runtime_needs_is_missed(files: Path):
    """It would refuse to start."""
    (files / "secretstore.yaml").unlink()
    (files / "kafka-binding.yaml").unlink()
    missing = await look(files, strict=True, secret_store="vault")
    (files / "message-subscription.yaml").unlink()
    undelivered = await look(files, strict=True)

    assert [each.status for each in (*missing, *undelivered)] == ["FAIL", "FAIL"]
    assert "'vault'" in missing[0].found
    assert missing[0].advice.startswith("add its component file")
    assert "'user-chat'" in undelivered[0].found
    assert undelivered[0].advice.startswith("add it, or set AGENT_ACTORS_COMPONENTS")


async def test_a_folder_that_is_not_there_is_reported(tmp_path: Path):
    """There is not a regular file to mend."""
    (found,) = await look(tmp_path / "nowhere", strict=True)

    assert found.found.startswith("AGENT_ACTORS_COMPONENTS: there is no folder")
    assert found.advice == "set it to the folder of the component files"


async def test_beside_a_sidecar_only_named_files_are_looked_at():
    """The files in this folder need not be the sidecar's."""
    (found,) = await check_dapr_files(context())

    assert found.status == "skip"
    assert "AGENT_ACTORS_COMPONENTS" in found.advice
