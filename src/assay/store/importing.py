"""What people name to import -> where it lies; and what the catalog read there -> a record with linked files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from assay.amounts import format_amount
from assay.disk import expanded, is_full
from assay.errors import BadInput, NoRoom, StoreError, UnknownModel
from assay.formats import without_version
from assay.formats.pickles import WEIGHTS, is_pickle, pretends, refusal
from assay.formats.safetensors_header import read_safetensors_header
from assay.store import foundry, ollama
from assay.store.commit import Obtained, commit
from assay.store.digest import hash_file
from assay.store.entries import Entry, entries
from assay.store.foreign import NAMES, Place, Program, models
from assay.store.layout import slug
from assay.store.part_lock import locked
from assay.store.paths import fault_of
from assay.store.room import refuse_full
from assay.store.store import Store
from assay.types import Digests, File, Reporter, Stored, Variant

WHAT_IS_READ = (
    "a GGUF file, a folder of ONNX Runtime GenAI or of safetensors, or ollama:NAME, lmstudio:PUBLISHER/REPO, "
    "foundry:NAME, hf-cache:OWNER/NAME"
)
SHOWN = 8
MAGIC = b"GGUF"
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Import(NamedTuple):
    """What is to be imported: ``path`` is the GGUF file or the folder, ``alias`` a name that the path doesn't tell."""

    path: Path
    alias: str | None


def read_import(text: str, places: Iterable[Place]) -> Import:
    """Where the model lies that ``text`` names: by its path, or by another program's name for it.

    Raises:
        UnknownModel: nothing is there. BadInput: pickled weights, no model, or several to choose from.
    """
    if not text.strip():
        raise UnknownModel("there is nothing to import", remedy=f"give {WHAT_IS_READ}")
    program, _, name = text.strip().partition(":")
    for known in NAMES:
        if program.lower() == known:
            return _named(known, name, [place for place in places if place.program == known])
    path = expanded(text.strip())
    try:
        if path.is_dir():
            return _folder(path)
        if path.is_file():
            return _file(path)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UnknownModel(f"{text!s:.200} cannot be read", why=why, remedy="check the path and its rights") from error
    raise UnknownModel(f"there is nothing at {text!s:.200}", remedy=f"give {WHAT_IS_READ}")


def _named(program: Program, name: str, places: list[Place]) -> Import:
    called = NAMES[program]
    if not places:
        raise UnknownModel(f"{called} has no models on this machine", remedy="give the path of a file or a folder")
    known = [(place, model, entry) for place in places for model, entry in models(place)]
    chosen = [(model, entry) for _, model, entry in known if _is_named(program, name, model)]
    if program == "foundry":
        chosen = sorted(chosen, key=lambda item: _version(item[0]))[-1:]
    if not chosen and program == "hf-cache":
        _refuse_cached_pickles(name, places)
    if not chosen:
        near = get_close_matches(name.lower(), [model for _, model, _ in known], n=3, cutoff=0.4)
        raise UnknownModel(
            f"{called} has no model {name[:200]!r} that can be imported",
            why=f"near names: {', '.join(near)}" if near else f"looked in {places[0].folder}",
            remedy="see what is there: assay model import",
        )
    if len({entry.path for _, entry in chosen}) > 1:
        raise _several(f"{program}:{name}", [f"{program}:{model}" for model, _ in chosen])
    model, entry = chosen[0]
    _refuse_pretenders(entry)
    return Import(entry.path, _alias(program, model))


def _is_named(program: Program, asked: str, model: str) -> bool:
    if program == "ollama":
        return ollama.canonical(asked) == ollama.canonical(model)
    if program == "foundry":
        return asked.lower() in {model.lower(), without_version(model).lower()}
    asked = asked.strip("/").lower()
    return bool(asked) and (model.lower() == asked or model.lower().startswith(f"{asked}/"))


def _alias(program: Program, model: str) -> str | None:
    """``llama3.2:1b`` -> ``llama3.2-1b``; None where the files tell a better name."""
    if program == "ollama":
        return model.rpartition("/")[2].removesuffix(f":{ollama.TAG}").replace(":", "-")
    if program == "foundry":
        return without_version(model)
    if program == "hf-cache" and not model.lower().endswith(".gguf"):
        return model.split("/")[1]
    return None


def _version(model: str) -> int:
    version = model.rpartition(":")[2]
    return int(version) if version.isdecimal() else 0


def _file(path: Path) -> Import:
    if is_pickle(path):
        raise refusal(path)
    with path.open("rb") as file:
        is_gguf = file.read(len(MAGIC)) == MAGIC
    if is_gguf:
        return Import(path, None)
    beside = [entry for entry in entries(path.parent, depth=1) if entry.path == path.parent]
    if beside and path.suffix.lower() in {".safetensors", ".onnx", ".json"}:
        return _whole(beside[0], None)
    raise BadInput(
        f"{path} is not a model that can be imported",
        why="it does not begin as a GGUF file does, and its folder is no model's",
        remedy=f"give {WHAT_IS_READ}",
    )


def _folder(folder: Path) -> Import:
    found = entries(folder)
    if own := [entry for entry in found if entry.path == folder]:
        return _whole(own[0], None)
    if not found:
        if pickle := next((file for file in sorted(folder.rglob("*")) if file.is_file() and is_pickle(file)), None):
            raise refusal(pickle)
        raise BadInput(f"{folder} holds no model", remedy=f"give {WHAT_IS_READ}")
    for entry in found:
        _refuse_pretenders(entry)
    if len(found) > 1 and all(entry.format == "gguf" and entry.path.parent == folder for entry in found):
        return Import(folder, None)
    versions = {without_version(foundry.name_of(entry.path, folder.parent)) for entry in found}
    if len(found) > 1 and (len(versions) > 1 or any(entry.format != "onnx" for entry in found)):
        raise _several(str(folder), [str(entry.path) for entry in found])
    newest = max(found, key=lambda entry: _version_of(entry.path, folder))
    return _whole(newest, versions.pop() if newest.format == "onnx" else None)


def _version_of(model: Path, top: Path) -> int:
    """The version in a model's name, or in the folders of its path below ``top`` (``v5``)."""
    below = re.findall(r"(?:^|/)v?(\d+)(?=/|$)", model.relative_to(top).as_posix())
    return _version(foundry.name_of(model, top.parent)) or int(below[-1] if below else 0)


def _whole(entry: Entry, alias: str | None) -> Import:
    _refuse_pretenders(entry)
    return Import(entry.path, alias)


def _refuse_pretenders(entry: Entry) -> None:
    files = sorted(entry.path.iterdir()) if entry.path.is_dir() else [entry.path]
    for file in files:
        if pretends(file):
            raise refusal(file)


def _refuse_cached_pickles(name: str, places: list[Place]) -> None:
    """A repository that is there and has nothing but pickles deserves the reason, not "no such model"."""
    for place in places:
        folder = place.folder / f"models--{name.replace('/', '--')}" / "snapshots"
        for file in sorted(folder.rglob("*")) if "/" in name else ():
            if is_pickle(file):
                raise refusal(file)


def _several(what: str, choices: list[str]) -> BadInput:
    shown = ", ".join(choices[:SHOWN]) + (f" and {len(choices) - SHOWN} more" if len(choices) > SHOWN else "")
    return BadInput(f"{what} is {len(choices)} models", why="one is imported at a time", remedy=f"name one of {shown}")


def import_(
    store: Store,
    variant: Variant,
    *,
    alias: str | None = None,
    copy: bool = False,
    reporter: Reporter,
) -> Stored:
    """Bring a variant that lies on this machine into the store, by links to its files or, with ``copy``, by copies.

    ``alias`` renames it. Its files are hashed. What is here already, under whatever name, is not taken twice: its
    record is given, and a note says so.

    Raises:
        BadInput: pickled or broken weights, a file that cannot be read, a name that cannot be used. NoRoom: a copy does
        not fit. VariantInUse, StoreError: as ``commit`` raises them.
    """
    if variant.path is None:
        raise BadInput(f"{variant.id} is not on this machine", remedy=f"assay model download {variant.id}")
    entry = Path(variant.path)
    folder = entry if entry.is_dir() else entry.parent
    variant = _renamed(variant, alias)
    sources = _sound(folder, variant, reporter)
    hashed = _hashed(sources, reporter)
    files = tuple(File(path=path, size=digests.size, sha256=digests.sha256) for path, (_, digests) in hashed.items())
    variant = structs.replace(variant, files=files, path=None)
    there = _same(store, variant)
    if there and _is_whole(store, there):
        reporter.note(f"{there.variant.id} is here already, with the same files")
        return there
    if there:
        reporter.note(f"{there.variant.id} is here already, and what it lacked is put back")
        variant = there.variant
        by_content = {found[1].sha256: found for found in hashed.values()}
        hashed = {file.path: by_content[str(file.sha256)] for file in variant.files}
    else:
        _refuse_other(store, variant, sources)
    parts = _copies(store, hashed, reporter) if copy else set()
    obtained = {
        path: Obtained(digests.sha256, digests)
        if path in parts
        else Obtained(digests.sha256, digests, source, outside=not _is_within(source, store.folder))
        for path, (source, digests) in hashed.items()
    }
    return commit(store, variant, obtained, there.origin if there else "import", reporter.note)


def _renamed(variant: Variant, alias: str | None) -> Variant:
    """The variant under another name; ``alias`` takes the place of the old one in its id."""
    if alias is None:
        return variant
    if not ALIAS.fullmatch(alias):
        raise BadInput(
            f"{alias!r} cannot be a model's name", why="letters, digits and . _ - make one", remedy="--alias my-model"
        )
    ending = variant.id.removeprefix(variant.alias) if variant.id.startswith(variant.alias) else ""
    return structs.replace(variant, alias=alias, id=f"{alias}{ending}")


def _sound(folder: Path, variant: Variant, reporter: Reporter) -> dict[str, Path]:
    """The files to take (path in the variant -> where it lies); pickles that lie beside the weights are left out."""
    sources: dict[str, Path] = {}
    for file in variant.files:
        source = folder / file.path
        if (fault := fault_of(file.path)) is not None:
            raise BadInput(f"{source} cannot be kept", why=f"its name: {fault}", remedy="rename the file")
        if pretends(source) or (is_pickle(source) and len(variant.files) == 1):
            raise refusal(source)
        if is_pickle(source):
            reporter.note(f"left out: {file.path}, a pickle, which Assay never loads")
            continue
        if source.suffix.lower() == ".safetensors":
            read_safetensors_header(source)
        sources[_own_name(variant, file.path)] = source
    if not any(Path(path).suffix.lower() in WEIGHTS for path in sources):
        pickles = [folder / file.path for file in variant.files if is_pickle(folder / file.path)]
        raise (
            refusal(pickles[0])
            if pickles
            else BadInput(f"{folder} holds no weights of {variant.id}", remedy=f"give {WHAT_IS_READ}")
        )
    return sources


def _own_name(variant: Variant, path: str) -> str:
    """Ollama's files are named by their hash, and engines want an ending."""
    if variant.format != "gguf" or Path(path).suffix.lower() == ".gguf" or len(variant.files) > 1:
        return path
    return f"{slug(variant.id)}.gguf"


def _hashed(sources: dict[str, Path], reporter: Reporter) -> dict[str, tuple[Path, Digests]]:
    hashed: dict[str, tuple[Path, Digests]] = {}
    try:
        total = sum(source.stat().st_size for source in sources.values())
        reporter.stage(f"Hashing {format_amount(total)}")
        done = 0
        for path, source in sources.items():

            def tell(count: int, _: int | None, before: int = done, name: str = source.name) -> None:
                reporter.progress(before + count, total, name)

            hashed[path] = (source, hash_file(source, tell=tell))
            done += hashed[path][1].size
    except OSError as error:
        raise BadInput(
            f"{error.filename or 'a file'} cannot be read",
            why=error.strerror or str(error),
            remedy="check the file and its rights",
        ) from error
    return hashed


def _same(store: Store, variant: Variant) -> Stored | None:
    """What is here with the same content, whatever its files are called."""
    wanted = sorted(str(file.sha256) for file in variant.files)
    for stored in store.list():
        have = sorted(str(file.sha256) for file in stored.variant.files)
        if stored.variant.format == variant.format and have == wanted:
            return stored
    return None


def _is_whole(store: Store, stored: Stored) -> bool:
    """Whether all files lie there, as far as sizes tell."""
    folder = store.folder_of(stored.variant.id)
    return all(_is_there(folder / file.path, file.size) for file in stored.variant.files)


def _refuse_other(store: Store, variant: Variant, sources: dict[str, Path]) -> None:
    """Another model may have the name by chance; the same files with other content are a newer state of it."""
    there = store.find(variant.id)
    if there is None:
        return
    if {str(source.resolve()) for source in sources.values()} & set(there.links.values()):
        return
    raise BadInput(
        f"another model is here under the name {there.variant.id}",
        why=f"it came by {there.origin} from {there.variant.source}",
        remedy="give this one a name of its own (--alias NAME), or remove that one first",
    )


def _copies(store: Store, hashed: dict[str, tuple[Path, Digests]], reporter: Reporter) -> set[str]:
    """Copy the files to where downloads end, and find the copies right; gives the paths in the variant."""
    total = sum(digests.size for _, digests in hashed.values())
    refuse_full(store.folder, total, "copying the model")
    reporter.stage(f"Copying {format_amount(total)}")
    done = 0
    for source, digests in hashed.values():
        with locked(store.layout.lock(digests.sha256)):
            _copy(source, store.layout.part(digests.sha256), digests)
        done += digests.size
        reporter.progress(done, total, source.name)
    return set(hashed)


def _copy(source: Path, part: Path, digests: Digests) -> None:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        found = hash_file(part)
    except OSError as error:
        part.unlink(missing_ok=True)
        kind = NoRoom if is_full(error) else StoreError
        raise kind(f"{source} cannot be copied", why=str(error), remedy="put that right and try again") from error
    if found != digests:
        part.unlink(missing_ok=True)
        raise StoreError(f"{source} changed while it was copied", remedy="try again")


def _is_there(path: Path, size: int | None) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
