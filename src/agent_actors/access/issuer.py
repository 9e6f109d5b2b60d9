"""The JWT issuer of the settings.

Imported only if there is one: cryptography and the HTTP client take half a second to import.
"""

import httpx2

from agent_actors.access.claims import SignedTokens, TrustedIssuer
from agent_actors.access.keys import KeySet
from agent_actors.clock import Clock
from agent_actors.errors import StartupError
from agent_actors.settings import Settings
from agent_actors.settings.environment import require_web

_ON_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def signed(settings: Settings, clock: Clock) -> SignedTokens:
    """The JWTs of the issuer; `StartupError` if a setting or variable is missing or not valid."""
    issuer, audience, url = settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks_url
    if issuer is None or audience is None or url is None:
        named = {"ISSUER": issuer, "AUDIENCE": audience, "JWKS_URL": url}
        missing = [f"AGENT_ACTORS_JWT_{name}" for name, value in named.items() if value is None]
        raise StartupError(f"To check JWTs, set {' and '.join(missing)}, too.")
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL:
        address = httpx2.URL()
    local = address.scheme == "http" and address.host in _ON_THIS_MACHINE
    if not address.host or (address.scheme != "https" and not local):
        raise StartupError(
            "AGENT_ACTORS_JWT_JWKS_URL must begin with https://, or http:// on this machine:"
            " otherwise an attacker on the network could replace the signing keys."
        )
    if not local:
        require_web()
    trusted = TrustedIssuer(
        issuer,
        audience,
        settings.jwt_subject_claim,
        settings.jwt_roles_claim,
        settings.jwt_admin_role,
    )
    return SignedTokens(trusted, KeySet(address, clock))
