"""How actors of a type are kept: what `/dapr/config` says, and the embedded runtime does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Depth = Annotated[int, Field(ge=1, le=32)]


@dataclass(frozen=True, slots=True)
class ActorRules:
    """The rules of one actor type.

    `idle_timeout` and `drain` are in seconds. `depth` is how many calls of one chain may be in an
    actor at once: 1 lets nobody back in, so that an actor that is called back waits for itself.
    """

    idle_timeout: float
    drain: float
    depth: int = 1

    @property
    def reentrant(self) -> bool:
        """May an actor be called by those it has called?"""
        return self.depth > 1


class ActorTypeSettings(BaseModel):
    """What a setting says of one actor type; what it leaves out is as for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_timeout: Seconds | None = None
    drain: Seconds | None = None
    reentrancy_depth: Depth | None = None

    def over(self, rules: ActorRules) -> ActorRules:
        """The rules of the type, given those for all."""
        return ActorRules(
            self.idle_timeout or rules.idle_timeout,
            self.drain or rules.drain,
            self.reentrancy_depth or rules.depth,
        )


RulesOf = Callable[[str], ActorRules]
"""The rules of an actor type, by its name."""


def rules_of(general: ActorRules, types: Mapping[str, ActorTypeSettings]) -> RulesOf:
    """The rules by type, from those for all and what single types have of their own."""
    own = {name: each.over(general) for name, each in types.items()}
    return lambda name: own.get(name, general)
