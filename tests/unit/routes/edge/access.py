"""Callers with tokens, for the tests of access."""

import json
from typing import Any

ADA = "ada-0123456789abcdef"
BEN = "ben-0123456789abcdef"
ROOT = "root-0123456789abcdef"
STRANGER = "203.0.113.9"
"""An address that is not this machine."""

TOKENS = json.dumps(
    [
        {"token": ADA, "subject": "ada"},
        {"token": BEN, "subject": "ben"},
        {"token": ROOT, "subject": "root", "admin": True},
    ]
)
GUARDED: dict[str, Any] = {"access_tokens": TOKENS, "caller": STRANGER}
"""What a service is given that asks for tokens, and is called from elsewhere."""


def bearer(token: str) -> dict[str, str]:
    """The header with a caller's token."""
    return {"authorization": f"Bearer {token}"}
