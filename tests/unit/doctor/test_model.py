"""The model's server and the secret store, as `doctor` sees them."""

import socket
import ssl
from typing import Any

import httpx2
import pytest

from agent_actors.doctor import model
from agent_actors.doctor.finding import Finding
from agent_actors.doctor.model import check_model
from agent_actors.doctor.secrets import FileSecretStores, check_secrets
from agent_actors.errors import Invalid, Unavailable
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import answering, context, only

OWN: dict[str, Any] = {
    "model": "small",
    "model_base_url": "http://own:1/v1",
    "model_api_key": "hush",
}
OPENAI: dict[str, Any] = {"model": "gpt-5", "openai_api_key": "hush"}


def models(*names: str) -> httpx2.Response:
    return httpx2.Response(200, json={"data": [{"id": name} for name in names]})


class Store:
    """A secret store: what it has, or what it raises."""

    def __init__(self, error: Exception | None = None, **secrets: str) -> None:
        self._error = error
        self._secrets = {name.replace("_", "-"): text for name, text in secrets.items()}

    async def get(self, store: str, name: str) -> str | None:
        if self._error is not None:
            raise self._error
        return self._secrets.get(name)


async def ask(routes: dict[str, Any], store: Store | None = None, **settings: Any) -> Finding:
    async with answering(routes) as http:
        get = (store or Store()).get
        finding = only(await check_model(context(Settings(**settings)), http, get))
    assert "hush" not in f"{finding}"
    return finding


@pytest.mark.parametrize("name", ["echo", "scripted"])
async def test_a_model_without_a_server_is_ok(name: str):
    """No server is called."""
    assert (await ask({}, model=name)).found.startswith(f"{name} answers")


async def test_no_key_is_ok_as_long_as_no_model_is_named():
    """A model that is named and cannot be called stops the start."""
    assert (await ask({})).status == "ok"
    named = await ask({}, model="gpt-5")

    assert named.status == "FAIL"
    assert "OPENAI_API_KEY" in named.advice


@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "skripted"])
async def test_a_name_that_no_vendor_has_is_reported(name: str):
    """As a start refuses it, with what to do."""
    found = await ask({}, model=name)

    assert found.status == "FAIL"
    assert name in found.found
    assert found.advice


async def test_a_good_key_is_sent_and_ok():
    """To the list of models."""
    sent = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers["authorization"])
        return models("large", "small")

    found = await ask({"/v1/models": answer}, **OWN)

    assert (found.status, sent) == ("ok", ["Bearer hush"])
    assert found.found.startswith("small at own")


async def test_a_password_in_an_address_is_not_shown():
    """The host is shown without it."""
    base = {"model_base_url": "http://user:hush@own:1/v1"}

    assert "own" in (await ask({"/v1/models": models("small")}, **OWN | base)).found


@pytest.mark.parametrize(
    ("status", "text"), [(401, "bad key hush"), (403, ""), (400, "… API_KEY_INVALID …")]
)
async def test_a_wrong_key_is_reported(status: int, text: str):
    """The finding names the variable, and does not quote the server, which may repeat the key."""
    found = await ask({"/v1/models": httpx2.Response(status, text=text)}, **OPENAI)

    assert found.status == "FAIL"
    assert "rejects the API key" in found.found
    assert found.advice.endswith("OPENAI_API_KEY")


async def test_an_unknown_model_is_reported():
    """A provider does not have it; a server of one's own may answer under any name."""
    routes = {"/v1/models": models("a", "b")}
    provider, own = await ask(routes, **OPENAI), await ask(routes, **OWN)

    assert (provider.status, own.status) == ("FAIL", "warn")
    assert "no model 'gpt-5'" in provider.found
    assert provider.advice.endswith("a, b")


async def test_a_model_that_is_not_listed_may_be_there():
    """Not every alias is in the list."""
    routes = {"/v1/models": models("a"), "/v1/models/gpt-5": httpx2.Response(200, json={})}

    assert (await ask(routes, **OPENAI)).status == "ok"


@pytest.mark.parametrize("listed", ["models/gemini-x", "gemini-x", "gemini-x:latest"])
async def test_names_of_other_servers_are_understood(listed: str):
    """Gemini writes something before a name, Ollama behind it."""
    path = "/v1beta/openai/models"
    found = await ask({path: models(listed)}, model="gemini-x", gemini_api_key="hush")

    assert found.status == "ok"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (httpx2.ConnectError("hush"), "FAIL", "own:1 cannot be reached (ConnectError)"),
        (httpx2.ReadTimeout("hush"), "FAIL", "own:1 does not answer in time"),
        (httpx2.Response(503), "FAIL", "returns an error (503)"),
        (httpx2.Response(429), "warn", "the quota is used up (429)"),
        (httpx2.Response(404), "warn", "does not list its models (404)"),
        (httpx2.Response(200, text="<html>"), "warn", "does not list its models"),
        (httpx2.Response(200, json={"data": 7}), "warn", "does not list its models"),
    ],
)
async def test_a_server_that_does_not_answer_as_it_should_is_reported(
    answer: Any, status: str, words: str
):
    """Each with what to do."""
    found = await ask({"/v1/models": answer}, **OWN)

    assert (found.status, bool(found.advice)) == (status, True)
    assert words in found.found


@pytest.mark.parametrize(
    ("base", "place", "advice"),
    [
        ("http://localhost:11434/v1", "localhost:11434", "is it running?"),
        ("http://user:hush@127.0.0.1/v1", "127.0.0.1:80", "is it running?"),
        ("https://[::1]/v1", "[::1]:443", "is it running?"),
        ("https://models.example/v1", "models.example:443", "check AGENT_ACTORS_MODEL_BASE_URL"),
        (None, "api.openai.com:443", "check the network"),
    ],
)
async def test_a_server_that_is_away_is_named_with_its_port(
    base: str | None, place: str, advice: str
):
    """The advice depends on whose server it is."""
    own = {"model": "small", "model_base_url": base, "model_api_key": "hush"}
    away = httpx2.ConnectError("hush")
    routes = dict.fromkeys(("/v1/models", "/models"), away)
    found = await ask(routes, **(own if base else OPENAI))

    assert found.found.startswith(f"{place} cannot be reached")
    assert found.advice.startswith(advice)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError("hush"), "connection refused"),
        (socket.gaierror("hush"), "unknown host"),
        (ssl.SSLCertVerificationError("hush"), "its certificate is not trusted"),
    ],
)
async def test_why_a_server_cannot_be_reached_is_reported(cause: Exception, words: str):
    """The cause is described in our words, since the library's may contain the URL."""
    error = httpx2.ConnectError("hush")
    error.__cause__ = OSError("hush")
    error.__cause__.__context__ = cause

    assert f"({words})" in (await ask({"/v1/models": error}, **OWN)).found


@pytest.mark.parametrize("base", ["http://[::1/v1", "http://own:port/v1", "http:///v1"])
async def test_an_invalid_model_url_is_reported(base: str):
    """The service would not start with it."""
    found = await ask({}, **OWN | {"model_base_url": base})

    assert found.status == "FAIL"
    assert "is not a server's URL" in found.found


async def test_settings_that_contradict_each_other_are_reported():
    """A server of one's own needs a model name."""
    assert (await ask({}, model_base_url="http://own:1/v1")).status == "FAIL"


async def test_a_key_of_the_store_is_taken():
    """Where the environment has none."""
    store = Store(openai_api_key="hush")
    found = await ask({"/v1/models": models("gpt-5")}, store, model="gpt-5", secret_store="vault")

    assert found.status == "ok"
    assert "the secret 'openai-api-key'" in found.found


@pytest.mark.parametrize("error", [Invalid("There is no such store."), Unavailable("Away.")])
async def test_a_store_that_gives_no_key_is_reported(
    error: Exception, monkeypatch: pytest.MonkeyPatch
):
    """The service waits for one that is away; doctor does not."""
    monkeypatch.setattr(model, "WITHIN", 0.2)

    assert (await ask({}, Store(error), secret_store="vault")).status == "FAIL"


async def secrets(store: Store, name: str | None = "vault") -> Finding:
    finding = only(await check_secrets(context(Settings(secret_store=name)), store.get))
    assert "hush" not in f"{finding}"
    return finding


async def test_what_a_store_has_is_named_and_not_shown():
    """None of both is a warning, none at all is not looked at."""
    found = await secrets(Store(gemini_api_key="hush"))

    assert (found.status, found.found) == ("ok", "'vault' has gemini-api-key")
    assert (await secrets(Store())).status == "warn"
    assert (await secrets(Store(), None)).status == "skip"
    assert (await secrets(Store(Unavailable("Away.")))).status == "FAIL"


async def test_the_stores_of_the_files_are_read(tmp_path: Any):
    """As the embedded runtime reads them; a file that is broken is no store."""
    (tmp_path / "keys.json").write_text('{"openai-api-key": "hush"}')
    (tmp_path / "vault.yaml").write_text(
        "kind: Component\nmetadata: {name: vault}\nspec: {type: secretstores.local.file,"
        f" metadata: [{{name: secretsFile, value: '{tmp_path}/keys.json'}}]}}\n"
    )
    settings = Settings(components=tmp_path)

    assert await FileSecretStores(settings).get("vault", "openai-api-key") == "hush"
    (tmp_path / "broken.yaml").write_text("[")
    with pytest.raises(Invalid, match=r"broken\.yaml"):
        await FileSecretStores(settings).get("vault", "openai-api-key")
