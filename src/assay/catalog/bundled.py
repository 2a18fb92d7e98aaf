"""The models that come with Assay."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import msgspec
from msgspec import structs

from assay.errors import BadInput
from assay.types import Variant

MANIFEST = "bundled.json"
PROMPTS = "prompts.json"
REPAIR = "install Assay again"


def bundled_folder() -> Path:
    """Where the bundled models lie; the package is always installed as plain files."""
    return Path(str(files(__package__) / "bundled"))


def bundled_prompts() -> Path:
    """The prompt set that goes with the bundled models."""
    return bundled_folder() / PROMPTS


def bundled_variants(folder: Path | None = None) -> tuple[Variant, ...]:
    """Every variant of the manifest in ``folder``, in its order, with absolute ``path``.

    Raises:
        BadInput: the manifest or a file of it is missing or damaged.
    """
    folder = folder or bundled_folder()
    try:
        variants = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=list[Variant])
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput("the bundled models cannot be read", why=str(error), remedy=REPAIR) from error
    return tuple(_placed(folder, variant) for variant in variants)


def _placed(folder: Path, variant: Variant) -> Variant:
    entry = folder / (variant.path or "")
    own = entry if entry.is_dir() else entry.parent
    missing = [file.path for file in variant.files if not (own / file.path).is_file()]
    if variant.path is None or missing or not entry.exists():
        why = f"missing: {', '.join(missing) or variant.path}"
        raise BadInput(f"the bundled model {variant.id} is not complete", why=why, remedy=REPAIR)
    return structs.replace(variant, path=str(entry.absolute()))
