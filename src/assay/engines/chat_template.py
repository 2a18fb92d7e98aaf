"""A model's own chat template, rendered as Hugging Face's ``apply_chat_template`` renders it.

The template is data from a stranger: it runs in jinja2's immutable sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assay.engines.worker.model import Message, Refused

_OFTEN_LEFT_OUT = frozenset({"developer", "tool", "function"})
"""Roles that many templates do not know."""


class ChatTemplate:
    """A compiled template; ``special`` holds the tokens it may name: ``bos_token``, ``eos_token`` and the like."""

    def __init__(self, source: str, special: Mapping[str, str]) -> None:
        self.source = source
        self._special = dict(special)
        self._template = _environment().from_string(source)

    def render(self, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
        """The text of the whole prompt, up to where the answer begins; raise ``Refused`` with the template's reason.

        A developer's message is a system message to a template that does not speak of developers. A message that the
        template leaves out, as some do with results of tools, is refused, too.
        """
        known = [self._known(message) for message in messages]
        text = self._rendered(known, options)
        roles = {i: message["role"] for i, message in enumerate(messages) if message["role"] in _OFTEN_LEFT_OUT}
        if roles:
            self._refuse_left_out(known, options, roles)
        return text

    def _known(self, message: Message) -> Message:
        if message["role"] == "developer" and "developer" not in self.source:
            return {**message, "role": "system"}
        return message

    def _refuse_left_out(
        self, messages: Sequence[Message], options: Mapping[str, Any], roles: Mapping[int, str]
    ) -> None:
        """The messages that ``roles`` names must reach the prompt: words in their place are looked for in it."""
        words = {i: f"zqx{i}xqz" for i in roles}
        marked = [{**message, "content": words.get(i, message["content"])} for i, message in enumerate(messages)]
        try:
            text = self._rendered(marked, options)
        except Refused:
            return  # it looks into such messages, so it knows them
        for i, word in words.items():
            if word not in text:
                message = f"messages[{i}]: this model's chat template leaves out this message of the role {roles[i]}"
                raise Refused(message, param=f"messages[{i}].role", code="unsupported_parameter")

    def _rendered(self, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
        values = {"tools": None, "documents": None, **self._special, **options}
        values |= {"messages": [dict(message) for message in messages], "add_generation_prompt": True}
        try:
            return self._template.render(values)
        except (jinja2.TemplateError, TypeError, KeyError, ValueError) as error:
            message = f"the model's chat template refuses these messages: {error}"
            raise Refused(message, param="messages", code="chat_template_error") from None


@cache
def template_uses(source: str, name: str) -> bool:
    """Whether a template looks at the value called ``name``; kept, since a long template takes tens of milliseconds."""
    try:
        return name in meta.find_undeclared_variables(_environment().parse(source))
    except jinja2.TemplateSyntaxError:
        return False


class _Generation(Extension):
    """``{% generation %}`` marks the assistant's words for training; here its content is just printed."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    """Jinja's own filter escapes HTML characters, which no model has seen in training."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
