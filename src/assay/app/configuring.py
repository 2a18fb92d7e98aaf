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
    home_now = Value(key="home", value=str(settings.home), source=settings.source("home"), env=("ASSAY_HOME",))
    return [home_now, *(_now(settings, one) for one in SETTINGS)]


def set_config(key: str, text: str, *, home: str | Path | None = None) -> tuple[Path, Value]:
    """Keep a value in the user's file; gives the file, and what counts now: a variable may still come before it.

    Raises:
        BadConfig: no such setting, no such value (then nothing is written), or the file cannot be written.
    """
    setting = _setting(key)
    read = setting.read(text, "assay config set")
    place = _home(home)
    path = keep(place, setting.key, _as_toml(read, text))
    return path, _now(resolve({"home": place}, os.environ, Path.cwd()), setting)


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


def _now(settings: Settings, one: Setting) -> Value:
    return Value(key=one.key, value=_shown(settings, one), source=settings.source(one.field), env=one.env)


def _as_toml(read: Any, text: str) -> Any:
    """The value as the file holds it: a number is a number, a path starts from where it was typed."""
    if isinstance(read, Path):
        return _part(read)
    if isinstance(read, bool | int | float):
        return read if not text.strip()[-1:].isalpha() or isinstance(read, bool) else text.strip()
    return [_part(part) for part in read] if isinstance(read, tuple) else text.strip()


def _part(part: Any) -> Any:
    """One of a list as the file holds it: a path, a route, or what is written as it is."""
    if isinstance(part, Path):
        return str(part.absolute())
    return f"{part[0]}={','.join(part[1])}" if isinstance(part, tuple) else part


def _shown(settings: Settings, setting: Setting) -> str | None:
    value = getattr(settings, setting.field)
    if value is None:
        return NEVER if setting.key in _MAY_BE_NEVER else None
    if isinstance(value, tuple):
        between = ";" if any(isinstance(part, tuple) for part in value) else ","
        return between.join(str(_part(part)) for part in value)
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return _SECRET.sub("***@", text)
