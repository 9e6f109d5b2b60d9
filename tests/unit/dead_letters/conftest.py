"""What these tests act on."""

import pytest

from tests.unit.dead_letters.graveyard import Graveyard


@pytest.fixture
def graveyard() -> Graveyard:
    return Graveyard()
