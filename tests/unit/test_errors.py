"""The errors, and who must act on each."""

from collections.abc import Iterator

import pytest

from agent_actors import errors
from agent_actors.errors import (
    AgentError,
    CallerError,
    ContextTooLong,
    Deactivated,
    GuardrailRefused,
    ModelError,
    Refused,
    TryLater,
)


def kinds(kind: type[AgentError]) -> Iterator[type[AgentError]]:
    """A class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


LEAVES = [
    kind
    for kind in kinds(AgentError)
    if not kind.__subclasses__() and not issubclass(kind, Refused)
]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_says_what_it_is(kind: type[AgentError]):
    """Each has a status of an error, a title and its sentence."""
    error = kind("a sentence")

    assert 400 <= error.status < 600
    assert error.title
    assert (str(error), error.detail, error.turn_id) == ("a sentence", "a sentence", None)


@pytest.mark.parametrize("kind", LEAVES)
def test_the_tree_names_every_error(kind: type[AgentError]):
    """The drawing in the module's docstring has each class, with its status."""
    (line,) = [row for row in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in row]

    assert str(kind.status) in line


FINAL = {GuardrailRefused, ContextTooLong}


@pytest.mark.parametrize("kind", LEAVES)
def test_the_type_says_who_must_act(kind: type[AgentError]):
    """A caller's mistake is 4xx and not sent again; what passes is sent again.

    What a guardrail refused, or what is too long for the model, is neither: no other attempt would
    end otherwise.
    """
    if issubclass(kind, CallerError):
        assert kind.status < 500
        assert kind.retry == "no"
    if issubclass(kind, TryLater | ModelError) and kind not in FINAL:
        assert kind.retry == "same-key"


def test_advice_can_be_given():
    """An error may advise otherwise than its class, and name its turn."""
    error = errors.Unavailable("away", turn_id="t", retry="no")

    assert (error.retry, error.turn_id) == ("no", "t")
    assert errors.Unavailable.retry == "same-key"


def test_a_deactivated_actor_is_unavailable():
    """Its callers send the request again."""
    assert issubclass(Deactivated, errors.Unavailable)


def test_a_start_that_fails_is_no_answer_to_a_caller():
    """`StartupError` is for the terminal."""
    assert not issubclass(errors.StartupError, AgentError)
