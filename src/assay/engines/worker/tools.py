"""The functions that a request offers the model, and the calls in its messages, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from assay.engines.worker.fields import boolean, unsupported, wrong
from assay.engines.worker.model import Refused
from assay.engines.worker.schema import read_schema

MAX_TOOLS = 128
NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


class Function(Struct, frozen=True, kw_only=True):
    """A function that may be called. ``strict``: whatever does not satisfy ``parameters`` is no call of it."""

    name: str
    parameters: Mapping[str, Any]
    strict: bool = False
    where: str
    """The field of ``parameters``, for errors."""

    def schema(self) -> str:
        """The schema of the arguments, checked; raise ``Refused`` for one that cannot be enforced."""
        return read_schema(dict(self.parameters), self.where)


class Tools(Struct, frozen=True, kw_only=True):
    """What a request offers. ``given`` is the list as it came, for the chat template."""

    functions: tuple[Function, ...]
    given: tuple[Mapping[str, Any], ...]
    choice: str = "auto"
    """``auto``, or ``required``: the answer is a call of one of ``functions``."""
    parallel: bool = True
    """Whether there may be several calls in one answer."""


def read_tools(body: Mapping[str, Any]) -> Tools | None:
    """Check ``tools``, ``tool_choice`` and ``parallel_tool_calls``; None where nothing may be called."""
    given = body.get("tools")
    choice = body.get("tool_choice")
    parallel = body.get("parallel_tool_calls") is None or boolean(body, "parallel_tool_calls")
    if given is None or given == []:
        if choice not in (None, "none", "auto"):
            raise Refused("tool_choice is only allowed together with tools", param="tool_choice")
        return None
    if not isinstance(given, list):
        raise wrong("tools", "a list of functions", given)
    if len(given) > MAX_TOOLS:
        raise Refused(f"tools holds {len(given)} functions; at most {MAX_TOOLS} are allowed", param="tools")
    functions = tuple(_function(tool, f"tools[{i}]") for i, tool in enumerate(given))
    names = [function.name for function in functions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Refused(f"tools holds two functions called {twice!r}", param="tools")
    if choice == "none":
        return None
    if choice in (None, "auto", "required"):
        return Tools(functions=functions, given=tuple(given), choice=choice or "auto", parallel=parallel)
    named = _named(choice, functions)
    return Tools(functions=(named,), given=tuple(given), choice="required", parallel=False)


def _function(tool: Any, where: str) -> Function:
    if not isinstance(tool, dict):
        raise wrong(where, "an object with type and function", tool)
    if tool.get("type") != "function":
        raise wrong(f"{where}.type", '"function", the only kind of tool here', tool.get("type"))
    function = tool.get("function")
    where = f"{where}.function"
    if not isinstance(function, dict):
        raise wrong(where, "an object with a name", function)
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise wrong(f"{where}.name", "1 to 64 letters, digits, dots, hyphens and underscores", name)
    if function.get("description") is not None and not isinstance(function["description"], str):
        raise wrong(f"{where}.description", "a string", function["description"])
    strict = boolean(function, "strict", of=f"{where}.")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise wrong(f"{where}.parameters", "a JSON Schema", parameters)
    return Function(name=name, parameters=parameters or NO_PARAMETERS, strict=strict, where=f"{where}.parameters")


def _named(choice: Any, functions: tuple[Function, ...]) -> Function:
    wanted = 'none, auto, required or {"type": "function", "function": {"name": ...}}'
    if not isinstance(choice, dict) or choice.get("type") != "function" or not isinstance(choice.get("function"), dict):
        raise wrong("tool_choice", wanted, choice)
    name = choice["function"].get("name")
    for function in functions:
        if function.name == name:
            return function
    raise Refused(f"tool_choice names the function {name!r}, which is not among the tools", param="tool_choice")


def read_calls(message: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """A message with its calls as chat templates want them: arguments as objects, no field where there is no call.

    A message with the role ``tool`` must say which call it answers.
    """
    if message.get("function_call"):
        raise unsupported(f"{where}.function_call")
    rest = {key: value for key, value in message.items() if key not in ("tool_calls", "function_call")}
    if message.get("role") == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise wrong(f"{where}.tool_call_id", "the id of the call that this answers", message.get("tool_call_id"))
    calls = message.get("tool_calls")
    if calls is None or calls == []:
        return rest
    if message.get("role") != "assistant":
        raise Refused(f"{where}.tool_calls is only allowed in an assistant's message", param=f"{where}.tool_calls")
    if not isinstance(calls, list):
        raise wrong(f"{where}.tool_calls", "a list of calls", calls)
    return {**rest, "tool_calls": [_call(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(calls)]}


def _call(call: Any, where: str) -> Mapping[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or call.get("type", "function") != "function":
        raise wrong(where, "an object with id, type and function", call)
    if not isinstance(function.get("name"), str):
        raise wrong(f"{where}.function.name", "a string", function.get("name"))
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
    if not isinstance(arguments, dict):
        raise wrong(f"{where}.function.arguments", "a JSON object as a string", function.get("arguments"))
    return {**call, "type": "function", "function": {**function, "arguments": arguments}}
