"""Secret stores: a file and the environment, as both runtimes read them."""

import pytest

from agent_actors.errors import Invalid
from tests.conformance.harness import Harness

TEXTS = {
    "plain": "a secret",
    "quotes": 'a "quote" \\ and \' more',
    "lines": "-----BEGIN KEY-----\n\tabc=\n-----END KEY-----\n",
    "letters": "👩‍👧 ünï \u2028",
    "long": "x" * 65_536,
    "number": "5",
    "space": " ",
}
NAMES = ["gemini-api-key", "a.b", "a:b", "a/b", "a b", "a+b", "a%20b", "é", "GEMINI-API-KEY"]


async def test_a_secret_is_read(runtime: Harness):
    """A name at the top of the file has its text."""
    assert await runtime.secret("file", "key") == "a secret"


async def test_a_secret_is_what_is_in_the_file(stopped: Harness):
    """Any text comes back exactly."""
    stopped.keep_secrets(TEXTS)
    await stopped.start()

    assert {name: await stopped.secret("file", name) for name in TEXTS} == TEXTS


async def test_a_name_is_any_text(stopped: Harness):
    """A name of any characters finds its own secret; cases are told apart."""
    stopped.keep_secrets({name: f"that of {name}" for name in NAMES})
    await stopped.start()

    for name in NAMES:
        assert await stopped.secret("file", name) == f"that of {name}"


@pytest.mark.parametrize("store", ["file", "dotted", "several", "env", "prefixed"])
async def test_a_name_that_is_not_there_is_none(runtime: Harness, store: str):
    """Asking for a secret that a store has not is no error."""
    assert await runtime.secret(store, "of which there is none") is None


async def test_an_empty_secret_is_none(stopped: Harness, monkeypatch: pytest.MonkeyPatch):
    """An empty text and an empty variable are as if they were not there."""
    monkeypatch.setenv("CONFORMANCE_EMPTY", "")
    await stopped.start()

    assert await stopped.secret("file", "empty") is None
    assert await stopped.secret("env", "CONFORMANCE_EMPTY") is None


async def test_what_is_nested_has_the_names_above_it(runtime: Harness):
    """Objects and lists are joined by the separator; what has others below it is no secret."""
    for store, separator in {"file": ":", "dotted": "."}.items():
        joined = separator.join
        found = [
            await runtime.secret(store, joined(names))
            for names in (["deep", "er", "key"], ["deep", "list", "1"], ["deep", "er"], ["deep"])
        ]

        assert found == ["v", "1", None, None]

    assert await runtime.secret("dotted", "deep:er:key") is None


async def test_of_several_values_it_is_that_of_the_same_name(stopped: Harness):
    """A secret with several values is the one that is named like it; one text is itself."""
    stopped.keep_secrets({"one": {"one": "1", "other": "2"}, "none": {"x": "3"}, "text": "4"})
    await stopped.start()
    names = ["one", "none", "text", "other", "one:other"]

    assert [await stopped.secret("several", name) for name in names] == ["1", None, "4", None, None]


async def test_the_environment_is_a_store(stopped: Harness, monkeypatch: pytest.MonkeyPatch):
    """Its variables are found by their names, or by what follows the prefix."""
    monkeypatch.setenv("CONFORMANCE_KEY", "from the environment")
    await stopped.start()

    assert await stopped.secret("env", "CONFORMANCE_KEY") == "from the environment"
    assert await stopped.secret("prefixed", "KEY") == "from the environment"
    assert await stopped.secret("prefixed", "CONFORMANCE_KEY") is None
    assert await stopped.secret("env", "conformance_key") is None


async def test_the_tokens_of_dapr_are_no_secrets(stopped: Harness, monkeypatch: pytest.MonkeyPatch):
    """Neither the app's token nor any setting of Dapr's is read through the environment store."""
    hidden = ["APP_API_TOKEN", "app_api_token", "DAPR_HOST_IP", "Dapr_Anything"]
    for name in hidden:
        monkeypatch.setenv(name, "127.0.0.1")
    await stopped.start()

    assert [await stopped.secret("env", name) for name in hidden] == [None] * 4


async def test_there_is_no_such_store(runtime: Harness):
    """A store that no component file names is the caller's mistake, and so is a pub/sub."""
    for store in ("nowhere", "conformance"):
        with pytest.raises(Invalid, match=f"no secret store '{store}'"):
            await runtime.secret(store, "key")
