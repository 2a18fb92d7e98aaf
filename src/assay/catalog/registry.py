"""``models.json``: the models that people keep a list of, in the three shapes that such lists have.

1. a list: ``[{"name": "a", "task": "chat", "min_ram_gb": 8, "notes": "..."}]``, or of names alone: ``["a", "b"]``
2. a map: ``{"a": {"capabilities": ["chat"], "size_mb": 2400}}``
3. ours: ``{"version": 1, "models": [{"alias": "a", "path": "a.gguf", ...}], "prompts": "prompts.json"}``

An entry may use every key in every shape. What is not known is left out with a warning; what is broken is refused with
the entry and the key named.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from assay.catalog.bundled import bundled_variants
from assay.catalog.registry_entry import Bundled, Entry, Place, PromptList, kind_of, read_entry, read_prompts
from assay.errors import BadRegistry
from assay.types import Variant

Shape = Literal["list", "map", "assay"]


class Registry(Struct, frozen=True, kw_only=True):
    """A registry as read from ``path``; ``entries`` are in the file's order, ``unread`` tells of unknown keys."""

    path: Path
    shape: Shape
    entries: tuple[Entry, ...]
    prompts: Path | PromptList | None = None
    unread: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not read, and which entries have nothing on this machine by themselves."""
        return (*self.unread, *(f"{entry.alias}: {entry.problem}" for entry in self.entries if entry.problem))


def read_registry(path: Path, *, bundled: Sequence[Variant] | None = None) -> Registry:
    """Read ``path``; entries that name one of ``bundled`` (the package's own unless given) get its variants.

    Raises:
        BadRegistry: the file is not there, not JSON, of no known shape, or an entry of it is broken.
    """
    content = _load(path)
    shape, rows, top = _rows(path, content)
    known = _by_name(bundled if bundled is not None else bundled_variants())
    ignored: list[str] = []
    entries: list[Entry] = []
    aliases: set[str] = set()
    for where, alias, row in rows:
        place = Place(path, where)
        entry, unread = read_entry(place, alias, row, known)
        if entry.alias in aliases:
            raise place.bad(f"another entry is called {entry.alias} too", "give each entry a name of its own")
        aliases.add(entry.alias)
        entries.append(entry)
        if unread:
            ignored.append(f"{entry.alias}: {', '.join(unread)} is not read")
    return Registry(
        path=path,
        shape=shape,
        entries=tuple(entries),
        prompts=read_prompts(Place(path, "the file"), top.get("prompts")),
        unread=tuple(ignored),
    )


def _by_name(bundled: Sequence[Variant]) -> Bundled:
    names: dict[str, list[Variant]] = {}
    for variant in bundled:
        if variant.format != "safetensors":
            names.setdefault(variant.alias.lower(), []).append(variant)
    return names | {variant.id.lower(): [variant] for variant in bundled}


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except OSError as error:
        raise BadRegistry(
            f"{path} cannot be read", why=error.strerror or str(error), remedy="check the path and its rights"
        ) from error
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise BadRegistry(f"{path} is not JSON", why=why, remedy="mend that place") from error
    except (ValueError, RecursionError) as error:
        raise BadRegistry(f"{path} is not JSON", why=str(error), remedy="save it as UTF-8 JSON") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twin = next(key for key in content if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"{twin!r} is there twice in one object")
    return content


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")


def _rows(path: Path, content: Any) -> tuple[Shape, list[tuple[str, str | None, Any]], dict[str, Any]]:
    """The shape, then (place, alias where the place gives it, content) of each entry, then the other keys."""
    if isinstance(content, list):
        return "list", _listed(content), {}
    if not isinstance(content, dict):
        raise BadRegistry(
            f"{path} is no registry", why=f"it holds {kind_of(content)}; {EXPECTED}", remedy="see models.schema.json"
        )
    if "models" in content:
        if content.get("version", 1) != 1 or isinstance(content.get("version"), bool):
            raise BadRegistry(
                f"{path} cannot be read",
                why=f'"version" is {content["version"]!r}; 1 is expected',
                remedy="a newer Assay may have written it: update this one",
            )
        models = content["models"]
        if not isinstance(models, list | dict):
            raise BadRegistry(
                f"{path} is no registry", why=f'"models" is {kind_of(models)}; {EXPECTED}', remedy="make it a list"
            )
        return "assay", _listed(models) if isinstance(models, list) else _mapped(models), content
    extra = {key: value for key, value in content.items() if key == "$schema" or (key == "prompts" and not _map(value))}
    return "map", _mapped({key: value for key, value in content.items() if key not in extra}), extra


def _listed(models: list[Any]) -> list[tuple[str, str | None, Any]]:
    return [(f"entry {number}", None, row) for number, row in enumerate(models, 1)]


def _mapped(models: dict[str, Any]) -> list[tuple[str, str | None, Any]]:
    return [(f"entry {alias!r}", alias, row) for alias, row in models.items()]


def _map(value: Any) -> bool:
    return isinstance(value, dict)


EXPECTED = 'a list of models, a map from alias to model, or an object with "models" is expected'
