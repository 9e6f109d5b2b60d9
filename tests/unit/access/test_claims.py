"""JWTs of an issuer, with real keys."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent_actors.access.caller import Caller
from agent_actors.access.claims import LEEWAY, SignedTokens
from agent_actors.access.issuer import signed
from agent_actors.clock import SystemClock
from agent_actors.errors import StartupError, Unauthorized
from agent_actors.settings import Settings
from tests.issuer import AUDIENCE, ISSUER, Published, SigningKey, now

PLACE: dict[str, Any] = {
    "jwt_issuer": ISSUER,
    "jwt_audience": AUDIENCE,
    "jwt_jwks_url": "https://issuer.example/k",
}


@pytest.fixture
async def known(published: Published) -> AsyncIterator[SignedTokens]:
    settings = Settings(
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_jwks_url=published.url,
        jwt_admin_role="agents-admin",
    )
    tokens = signed(settings, SystemClock())
    yield tokens
    await tokens.close()


def part(value: Any) -> str:
    """A part of a JWT."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256"])
async def test_a_token_of_the_issuer_is_taken(
    known: SignedTokens, published: Published, algorithm: str
):
    """Its subject is the caller; the keys are fetched once."""
    key = SigningKey("its own", algorithm)
    published.keys.append(key)

    assert await known.caller(key.token("ada")) == Caller("ada")
    assert await known.caller(key.token("ben")) == Caller("ben")
    assert published.asked == 1


@pytest.mark.parametrize(
    ("claims", "admin"),
    [
        ({"roles": ["agents-admin"]}, True),
        ({"roles": "reader agents-admin"}, True),
        ({"roles": ["reader"]}, False),
        ({"roles": "agents-administrator"}, False),
        ({"roles": {"agents-admin": True}}, False),
        ({"roles": [None]}, False),
        ({}, False),
    ],
)
async def test_the_admin_role_makes_an_admin(
    known: SignedTokens, signing_key: SigningKey, claims: dict[str, Any], admin: bool
):
    """It stands in the claim of the roles, as a list or as words."""
    assert await known.caller(signing_key.token("ada", **claims)) == Caller("ada", admin)


async def test_claims_may_have_other_names(published: Published, signing_key: SigningKey):
    """A name with dots in it, or else a path into an object; without an admin role no one is."""
    places: dict[str, Any] = {
        "jwt_subject_claim": "user.id",
        "jwt_roles_claim": "https://x.example/roles",
    }
    settings = Settings(**{**PLACE, "jwt_jwks_url": published.url, **places}, jwt_admin_role="a")
    tokens = signed(settings, SystemClock())
    claims: dict[str, Any] = {"user": {"id": "ada"}, "https://x.example/roles": ["a", None]}

    assert await tokens.caller(signing_key.token("x", **claims)) == Caller("ada", admin=True)
    with pytest.raises(Unauthorized, match="no subject"):
        await tokens.caller(signing_key.token("x"))
    plain = signed(settings.model_copy(update={"jwt_admin_role": None}), SystemClock())
    assert await plain.caller(signing_key.token("x", **claims)) == Caller("ada")
    await tokens.close()
    await plain.close()


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://other.example"}, "not valid"),
        ({"iss": None}, "not valid"),
        ({"aud": "another service"}, "not valid"),
        ({"aud": None}, "not valid"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "not valid"),
        ({"exp": "soon"}, "not valid"),
        ({"nbf": 4_102_444_800}, "not valid"),
        ({"iat": 4_102_444_800}, "not valid"),
        ({"subject": None}, "no subject"),
        ({"subject": ""}, "no subject"),
    ],
    ids=repr,
)
async def test_a_token_that_says_something_else_is_refused(
    known: SignedTokens, signing_key: SigningKey, claims: dict[str, Any], said: str
):
    """Another issuer or audience, expired, or without a subject."""
    with pytest.raises(Unauthorized, match=said) as caught:
        await known.caller(signing_key.token(**claims))
    assert 'error="invalid_token"' in caught.value.challenge


async def test_clocks_may_be_a_little_apart(known: SignedTokens, signing_key: SigningKey):
    """What has just expired, or is about to begin, is taken."""
    at = now()
    token = signing_key.token(exp=at - int(LEEWAY) + 10, nbf=at + int(LEEWAY) - 10)

    assert await known.caller(token) == Caller("ada")


async def test_a_signature_of_another_key_is_refused(known: SignedTokens, published: Published):
    """Also where it names the id of the issuer's key."""
    with pytest.raises(Unauthorized):
        await known.caller(SigningKey("one").token())


async def test_algorithms_are_not_the_tokens_to_choose(
    known: SignedTokens, signing_key: SigningKey
):
    """No signature, one by the public key as a secret, one of a kind the key is not for."""
    claims = jwt.decode(signing_key.token(), options={"verify_signature": False})
    public = signing_key.private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims)}"
    mac = hmac.new(secret, forged.encode(), hashlib.sha256).digest()
    for token in (
        f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}.",
        f"{forged}.{part(mac)}",
        jwt.encode(claims, signing_key.private, algorithm="RS512", headers={"kid": "one"}),  # type: ignore[arg-type]
        jwt.encode(claims, signing_key.private, algorithm="PS256", headers={"kid": "one"}),  # type: ignore[arg-type]
    ):
        with pytest.raises(Unauthorized):
            await known.caller(token)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "é.é.é",
        f"{part([])}.{part({})}.{part(b'x')}",
        f"{part({'alg': ['RS256']})}.{part({})}.{part(b'x')}",
        f"{part({'alg': 'RS256', 'kid': {}})}.{part({})}.{part(b'x')}",
        f"{part({'alg': 'RS256', 'kid': 'one', 'crit': ['x']})}.{part({})}.{part(b'x')}",
        f"{part({'alg': 'RS256', 'kid': 'one'})}.{part(b'no json')}.{part(b'x')}",
        f"{part(b'[' * 9_000)}.{part({})}.{part(b'x')}",
        f"{part({'alg': 'ES256', 'kid': 'one'})}.{part({})}.{part(b'x')}",
    ],
    ids=lambda token: token[:30],
)
async def test_what_is_no_token_is_refused(known: SignedTokens, token: str):
    """The answer is always the same."""
    with pytest.raises(Unauthorized):
        await known.caller(token)


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")
@pytest.mark.parametrize("kind", ["secret", "small", "curve", "nonsense"])
async def test_a_published_key_that_no_signature_should_be_of_is_not_used(
    known: SignedTokens, published: Published, signing_key: SigningKey, kind: str
):
    """A secret, a short key, another curve, nonsense: tokens that name it are refused."""
    made = SigningKey("bad")
    if kind == "small":
        made.private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    keys = {
        "secret": {"kty": "oct", "k": part(b"x" * 32), "kid": "bad"},
        "small": made.published,
        "curve": {**SigningKey("bad", "ES256").published, "alg": "RS256"},
        "nonsense": {"kid": "bad", "kty": 7, "n": None},
    }

    class Odd(Published):
        @property
        def body(self) -> bytes:
            return json.dumps({"keys": [keys[kind]]}).encode()

    published.__class__ = Odd
    token = jwt.encode(
        jwt.decode(made.token(), options={"verify_signature": False}),
        made.private,  # type: ignore[arg-type]
        algorithm="RS256",
        headers={"kid": "bad"},
    )
    with pytest.raises(Unauthorized):
        await known.caller(token)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"jwt_issuer": None}, "AGENT_ACTORS_JWT_ISSUER"),
        ({"jwt_audience": ""}, "AGENT_ACTORS_JWT_AUDIENCE"),
        ({"jwt_jwks_url": None, "jwt_issuer": None}, "JWT_ISSUER and AGENT_ACTORS_JWT_JWKS_URL"),
        ({"jwt_jwks_url": "http://issuer.example/k"}, "AGENT_ACTORS_JWT_JWKS_URL"),
        ({"jwt_jwks_url": "file:///etc/passwd"}, "AGENT_ACTORS_JWT_JWKS_URL"),
        ({"jwt_jwks_url": "https://"}, "AGENT_ACTORS_JWT_JWKS_URL"),
        ({"jwt_jwks_url": "http://[::1"}, "AGENT_ACTORS_JWT_JWKS_URL"),
    ],
    ids=repr,
)
def test_half_an_issuer_stops_the_start(change: dict[str, Any], named: str):
    """One line names what is missing, or wrong."""
    with pytest.raises(StartupError, match=named):
        signed(Settings(**{**PLACE, **change}), SystemClock())
