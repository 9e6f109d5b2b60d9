"""Secret stores of the embedded runtime: errors, and the secrecy of secrets."""

import json
import logging
import os
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_actors.errors import Invalid, StartupError, Unavailable
from agent_actors.runtime.embedded.files.components import FILE_STORE, Component, read
from agent_actors.runtime.embedded.files.secrets import (
    EnvironmentSecretStore,
    FileSecretStore,
    SecretStores,
)
from tests.unit.runtime.embedded.conftest import World

SECRET = "s3cr3t-value"
ROOT = Path(__file__).parents[5]
PLACE = Path("components/stores.yaml")


def store(name: str, kind: str, **metadata: str) -> Component:
    return Component.model_construct(name=name, type=kind, path=PLACE, metadata=metadata)


def file_store(path: Path, **metadata: str) -> Component:
    return store("own", FILE_STORE, secretsfile=str(path), **metadata)


def kept(folder: Path, text: str = json.dumps({"key": SECRET})) -> Path:
    path = folder / "secrets.json"
    path.write_text(text)
    return path


async def test_a_path_is_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As with daprd, the folder of the component file does not matter."""
    kept(tmp_path)
    monkeypatch.chdir(tmp_path)

    assert await SecretStores.open([file_store(Path("secrets.json"))]).get("own", "key") == SECRET


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{{"key": "{SECRET}", ', "not a JSON object"),
        (f'["{SECRET}"]', "not a JSON object"),
        ("", "not a JSON object"),
        ("[" * 10_000, "not a JSON object"),
        ('{"key": "\\ud800"}', "not a JSON object"),
        (None, "No such file or directory"),
    ],
    ids=["cut", "a list", "empty", "deep", "half a character", "missing"],
)
def test_a_broken_file_stops_the_start(tmp_path: Path, text: str | None, reason: str):
    """The error names the component file and the secrets' file, but none of its contents."""
    path = tmp_path / "secrets.json" if text is None else kept(tmp_path, text)
    with pytest.raises(StartupError) as failed:
        SecretStores.open([file_store(path)])

    assert str(PLACE) in str(failed.value)
    assert str(path) in str(failed.value)
    assert reason in str(failed.value)
    assert SECRET not in "".join(traceback.format_exception(failed.value))


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "it is not a regular file"),
        (os.mkdir, "Is a directory"),
        (large, "it has more than 1,048,576 bytes"),
    ],
)
def test_only_a_file_of_usual_size_has_secrets(
    tmp_path: Path, make: Callable[[Path], None], reason: str
):
    """A pipe would block, and what has no end would fill the memory."""
    make(tmp_path / "secrets.json")

    with pytest.raises(StartupError, match=reason):
        SecretStores.open([file_store(tmp_path / "secrets.json")])


def test_a_file_store_needs_a_file():
    """Without a secretsFile, or with one of no name, there is nothing to read."""
    kinds: list[dict[str, str]] = [{}, {"secretsfile": ""}]
    for metadata in kinds:
        with pytest.raises(StartupError, match="must have a secretsFile"):
            SecretStores.open([store("own", FILE_STORE, **metadata)])


async def test_a_file_that_breaks_later_is_an_error(tmp_path: Path):
    """The caller may try again, and a repaired file is read."""
    path = kept(tmp_path)
    secrets = SecretStores.open([file_store(path)])
    path.write_text(f'{{"key": "{SECRET}"')
    with pytest.raises(Unavailable, match="'own' cannot be used") as failed:
        await secrets.get("own", "key")

    assert SECRET not in "".join(traceback.format_exception(failed.value))

    path.unlink()
    with pytest.raises(Unavailable):
        await secrets.get("own", "key")
    kept(tmp_path, '{"key": "new"}')

    assert await secrets.get("own", "key") == "new"


async def test_a_store_of_another_type_does_not_stop_the_start():
    """The component may be for Dapr; reading a secret from it gives a clear error."""
    secrets = SecretStores.open([store("vault", "secretstores.hashicorp.vault")])

    with pytest.raises(Invalid, match="'vault' is of a type that only Dapr has"):
        await secrets.get("vault", "key")
    with pytest.raises(Invalid, match="no secret store 'own'"):
        await secrets.get("own", "key")


async def test_metadata_say_what_a_name_is(tmp_path: Path):
    """An empty separator is the default; only true values make a file multi-valued."""
    path = kept(tmp_path, json.dumps({"a": {"b": "nested", "a": "several"}}))
    one = SecretStores.open([file_store(path, nestedseparator="", multivalued="no")])
    two = SecretStores.open([file_store(path, nestedseparator="/", multivalued=" True")])

    assert await one.get("own", "a:b") == "nested"
    assert await one.get("own", "a") is None
    assert await two.get("own", "a") == "several"
    assert await two.get("own", "a/b") is None


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("", "APP_API_TOKEN"), ("APP_", "API_TOKEN"), ("", "DAPR_API_TOKEN"), ("dapr_", "api_token")],
)
def test_no_prefix_uncovers_a_token(prefix: str, name: str, monkeypatch: pytest.MonkeyPatch):
    """The whole name of the variable decides, not the part after the prefix."""
    monkeypatch.setenv(prefix + name, SECRET)

    assert EnvironmentSecretStore(prefix).get(name) is None


class Threads:
    """A store whose secret is the id of the calling thread."""

    def get(self, name: str) -> str:
        return str(threading.get_ident())


async def test_a_store_is_read_off_the_loop():
    """A slow disk does not block the event loop."""
    assert await SecretStores({"own": Threads()}).get("own", "key") != str(threading.get_ident())


async def test_the_store_of_the_documents_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The example of docs/dapr.md is a secret store with both keys."""
    page = (ROOT / "docs" / "dapr.md").read_text(encoding="utf-8").partition("### Secrets")[2]
    for name, kind in {"secretstore.yaml": "yaml", "secrets.json": "json"}.items():
        (tmp_path / name).write_text(page.partition(f"```{kind}\n")[2].partition("```")[0])
    monkeypatch.chdir(tmp_path)
    secrets = SecretStores.open(read(tmp_path).secret_stores)

    for name in ("openai-api-key", "gemini-api-key"):
        assert await secrets.get("secretstore", name) == "…"


async def test_nothing_holds_a_secret(
    unstarted: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """After a read, neither the log nor the repr of the store has the secret."""
    path = kept(tmp_path)
    component = (
        "kind: Component\nmetadata: {name: own}\nspec: {type: secretstores.local.file,"
        f" metadata: [{{name: secretsFile, value: {str(path)!r}}}]}}\n"
    )
    (tmp_path / "components" / "secrets.yaml").write_text(component)
    with caplog.at_level(logging.DEBUG):
        runtime = unstarted.open()

        assert await runtime.get_secret("own", "key") == SECRET

    held = runtime._secrets._stores["own"]
    assert SECRET not in caplog.text
    assert isinstance(held, FileSecretStore)
    assert SECRET not in repr(held)


def test_a_store_that_the_settings_name_must_be_there():
    """Otherwise no key would ever be found; the error names the setting."""
    secrets = SecretStores({"own": EnvironmentSecretStore(), "vault": None})
    secrets.require(None)
    secrets.require("own")

    for name in ("other", "vault"):
        with pytest.raises(StartupError, match="AGENT_ACTORS_SECRET_STORE"):
            secrets.require(name)
