"""The settings of access control, a part of `Settings`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class AccessSettings(BaseSettings):
    """Tokens, rate limit, and headers for browsers."""

    model_config = SettingsConfigDict(env_prefix="AGENT_ACTORS_", frozen=True, extra="ignore")

    access: Literal["auto", "off", "required"] = Field(
        "auto",
        description="Do callers of the public routes need a token? `auto`: if tokens or an issuer"
        " are configured ([security.md](security.md)).",
    )
    access_tokens: SecretStr | None = Field(
        None,
        description='Tokens, as JSON: `[{"token": …, "subject": "ada"}]`. `sha256` (hex) may'
        ' replace `token`; `"admin": true` gives access to every user.',
    )
    access_tokens_file: Path | None = Field(
        None,
        description="A file with more tokens, such as a mounted Secret, of at most 1 MiB; read at"
        " startup.",
    )
    jwt_issuer: str | None = Field(
        None,
        description="Issuer of JWTs (`iss`). With the next two settings, JWTs are accepted as"
        " tokens.",
    )
    jwt_audience: str | None = Field(None, description="Audience that JWTs must have (`aud`).")
    jwt_jwks_url: str | None = Field(
        None, description="URL of the issuer's signing keys: https, or http on this machine."
    )
    jwt_subject_claim: str = Field("sub", description="The claim with the caller's user id.")
    jwt_roles_claim: str = Field(
        "roles", description="The claim with the roles; `realm_access.roles` is a nested claim."
    )
    jwt_admin_role: str | None = Field(
        None, description="The role that gives access to every user; by default no role does."
    )
    rate_limit: str | None = Field(
        None,
        description="Requests per caller and replica, such as `60/minute` (or `second`, `hour`,"
        " `day`); then 429. By default there is no limit.",
    )
    hosts: str | None = Field(
        None,
        description="Host names by which the service is called, separated by commas;"
        " `*.example.org` stands for subdomains, `*` for any name. `localhost` and loopback"
        " addresses always work; requests to other names get 421.",
    )
    cors_origins: str | None = Field(
        None,
        description="Origins whose web pages may call, separated by commas, or `*`; by default"
        " none.",
    )
    hsts: bool = Field(
        False,
        description="Tell browsers to use https only, for a year (`Strict-Transport-Security`).",
    )

    @field_validator(
        "access_tokens",
        "access_tokens_file",
        "jwt_issuer",
        "jwt_audience",
        "jwt_jwks_url",
        "jwt_admin_role",
        "rate_limit",
        "hosts",
        "cors_origins",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        # Text from a file ends in a newline.
        return (value.strip() or None) if isinstance(value, str) else value

    @property
    def access_on(self) -> bool:
        """Do callers of the public routes need a token?"""
        if self.access != "auto":
            return self.access == "required"
        tokens = (self.access_tokens, self.access_tokens_file)
        return self.jwt_on or any(each is not None for each in tokens)

    @property
    def jwt_on(self) -> bool:
        """Is an issuer of JWTs configured, perhaps in part?"""
        named = (self.jwt_issuer, self.jwt_audience, self.jwt_jwks_url, self.jwt_admin_role)
        return any(each is not None for each in named)
