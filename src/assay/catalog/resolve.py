"""What people type -> variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from assay.catalog.bundled import bundled_variants
from assay.catalog.local import WHAT_IS_READ, expanded, variants_at
from assay.catalog.registry import Registry
from assay.catalog.remote import is_address, remote_variant
from assay.errors import UnknownModel
from assay.types import Variant

EVERY = frozenset({"auto", "all"})
BUNDLED = "bundled"
SHOWN = 12


def resolve(
    text: str,
    *,
    registry: Registry | None = None,
    bundled: Sequence[Variant] | None = None,
) -> list[Variant]:
    """The variants that ``text`` names, in this order of precedence:

    1. an address (``http://host/v1#model``);
    2. ``auto`` or ``ALL``: every entry of the registry that can be run, or without a registry all bundled models;
       ``bundled``: all bundled models. Safetensors are left out of both: they are for compiling;
    3. an alias or a variant id of the registry, then of the bundled models (``notes-4m``, ``notes-4m:q8_0``);
    4. a path: a .gguf file, a folder of them, a folder of ONNX Runtime GenAI.

    ``bundled`` are the package's own unless given. Files of one's own are not hashed here: see ``with_digests``.

    Raises:
        UnknownModel: nothing of that name; the error names near ones. BadInput: a file is broken.
    """
    own = tuple(bundled if bundled is not None else bundled_variants())
    return _find(text.strip(), registry, own)


def _find(text: str, registry: Registry | None, bundled: Sequence[Variant]) -> list[Variant]:
    if is_address(text):
        return [remote_variant(text)]
    if text.lower() == BUNDLED or (text.lower() in EVERY and registry is None):
        return _runnable(bundled)
    if text.lower() in EVERY and registry is not None:
        return _every_entry(registry)
    if registry is not None and (listed := _in_registry(text, registry)):
        return listed
    if named := _named(text, bundled):
        return named
    if _is_path(text):
        return variants_at(expanded(text))
    raise _unknown(text, registry, bundled)


def _runnable(variants: Iterable[Variant]) -> list[Variant]:
    return [variant for variant in variants if variant.format != "safetensors"]


def _every_entry(registry: Registry) -> list[Variant]:
    variants = [variant for entry in registry.entries for variant in entry.variants]
    if not variants:
        raise UnknownModel(
            f"no entry of {registry.path} can be run here",
            why="; ".join(registry.warnings[:SHOWN]) or "it has no entries",
            remedy='give an entry a "path" or an "endpoint"',
        )
    return variants


def _in_registry(text: str, registry: Registry) -> list[Variant]:
    for same in (str, str.lower):
        for entry in registry.entries:
            if same(entry.alias) == same(text):
                if entry.problem:
                    raise UnknownModel(
                        f"{entry.alias} of {registry.path} cannot be run here",
                        why=entry.problem,
                        remedy=f'give the entry a "path" ({WHAT_IS_READ}) or an "endpoint"',
                    )
                return list(entry.variants)
    variants = [variant for entry in registry.entries for variant in entry.variants]
    return [variant for variant in variants if variant.id.lower() == text.lower()]


def _named(text: str, bundled: Sequence[Variant]) -> list[Variant]:
    """By id, or by alias: then all that can be run."""
    exact = [variant for variant in bundled if variant.id.lower() == text.lower()]
    return exact or _runnable(variant for variant in bundled if variant.alias.lower() == text.lower())


def _is_path(text: str) -> bool:
    if "/" in text or "\\" in text or text.startswith(("~", ".")) or text.lower().endswith((".gguf", ".onnx")):
        return True
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # too long, or with a null byte: no path
        return False


def _unknown(text: str, registry: Registry | None, bundled: Sequence[Variant]) -> UnknownModel:
    listed = [entry.alias for entry in registry.entries] if registry else []
    aliases = list(dict.fromkeys([*listed, *(variant.alias for variant in bundled)]))
    names = {name.lower(): name for name in [*(variant.id for variant in bundled), *aliases]}
    near = [names[match] for match in get_close_matches(text.lower(), names, n=3, cutoff=0.5)]
    shown = ", ".join(aliases[:SHOWN]) + (f" and {len(aliases) - SHOWN} more" if len(aliases) > SHOWN else "")
    return UnknownModel(
        f"there is no model {text[:200]!r}",
        why=f"near names: {', '.join(near)}" if near else None,
        remedy=f"name one of {shown or 'your own'}; or {WHAT_IS_READ}",
    )
