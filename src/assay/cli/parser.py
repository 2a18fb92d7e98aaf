"""The parser of every command: bad usage is told like any other error, and all commands share the same few flags."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

EVERYWHERE = "everywhere"
"""The heading of the flags that all commands share."""


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong and what to try, in place of the whole usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self._within = False

    def share(self, *, default: bool = True) -> None:
        """Add the shared flags, to sub-commands too: a flag that stands after the last word counts as well."""
        groups = self._groups()
        for nested in groups.choices.values() if groups else ():
            nested.share(default=False)
        self._within = not default
        # A sub-command's own default would hide what was given before its name.
        unset = argparse.SUPPRESS
        group = self.add_argument_group(EVERYWHERE)
        group.add_argument(
            "-o",
            "--output",
            choices=("text", "json"),
            default="text" if default else unset,
            help="form of the result on stdout (default text)",
        )
        group.add_argument(
            "--home",
            metavar="DIR",
            default=None if default else unset,
            help="where runs lie (ASSAY_HOME; default: the platform's data folder)",
        )
        group.add_argument(
            "--debug",
            action="store_true",
            default=False if default else unset,
            help="show a traceback when something fails",
        )

    def actions(self, dest: str = "action") -> Callable[[str, str], Parser]:
        """What adds an action by its name and a sentence on what it does; which one is meant comes as ``dest``."""
        # Not required: argparse would name it ACTION where it is missing, not what there is.
        groups = self.add_subparsers(dest=dest, required=False, metavar="ACTION")

        def add(name: str, told: str) -> Parser:
            parser: Parser = groups.add_parser(name, help=told, description=told)
            return parser

        return add

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """As argparse does; words may stand between flags, and an unknown one is told of with the nearest known."""
        parse = self.parse_known_intermixed_args if self._groups() is None else self.parse_known_args
        options: argparse.Namespace
        options, unknown = parse(args, namespace)
        if unknown:
            self._refuse(unknown)
        return options

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """As argparse does; what a sub-command does not know, it says itself, for it knows what is near."""
        options, unknown = super().parse_known_args(args, namespace)
        groups = self._groups()
        if groups is not None and getattr(options, groups.dest, None) is None:
            self.fail("an action must follow", f"it has {', '.join(groups.choices)}", f"{self.prog} --help")
        if unknown and self._within:
            self._refuse(unknown)
        return options, unknown

    def require_utf8(self, words: Sequence[str]) -> None:
        """Refuse bytes that are no text: no file of a run could hold them."""
        for word in words:
            try:
                word.encode()
            except UnicodeEncodeError:
                self.fail(f"{word!r} is not UTF-8", "arguments go into files that are", "write it in UTF-8")

    def error(self, message: str) -> NoReturn:
        """What argparse found wrong, and where to read what is right."""
        self.fail(message, None, f"{self.prog} --help")

    def fail(self, message: str, why: str | None, remedy: str) -> NoReturn:
        """Say it on stderr and exit with 2."""
        told = [f"{self.prog}: {message}", *([f"  why: {why}"] if why else []), f"  try: {remedy}"]
        self.exit(2, "\n".join(told) + "\n")

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        near = [match for flag in flags for match in difflib.get_close_matches(flag, self._known(), n=1)]
        remedy = f"did you mean {' '.join(near)}?" if near else f"{self.prog} --help"
        self.fail(f"cannot use {' '.join(map(repr, unknown))}", None, remedy)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        groups = self._groups()
        if action is groups and value not in groups.choices:
            near = difflib.get_close_matches(value, groups.choices, n=1)
            remedy = f"{self.prog} {near[0] if near else '--help'}"
            self.fail(f"there is no action {value!r}", f"it has {', '.join(groups.choices)}", remedy)
        super()._check_value(action, value)

    def _groups(self) -> argparse._SubParsersAction[Parser] | None:
        return next((action for action in self._actions if isinstance(action, argparse._SubParsersAction)), None)

    def _known(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]
