"""The GGUF models among a repository's files, told by their names alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from assay.catalog.left_out import LeftOut
from assay.formats import is_projector, shard_of
from assay.types import File

PIECE = re.compile(r"\.gguf[.-](part|split)", re.IGNORECASE)
"""Files that somebody cut apart with another tool than llama.cpp's own; no engine opens them as they are."""
QUANTISATION = re.compile(
    r"(?:^|[-._ /])"
    r"(?P<name>(?:ud-)?(?:iq[1-4]_(?:xxs|xs|s|m|l|nl|xl)|q[1-8]_k(?:_(?:xs|s|m|l|xl|xxl))?|q[1-8]_[01](?:_\d_\d)?"
    r"|tq[12]_0|i2_s|mxfp4(?:_moe)?|nvfp4|q[2-8])|bf16|f16|f32|fp16|fp32)"
    r"(?=$|[-._ /])",
    re.IGNORECASE,
)
SPELLINGS = {"fp16": "f16", "fp32": "f32"}
NO_MODELS = (
    (is_projector, "the part that reads pictures; text alone is run here"),
    (re.compile(r"^(?!.*q\d_).*imatrix", re.IGNORECASE).search, "figures that a quantiser uses, no weights"),
    (re.compile(r"(^|[-._])vocab([-._]|$)", re.IGNORECASE).search, "a vocabulary without weights"),
    (
        re.compile(r"(^|[-._])lora([-._]|$)|adapter", re.IGNORECASE).search,
        "an adapter, which runs on its base model only",
    ),
    (re.compile(r"control[-_]?vector", re.IGNORECASE).search, "a control vector, no weights"),
)
GONE = re.compile(r"q4_0_\d_\d|i2_s")
"""Quantisations that llama.cpp read once, or that only another program reads."""


class GgufModel(NamedTuple):
    """One model: ``files`` from the repository's top, in the order of their numbers.

    ``stem`` is the first file's name without quantisation, shard number and ending.
    """

    files: tuple[File, ...]
    stem: str
    quantisation: str | None

    @property
    def folder(self) -> str | None:
        """Where its files lie; None at the top."""
        folder = PurePosixPath(self.files[0].path).parent.as_posix()
        return None if folder == "." else folder


def gguf_models(files: Iterable[File]) -> tuple[list[GgufModel], list[LeftOut]]:
    """Every model, ordered by path, and the GGUF files that are none."""
    models: list[GgufModel] = []
    left: list[LeftOut] = []
    shards: defaultdict[tuple[str, int], dict[int, File]] = defaultdict(dict)
    for file in sorted(files, key=lambda file: file.path):
        path = PurePosixPath(file.path)
        if PIECE.search(path.name):
            left.append(LeftOut((file.path,), "a piece of a file that somebody cut apart; join the pieces by hand"))
        elif path.suffix.lower() != ".gguf":
            continue
        elif why := next((why for is_one, why in NO_MODELS if is_one(path.stem)), None):
            left.append(LeftOut((file.path,), why))
        elif shard := shard_of(path.stem):
            shards[path.with_name(shard.stem).as_posix(), shard.total][shard.number] = file
        else:
            models.append(_model(path.with_suffix(""), (file,)))
    for (stem, count), parts in shards.items():
        present = tuple(parts[number] for number in sorted(parts))
        missing = [number for number in range(1, count + 1) if number not in parts]
        if missing or len(parts) != count:
            numbers = ", ".join(map(str, missing[:8])) or "none that the name promises"
            left.append(LeftOut(tuple(file.path for file in present), f"of {count} parts, missing: {numbers}"))
        else:
            models.append(_model(PurePosixPath(stem), present))
    read = [model for model in models if not GONE.fullmatch(model.quantisation or "")]
    left += [
        LeftOut(tuple(file.path for file in model.files), f"{model.quantisation}, which llama.cpp does not read")
        for model in models
        if model not in read
    ]
    return sorted(read, key=lambda model: model.files[0].path), left


def _model(path: PurePosixPath, files: tuple[File, ...]) -> GgufModel:
    """``path`` has neither shard number nor ending; its folder is read where the name tells no quantisation."""
    found = list(QUANTISATION.finditer(path.name))
    inside = found or list(QUANTISATION.finditer(path.parent.as_posix()))
    name = inside[-1]["name"].lower() if inside else None
    stem = (path.name[: found[-1].start()] + path.name[found[-1].end() :]).strip("-._ ") if found else path.name
    return GgufModel(files, stem, SPELLINGS.get(name, name) if name else None)
