"""The process's log: lines for people, or one JSON object per line for machines.

No line holds what people wrote (I13); ids are fields of their own. An exception appears as its
type, and with its trace only at the level DEBUG: its text may hold anything. So may the lines of
libraries below INFO, which are never written, and those of HTTP clients below WARNING.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

from agent_actors.observability import tracing

Form = Literal["text", "json"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_OURS = "agent_actors"
CLIENTS = ("httpx2", "httpx", "httpcore2", "httpcore")
"""At INFO they write the URL of each request, with its user, password and query, and what the
server calls its status. So at no level is that written."""
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_context: ContextVar["LogContext | None"] = ContextVar("log_context", default=None)


class LogContext:
    """A block of an actor's turn, or of work for one: its log lines carry the actor's ids.

    Entering it sets one variable; the ids are looked up only when a line is written. The turn is
    named by the first of `about`, the call's arguments, with a `turn_id` or a `turn` that has one.
    """

    __slots__ = ("_about", "_id", "_token", "_type")

    def __init__(self, actor_type: str, actor_id: str, about: tuple[object, ...] = ()) -> None:
        self._type = actor_type
        self._id = actor_id
        self._about = about

    def __enter__(self) -> None:
        self._token: Token[LogContext | None] = _context.set(self)

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)

    @property
    def fields(self) -> Mapping[str, str]:
        """The ids, by field name."""
        ids = {"actor_type": self._type, "actor_id": self._id}
        for each in self._about:
            turn_id = getattr(getattr(each, "turn", each), "turn_id", None)
            if isinstance(turn_id, str):
                return {**ids, "turn_id": turn_id}
        return ids


def fields() -> Mapping[str, str]:
    """The ids of the current context; empty outside of one."""
    context = _context.get()
    return {} if context is None else context.fields


def install(form: Form, level: Level, stream: TextIO | None = None) -> None:
    """Sends all logging of this process to one stream, by default stderr."""
    handler = _handler(form, level, stream)
    logging.basicConfig(handlers=[handler], level="INFO" if level == "DEBUG" else level, force=True)
    logging.getLogger(_OURS).setLevel(level)
    for name in CLIENTS:
        logging.getLogger(name).setLevel("ERROR" if level == "ERROR" else "WARNING")


@contextmanager
def unless_set_up(form: Form, level: Level, stream: TextIO | None = None) -> Iterator[None]:
    """Writes our lines to a stream during the block, where nobody has set up logging.

    Without it Python shows warnings only, without their time. As soon as somebody sets up logging,
    that counts.
    """
    ours = logging.getLogger(_OURS)
    if ours.hasHandlers():
        yield
        return
    handler = _handler(form, level, stream)
    handler.addFilter(lambda _: not logging.getLogger().handlers)
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel(level)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(before)


def _handler(form: Form, level: Level, stream: TextIO | None) -> logging.Handler:
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = JsonFormatter if form == "json" else TextFormatter
    handler.setFormatter(formatter(traces=level == "DEBUG"))
    return handler


class TextFormatter(logging.Formatter):
    """Lines for people; exceptions have their traces only with `traces`."""

    def __init__(self, *, traces: bool) -> None:
        super().__init__(_TEXT)
        self._traces = traces

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's own name
        """The exception's trace, or only its type."""
        if self._traces:
            return super().formatException(ei)
        return ei[0].__name__ if ei[0] else ""


class JsonFormatter(TextFormatter):
    """One JSON object per record.

    It has only the fields below: what a library passes as `extra` may hold anything.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **fields(),
        }
        trace_id = tracing.trace_id()
        if trace_id is not None:
            line["trace_id"] = trace_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # ASCII, because a lone surrogate could not be written as UTF-8.
        return json.dumps(line, ensure_ascii=True)
