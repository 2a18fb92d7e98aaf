"""Foundry Local's cache: ``publisher/name-version/v<version>/``, named by ``inference_model.json``. Only read."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from assay.errors import BadInput
from assay.formats import told_name
from assay.store.entries import Entry, entries

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
        if name := _told_name(folder):
            return name
    return next((folder.name for folder in within if not VERSION.fullmatch(folder.name)), model.name)


def _told_name(folder: Path) -> str | None:
    with contextlib.suppress(BadInput):
        return told_name(folder)
    return None
