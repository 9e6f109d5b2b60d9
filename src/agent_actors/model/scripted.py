"""A model that does as it is told, for tests: slow, failing, hanging. Else it is `echo`."""

import asyncio
from dataclasses import replace

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed
from agent_actors.model import Model, Prompt
from agent_actors.model.echo import EchoModel
from agent_actors.protocol.messages import Reply


class ScriptedModel(Model):
    """Obeys the first word of a message.

    `/slow SECONDS …` answers that much later, `/fail …` fails, `/break …` raises what no model
    should, `/hang …` never answers.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._echo = EchoModel(clock)

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer, as the message wants it."""
        order, _, rest = prompt.message.content.partition(" ")
        match order:
            case "/slow":
                await self._clock.sleep(float(rest.split()[0]))
            case "/fail":
                raise ModelFailed("The model was told to fail.")
            case "/break":
                raise RuntimeError(prompt.message.content)
            case "/hang":
                await asyncio.Event().wait()
        # By its own name, as the start tells it: metrics count the calls under that.
        return replace(await self._echo.reply(prompt), model="scripted")
