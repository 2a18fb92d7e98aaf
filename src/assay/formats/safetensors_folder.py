"""A checkpoint as Hugging Face lays it out: a folder of safetensors files with a ``config.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from assay.errors import BadInput
from assay.formats.json_object import AGAIN, count_of, read_json_object
from assay.formats.pickles import named_as_pickle, refuse_pickles
from assay.formats.safetensors_header import SafetensorsHeader, read_safetensors_header
from assay.formats.source import stays_inside
from assay.formats.tokenizer_config import has_chat_template
from assay.types import File

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class SafetensorsFolder(NamedTuple):
    """``weights`` are the bytes of all tensors, ``dtypes`` elements by type; ``files`` lie at the folder's top."""

    weights: int
    parameters: int
    dtypes: dict[str, int]
    config: dict[str, Any]
    chat_template: bool
    files: tuple[File, ...]

    @property
    def dtype(self) -> str:
        """The type that most weights have, as files spell it (``BF16``)."""
        return max(self.dtypes, key=lambda name: self.dtypes[name])

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was made for."""
        inner = self.config.get("text_config")
        configs = [self.config, inner] if isinstance(inner, dict) else [self.config]
        return next((n for c in configs if (n := count_of(c.get("max_position_embeddings")))), None)


def is_safetensors_folder(path: Path) -> bool:
    """Whether ``path`` is a folder with a checkpoint, be it one whose weights are refused."""
    if not (path / CONFIG).is_file():
        return False
    return any(file.suffix == ".safetensors" or named_as_pickle(file.name) for file in path.iterdir())


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files that hold the folder's model: those of its index, or the single one.

    Raises:
        BadInput: there are none, one is missing, or the weights are pickles, which are never read.
    """
    if (folder / INDEX).is_file():
        return tuple(_within(folder, name) for name in _indexed(folder / INDEX))
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    try:
        beside = sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise BadInput(f"{folder} cannot be read", why=error.strerror, remedy="check the path") from error
    found = [name for name in beside if name.endswith(".safetensors")]
    if len(found) == 1:
        return (folder / found[0],)
    if len(found) > 1:
        raise BadInput(
            f"{folder} is not complete", why=f"it has {len(found)} safetensors files and no {INDEX}", remedy=AGAIN
        )
    refuse_pickles(beside, str(folder))
    raise BadInput(f"{folder} holds no weights", why="no .safetensors file lies there", remedy="check the path")


def read_safetensors_folder(folder: Path) -> SafetensorsFolder:
    """Read the folder's configuration and the headers of its weights.

    Raises:
        BadInput: a file is missing, broken or a pickle.
    """
    paths = weight_files(folder)
    weights, parameters, dtypes = summed(paths, read_safetensors_header)
    if not parameters:
        raise BadInput(f"{folder} holds no weights", why="its safetensors files are empty", remedy=AGAIN)
    beside = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    used = sorted(
        {*paths, *(file for file in beside if file.suffix != ".safetensors" and not named_as_pickle(file.name))}
    )
    return SafetensorsFolder(
        weights=weights,
        parameters=parameters,
        dtypes=dtypes,
        config=read_json_object(folder / CONFIG),
        chat_template=has_chat_template(folder),
        files=tuple(File(path=file.relative_to(folder).as_posix(), size=file.stat().st_size) for file in used),
    )


def summed(paths: Iterable[Path], read: Callable[[Path], SafetensorsHeader]) -> tuple[int, int, dict[str, int]]:
    """Bytes, parameters, and parameters by type over several files."""
    weights, dtypes = 0, Counter[str]()
    for path in paths:
        header = read(path)
        weights += header.weights
        for tensor in header.tensors:
            dtypes[tensor.dtype] += tensor.elements
    return weights, dtypes.total(), dict(dtypes)


def _indexed(index: Path) -> list[str]:
    places = read_json_object(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise BadInput(f"{index} names no files", why='it has no "weight_map"', remedy=AGAIN)
    return sorted(set(places.values()))


def _within(folder: Path, name: str) -> Path:
    path = folder / name
    if not stays_inside(name) or path.suffix != ".safetensors":
        raise BadInput(f"{folder} cannot be used", why=f"{INDEX} names {name}, which is no file of it", remedy=AGAIN)
    if not path.is_file():
        raise BadInput(f"{folder} is not complete", why=f"{INDEX} names {name}, which is not there", remedy=AGAIN)
    return path
