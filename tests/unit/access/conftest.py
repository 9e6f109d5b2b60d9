"""An issuer whose keys are published on loopback."""

from collections.abc import Iterator

import pytest

from tests.issuer import Published, SigningKey


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    """Made once: a key of 2048 bits takes a tenth of a second."""
    return SigningKey()


@pytest.fixture
def published(signing_key: SigningKey) -> Iterator[Published]:
    """The issuer's server; it runs until the test ends."""
    with Published(signing_key).served() as server:
        yield server
