"""Foundry Local's cache: ``publisher/name-version/v<version>/``, named by ``inference_model.json``. Only read."""

from __future__ import annotations

import json
import re
from pathlib import Path

from assay.store.entries import Entry, entries

NAME_FILE = "inference_model.json"
VERSION = re.compile(r"v?\d+")


def folders(home: Path) -> list[Path]:
    """Where models may lie."""
    return [home / ".foundry" / "cache" / "models"]


def models(folder: Path) -> list[tuple[str, Entry]]:
    """Every model with its name and version as Foundry Local lists it (``phi-4-mini-generic-cpu:5``)."""
    return [(name_of(entry.path, folder), entry) for entry in entries(folder) if entry.format == "onnx"]


def name_of(model: Path, top: Path) -> str:
    """The name in the nearest ``inference_model.json`` from ``model`` up to below ``top``, else that of the folder.

    Versions of a model lie in folders of their own (``v5``), and some have a further one for the kind of weights.
    """
    above = [model, *model.parents]
    within = above[: above.index(top)] if top in above else []
    for folder in within or [model]:
        if name := _name_in(folder / NAME_FILE):
            return name
    return next((folder.name for folder in within if not VERSION.fullmatch(folder.name)), model.name)


def without_version(name: str) -> str:
    """``phi-4-mini-generic-cpu:5`` -> ``phi-4-mini-generic-cpu``."""
    stem, _, version = name.rpartition(":")
    return stem if stem and version.isdecimal() else name


def _name_in(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    name = content.get("Name") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name else None
