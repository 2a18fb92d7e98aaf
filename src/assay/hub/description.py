"""What the hub's API says of a repository, as a `Repo`. Pure; what is not there or makes no sense is left unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from assay.types import File, Repo

LISTED = (
    "sha", "createdAt", "downloads", "trendingScore", "tags", "pipeline_tag", "library_name",
    "gated", "safetensors", "gguf", "baseModels", "cardData",
)  # fmt: skip
"""What is asked of each repository of a listing."""
DESCRIBED = (*LISTED, "config")
BASE = "base_model:"
MOST = 1 << 63
ID = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?")
"""It becomes part of addresses, and of commands that people are shown."""


def repo_from(told: Mapping[str, Any], files: Iterable[Mapping[str, Any]] | None = None) -> Repo:
    """A `Repo` from an entry of ``/api/models`` or ``/api/models/{id}``, and the entries of its tree."""
    card, gguf = _map(told.get("cardData")), _map(told.get("gguf"))
    config = _map(told.get("config"))
    tags = _texts(told.get("tags"))
    bases, relation = _base(told, card, tags)
    template = gguf.get("chat_template") or _map(config.get("tokenizer_config")).get("chat_template")
    return Repo(
        id=_id(told.get("id")) or _id(told.get("modelId")) or "",
        revision=_text(told.get("sha")),
        files=None if files is None else tuple(map(file_from, filter(_is_file, files))),
        created=_text(told.get("createdAt")),
        downloads=_count(told.get("downloads")),
        trending=_number(told.get("trendingScore")),
        tags=tags,
        task=_text(told.get("pipeline_tag")),
        library=_text(told.get("library_name")),
        licence=_licence(card, tags),
        languages=_texts(card.get("language")),
        gated=None if told.get("gated") is None else bool(told["gated"]),
        parameters=_count(_map(told.get("safetensors")).get("total")) or _count(gguf.get("total")) or None,
        context_length=_count(gguf.get("context_length")) or None,
        architecture=_text(gguf.get("architecture")) or _text(config.get("model_type")),
        chat_template=bool(template) if gguf or config else None,
        base_models=bases,
        relation=relation,
    )


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and ID.fullmatch(value) else None


def _is_file(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") == "file" and _text(entry.get("path")) is not None


def file_from(entry: Mapping[str, Any]) -> File:
    """A `File` from an entry of a repository's tree, which has a path."""
    lfs = _map(entry.get("lfs"))
    size = _count(lfs.get("size"))
    return File(
        path=str(entry["path"]),
        size=_count(entry.get("size")) if size is None else size,
        sha256=_text(lfs.get("oid")),
        git_sha1=None if lfs else _text(entry.get("oid")),
    )


def _base(
    told: Mapping[str, Any], card: Mapping[str, Any], tags: tuple[str, ...]
) -> tuple[tuple[str, ...], str | None]:
    """The models that this one was made from, and how; the hub's own finding before the card's words and the tags'."""
    found = told.get("baseModels")
    models = _map(found).get("models") if isinstance(found, Mapping) else found
    named = _texts([m.get("id") if isinstance(m, Mapping) else m for m in models] if isinstance(models, list) else None)
    marks = [tag.removeprefix(BASE).rpartition(":") for tag in tags if tag.startswith(BASE)]
    bases = named or _texts(card.get("base_model")) or tuple(dict.fromkeys(base for _, _, base in marks))
    relation = _text(_map(found).get("relation")) or _text(card.get("base_model_relation"))
    return bases, relation or next((how for how, _, _ in marks if how), None)


def _licence(card: Mapping[str, Any], tags: tuple[str, ...]) -> str | None:
    """The card's licence, by its own name where it is none of the hub's list; several hold together."""
    licence = " AND ".join(_texts(card.get("license"))) or None
    if licence == "other":
        licence = _text(card.get("license_name")) or licence
    return licence or next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    """A text that a terminal can show as it is."""
    return value if isinstance(value, str) and value and value.isprintable() else None


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(text for one in values if (text := _text(one)) is not None)


def _count(value: object) -> int | None:
    """A whole number that records can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST else None


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if -MOST < value < MOST else None
