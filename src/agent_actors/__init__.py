"""AI agents as Dapr virtual actors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_actors.app import create_app
    from agent_actors.model.turn_context import TurnContext
    from agent_actors.settings import Settings

__all__ = ["Settings", "TurnContext", "__version__", "create_app"]
__version__ = "0.1.0"

_HOMES = {
    "Settings": "agent_actors.settings",
    "TurnContext": "agent_actors.model.turn_context",
    "create_app": "agent_actors.app",
}


def __getattr__(name: str) -> Any:
    """Imports on first use: `agent-actors --help` must not import the whole service."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "create_app":
        from agent_actors.routes.edge.startup import explained
        from agent_actors.settings.environment import require_key_log

        with explained():
            require_key_log()
    return getattr(import_module(_HOMES[name]), name)
