"""The settings of who may call the public routes; part of `settings`, where they are documented."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class AccessSettings(BaseSettings):
    """Tokens, rates, and what browsers are told."""

    model_config = SettingsConfigDict(env_prefix="AGENT_ACTORS_", frozen=True, extra="ignore")

    access: Literal["auto", "off", "required"] = Field(
        "auto",
        description="Must callers of the public routes show a token? `auto`: where tokens or an"
        " issuer are set ([security.md](security.md)).",
    )
    access_tokens: SecretStr | None = Field(
        None,
        description='Tokens, as JSON: `[{"token": …, "subject": "ada"}]`; `sha256` (hex) may'
        ' stand for `token`, and `"admin": true` opens every user\'s routes.',
    )
    access_tokens_file: Path | None = Field(
        None, description="A file with more of them, such as a mounted Secret; read at the start."
    )
    jwt_issuer: str | None = Field(
        None, description="Who signs JWTs (`iss`); with the next two, JWTs are taken as tokens."
    )
    jwt_audience: str | None = Field(None, description="For whom they must be (`aud`).")
    jwt_jwks_url: str | None = Field(
        None, description="Where the issuer's keys are: https, or http on this machine."
    )
    jwt_subject_claim: str = Field("sub", description="The claim that is the caller's user id.")
    jwt_roles_claim: str = Field(
        "roles", description="The claim with the roles; `realm_access.roles` looks into an object."
    )
    jwt_admin_role: str | None = Field(
        None, description="The role that opens every user's routes; without it no JWT does."
    )
    rate_limit: str | None = Field(
        None,
        description="Requests that one caller may send, such as `60/minute` (or `second`, `hour`,"
        " `day`), in each replica; above: 429. By default any number.",
    )
    cors_origins: str | None = Field(
        None,
        description="Origins of web pages that may call, comma-separated, or `*`; by default none.",
    )
    hsts: bool = Field(False, description="Tell browsers to come by https only, for a year (HSTS).")

    @field_validator(
        "access_tokens",
        "access_tokens_file",
        "jwt_issuer",
        "jwt_audience",
        "jwt_jwks_url",
        "jwt_admin_role",
        "rate_limit",
        "cors_origins",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        # What comes from a file ends in a newline.
        return (value.strip() or None) if isinstance(value, str) else value

    @property
    def access_on(self) -> bool:
        """Must callers of the public routes show a token?"""
        if self.access != "auto":
            return self.access == "required"
        signed = (self.jwt_issuer, self.jwt_audience, self.jwt_jwks_url, self.jwt_admin_role)
        return any(
            each is not None for each in (self.access_tokens, self.access_tokens_file, *signed)
        )
