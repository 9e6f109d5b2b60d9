"""What the SDK's workflow part has to be told, wherever it is used."""

import logging

from dapr.conf import settings as conf
from dapr.ext.workflow.logger import LoggerOptions

_LOGGERS = ("WorkflowRuntime", "DaprWorkflowClient", "durabletask-worker", "durabletask-client")


def quiet() -> LoggerOptions:
    """Its lines go to the service's log only, and not those of every turn."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    return LoggerOptions(log_handler=logging.NullHandler())


def know_token(token: str | None) -> None:
    """The SDK reads `DAPR_API_TOKEN` by itself, and takes a line's end for a part of it."""
    setattr(conf, "DAPR_API_TOKEN", token)  # noqa: B010 - made of names that no type knows
