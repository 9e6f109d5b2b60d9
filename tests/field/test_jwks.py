"""Key sets of issuers whose keys share an id: the key is the one that fits id and algorithm."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_core import to_json

from agent_actors.access.claims import SignedTokens
from agent_actors.access.issuer import signed
from agent_actors.clock import SystemClock
from agent_actors.errors import Unauthorized
from agent_actors.settings import Settings
from tests.issuer import AUDIENCE, ISSUER, Published, SigningKey

Jwk = dict[str, Any]
RS256, RS384, ES256 = SigningKey("one"), SigningKey("one", "RS384"), SigningKey("one", "ES256")
OTHER = SigningKey("two")


def of(key: SigningKey, *gone: str, **changes: Any) -> Jwk:
    """The published form of a key, without some members and with others changed."""
    return {name: each for name, each in key.published.items() if name not in gone} | changes


SETS: list[tuple[str, list[Jwk], list[SigningKey]]] = [
    # keycloak/keycloak#15616, ramosbugs/openidconnect-rs#131: one id, several algorithms.
    ("other algorithm first", [of(RS384), of(RS256)], [RS256, RS384]),
    ("other algorithm last", [of(RS256), of(RS384)], [RS256, RS384]),
    ("another type", [of(ES256), of(RS256)], [RS256, ES256]),
    # keycloak/keycloak#6640: keys that do not name their algorithm.
    ("another type, no names", [of(ES256, "alg"), of(RS256, "alg")], [RS256, ES256]),
    ("null for no name", [of(ES256, alg=None), of(RS256, alg=None, use=None)], [RS256, ES256]),
    ("the named one counts", [of(OTHER, "alg", kid="one"), of(RS256)], [RS256]),
    ("without a name for another", [of(RS256, "alg"), of(RS384)], [RS256, RS384]),
    # opensearch-project/security#4618: one id for signatures and for encryption.
    ("encryption first", [of(OTHER, kid="one", use="enc"), of(RS256)], [RS256]),
    ("no use", [of(RS256, "use")], [RS256]),
    ("operations", [of(OTHER, "use", kid="one", key_ops=["encrypt"]), of(RS256)], [RS256]),
    ("verify", [of(RS256, "use", key_ops=["verify"])], [RS256]),
    ("odd ones before", [{"kid": "one", "kty": []}, {"use": {}}, {"alg": {}}, of(RS256)], [RS256]),
    ("another curve", [of(ES256, "alg", crv="P-384"), of(ES256)], [ES256]),
]


class AnySet(Published):
    """An issuer that publishes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.jwks: list[Jwk] = []

    @property
    def body(self) -> bytes:
        return to_json({"keys": self.jwks})


def trusting(issuer: Published) -> SignedTokens:
    """Who checks tokens with the keys of an issuer."""
    settings = Settings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_jwks_url=issuer.url)
    return signed(settings, SystemClock())


@pytest.fixture
async def known() -> AsyncIterator[tuple[AnySet, SignedTokens]]:
    """The issuer, and who reads its keys."""
    issuer = AnySet()
    with issuer.served():
        tokens = trusting(issuer)
        yield issuer, tokens
        await tokens.close()


@pytest.mark.parametrize(("_name", "jwks", "keys"), SETS, ids=[each[0] for each in SETS])
async def test_the_key_that_fits_is_found(
    known: tuple[AnySet, SignedTokens], _name: str, jwks: list[Jwk], keys: list[SigningKey]
):
    """Tokens of each of them are taken, wherever their keys stand in the set."""
    issuer, tokens = known
    issuer.jwks = jwks

    for key in keys:
        assert (await tokens.caller(key.token("ada"))).subject == "ada"


@pytest.mark.parametrize(
    "jwks",
    [
        [of(RS384), of(ES256)],
        [of(RS256, use="enc")],
        [of(RS256, key_ops=["encrypt"])],
        [of(RS256, kty="oct")],
        [of(OTHER, kid="one")],
        [],
    ],
    ids=["other algorithms", "use", "operations", "type", "another key", "none"],
)
async def test_no_other_key_is_taken(known: tuple[AnySet, SignedTokens], jwks: list[Jwk]):
    """What fits neither id, algorithm nor use cannot make a token valid."""
    issuer, tokens = known
    issuer.jwks = jwks

    with pytest.raises(Unauthorized):
        await tokens.caller(RS256.token("ada"))


async def test_a_token_without_an_id_is_of_the_only_key_that_fits(
    known: tuple[AnySet, SignedTokens],
):
    """Keys of other algorithms do not count; of two that fit, none is chosen."""
    issuer, tokens = known
    anonymous = SigningKey(kid=None)
    anonymous.private = RS256.private
    issuer.jwks = [of(ES256), of(RS256), of(RS384)]
    assert (await tokens.caller(anonymous.token("ada"))).subject == "ada"

    crowded = AnySet()
    crowded.jwks = [of(RS256), of(OTHER)]
    with crowded.served():
        others = trusting(crowded)
        with pytest.raises(Unauthorized):
            await others.caller(anonymous.token("ada"))
        await others.close()
