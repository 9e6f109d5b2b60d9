"""The conversation that these tests act on."""

import pytest

from tests.unit.conversation.talk import Talk


@pytest.fixture
def talk() -> Talk:
    return Talk()
