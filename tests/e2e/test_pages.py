"""The commands of `docs/actors.md` give the answers of the page, on each runtime."""

import json
from pathlib import Path

from tests.e2e.conftest import SETTINGS, Launch
from tests.e2e.pages import answered, examples, still


async def test_the_examples_of_the_actors_page(launch: Launch, tmp_path: Path):
    """Each is run in order, in the profile that the page names."""
    settings = SETTINGS | {"profile": "lesson", "model": "echo"}
    shown = examples("docs/actors.md")
    assert len(shown) >= 1
    async with launch(tmp_path, **settings) as service:
        for command, answer in shown:
            got = await answered(command, service.port)
            # The second answer depends on whether memory has the first turn by then.
            follow_up = json.loads(got).get("follow_up") if got else None
            if follow_up:
                got = got.replace(follow_up["response"]["content"], "<second answer>")
            assert got == still(answer)
