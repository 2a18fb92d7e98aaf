"""What a repository of the Hub offers, from the list of its files alone: the variants, and what is none and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import NamedTuple

from msgspec import structs

from assay.catalog.checkpoint_offers import Checkpoint, checkpoints
from assay.catalog.gguf_offers import GgufModel, gguf_models
from assay.catalog.left_out import LeftOut
from assay.catalog.onnx_offers import OnnxModel, onnx_models
from assay.formats.pickles import WHY, named_as_pickle, way_out
from assay.types import File, Format, Repo, Variant

OTHER_WEIGHTS = (".h5", ".msgpack", ".tflite", ".mlmodel", ".nemo", ".pdparams")
NO_LANGUAGE = frozenset({
    "audio-classification", "audio-to-audio", "automatic-speech-recognition", "depth-estimation",
    "image-classification",
    "image-feature-extraction", "image-segmentation", "image-to-3d", "image-to-image", "image-to-video",
    "keypoint-detection", "mask-generation", "object-detection", "reinforcement-learning", "robotics",
    "tabular-classification", "tabular-regression", "text-to-3d", "text-to-audio", "text-to-image", "text-to-speech",
    "text-to-video", "time-series-forecasting", "unconditional-image-generation", "video-classification",
    "video-to-video", "voice-activity-detection", "zero-shot-image-classification", "zero-shot-object-detection",
})  # fmt: skip
"""Tasks of the Hub that no engine here does."""
TEXT_WITH_PICTURES = frozenset({"image-text-to-text", "image-to-text", "any-to-any", "video-text-to-text"})


class Offers(NamedTuple):
    """The variants of one or more repositories, and the files that none of them uses."""

    variants: tuple[Variant, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def why_none(self) -> str:
        """The reasons in one line, for people who wonder where a file is."""
        return "; ".join(f"{out.paths[0]}{_more(out.paths)}: {out.why}" for out in self.left_out)


def offers(repo: Repo, alias: str | None = None) -> Offers:
    """Every variant in ``repo``, whose ``files`` must have been asked for; nothing is fetched.

    ``alias`` names them, else the repository does. Each has only the files that it needs, with paths from its
    ``folder``, and an id of its own: ``alias:q4_k_m``, ``alias:onnx-int4-cpu``, ``alias:safetensors``.
    """
    files = sorted(repo.files or (), key=lambda file: file.path)
    if repo.task in NO_LANGUAGE:
        made_for = LeftOut(tuple(file.path for file in files) or (repo.id,), f"made for {repo.task}: no language model")
        return Offers((), (made_for,))
    name = alias or alias_of(repo.id)
    ggufs, no_gguf = gguf_models(files)
    onnxs, no_onnx = onnx_models(files, repo.id.partition("/")[2])
    found = [*_ggufs(repo, name, ggufs), *_onnxs(repo, name, onnxs)]
    within = tuple(f"{model.folder}/" if model.folder else "" for model in onnxs)
    whole, no_checkpoint = checkpoints(repo, files)
    found += _safetensors(repo, name, whole)
    used = {
        f"{variant.folder}/{file.path}" if variant.folder else file.path for variant in found for file in variant.files
    }
    told = {path for out in (*no_gguf, *no_onnx, *no_checkpoint) for path in out.paths}
    rest = [file.path for file in files if file.path not in used | told and not file.path.startswith(within or ("\0",))]
    return Offers(tuple(_unique(found)), (*no_gguf, *no_onnx, *no_checkpoint, *_unread(repo, rest, bool(found))))


def alias_of(repo: str) -> str:
    """What a repository's models are called: its name, lower-case, without the format that it ends in."""
    name = repo.partition("/")[2].lower()
    shorter = re.sub(r"[-_.](i1[-_.])?(gguf|onnx|openvino|safetensors)$", "", name)
    return shorter or name


def matches(variant: Variant, selector: str) -> bool:
    """Whether ``selector`` means ``variant``: its id's end, quantisation, format, folder, or one of its files."""
    wanted = selector.lower().strip("/")
    wanted = {"fp16": "f16", "fp32": "f32"}.get(wanted, wanted)
    own = {variant.quantisation or "", variant.format, variant.selector.lower()}
    if variant.device:
        own |= {variant.device, f"{variant.format}-{variant.device}", f"{variant.format}-{variant.quantisation}"}
    folder = (variant.folder or "").lower()
    paths = {file.path.lower() for file in variant.files}
    inside = {f"{folder}/{path}" for path in paths} if folder else set()
    return wanted in own | {folder} - {""} | paths | inside or (bool(folder) and folder.startswith(f"{wanted}/"))


def chosen(variants: Iterable[Variant], selector: str | None) -> list[Variant]:
    """Those that ``selector`` means; all where there is none. An id or a quantisation spelled whole comes first."""
    among = list(variants)
    if selector is None:
        return among
    exact = [v for v in among if v.id.lower() == f"{v.alias}:{selector}".lower()]
    return exact or [variant for variant in among if matches(variant, selector)]


def _variant(repo: Repo, alias: str, label: str, form: Format, model: GgufModel | OnnxModel | Checkpoint) -> Variant:
    """One set of files with what the repository says of all of them."""
    return Variant(
        id=f"{alias}:{label}",
        alias=alias,
        format=form,
        quantisation=model.quantisation,
        folder=model.folder,
        files=_inside(model.files, model.folder),
        source=f"hf:{repo.id}",
        revision=repo.revision,
        parameters=repo.parameters,
        context_length=repo.context_length,
        licence=repo.licence,
        tasks=(repo.task,) if repo.task else (),
        capabilities=_capabilities(repo),
        languages=repo.languages,
        base=repo.base_models[0] if repo.base_models else None,
    )


def _capabilities(repo: Repo) -> tuple[str, ...]:
    """What the repository says of itself; of its name, only the words that publishers use for it."""
    name = set(re.split(r"[-_.]+", repo.id.partition("/")[2].lower()))
    tags = {tag.lower() for tag in repo.tags}
    said = {
        "chat": repo.chat_template is True or bool({"conversational", "chat"} & tags),
        "code": bool({"code", "coder"} & (tags | name)),
        "tools": bool({"tool-use", "function-calling", "tool-calling"} & tags),
        "vision": repo.task in TEXT_WITH_PICTURES,
        "reasoning": bool({"reasoning", "thinking"} & (tags | name)),
        "embeddings": repo.task in {"feature-extraction", "sentence-similarity"},
    }
    return tuple(word for word, yes in said.items() if yes)


def _ggufs(repo: Repo, alias: str, models: Sequence[GgufModel]) -> Iterator[Variant]:
    """Pictures are read by another file than these; several models in one repository have sizes of their own."""
    words = tuple(word for word in _capabilities(repo) if word != "vision")
    stems = {_plain(model.stem) for model in models}
    usual = _plain(alias_of(repo.id)) if len(stems) > 1 else next(iter(stems), "")
    for model in models:
        own = _plain(model.stem).removeprefix(usual).strip("-")
        label = f"{own}{'-' if own else ''}{model.quantisation or 'gguf'}"
        parameters = repo.parameters if len(stems) == 1 else None
        yield structs.replace(_variant(repo, alias, label, "gguf", model), parameters=parameters, capabilities=words)


def _plain(name: str) -> str:
    return re.sub(r"[-_. ]+", "-", name.lower()).strip("-")


def _onnxs(repo: Repo, alias: str, models: Sequence[OnnxModel]) -> Iterator[Variant]:
    for model in models:
        label = "-".join(["onnx", *(word for word in (model.quantisation, model.provider) if word)])
        yield structs.replace(_variant(repo, alias, label, "onnx", model), device=model.device)


def _safetensors(repo: Repo, alias: str, found: Sequence[Checkpoint]) -> Iterator[Variant]:
    for one in found:
        variant = _variant(repo, alias, "safetensors", "safetensors", one)
        yield structs.replace(variant, parameters=repo.parameters if len(found) == 1 else None)


def _inside(files: Iterable[File], folder: str | None) -> tuple[File, ...]:
    """The files with paths from ``folder``."""
    if folder is None:
        return tuple(files)
    return tuple(structs.replace(file, path=file.path.removeprefix(f"{folder}/")) for file in files)


def _unique(variants: Iterable[Variant]) -> Iterator[Variant]:
    """Ids that no two share: all but the first of equals are called by their folder, else by a number."""
    seen: set[str] = set()
    for variant in variants:
        folder = PurePosixPath(variant.folder or "").name.lower()
        names = [variant.id, *([f"{variant.alias}:{variant.format}-{folder}"] if folder else [])]
        unused = next((name for name in names if name not in seen), None)
        unused = unused or next(name for number in count(2) if (name := f"{variant.id}-{number}") not in seen)
        seen.add(unused)
        yield variant if unused == variant.id else structs.replace(variant, id=unused)


def _unread(repo: Repo, paths: Sequence[str], any_found: bool) -> Iterator[LeftOut]:
    """Weights that nothing here reads, among the files that no variant uses."""
    pickles = tuple(filter(named_as_pickle, paths))
    others = tuple(path for path in paths if path.lower().endswith(OTHER_WEIGHTS))
    if pickles:
        rest = "" if any_found else f"; {' '.join(way_out(repo.id).split())}"
        yield LeftOut(pickles, f"weights as pickle: {WHY}{rest}")
    if others:
        yield LeftOut(others, "weights of another framework")


def _more(paths: Sequence[str]) -> str:
    return f" and {len(paths) - 1} more" if len(paths) > 1 else ""
