"""Engines: a variant in, a live OpenAI-compatible endpoint out.

Each model runs in a worker process of its own on 127.0.0.1. One file per engine, found by name in a lazy table or in
the entry-point group ``assay.engines``; ``load`` and ``for_variant`` give the engine, its four methods do the rest.
"""

from __future__ import annotations

import contextlib
import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any, cast

from assay.errors import BadInput, EngineUnavailable
from assay.types import Engine, Format, Variant

if TYPE_CHECKING:
    from assay.engines.custom import CustomModelAdapter

__all__ = ["CustomModelAdapter", "for_variant", "load", "names", "present"]

ENTRY_POINTS = "assay.engines"
_BUILT_IN = {
    "llamacpp": "assay.engines.llamacpp:LlamaCpp",
    "onnxruntime_genai": "assay.engines.onnxruntime_genai:OnnxRuntimeGenAI",
    "custom": "assay.engines.custom:Custom",
}
_READ: dict[str, tuple[str, Format]] = {
    "llamacpp": ("xllamacpp", "gguf"),
    "onnxruntime_genai": ("onnxruntime-genai", "onnx"),
}
"""What is known of built-in engines without importing them: their package, and the format they read."""
_DEFAULTS = {"gguf": "llamacpp", "onnx": "onnxruntime_genai", "adapter": "custom"}


def names() -> tuple[str, ...]:
    """Every engine known here: the built-in ones first, then installed ones by name."""
    return (*_BUILT_IN, *sorted(set(_installed()) - set(_BUILT_IN)))


def present() -> dict[str, tuple[str | None, tuple[Format, ...]]]:
    """The engines that can run files here: name -> version and formats. Built-in ones are not imported for it."""
    found: dict[str, tuple[str | None, tuple[Format, ...]]] = {}
    for name, (package, form) in _READ.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(package), (form,)
    for name in sorted(set(_installed()) - set(_BUILT_IN)):
        with contextlib.suppress(EngineUnavailable):
            engine = load(name)
            state = engine.available()
            if state.ok:
                found[name] = state.version, engine.formats
    return found


def load(name: str) -> Engine:
    """A new engine object; it stops and describes what it has started. Raise ``BadInput`` or ``EngineUnavailable``."""
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        made = getattr(importlib.import_module(module), attribute)
    else:
        made = _load_installed(name)
    return cast("Engine", made())


def for_variant(variant: Variant) -> Engine:
    """The engine that the variant names, or the first one for its format; raise ``BadInput`` where there is none."""
    if variant.engine:
        return load(variant.engine)
    if variant.format in _DEFAULTS:
        return load(_DEFAULTS[variant.format])
    for name in sorted(_installed()):
        engine = load(name)
        if variant.format in engine.formats:
            return engine
    raise BadInput(
        f"no engine here runs {variant.format}, the format of {variant.id}",
        why=f"engines: {', '.join(names())}",
        remedy="install an engine for it, or choose another variant of the model",
    )


def _installed() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def _load_installed(name: str) -> Any:
    point = _installed().get(name)
    if point is None:
        raise BadInput(f"there is no engine named {name!r}", remedy=f"name one of {', '.join(names())}")
    try:
        return point.load()
    except Exception as error:
        raise EngineUnavailable(f"engine {name} cannot be loaded", why=f"{type(error).__name__}: {error}") from error


def __getattr__(name: str) -> Any:
    if name == "CustomModelAdapter":
        return importlib.import_module("assay.engines.custom").CustomModelAdapter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
