"""What a service is started with: what was asked for, as a restart needs it again, and what that comes to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from assay.errors import BadConfig, BadInput
from assay.serve.hosts import Opening, judge_opening
from assay.serve.keys import any_valid, keys_file, read
from assay.settings import Settings, flag, home_of, resolve

_ONLY_YOURS = ("serve_allow_hosts", "serve_allow_origins")
"""A folder that came from elsewhere must not say which web pages may use your models."""


MODELS = "serve_preload"
"""The flag that is no flag: the names of models to bring up."""


class Asked(Struct, frozen=True, kw_only=True):
    """The flags of a start: ``flags`` by fields of ``Settings``, as they were typed. ``folder`` is where they were.

    A setting that is changed later counts at a restart; a flag that was given stays. ``no_key`` lets everybody in who
    reaches the address, whatever keys there are.
    """

    home: str | None = None
    folder: str
    flags: dict[str, Any] = {}
    no_key: bool = False
    log_prompts: bool = False

    def differs(self, kept: Mapping[str, Any]) -> bool:
        """Whether more or other things were asked for than ``kept``, what a service was started with."""
        own = msgspec.to_builtins(self)
        return any(own[name] and own[name] != kept.get(name) for name in ("flags", "no_key", "log_prompts"))

    def words(self) -> Iterator[str]:
        """The command line that asks for the same."""
        for field, value in self.flags.items():
            if field != MODELS:
                for one in value if isinstance(value, list) else [value]:
                    yield from (flag(field), str(one))
        yield from ["--no-key"] if self.no_key else []
        yield from ["--log-prompts"] if self.log_prompts else []
        yield from ["--home", self.home] if self.home else []
        yield from map(str, self.flags.get(MODELS, []))


class ServeOptions(Struct, frozen=True, kw_only=True):
    """What a service runs with: its ``settings`` (those that begin with ``serve_``), and what they come from."""

    asked: Asked
    settings: Settings


def wanted_service(
    *, home: str | Path | None, flags: dict[str, Any], no_key: bool = False, log_prompts: bool = False
) -> Asked:
    """What was asked for in this folder; flags that are None or empty were not given."""
    return Asked(
        home=str(home_of({"home": home}, os.environ)) if home is not None or os.environ.get("ASSAY_HOME") else None,
        folder=str(Path.cwd()),
        flags={name: _kept(name, value) for name, value in flags.items() if value not in (None, [], ())},
        no_key=no_key,
        log_prompts=log_prompts,
    )


def options_for(wanted: Asked) -> ServeOptions:
    """What ``wanted`` comes to with the environment and the settings' files of its folder.

    Raises:
        BadConfig: a value that cannot be used. BadInput: values that do not go together.
    """
    settings = resolve({"home": wanted.home, **wanted.flags}, os.environ, Path(wanted.folder))
    for field in _ONLY_YOURS:
        if settings.by_project(field):
            raise BadConfig(
                f"{settings.source(field)} says who may reach your models from web pages",
                why="only you can: a project's file may have come from elsewhere",
                remedy=f"give {flag(field)}, or move it into your own file with assay config set",
            )
    if (settings.serve_tls_cert is None) != (settings.serve_tls_key is None):
        raise BadInput("TLS takes two files", why="one was given", remedy="give both --tls-cert and --tls-key")
    return ServeOptions(asked=wanted, settings=settings)


def opening_of(options: ServeOptions) -> Opening:
    """Whom the address lets in, by the keys that there are now.

    Raises:
        BadInput: others could reach it without a key, or the file of keys is damaged.
    """
    settings = options.settings
    valid = any_valid(read(keys_file(settings.home)), datetime.now(UTC))
    tls = settings.serve_tls_cert is not None
    return judge_opening(settings.serve_host, keys=valid, no_key=options.asked.no_key, tls=tls)


def _kept(field: str, value: Any) -> Any:
    """A flag's value as JSON keeps it, a path made whole, since a restart may be asked for from elsewhere."""
    if field in {"registry", "serve_tls_cert", "serve_tls_key"}:
        return str(Path(value).expanduser().absolute())
    if field == MODELS:
        return [_whole(str(name)) for name in value]
    return list(value) if isinstance(value, list | tuple) else value


def _whole(name: str) -> str:
    """A model that is a path is found from any folder."""
    with contextlib.suppress(OSError):
        if Path(name).exists() and (os.sep in name or "/" in name):
            return str(Path(name).absolute())
    return name
