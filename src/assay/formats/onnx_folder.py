"""A model folder of ONNX Runtime GenAI: what its configuration and its graphs say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from assay.errors import BadInput
from assay.formats.json_object import count_of, read_json_object, text_of
from assay.formats.onnx_graph import read_onnx_graph
from assay.formats.source import stays_inside
from assay.formats.tokenizer_config import has_chat_template
from assay.types import File

CONFIG = "genai_config.json"
NAME_FILE = "inference_model.json"


class OnnxFolder(NamedTuple):
    """``files`` are paths relative to the folder, with sizes in bytes. ``context_length`` is in tokens."""

    name: str | None
    context_length: int | None
    quantisation: str | None
    chat_template: bool
    files: tuple[File, ...]


def is_onnx_folder(path: Path) -> bool:
    """Whether ``path`` is a folder that ONNX Runtime GenAI can open."""
    return (path / CONFIG).is_file()


def read_onnx_folder(folder: Path) -> OnnxFolder:
    """Read the folder's configuration, its graphs and the list of its files.

    Raises:
        BadInput: the configuration is broken, or a file that it or a graph names is missing or lies elsewhere.
    """
    model = read_json_object(folder / CONFIG).get("model")
    if not isinstance(model, dict):
        raise BadInput(
            f"{folder / CONFIG} describes no model", why='it has no object "model"', remedy="convert it again"
        )
    graphs = [read_onnx_graph(_within(folder, name, CONFIG)) for name in sorted(set(_filenames(model)))]
    if not graphs:
        raise BadInput(f"{folder / CONFIG} describes no model", why="it names no file", remedy="convert it again")
    decoders = [graph.quantisation for graph in graphs if graph.quantisation]
    weights = {name for graph in graphs for name in graph.external}
    named = {_within(folder, name, "its graph") for name in weights} | {folder / n for n in _filenames(model)}
    beside = {file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")}
    return OnnxFolder(
        name=without_version(told_name(folder) or "") or None,
        context_length=count_of(model.get("context_length")),
        quantisation=decoders[0] if len(set(decoders)) == 1 else None,
        chat_template=has_chat_template(folder),
        files=tuple(
            File(path=file.relative_to(folder).as_posix(), size=file.stat().st_size) for file in sorted(named | beside)
        ),
    )


def _filenames(part: Any) -> Iterator[str]:
    """Every graph that the configuration names, in whatever part of the pipeline."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "filename" and isinstance(value, str) and value.endswith(".onnx"):
                yield value
            else:
                yield from _filenames(value)
    elif isinstance(part, list):
        for value in part:
            yield from _filenames(value)


def _within(folder: Path, name: str, who: str) -> Path:
    path = folder / name
    if not stays_inside(name):
        raise BadInput(
            f"{folder} cannot be used", why=f"{who} names {name}, which lies elsewhere", remedy="download it again"
        )
    if not path.is_file():
        raise BadInput(
            f"{folder} is not complete", why=f"{who} names {name}, which is not there", remedy="download it again"
        )
    return path


def told_name(folder: Path) -> str | None:
    """The name in Foundry Local's ``inference_model.json``, with a version (``phi:2``) or without; None where none is.

    Raises:
        BadInput: the file is broken.
    """
    path = folder / NAME_FILE
    return text_of(read_json_object(path).get("Name")) if path.is_file() else None


def without_version(name: str) -> str:
    """``phi-4-mini-generic-cpu:5`` -> ``phi-4-mini-generic-cpu``."""
    stem, _, version = name.rpartition(":")
    return stem if stem and version.isdecimal() else name
