"""Access control of the real command, on each runtime."""

import asyncio
import json
from pathlib import Path

import httpx2

from tests.e2e.conftest import SETTINGS, Launch
from tests.e2e.service import command
from tests.issuer import AUDIENCE, ISSUER, Published, SigningKey

ADA = "ada-0123456789abcdef"
ROOT = "root-0123456789abcdef"
ENTRIES = [
    {"token": ADA, "subject": "ada"},
    {"token": ROOT, "subject": "root", "admin": True},
]


async def test_a_service_for_others_asks_for_tokens(tmp_path: Path):
    """It does not start where nobody is asked; a setting that is wrong is one line, too."""
    wide = ("dev", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path))
    for named in ({}, {"AGENT_ACTORS_ACCESS_TOKENS": '[{"token": "short", "subject": "ada"}]'}):
        refused = command(*wide, **named)

        assert refused.returncode == 2, refused.stdout
        assert len(refused.stderr.splitlines()) == 1
        assert "AGENT_ACTORS_ACCESS_TOKENS" in refused.stderr
        assert "short" not in refused.stderr


async def test_the_walls_stand(launch: Launch, tmp_path: Path):
    """Each user reaches itself, the admin everybody, and events find their way all the same."""
    file = tmp_path / "tokens"
    file.write_text(json.dumps(ENTRIES))
    key = SigningKey()
    with Published(key).served() as published:
        issuer = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": published.url}
        settings = {**SETTINGS, **issuer, "access_tokens_file": file}
        async with launch(tmp_path / "service", **settings) as service:
            for token, user, status in (
                (None, "ada", 401),
                (ROOT + "x", "ada", 401),
                (key.token("ben"), "ada", 403),
                (ADA, "ada", 200),
                (ROOT, "ada", 200),
                (key.token("ben"), "ben", 200),
            ):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                body = {"role": "user", "content": f"from {user}"}
                answer = await service.http.post(f"/chat/{user}", json=body, headers=headers)
                assert answer.status_code == status, answer.text

            service.http.headers["authorization"] = f"Bearer {ROOT}"
            await service.remembered("ada", "from ada")
            answers = {
                token: command("history", "ada", "--url", service.url, AGENT_ACTORS_TOKEN=token)
                for token in (ADA, "", "x" * 20)
            }
            assert ADA not in service.logged()

    assert answers[ADA].stdout.startswith("user: from ada\n")
    for token in ("", "x" * 20):
        assert answers[token].returncode == 1
        assert "AGENT_ACTORS_TOKEN" in answers[token].stderr


async def test_a_foreign_host_is_refused_before_its_body(launch: Launch, tmp_path: Path):
    """On the socket: the answer comes before the body does; a request without `Host` is foreign."""
    async with launch(tmp_path / "service", **SETTINGS, hosts="agents.example") as service:
        port = httpx2.URL(service.url).port
        for head, status in (
            ("POST /chat/ada HTTP/1.1\r\nHost: evil.example", b"421"),
            ("POST /chat/ada HTTP/1.0", b"421"),
            ("POST http://localhost/chat/ada HTTP/1.1\r\nHost: evil.example", b"421"),
            ("POST /chat/ada HTTP/1.1\r\nHost: agents.example\r\nOrigin: null", b"403"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{head}\r\nContent-Length: 999\r\n\r\n".encode())
            line = await asyncio.wait_for(reader.readline(), 10)
            writer.close()
            assert line.split()[1] == status, head
        named = {"host": "agents.example:8000"}
        assert httpx2.get(f"{service.url}/memory/ada", headers=named).status_code == 200
