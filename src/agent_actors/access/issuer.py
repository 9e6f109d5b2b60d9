"""The issuer of JWTs that the settings name.

Imported where there is one only: cryptography and the HTTP client take half a second.
"""

import httpx2

from agent_actors.access.claims import SignedTokens, TrustedIssuer
from agent_actors.access.keys import KeySet
from agent_actors.clock import Clock
from agent_actors.errors import StartupError
from agent_actors.settings import Settings

_ON_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def signed(settings: Settings, clock: Clock) -> SignedTokens:
    """The tokens of the issuer.

    Raises:
        StartupError: The settings do not say of whom, for whom and by which keys.
    """
    issuer, audience, url = settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks_url
    if issuer is None or audience is None or url is None:
        named = {"ISSUER": issuer, "AUDIENCE": audience, "JWKS_URL": url}
        missing = [f"AGENT_ACTORS_JWT_{name}" for name, value in named.items() if value is None]
        raise StartupError(f"JWTs can be checked only with {' and '.join(missing)}, too.")
    trusted = TrustedIssuer(
        issuer,
        audience,
        settings.jwt_subject_claim,
        settings.jwt_roles_claim,
        settings.jwt_admin_role,
    )
    return SignedTokens(trusted, KeySet(_address(url), clock))


def _address(text: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    local = url.scheme == "http" and url.host in _ON_THIS_MACHINE
    if not url.host or (url.scheme != "https" and not local):
        raise StartupError(
            "AGENT_ACTORS_JWT_JWKS_URL begins with https://, or with http:// and this machine:"
            " whoever could change the keys on their way could sign for everybody."
        )
    return url
