"""What a compile will make, and whether disk and memory suffice: decided before any work."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from assay.amounts import format_amount
from assay.compile.checkpoint import Checkpoint
from assay.compile.extra import NEEDED, require
from assay.compile.family import Target, refuse_unknown
from assay.compile.gguf_file import describe, elements_of_largest
from assay.compile.gguf_names import named_tensors
from assay.compile.gguf_types import K_QUANTS
from assay.compile.onnx import onnx_memory, onnx_size, refuse_for_onnx
from assay.compile.precision import quantisations
from assay.compile.quantiser import ggml
from assay.errors import BadInput, NoRoom

GGUF_BASE, GGUF_PER_ELEMENT = 100_000_000, 16
"""Peak memory in bytes: numpy and its like, and for each weight that is converted at once (120 to 135 MB were seen)."""


class Planned(Struct, frozen=True, kw_only=True):
    """One product to be made. ``id`` is the variant's (``alias:q8_0``); figures are bytes.

    ``size`` is what its files will take, ``memory`` the peak of the process that makes it. Nothing else is written
    on the way.
    """

    id: str
    quantisation: str
    size: int
    memory: int


class Plan(Struct, frozen=True, kw_only=True):
    """What will be made of ``checkpoint``, in this order, one after the other."""

    checkpoint: Checkpoint
    to: Target
    products: tuple[Planned, ...]
    notes: tuple[str, ...] = ()
    """What a person should know before: what the format cannot hold of this model."""


def wanted_for(to: Target, precisions: Sequence[str]) -> tuple[str, ...]:
    """The format's own names for ``precisions``: what can be told before there is a checkpoint.

    Raises:
        BadInput: a precision cannot be compiled to this format. MissingExtra: a package of the extra is missing.
    """
    wanted = quantisations(to, precisions)
    require(NEEDED[to], f"compiling to {to}")
    return wanted


def plan(
    checkpoint: Checkpoint, to: Target, precisions: Sequence[str], *, free_disk: int | None, free_memory: int | None
) -> Plan:
    """Decide what to make; nothing is written. A figure of None is not checked.

    Raises:
        BadInput: this family, tokenizer or precision cannot be compiled to this format.
        MissingExtra: a package of the extra ``compile`` is missing.
        NoRoom: disk or memory do not suffice.
    """
    wanted = wanted_for(to, precisions)
    refuse_unknown(checkpoint.family, to)
    named_tensors(checkpoint)
    if to == "gguf":
        products, notes = _gguf(checkpoint, wanted)
    else:
        refuse_for_onnx(checkpoint)
        products, notes = tuple(_onnx(checkpoint, quantisation) for quantisation in wanted), ()
    refuse_without_room(products, free_disk, free_memory)
    return Plan(checkpoint=checkpoint, to=to, products=products, notes=notes)


def _gguf(checkpoint: Checkpoint, wanted: Sequence[str]) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    blocked = [quantisation for quantisation in wanted if quantisation in K_QUANTS]
    if blocked and ggml() is None:
        raise BadInput(
            f"{blocked[0]} needs llama.cpp's quantiser, which is not here",
            why="the installed xllamacpp is missing, or its library does not offer it on this system",
            remedy="pip install -U xllamacpp; or ask for q8_0, q5_0 or q4_0, which need no such library",
        )
    notes: tuple[str, ...] = ()
    products = []
    for quantisation in wanted:
        described = describe(checkpoint, quantisation)
        notes += tuple(note for note in described.notes if note not in notes)
        products.append(
            Planned(
                id=f"{checkpoint.name}:{quantisation}",
                quantisation=quantisation,
                size=described.bytes,
                memory=GGUF_BASE + GGUF_PER_ELEMENT * elements_of_largest(checkpoint),
            )
        )
    return tuple(products), notes


def _onnx(checkpoint: Checkpoint, quantisation: str) -> Planned:
    return Planned(
        id=f"{checkpoint.name}:onnx-{quantisation}",
        quantisation=quantisation,
        size=onnx_size(checkpoint, quantisation),
        memory=onnx_memory(checkpoint, quantisation),
    )


def refuse_without_room(products: Sequence[Planned], free_disk: int | None, free_memory: int | None) -> None:
    """Raises:
    NoRoom: disk or memory do not suffice for ``products``; a figure of None is not checked.
    """
    if not products:
        return
    disk = sum(product.size for product in products)
    if free_disk is not None and disk > free_disk:
        raise NoRoom(
            f"too little disk: {format_amount(disk)} are needed, {format_amount(free_disk)} are free",
            why=", ".join(f"{product.id} takes about {format_amount(product.size)}" for product in products),
            remedy="assay cache prune, or ask for fewer precisions",
        )
    largest = max(products, key=lambda product: product.memory)
    if free_memory is not None and largest.memory > free_memory:
        raise NoRoom(
            f"too little memory: {largest.id} needs about {format_amount(largest.memory)} while it is made, "
            f"{format_amount(free_memory)} are available",
            why="the whole model is in memory while its graph is built" if "onnx" in largest.id else None,
            remedy="end other programs, or compile to gguf, which needs little memory"
            if "onnx" in largest.id
            else "end other programs",
        )
