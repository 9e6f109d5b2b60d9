"""The process's log: lines for people, or a JSON object per line for machines.

Ids are fields; what people said is in no line (I13). The trace of an exception is told only where
the level is DEBUG, else its type: its text, and libraries' lines below INFO, may hold anything.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

from agent_actors.observability import log_fields, tracing

Form = Literal["text", "json"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_OURS = "agent_actors"
_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def install(form: Form, level: Level, stream: TextIO | None = None) -> None:
    """Has everything that is logged in this process written there, by default to stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    lines = JsonFormatter if form == "json" else TextFormatter
    handler.setFormatter(lines(traces=level == "DEBUG"))
    logging.basicConfig(handlers=[handler], level="INFO" if level == "DEBUG" else level, force=True)
    logging.getLogger(_OURS).setLevel(level)


class TextFormatter(logging.Formatter):
    """Lines for people.

    Args:
        traces: Whether exceptions are told with their traces.
    """

    def __init__(self, *, traces: bool) -> None:
        super().__init__(_TEXT)
        self._traces = traces

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - logging's own name
        """The exception's trace, or its type."""
        if self._traces:
            return super().formatException(ei)
        return ei[0].__name__ if ei[0] else ""


class JsonFormatter(TextFormatter):
    """One JSON object per record: when, how bad, who says what, and about whom.

    It has these fields and no others: what a library gives as `extra` nobody here has looked at.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, whatever is in it."""
        line = {
            "time": _time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **log_fields.fields(),
        }
        trace_id = tracing.trace_id()
        if trace_id is not None:
            line["trace_id"] = trace_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # ASCII: half a character, too, is a line that can be read.
        return json.dumps(line, ensure_ascii=True)


def _time(created: float) -> str:
    """In RFC 3339 and UTC, to the millisecond."""
    at = datetime.fromtimestamp(created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
