"""The commands of `docs/actors.md` give the answers of the page, on each runtime."""

import json
import shlex
from pathlib import Path

from tests.e2e.conftest import SETTINGS, Launch
from tests.e2e.pages import examples, printed, still


async def test_the_examples_of_the_actors_page(launch: Launch, tmp_path: Path):
    """Each is run in order, in the profile that the page names."""
    settings = SETTINGS | {"profile": "lesson", "model": "echo"}
    shown = examples("docs/actors.md")
    assert len(shown) >= 1
    async with launch(tmp_path, **settings) as service:
        for command, answer in shown:
            arguments = shlex.split(command.replace("localhost:8000", f"127.0.0.1:{service.port}"))
            got = still(await printed(arguments))
            # The second answer depends on whether memory has the first turn by then.
            follow_up = json.loads(got).get("follow_up") if got else None
            if follow_up:
                got = got.replace(follow_up["response"]["content"], "<second answer>")
            assert got == still(answer)
