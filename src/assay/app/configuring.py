"""The settings as a person lists, sets and resets them. Writes the user's own file and nothing else."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from assay.errors import BadConfig
from assay.settings import SETTINGS, USER_FILE, Setting, Settings, forget, home_of, keep, resolve

NEVER = "never"
_MAY_BE_NEVER = frozenset({"serve.ttl", "serve.keep_warm"})
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
"""A name and a password in an address."""


class Value(Struct, frozen=True, kw_only=True):
    """A setting's value now, as text; ``source`` is where it comes from, ``env`` the variables that would set it."""

    key: str
    value: str | None
    source: str
    env: tuple[str, ...] = ()


def config_values(*, home: str | Path | None = None) -> list[Value]:
    """Every setting with its value here and now; passwords in addresses are left out.

    Raises:
        BadConfig: a file or a variable that cannot be used.
    """
    settings = resolve({"home": home}, os.environ, Path.cwd())
    sources = dict(settings.sources)
    return [
        Value(key="home", value=str(settings.home), source=sources["home"], env=("ASSAY_HOME",)),
        *(
            Value(key=one.key, value=_shown(settings, one), source=sources.get(one.field, "default"), env=one.env)
            for one in SETTINGS
        ),
    ]


def set_config(key: str, text: str, *, home: str | Path | None = None) -> tuple[Path, Value]:
    """Keep a value in the user's file; gives the file, and what counts now: a variable may still come before it.

    Raises:
        BadConfig: no such setting, no such value (then nothing is written), or the file cannot be written.
    """
    setting = _setting(key)
    read = setting.read(text, "assay config set")
    place = _home(home)
    path = keep(place, setting.key, _as_toml(read, text))
    return path, _now(setting, place)


def reset_config(
    keys: list[str], *, everything: bool = False, home: str | Path | None = None
) -> tuple[Path, list[str]]:
    """Take settings out of the user's file; gives the file and the keys that were in it.

    Raises:
        BadConfig: no such setting, or the file cannot be read or written.
    """
    named = [_setting(key).key for key in keys]
    place = _home(home)
    wanted = [setting.key for setting in SETTINGS] if everything else named
    return place / USER_FILE, forget(place, wanted)


def _home(home: str | Path | None) -> Path:
    """Where the file lies; what it sets wrongly must not keep anybody from setting it right."""
    return home_of({"home": home}, os.environ)


def _setting(key: str) -> Setting:
    known = {setting.key: setting for setting in SETTINGS}
    if key in known:
        return known[key]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    near = near or [one for one in known if one.partition(".")[2] == key]
    raise BadConfig(
        f"there is no setting {key}",
        remedy=f"did you mean {near[0]}?" if near else "assay config list shows all",
    )


def _now(setting: Setting, home: Path) -> Value:
    settings = resolve({"home": home}, os.environ, Path.cwd())
    source = dict(settings.sources).get(setting.field, "default")
    return Value(key=setting.key, value=_shown(settings, setting), source=source, env=setting.env)


def _as_toml(read: Any, text: str) -> Any:
    """The value as the file holds it: a number is a number, a path starts from where it was typed."""
    if isinstance(read, Path):
        return str(read.absolute())
    if isinstance(read, bool | int | float):
        return read if not text.strip()[-1:].isalpha() or isinstance(read, bool) else text.strip()
    if isinstance(read, tuple):
        if any(isinstance(part, Path) for part in read):
            return [str(part.absolute()) for part in read]
        if any(isinstance(part, tuple) for part in read):
            return [f"{name}={','.join(models)}" for name, models in read]
        return list(read)
    return text.strip()


def _shown(settings: Settings, setting: Setting) -> str | None:
    value = getattr(settings, setting.field)
    if value is None:
        return NEVER if setting.key in _MAY_BE_NEVER else None
    if isinstance(value, tuple):
        parts = [f"{one[0]}={','.join(one[1])}" if isinstance(one, tuple) else str(one) for one in value]
        return (";" if setting.field == "serve_routes" else ",").join(parts)
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return _SECRET.sub("***@", text)
