"""A model for tests that can be slow, fail or hang on command; otherwise it is `echo`."""

import asyncio
from dataclasses import replace

from agent_actors.clock import Clock
from agent_actors.errors import ModelFailed
from agent_actors.model import Model, ModelDescription, Prompt
from agent_actors.model.echo import EchoModel
from agent_actors.protocol.messages import Reply


class ScriptedModel(Model):
    """Follows the command at the start of a message.

    `/slow SECONDS …` answers after a delay, `/fail …` fails, `/break …` raises an unexpected
    exception, `/hang …` never answers.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._echo = EchoModel(clock)

    def describe(self) -> ModelDescription:
        """It is a model of the settings."""
        return ModelDescription("scripted")

    async def reply(self, prompt: Prompt) -> Reply:
        """Answers as the message's command says."""
        command, _, rest = prompt.message.content.partition(" ")
        match command:
            case "/slow":
                await self._clock.sleep(float(rest.split()[0]))
            case "/fail":
                raise ModelFailed("The model was told to fail.")
            case "/break":
                raise RuntimeError(prompt.message.content)
            case "/hang":
                await asyncio.Event().wait()
        # Metrics count the call under this name.
        return replace(await self._echo.reply(prompt), model="scripted")
