"""What the answers of one request must be, and how their deltas are told: as text, or as calls of functions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from assay.engines.chat_template import template_uses
from assay.engines.worker.call_format import CallFormat, calls_grammar, find_format
from assay.engines.worker.choices import Delta
from assay.engines.worker.model import Model, Refused
from assay.engines.worker.request import Ask
from assay.engines.worker.schema import complaint, read_schema
from assay.engines.worker.tool_calls import CallPart, CallStream


class Calls(Struct, frozen=True, kw_only=True):
    """How calls come in the answers. ``schemas``: those of strict functions, by name."""

    format: CallFormat
    names: tuple[str, ...]
    schemas: Mapping[str, str]
    sure: bool
    single: bool
    only: bool
    """Whether an answer is calls and nothing else."""
    must: bool
    """Whether an answer that ends by itself without whole calls is an error."""

    def stream(self) -> CallStream:
        """For one answer."""
        return CallStream(self.format, self.names, self.accepts, sure=self.sure, single=self.single, only=self.only)

    def accepts(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether this is a call of one of the functions."""
        if name not in self.names:
            return False
        return name not in self.schemas or complaint(self.schemas[name], json.dumps(arguments)) is None


class Output(Struct, frozen=True, kw_only=True):
    """What a generation is given (``json_schema``, ``grammar``, ``markers``), and what is made of its deltas."""

    json_schema: str | None = None
    grammar: str | None = None
    markers: tuple[str, ...] = ()
    calls: Calls | None = None
    checked: bool = False
    """Whether a finished answer is compared with the schema; not where a stop string may have cut it."""

    def follow(self, deltas: AsyncIterator[list[Delta]], count: int) -> AsyncIterator[list[Delta]]:
        """The deltas of ``count`` choices as they are to be told."""
        if self.calls is None and not self.checked:
            return deltas
        return self._followed(deltas, count)

    async def _followed(self, deltas: AsyncIterator[list[Delta]], count: int) -> AsyncIterator[list[Delta]]:
        answers = [_Answer(self) for _ in range(count)]
        async for news in deltas:
            told = [told for delta in news for told in answers[delta.choice].take(delta)]
            if told:
                yield told


class _Answer:
    """One choice."""

    def __init__(self, output: Output) -> None:
        calls = output.calls
        self._stream = calls.stream() if calls else None
        self._must = calls is not None and calls.must
        self._schema = output.json_schema if output.checked else None
        self._text: list[str] = []

    def take(self, delta: Delta) -> list[Delta]:
        if self._schema is not None:
            self._text.append(delta.text)
        if delta.finish is not None:
            return self._finish(delta)
        if self._stream is None or not delta.text:
            return [delta]
        return _told(self._stream.feed(delta.text), delta)

    def _finish(self, delta: Delta) -> list[Delta]:
        if self._schema is not None and delta.finish == "stop":
            wrong = complaint(self._schema, "".join(self._text))
            if wrong is not None:
                return [_left_its_form(delta, wrong)]
        if self._stream is None:
            return [delta]
        rest = _told(self._stream.finish(), structs.replace(delta, finish=None))
        if delta.finish == "stop" and self._stream.calls and not self._stream.cut:
            delta = structs.replace(delta, finish="tool_calls")
        elif delta.finish == "stop" and self._must:
            delta = _left_its_form(delta, "a call is missing or cut off")
        return [*rest, delta]


def _left_its_form(delta: Delta, why: str) -> Delta:
    return structs.replace(delta, finish="error", error=f"the answer left the form it was to have: {why}")


def _told(parts: Sequence[str | CallPart], delta: Delta) -> list[Delta]:
    return [
        structs.replace(delta, text=part) if isinstance(part, str) else structs.replace(delta, text="", calls=(part,))
        for part in parts
    ]


def whole_calls(parts: Sequence[CallPart]) -> list[dict[str, Any]]:
    """The calls of one answer, put together."""
    calls: dict[int, dict[str, Any]] = {}
    for part in parts:
        call = calls.setdefault(
            part.index, {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": ""}}
        )
        call["function"]["arguments"] += part.arguments
    return list(calls.values())


def plan_output(model: Model, ask: Ask) -> Output:
    """What a request's answers must be; raise ``Refused`` for what this model cannot do. Takes a moment."""
    schema = None if ask.schema is None else read_schema(ask.schema, "response_format")
    if schema is not None and "json_schema" not in model.features:
        raise _missing("response_format", "json_schema", "cannot hold an answer to a schema")
    _check_history(model, ask)
    tools = ask.tools
    if tools is None:
        return Output(json_schema=schema, checked=schema is not None and not ask.stop)
    known = _format(model)
    only = tools.choice == "required"
    sure = only or schema is not None
    schemas = {function.name: function.schema() for function in tools.functions if sure or function.strict}
    names = tuple(function.name for function in tools.functions)
    must = only and not ask.stop
    single = not tools.parallel
    calls = Calls(format=known, names=names, schemas=schemas, sure=sure, single=single, only=only, must=must)
    if not sure:
        return Output(markers=known.markers, calls=calls)
    if "grammar" not in model.features:
        param = "response_format" if schema is not None else "tool_choice"
        raise _missing(param, "grammar", "cannot be made to call a function")
    grammar = calls_grammar(
        known,
        [(function, schemas[function.name]) for function in tools.functions],
        parallel=tools.parallel,
        answer=schema if tools.choice == "auto" else None,
    )
    return Output(grammar=grammar, markers=known.markers, calls=calls)


def _format(model: Model) -> CallFormat:
    if "tools" not in model.features:
        raise _missing("tools", "tools", "takes no tools")
    template = model.chat_template
    if template is None or not template_uses(template, "tools"):
        raise Refused("this model's chat template takes no tools", param="tools", code="unsupported_parameter")
    known = find_format(template)
    if known is None:
        message = "this model's chat template takes tools, but the form in which it calls them is not known here"
        raise Refused(message, param="tools", code="unsupported_parameter")
    return known


def _check_history(model: Model, ask: Ask) -> None:
    """Calls in the messages must reach the prompt."""
    template = (model.chat_template or "") if "tools" in model.features else ""
    for i, message in enumerate(ask.messages or ()):
        if "tool_calls" in message and "tool_calls" not in template:
            param = f"messages[{i}].tool_calls"
            raise Refused(
                f"{param}: this model's chat template takes no calls", param=param, code="unsupported_parameter"
            )


def _missing(param: str, feature: str, what: str) -> Refused:
    return Refused(f"{param}: this model's engine {what} ({feature})", param=param, code="unsupported_parameter")
