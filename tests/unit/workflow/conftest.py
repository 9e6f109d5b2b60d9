"""What these tests act on."""

import pytest

from tests.unit.workflow.desk import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()
