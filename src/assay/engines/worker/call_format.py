"""How a family of models writes its calls of functions, known from the text of the chat template."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from assay.engines.worker.grammar import HEAD, literal, schema_rule
from assay.engines.worker.tools import Function

MAX_CALLS = 16
"""In one answer that must be calls: a model that would go on for ever is stopped."""


class CallFormat(Struct, frozen=True, kw_only=True):
    """Calls are JSON objects with ``name`` and ``key``, alone or in a list, between ``opening`` and ``close``."""

    opening: tuple[str, ...]
    """Marks that begin calls; the first is the one to write."""
    close: str = ""
    """Ends calls; it may be missing at the end of an answer."""
    around: str = ""
    """What stands between a mark and the JSON."""
    listed: bool = False
    """Whether several calls are one list; otherwise each has its own marks."""
    key: str = "arguments"
    bare: bool = False
    """Whether an answer that begins with a brace may be a call without any mark."""
    short_ids: bool = False
    """Whether the template takes ids of nine letters and digits only."""

    @property
    def markers(self) -> tuple[str, ...]:
        """All marks, which may be special tokens."""
        return (*self.opening, self.close) if self.close else self.opening

    def head(self, function: str) -> str:
        """What comes before the arguments in a call as it is written under a grammar."""
        return f'{{"name": "{function}", "{self.key}": '


HERMES = CallFormat(opening=("<tool_call>",), close="</tool_call>", around="\n")
MISTRAL = CallFormat(opening=("[TOOL_CALLS]",), listed=True, short_ids=True)
PHI = CallFormat(opening=("<|tool_call|>",), close="<|/tool_call|>", listed=True)
PHI_SINGLE = structs.replace(PHI, listed=False)
GRANITE = CallFormat(opening=("<|tool_call|>",), listed=True)
LLAMA = CallFormat(opening=("<|python_tag|>",), key="parameters", bare=True)


def find_format(template: str) -> CallFormat | None:
    """The format that a template's text speaks of; None where it is of no known kind."""
    foreign = ("<function=", "<arg_key>", "[ARGS]", "tool▁call", "<|channel|>")
    if any(mark in template for mark in foreign):
        return None
    if PHI.opening[0] in template:
        if PHI.close not in template:
            return GRANITE
        return PHI_SINGLE if PHI.opening[0] + "{" in template else PHI
    for known in (HERMES, MISTRAL):
        if known.opening[0] in template:
            return known
    if LLAMA.opening[0] in template or '{"name": function name, "parameters":' in template:
        return LLAMA
    return None


def calls_grammar(
    known: CallFormat, functions: Sequence[tuple[Function, str]], *, parallel: bool, answer: str | None
) -> str:
    """The grammar of one call or more of ``functions``, each with the schema of its arguments.

    With ``answer``, a schema, an answer that satisfies it will do as well.
    """
    several = parallel and not known.bare
    rules = [
        f'call_{i}: {literal(known.head(function.name))} arguments_{i} "}}"\narguments_{i}: {schema_rule(schema)}\n'
        for i, (function, schema) in enumerate(functions)
    ]
    call = " | ".join(f"call_{i}" for i in range(len(functions)))
    repeated = f'(", " call){{0,{MAX_CALLS - 1}}}' if several and known.listed else ""
    body = f'" "? "[" call {repeated} "]"' if known.listed else "call"
    around = f"{literal(known.around)} " if known.around else ""
    marked = body if known.bare else f"marker_0 {around}{body}"
    if known.close and not known.bare:
        marked += f" {around}marker_{len(known.opening)}"
    more = f'("\\n" calls_once){{0,{MAX_CALLS - 1}}}' if several and not known.listed else ""
    start = f"start: calls_once {more}\n" if answer is None else f"start: answer | calls_once {more}\n"
    also = f"answer: {schema_rule(answer)}\n" if answer is not None else ""
    return f"{HEAD}{start}calls_once: {marked}\ncall: {call}\n{also}{''.join(rules)}"
