"""`agent-actors serve`, whose model also writes down every call: `python -m tests.faults.counted`.

A line of `calls` in the working folder is one call that was begun; a model's bill has the same.
`AGENT_ACTORS_LOG=DEBUG` makes the log say more.
"""

import json
import logging
import os
import sys
from pathlib import Path

from agent_actors.cli import main
from agent_actors.model import Prompt, selection
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol.messages import Reply

CALLS = Path("calls")


class CountedModel(ScriptedModel):
    """The scripted model; a call is written down before it is made."""

    async def reply(self, prompt: Prompt) -> Reply:
        now = self._clock.now().timestamp()
        said = prompt.message.content
        call = {"at": now, "pid": os.getpid(), "user": prompt.user, "said": said}
        write_down(call)
        return await super().reply(prompt)


def write_down(call: dict[str, object]) -> None:
    with CALLS.open("a", encoding="utf-8") as calls:
        calls.write(f"{json.dumps(call)}\n")


if __name__ == "__main__":
    setattr(selection, "ScriptedModel", CountedModel)  # noqa: B010 - it is not exported there
    if os.environ.get("AGENT_ACTORS_LOG"):
        logging.getLogger("agent_actors").setLevel(os.environ["AGENT_ACTORS_LOG"])
    main(["serve", "--runtime", "dapr", *sys.argv[1:]])
