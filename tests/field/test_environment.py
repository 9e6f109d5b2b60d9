"""Environment variables that libraries read: what a bad value is answered with.

Each row is a value that somebody had set, often by their desktop, and the words of our answer.
Sources: MoonshotAI/kimi-cli #404, gradio-app/gradio #4007, huggingface/tau #221, danielgatis/rembg
#855 (socks), OpenHands/OpenHands #1048 (socks5h, lower case), Aider-AI/aider #3710,
FujiwaraChoki/auto-llm #1 and pydantic/httpx2 #913 (SSL_CERT_FILE).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors import create_app
from agent_actors.access import Access
from agent_actors.clock import SystemClock
from agent_actors.errors import StartupError
from agent_actors.model.selection import choose_model
from agent_actors.settings import Settings
from agent_actors.settings.environment import (
    DAPR_NUMBERS,
    require_dapr,
    require_key_log,
    require_model_client,
    require_web,
)
from tests.e2e.service import command as new_process
from tests.forked import run
from tests.hand_clock import HandClock
from tests.unit.cli.test_process import running

SOCKS = "socks://127.0.0.1:9/"
READ = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
    *("WEB_CONCURRENCY", "DAPR_HTTP_TIMEOUT_SECONDS", "DAPR_GRPC_MAX_INBOUND_MESSAGE_SIZE_BYTES"),
    *("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"),
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower() in {each.lower() for each in READ}:
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALL_PROXY", SOCKS, "'socks'"),
        ("all_proxy", SOCKS, "'socks'"),
        ("HTTPS_PROXY", "socks4://127.0.0.1:9", "'socks4'"),
        ("http_proxy", "ftp://127.0.0.1", "'ftp'"),
        ("HTTP_PROXY", "proxy:port", "not the URL"),
        ("HTTPS_PROXY", "http://proxy:http", "not the URL"),
        ("ALL_PROXY", "http://", "no host"),
        ("ALL_PROXY", "http://:8080", "no host"),
        ("HTTPS_PROXY", "http://ada:secret@proxy:99999", "no host and port"),
        ("https_proxy", "socks5h://127.0.0.1:9", "pip install socksio"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "pip install socksio"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "No such file"),
        ("SSL_CERT_FILE", "/", "Is a directory"),
        ("SSL_CERT_FILE", __file__, "without certificates"),
        ("SSL_CERT_FILE", os.devnull, "not a regular file"),
        ("SSL_CERT_DIR", "/nowhere", "openssl rehash"),
        ("SSL_CERT_DIR", str(Path(__file__).parent), "openssl rehash"),
        ("SSL_CERT_DIR", __file__, "openssl rehash"),
        ("SSLKEYLOGFILE", "/nowhere/keys", "No such file"),
        ("SSLKEYLOGFILE", "/", "directory"),
        ("OPENAI_ORG_ID", "org-é", "printable ASCII"),
        ("OPENAI_PROJECT_ID", "p\tq", "printable ASCII"),
        ("OPENAI_CUSTOM_HEADERS", "x-team: käse\nx: y", "printable ASCII"),
    ],
)
def test_a_value_that_a_client_cannot_use_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
):
    """One line names the variable, and says what to do; it shows no password."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as refused:
        choose_model(Settings(OPENAI_API_KEY="o"), HandClock())
    said = str(refused.value)

    assert said.startswith(f"{name} ")
    assert words in said
    assert "unset it" in said
    assert "\n" not in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", ""),
        ("ALL_PROXY", "http://127.0.0.1:9"),
        ("HTTPS_PROXY", "proxy.example:3128"),
        ("https_proxy", "http://ada:secret@[::1]:9"),
        ("http_proxy", "https://proxy.example"),
        ("NO_PROXY", "http://[,::1/x,é,*.[x"),
        ("SSL_CERT_FILE", ""),
        ("SSLKEYLOGFILE", os.devnull),
        ("OPENAI_CUSTOM_HEADERS", "x-team: red\nx-cost: 1"),
        ("OPENAI_ORG_ID", ""),
    ],
)
def test_a_value_that_a_client_can_use_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    """The real client can be made with it."""
    monkeypatch.setenv(name, value)
    require_model_client()
    httpx2.AsyncClient()


def test_proxies_that_nothing_uses_are_not_checked(monkeypatch: pytest.MonkeyPatch):
    """With `NO_PROXY=*` no client reads the others."""
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    monkeypatch.setenv("NO_PROXY", "localhost, *")
    require_web()
    httpx2.AsyncClient()


def test_of_two_cases_the_one_that_counts_is_named(monkeypatch: pytest.MonkeyPatch):
    """Python prefers a variable in lower case."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", SOCKS)
    with pytest.raises(StartupError, match=r"^all_proxy "):
        require_web()


def test_a_folder_of_certificates_is_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """It has a certificate under its hash, and may be one of several."""
    (tmp_path / "0a1b2c3d.0").touch()
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere{os.pathsep}{tmp_path}")
    require_web()


@pytest.mark.parametrize("model", ["", "echo", "scripted"])
def test_what_nothing_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch, model: str):
    """The built-in models need no client; neither do tokens without an issuer elsewhere."""
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    choose_model(Settings(model=model), HandClock())
    local: dict[str, Any] = {
        "jwt_issuer": "i",
        "jwt_audience": "a",
        "jwt_jwks_url": "http://127.0.0.1:9/keys",
    }
    Access.open(Settings(**local), SystemClock())


def test_keys_of_an_issuer_are_fetched_by_a_client(monkeypatch: pytest.MonkeyPatch):
    """So the start checks what it reads."""
    monkeypatch.setenv("HTTPS_PROXY", SOCKS)
    issuer: dict[str, Any] = {
        "jwt_issuer": "i",
        "jwt_audience": "a",
        "jwt_jwks_url": "https://id.example/keys",
    }
    with pytest.raises(StartupError, match=r"^HTTPS_PROXY "):
        Access.open(Settings(**issuer), SystemClock())


def test_a_store_that_may_have_a_key_needs_a_client(monkeypatch: pytest.MonkeyPatch):
    """The start does not wait for the store to find out."""
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    with pytest.raises(StartupError, match=r"^ALL_PROXY "):
        choose_model(Settings(secret_store="vault"), HandClock())


def refused(*command: str, **variables: str) -> str:
    """What a command says that refuses to start: one line, before or after its imports."""
    done = (new_process if "SSLKEYLOGFILE" in variables else run)(*command, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_the_commands_say_it_in_one_line(tmp_path: Path):
    """`dev` and `serve` exit with 2; a file that Python opens at an import is no traceback."""
    data = str(tmp_path / "data")
    key = {"OPENAI_API_KEY": "o"}

    assert "ALL_PROXY" in refused("dev", "--port", "0", "--data", data, ALL_PROXY=SOCKS, **key)
    for command in (["dev", "--port", "0", "--data", data], ["serve", "--port", "0"], ["doctor"]):
        assert "SSLKEYLOGFILE" in refused(*command, SSLKEYLOGFILE="/nowhere/keys")


def test_doctor_says_it_and_goes_on():
    """The check that needs the client fails; without one it does not."""

    def told(**variables: str) -> dict[str, tuple[str, str]]:
        ask = new_process if "SSLKEYLOGFILE" in variables else run
        done = ask("doctor", "--json", AGENT_ACTORS_URL="http://127.0.0.1:9", **variables)
        assert done.stderr == ""
        return {each["check"]: (each["status"], each["found"]) for each in json.loads(done.stdout)}

    status, found = told(ALL_PROXY=SOCKS, OPENAI_API_KEY="o")["model"]

    assert (status, found.split()[0]) == ("FAIL", "ALL_PROXY")
    assert told(ALL_PROXY=SOCKS)["model"][0] == "ok"
    assert "SSLKEYLOGFILE" in told(SSLKEYLOGFILE="/nowhere/keys")["settings"][1]
    assert "is '60s'" in told(DAPR_HTTP_TIMEOUT_SECONDS="60s")["settings"][1]


@pytest.mark.parametrize("value", ["auto", "", "2.5", "4 workers"])
@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_number_of_workers_has_to_be_one(command: str, value: str):
    """Uvicorn reads it, whoever starts it; platforms set it."""
    done = run(command, "--port", "0", WEB_CONCURRENCY=value)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: WEB_CONCURRENCY has to be a whole number, and is {value!r}; correct it, or unset"
        " it.\n"
    )


def test_numbers_of_the_dapr_sdk_have_to_be_numbers(monkeypatch: pytest.MonkeyPatch):
    """It reads one on every runtime, and one for workflows; an empty one is not set."""
    first, second = DAPR_NUMBERS
    monkeypatch.setenv(first, "")
    monkeypatch.setenv(second, "4MiB")
    require_dapr(workflow=False)
    with pytest.raises(StartupError, match=f"^{second} has to be a whole number, and is '4MiB'"):
        require_dapr(workflow=True)
    monkeypatch.setenv(first, "60s")
    with pytest.raises(StartupError, match=f"^{first} has to be a whole number, and is '60s'"):
        create_app(Settings())


def test_echo_serves_whatever_the_desktop_has_set(tmp_path: Path):
    """A chat works with proxies that no client could use."""
    proxies = dict.fromkeys(("ALL_PROXY", "all_proxy", "HTTP_PROXY", "https_proxy"), SOCKS)
    with running(tmp_path / "data", **proxies) as service:
        said = run("chat", "ada", "Hello", "--url", service.url, **proxies)

    assert (said.returncode, said.stderr) == (0, "")
    assert "Got your message" in said.stdout


def test_the_library_names_it_at_its_import():
    """`from agent_actors import create_app` imports a client that opens the file."""
    code = "from agent_actors import create_app"
    variables = os.environ | {"SSLKEYLOGFILE": "/nowhere/keys"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stderr.splitlines()[-1].startswith(
        "agent_actors.errors.StartupError: SSLKEYLOGFILE"
    )


def test_a_log_of_keys_that_can_be_written_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The check creates the file, as Python would."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    require_key_log()

    assert (tmp_path / "keys").exists()
