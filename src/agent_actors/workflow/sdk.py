"""Settings of the SDK's workflow part."""

import logging

from dapr.conf import settings as conf
from dapr.ext.workflow.logger import LoggerOptions

_LOGGERS = ("WorkflowRuntime", "DaprWorkflowClient", "durabletask-worker", "durabletask-client")


def quiet() -> LoggerOptions:
    """Log options with which the SDK logs to the service's log, and no line for every turn."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    return LoggerOptions(log_handler=logging.NullHandler())


def set_token(token: str | None) -> None:
    """Sets the API token: the SDK's own reading of `DAPR_API_TOKEN` keeps a trailing newline."""
    setattr(conf, "DAPR_API_TOKEN", token)  # noqa: B010 - mypy does not know the attribute
