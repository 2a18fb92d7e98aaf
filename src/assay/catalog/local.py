"""Models on this machine: a GGUF file, a folder of them, of ONNX Runtime GenAI, of safetensors."""

from __future__ import annotations

import re
from pathlib import Path

from assay.disk import Stamp, stamp_of
from assay.errors import BadInput, UnknownModel
from assay.formats.gguf_header import read_gguf_header
from assay.formats.gguf_names import shard_of
from assay.formats.onnx_folder import is_onnx_folder, read_onnx_folder, told_name, without_version
from assay.formats.safetensors_folder import is_safetensors_folder, read_safetensors_folder
from assay.types import File, Variant

NO_LANGUAGE_MODELS = frozenset({"clip", "mmproj"})
"""Architectures of the projectors that lie beside a language model and are no model by themselves."""
VERSION = re.compile(r"v?(?P<number>\d+)")
"""Foundry Local keeps each version of a model in a folder of its own below the model's."""
READ = frozenset({".gguf", ".json", ".onnx", ".safetensors"})
"""Endings of files of which more is read than whether they are there."""
WHAT_IS_READ = "a .gguf file, a folder of .gguf files, of ONNX Runtime GenAI (genai_config.json) or of safetensors"


def variants_at(path: Path, alias: str | None = None) -> list[Variant]:
    """Every variant at ``path``, ordered by file name; hashes are not computed here.

    ``alias`` names them; without it the file or folder does.

    Raises:
        UnknownModel: nothing is there, or nothing that is read. BadInput: a file is broken.
    """
    try:
        if path.is_file():
            if path.suffix.lower() != ".gguf" and not _begins_as_gguf(path):
                raise UnknownModel(
                    f"{path} is not a model that can be run",
                    why=f"what is read: {WHAT_IS_READ}",
                    remedy=f"name its folder: {path.parent}" if path.suffix.lower() == ".safetensors" else None,
                )
            return [_gguf(path, alias)]
        if is_onnx_folder(path):
            return [_onnx(path, alias)]
        if path.is_dir() and (newest := _newest_version(path)):
            return [_onnx(newest, alias, path)]
        if path.is_dir():
            return _folder(path, alias)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UnknownModel(f"{path!s:.200} cannot be read", why=why, remedy="check the path and its rights") from error
    raise UnknownModel(f"there is nothing at {path}", remedy=f"give {WHAT_IS_READ}")


def looked_at(path: Path) -> dict[Path, Stamp | None]:
    """The files and folders that decide what ``variants_at`` finds at ``path``, there or not, each as it is now."""
    folder = path.parent if shard_of(path.stem) else path
    places = [path, folder, *_read_in(folder)]
    versions = [place for place in places if VERSION.fullmatch(place.name)]
    places += [file for version in versions for file in _read_in(version)]
    return {place: stamp_of(place) for place in places}


def _read_in(folder: Path) -> list[Path]:
    """What is read of a folder; nothing where there is none."""
    try:
        return [file for file in folder.iterdir() if file.suffix.lower() in READ or VERSION.fullmatch(file.name)]
    except (OSError, ValueError):  # ValueError: a path with a null byte
        return []


def _begins_as_gguf(path: Path) -> bool:
    """Other programs name a model's file by its hash alone."""
    with path.open("rb") as opened:
        return opened.read(4) == b"GGUF"


def _folder(folder: Path, alias: str | None) -> list[Variant]:
    entries = []
    for file in sorted(folder.iterdir()):
        shard = shard_of(file.stem)
        if file.is_file() and file.suffix.lower() == ".gguf" and (not shard or shard.number == 1):
            entries.append(file)
    variants = [_gguf(file, alias) for file in entries if not _is_projector(file)]
    if is_safetensors_folder(folder) and (not variants or not _only_pickles(folder)):
        variants.append(_safetensors(folder, alias))
    if variants:
        return variants
    below = [sub.name for sub in sorted(folder.iterdir()) if _holds_a_model(sub)]
    raise UnknownModel(
        f"{folder} holds no model",
        why=f"what is read: {WHAT_IS_READ}",
        remedy=f"name a folder below it: {', '.join(below[:8])}" if below else None,
    )


def _holds_a_model(folder: Path) -> bool:
    return is_onnx_folder(folder) or any(folder.glob("*.gguf")) or is_safetensors_folder(folder)


def _only_pickles(folder: Path) -> bool:
    return not any(folder.glob("*.safetensors"))


def _newest_version(folder: Path) -> Path | None:
    """The folder of the highest version below ``folder``, where versions of a model are all that lies there."""
    if any(folder.glob("*.gguf")):
        return None
    versions = [(int(match["number"]), sub) for sub in folder.iterdir() if (match := VERSION.fullmatch(sub.name))]
    return max(((number, sub) for number, sub in versions if is_onnx_folder(sub)), default=(0, None))[1]


def _is_projector(file: Path) -> bool:
    return read_gguf_header(file).architecture in NO_LANGUAGE_MODELS


def _gguf(path: Path, alias: str | None) -> Variant:
    header = read_gguf_header(path)
    if header.architecture in NO_LANGUAGE_MODELS:
        raise BadInput(
            f"{path} is no language model",
            why=f"its architecture is {header.architecture}, the part of one that reads pictures",
            remedy="name the language model's own file",
        )
    shards = _shards(path, header.shards)
    headers = [header, *(read_gguf_header(shard) for shard in shards[1:])]
    counts = [shard.parameters for shard in headers if shard.parameters]
    if not counts:
        raise BadInput(f"{path} holds no weights", why="it describes a vocabulary only", remedy="name a model's file")
    quantisation = header.quantisation and header.quantisation.lower()
    shard = shard_of(path.stem)
    name = alias or _without_quantisation(shard.stem if shard else path.stem, quantisation)
    return Variant(
        id=f"{name}:{quantisation}" if quantisation else name,
        alias=name,
        format="gguf",
        source=path.name,
        quantisation=quantisation,
        path=str(shards[0].absolute()),
        files=tuple(File(path=shard.name, size=shard.stat().st_size) for shard in shards),
        parameters=sum(counts),
        context_length=header.context_length,
        licence=header.licence,
        capabilities=("embeddings",) if header.embeds else ("chat",) if header.chat_template else (),
    )


def _shards(path: Path, count: int) -> list[Path]:
    """All files of a model that is split; the first one is what engines open."""
    first = shard_of(path.stem)
    if count < 2 or first is None:
        return [path]
    if first.number != 1:
        raise BadInput(
            f"{path} is part of a split model",
            why="a model is opened by its first part",
            remedy=f"name {first.sibling(1)}{path.suffix}",
        )
    shards = [path.with_name(f"{first.sibling(number)}{path.suffix}") for number in range(1, count + 1)]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise BadInput(
            f"{path} is not complete", why=f"of its {count} parts, {', '.join(missing)} is missing", remedy="fetch it"
        )
    return shards


def _onnx(folder: Path, alias: str | None, above: Path | None = None) -> Variant:
    """``above`` is the model's own folder, where ``folder`` is a version's."""
    read = read_onnx_folder(folder)
    own = above or folder
    name = (
        alias
        or read.name
        or without_version(told_name(own) or "")
        or _without_quantisation(own.absolute().name, read.quantisation, "onnx")
    )
    return Variant(
        id=f"{name}:onnx-{read.quantisation}" if read.quantisation else f"{name}:onnx",
        alias=name,
        format="onnx",
        source=own.absolute().name,
        quantisation=read.quantisation,
        path=str(folder.absolute()),
        files=read.files,
        context_length=read.context_length,
        capabilities=("chat",) if read.chat_template else (),
    )


def _safetensors(folder: Path, alias: str | None) -> Variant:
    read = read_safetensors_folder(folder)
    dtype = read.dtype.lower()
    name = alias or _without_quantisation(folder.absolute().name, dtype, "safetensors")
    return Variant(
        id=f"{name}:safetensors-{dtype}",
        alias=name,
        format="safetensors",
        source=folder.absolute().name,
        quantisation=dtype,
        path=str(folder.absolute()),
        files=read.files,
        parameters=read.parameters,
        context_length=read.context_length,
        capabilities=("chat",) if read.chat_template else (),
    )


def _without_quantisation(stem: str, quantisation: str | None, form: str = "") -> str:
    """``Model-0.5B-Q4_K_M`` -> ``Model-0.5B``, where that is what the header says too; then the same with ``form``."""
    shorter = stem
    for ending in (quantisation, form):
        if ending and shorter.lower().endswith(ending):
            shorter = shorter[: -len(ending)].rstrip("-._ ")
    return shorter or stem
