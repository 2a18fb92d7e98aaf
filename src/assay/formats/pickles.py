"""Weights that are pickles: programs that run when they are loaded. Never loaded, never linked."""

from __future__ import annotations

import contextlib
import pickletools
from collections.abc import Iterable
from pathlib import Path

from assay.errors import BadInput

WHY = "loading a pickle runs whatever program its author put in; they are never loaded here"
REMEDY = (
    "on a machine or in a container that may be lost, convert it with:\n"
    'python -c "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; '
    "M.from_pretrained('{old}').save_pretrained('{new}'); T.from_pretrained('{old}').save_pretrained('{new}')\"\n"
    "then import {new}"
)
SUFFIXES = frozenset({".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
WEIGHTS = frozenset({".gguf", ".safetensors", ".onnx"})
"""Formats that are no pickles: a file of such a name that is one pretends to be something else."""
DOUBTFUL = ".bin"
"""Pickled weights to some, plain bytes to others: what the file begins with decides."""
NAMED = SUFFIXES | {DOUBTFUL}
"""Where only names are known, or the folder is one of a checkpoint: there ``.bin`` is a pickle."""
INDEX = "pytorch_model.bin.index.json"
ZIP = b"PK\x03\x04"
HEAD = 1 << 12
ENOUGH = 4
"""Opcodes in a row that plain bytes are not."""


def is_pickle(path: Path) -> bool:
    """Whether the file's name, or its first bytes, are those of pickled weights; False for what cannot be read."""
    suffix = path.suffix.lower()
    if path.name == INDEX or suffix in SUFFIXES:
        return True
    if suffix not in WEIGHTS | {DOUBTFUL}:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    if suffix == ".safetensors" and head[8:9] == b"{":  # its first bytes are a length, which can be any
        return False
    return head.startswith(ZIP) or _begins_with_opcodes(head)


def _begins_with_opcodes(head: bytes) -> bool:
    """Whether a pickle of protocol 2 or newer begins here; it is taken apart, and nothing of it is run."""
    count = 0
    with contextlib.suppress(ValueError, IndexError, UnicodeDecodeError):
        for opcode, _, _ in pickletools.genops(head):
            count += 1
            if count == 1 and opcode.name != "PROTO":
                return False
            if opcode.name == "STOP" or count == ENOUGH:
                return True
    return False


def pretends(path: Path) -> bool:
    """Whether ``path`` is a pickle under the name of a format that is none."""
    return path.suffix.lower() in WEIGHTS and is_pickle(path)


def refusal(path: Path) -> BadInput:
    """The error for pickled weights, with the way out."""
    why = f"its name says {path.suffix}, its first bytes say pickle; {WHY}" if pretends(path) else WHY
    return BadInput(
        f"{path} holds pickled weights", why=why, remedy=way_out(str(path if path.is_dir() else path.parent))
    )


def refuse_pickles(names: Iterable[str], where: str) -> None:
    """Raise ``BadInput`` where a file of ``names`` is a pickle by its name; ``where`` is their folder."""
    if pickles := [name for name in names if named_as_pickle(name)]:
        message = f"{where} has its weights as pickle files only ({pickles[0]})"
        raise BadInput(message, why=WHY, remedy=way_out(where))


def named_as_pickle(name: str) -> bool:
    """Whether a checkpoint's file of that name holds pickled weights."""
    return Path(name).suffix.lower() in NAMED


def way_out(where: str) -> str:
    """How pickled weights become safetensors; ``where`` is their folder, or their repository."""
    return REMEDY.format(old=where, new=f"{where.rstrip('/')}-safetensors")
