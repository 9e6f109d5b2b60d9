"""Which web pages of other origins may call the service (CORS)."""

import re

from agent_actors.errors import StartupError

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)


def parse_origins(text: str) -> list[str]:
    """Parses AGENT_ACTORS_CORS_ORIGINS: origins separated by commas, or `*`.

    The `StartupError` for another entry does not repeat it, since it may contain a password.
    """
    allowed = [each.strip() for each in text.split(",") if each.strip()]
    if allowed != ["*"]:
        for number, each in enumerate(allowed, 1):
            if not _ORIGIN.fullmatch(each):
                raise StartupError(
                    f"AGENT_ACTORS_CORS_ORIGINS: entry {number} is not an origin such as"
                    " https://example.org (without a path)."
                )
    return allowed
