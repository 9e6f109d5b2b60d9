"""How actors of a type are kept."""

import pytest
from pydantic import ValidationError

from agent_actors.settings.actors import ActorRules, ActorTypeSettings, rules_of

GENERAL = ActorRules(60.0, 2.0)


def test_a_type_has_what_its_setting_says_and_the_rest_as_all():
    """What a type's setting leaves out is as for all types."""
    rules = rules_of(
        GENERAL, {"ChatAgent": ActorTypeSettings(idle_timeout=600, reentrancy_depth=4)}
    )

    assert rules("ChatAgent") == ActorRules(600, 2.0, 4)
    assert rules("MemoryAgentActor") == GENERAL


def test_one_call_at_a_time_is_not_reentrant():
    """With a depth of one, an actor cannot be called back."""
    assert not GENERAL.reentrant
    assert ActorRules(60.0, 2.0, 2).reentrant


@pytest.mark.parametrize(
    "given", [{"idle_timeout": 0}, {"drain": -1}, {"reentrancy_depth": 33}, {"depth": 2}]
)
def test_other_settings_of_a_type_are_refused(given: dict[str, float]):
    """A value out of bounds, and a name there is not, are errors."""
    with pytest.raises(ValidationError):
        ActorTypeSettings.model_validate(given)
