"""Chunks of a streamed answer, in the form that the SDK reads."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agent_actors.model.dialects import returned
from agent_actors.model.dialects.answer import (
    Json,
    NotAnAnswer,
    calls_in,
    envelope,
    error_in,
    first_choice,
    function_of,
    reasoning_of,
    text_or,
    unused_id,
    usage,
    whole,
)
from agent_actors.model.dialects.text import Surrogates, TagFilter, content_of, mended
from agent_actors.model.dialects.words import REASONING, end_of


@dataclass
class _Call:
    """A tool call that streams: our index, and what the server has sent of it."""

    index: int
    key: Any
    """The server's index."""
    id: str
    """The server's id; empty if it sends none."""
    name: str
    arguments: str = ""
    halves: Surrogates = field(default_factory=Surrogates)
    own: Json = field(default_factory=dict)
    """What the vendor wants back with it."""

    def complete(self) -> bool:
        """Whether the arguments are a whole JSON object."""
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False

    def repeated_by(self, given: str, function: Json) -> bool:
        """Whether a later chunk only says again what this call is, under its id."""
        return (
            bool(given)
            and (given, function["name"]) == (self.id, self.name)
            and function["arguments"].strip() in {"", self.arguments.strip()}
            and self.complete()
        )


class Chunks:
    """Normalises the chunks of one stream. `read` takes each; `end` is called after the last."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._ids: set[str] = set()
        self._tags = TagFilter()
        self._text = Surrogates()
        self._reasoning = Surrogates()
        self._field = REASONING[0]
        self._envelope = envelope({}, "chat.completion.chunk")
        self._ended = self._counted = False
        self._usage: Json | None = None
        self._streamed: list[str] = []
        self._beside: dict[str, list[Any]] = {}

    def read(self, data: Any) -> Iterator[Json]:
        """The chunks that one chunk of the server becomes; an error is passed on as it is."""
        if isinstance(data, list) and len(data) == 1:
            data = data[0]
        if not isinstance(data, dict):
            return
        choice = first_choice(data)
        if (error := error_in(data)) is not None:
            yield {"error": error}
            return
        self._envelope = envelope(data, "chat.completion.chunk")
        if choice is not None:
            yield from self._choice(choice)
        if (counted := usage(data.get("usage"))) is not None:
            self._usage = {**self._envelope, "choices": [], "usage": counted}
            # Alone it ends the answer; beside a part of it, it is only a number so far.
            self._counted = choice is None
        elif choice is not None:
            self._counted = False

    def end(self) -> Iterator[Json]:
        """What was held back, and the numbers of tokens if the answer has ended."""
        if not self._ended:
            yield from self._flush()
        if self._usage is not None and (self._ended or self._counted):
            yield self._usage

    def _choice(self, choice: Json) -> Iterator[Json]:
        delta = choice.get("delta")
        if not isinstance(delta, dict) or not delta:
            delta = self._rest(choice.get("message"))
        elif isinstance(delta.get("content"), str):
            self._streamed.append(delta["content"])
        if isinstance(delta, dict):
            for part in self._delta(delta):
                yield self._chunk(part)
        end = end_of(choice.get("finish_reason"))
        if end == "tool_calls" and not self._calls:
            end = "error"  # None of them could be read.
        if end is not None:
            yield from self._flush()
            self._ended = True
            yield self._chunk({}, end)

    def _rest(self, message: Any) -> Any:
        """A whole message at the end of a stream, without what was streamed before."""
        if not isinstance(message, dict) or not (self._streamed or self._calls):
            return message
        text = content_of(message.get("content"))[0]
        streamed = "".join(self._streamed)
        rest = {"content": text.removeprefix(streamed) if streamed in text else ""}
        return rest if self._calls else {**message, **rest}

    def _delta(self, delta: Json) -> Iterator[Json]:
        text, inner, refusal = content_of(delta.get("content"))
        name, reasoning = reasoning_of(delta)
        if reasoning:
            self._field = name
        if reasoning := self._reasoning.feed(reasoning or inner):
            yield {self._field: reasoning}
        yield from self._tagged(self._tags.feed(self._text.feed(text)))
        if refusal := text_or(delta.get("refusal"), "") or refusal:
            yield {"refusal": mended(refusal)}
        for member, pieces in returned.own(delta, returned.OF_MESSAGE).items():
            if isinstance(pieces, list):
                self._beside.setdefault(member, []).extend(pieces)
        calls = [self._call(call) for call in calls_in(delta)]
        if named := [call for call in calls if call is not None]:
            yield {"tool_calls": named}
        if isinstance(delta.get("annotations"), list) and delta["annotations"]:
            yield {"annotations": mended(delta["annotations"])}

    def _call(self, entry: Json) -> Json | None:
        """A piece of a tool call, under an index and an id of its own."""
        function = function_of(entry)
        sent: Json = {}
        key, given = entry.get("index"), text_or(entry.get("id"), "")
        call = self._continued(key, given, function)
        if call is None:
            if not function["name"]:
                return None
            call = _Call(len(self._calls), key, given, function["name"])
            self._calls.append(call)
            sent = {"id": unused_id(given, self._ids), "type": "function"}
        call.own |= returned.own(entry, returned.OF_CALL)
        if not sent and call.repeated_by(given, function):
            return None
        piece = call.halves.feed(function["arguments"])
        call.arguments += piece
        named = {"name": call.name} if sent else {}
        return {"index": call.index, **sent, "function": {**named, "arguments": piece}}

    def _continued(self, key: Any, given: str, function: Json) -> _Call | None:
        """The call that a piece continues; None if it begins another one."""
        same = [call for call in self._calls if key is None or call.key == key]
        if not same:
            return None
        if given and same[-1].id and given != same[-1].id:
            # Pieces of several calls may alternate under one index.
            same = [call for call in same if call.id == given]
            if not same:
                return None
        call = same[-1]
        if call.repeated_by(given, function):
            return call
        named, arguments = function["name"], function["arguments"].lstrip()
        if named and (named != call.name or (arguments[:1] in {"", "{"} and call.complete())):
            return None
        return call

    def _tagged(self, pieces: Iterator[tuple[str, str]]) -> Iterator[Json]:
        for kind, piece in pieces:
            yield {"content": piece} if kind == "text" else {self._field: piece}

    def _flush(self) -> Iterator[Json]:
        """What was held back."""
        if half := self._reasoning.end():
            yield self._chunk({self._field: half})
        for part in self._tagged(self._tags.feed(self._text.end())):
            yield self._chunk(part)
        for part in self._tagged(self._tags.end()):
            yield self._chunk(part)
        beside: Json = {name: returned.joined(each) for name, each in self._beside.items()}
        for call in self._calls:
            if half := call.halves.end():
                yield self._chunk({"tool_calls": [_more(call, half)]})
            if extra := returned.with_call(call.own, beside):
                yield self._chunk({"tool_calls": [{"index": call.index, "extra_content": extra}]})
            beside = {}

    def _chunk(self, delta: Json, end: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": end, "logprobs": None}
        return {**self._envelope, "choices": [choice]}


def _more(call: _Call, arguments: str) -> Json:
    """The end of a call's arguments."""
    return {"index": call.index, "function": {"arguments": arguments}}


def as_chunks(data: Any) -> Iterator[Json]:
    """A whole answer that came where a stream was asked for, as its only chunks."""
    chunks = Chunks()
    with suppress(NotAnAnswer):
        data = whole(data)
        choice = data["choices"][0]
        data["choices"] = [choice | {"delta": choice["message"]}]
    yield from chunks.read(data)
    yield from chunks.end()


def joined(chunks: Iterable[Json]) -> Json:
    """The chunks of `Chunks` as a whole answer; without an end it is one that broke off."""
    message: Json = {}
    texts: dict[str, list[str]] = {"content": []}
    pieces: dict[int, list[Json]] = {}
    end, counted = "error", None
    for chunk in chunks:
        counted = chunk.get("usage") or counted
        for choice in chunk["choices"]:
            end = choice["finish_reason"] or end
            for name, value in choice["delta"].items():
                if isinstance(value, str):
                    texts.setdefault(name, []).append(value)
                elif name != "tool_calls":
                    message[name] = value
            for piece in choice["delta"].get("tool_calls", ()):
                pieces.setdefault(piece["index"], []).append(piece)
    if end == "error" and counted is not None:
        end = "stop"  # Some servers send the usage instead of a finish reason.
    message |= {name: "".join(parts) for name, parts in texts.items()}
    message["tool_calls"] = [_call_of(parts) for parts in pieces.values()]
    return {"choices": [{"message": message, "finish_reason": end}], "usage": counted}


def _call_of(pieces: list[Json]) -> Json:
    """The tool call that came in these pieces."""
    functions = [piece.get("function", {}) for piece in pieces]
    arguments = "".join(function.get("arguments", "") for function in functions)
    call: Json = {}
    for piece in pieces:
        call |= piece
    return {**call, "function": {**functions[0], "arguments": arguments}}
