"""A product that was made on this machine comes into the store, or is kept aside where its gate refused it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from msgspec import structs
from msgspec.json import encode
from msgspec.json import format as laid_out

from assay.errors import StoreError
from assay.store.commit import Obtained, commit
from assay.store.layout import slug
from assay.store.part_lock import locked
from assay.store.place import Note
from assay.store.store import Store, remove_folder
from assay.types import Digests, Proof, Stored, Variant

PROOF: Final = "proof.json"
REASON: Final = "reason.txt"


def adopt(store: Store, variant: Variant, proof: Proof, note: Note) -> Stored:
    """Move the files of a product, which have their SHA-256, into the store; its record holds the proof.

    Raises:
        VariantInUse: an older product of that name is in use. StoreError: a model of that name came here in another
        way, or a file cannot be moved.
    """
    folder = _folder(variant)
    obtained = {}
    for file in variant.files:
        if file.sha256 is None or file.size is None:
            raise StoreError(f"{variant.id}: the hash of {file.path} is not known", remedy="compile it again")
        key = file.sha256.lower()
        with locked(store.layout.lock(key)):
            part = store.layout.part(key)
            part.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(os.fspath(folder / file.path), os.fspath(part))
        obtained[file.path] = Obtained(key, Digests(sha256=key, git_sha1=None, size=file.size))
    stored = commit(store, structs.replace(variant, path=None), obtained, "compile", note)
    with store.lock(variant.id):
        stored = structs.replace(stored, proof=proof)
        store.put(stored)
    return stored


def set_aside(store: Store, variant: Variant, told: Proof | str) -> Path:
    """Move a refused product out of the way; gives the folder. An older one is replaced.

    Its proof lies beside it, or a text that says why there is none.
    """
    aside = store.layout.aside / slug(variant.id)
    try:
        remove_folder(aside)
        aside.mkdir(parents=True)
        folder = _folder(variant)
        for file in variant.files:
            target = aside / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(os.fspath(folder / file.path), os.fspath(target))
        if isinstance(told, str):
            (aside / REASON).write_text(told + "\n", encoding="utf-8")
        else:
            (aside / PROOF).write_bytes(laid_out(encode(told), indent=1))
    except OSError as error:
        raise StoreError(f"{variant.id} cannot be kept aside", why=str(error), remedy=f"look at {aside}") from error
    return aside


def _folder(variant: Variant) -> Path:
    entry = Path(variant.path or "")
    return entry if entry.is_dir() else entry.parent
