"""Which of a model's variants runs best on this machine: a pure decision, with its reasons."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from assay.amounts import format_amount
from assay.catalog.fit import Fits, fit_of
from assay.catalog.offers import matches
from assay.types import Estimate, Format, Variant

FITS: tuple[Fits | None, ...] = ("yes", "tight", None, "no")
SMALL = 2_000_000_000
"""Below this many parameters a model loses more by fewer bits than it gains: 8 bits come before 4."""
KINDS = ("_k_m", "int", "_k_xl", "_k_l", "fp", "_k", "_k_s", "_nl", "_xs", "_1", "_0")
"""Ways to quantise to the same number of bits, from the one that keeps most for its size; others come after them."""
DEVICES = ("gpu", "cpu", "npu")


class Ranking(Struct, frozen=True, kw_only=True):
    """One variant's place. ``ok`` says that it can be run here and is not known to be too large; ``reasons`` tell why.

    ``engine`` is the one that runs it, None where none here can. ``fits`` is None where nobody can say.
    """

    variant: Variant
    engine: str | None
    ok: bool
    fits: Fits | None
    reasons: tuple[str, ...]


class Ranked(Struct, frozen=True):
    """Every variant once, best first; those that cannot be run here, last."""

    rankings: tuple[Ranking, ...]

    @property
    def best(self) -> Ranking | None:
        """What the alias runs here; None where nothing of it can be run."""
        return next((ranking for ranking in self.rankings if ranking.ok), None)


def best(
    variants: Sequence[Variant],
    *,
    budget: int | None,
    estimates: Mapping[str, Estimate],
    engines: Mapping[Format, Sequence[str]],
    devices: Collection[str] = ("cpu",),
    prefer: str | None = None,
) -> Ranked:
    """``variants`` in the order in which this machine would run them. Each line decides between equals of those above:

    1. it runs: an engine here reads its format, the device that it was made for is here, and it is not known to need
       more than ``budget`` bytes;
    2. it is what ``prefer`` means (``f16``, ``q4_k_m``, ``onnx``, ``gpu``);
    3. it surely fits, then it is tight, then nobody knows;
    4. its weights have 4 to 8 bits, then more, then fewer;
    5. it is here, then it has to be fetched;
    6. from 4 to 8 bits: more first for models below 2 billion parameters, fewer first for others and where the number
       is unknown; above 8 fewer first, below 4 more first; at the same bits, the kind that keeps most for its size
       (``KINDS``);
    7. its device: GPU, CPU, NPU; then the order of ``engines``; then the smaller one; then its id.

    ``estimates`` are by variant id; ``engines`` are the names of those present by the format that they read, the
    preferred format first; ``devices`` are those that they can use.
    """
    formats = list(engines)
    rankings = [ranking_of(variant, budget, estimates.get(variant.id), engines, devices) for variant in variants]

    def place(ranking: Ranking) -> tuple[object, ...]:
        variant = ranking.variant
        bits = bits_of(variant.quantisation)
        large = variant.parameters is None or variant.parameters >= SMALL
        return (
            not ranking.ok,
            ranking.engine is None,
            prefer is not None and not matches(variant, prefer),
            FITS.index(ranking.fits),
            _band(bits),
            not variant.here,
            _bits_place(bits, large=large),
            _kind(variant.quantisation),
            DEVICES.index(variant.device or "cpu"),
            formats.index(variant.format) if variant.format in formats else len(formats),
            variant.disk is None,
            variant.disk or 0,
            variant.id,
        )

    return Ranked(tuple(sorted(rankings, key=place)))


def bits_of(quantisation: str | None) -> int | None:
    """Bits of most weights, by the quantisation's name: ``q4_k_m`` 4, ``int8`` 8, ``bf16`` 16."""
    if quantisation in {"awq", "gptq"}:
        return 4
    number = re.search(r"\d+", quantisation or "")
    return int(number[0]) if number else None


def ranking_of(
    variant: Variant,
    budget: int | None,
    estimate: Estimate | None,
    engines: Mapping[Format, Sequence[str]],
    devices: Collection[str],
) -> Ranking:
    """One variant by itself; see ``best``."""
    engine, wrong = _engine(variant, engines)
    if variant.device is not None and variant.device not in devices:
        wrong = wrong or f"it was made for {variant.device.upper()}, which no engine here uses"
    fits, room = fit_of(variant, estimate, budget)
    reasons = [wrong] if wrong else [f"{engine} runs it" if engine else "it is reached by its address"]
    reasons.append(room)
    if not variant.here:
        size = f" ({format_amount(variant.disk)})" if variant.disk is not None else ""
        reasons.append(f"it has to be fetched{size}")
    return Ranking(variant=variant, engine=engine, ok=not wrong and fits != "no", fits=fits, reasons=tuple(reasons))


def _engine(variant: Variant, engines: Mapping[Format, Sequence[str]]) -> tuple[str | None, str | None]:
    """The engine that runs it, or why none does."""
    if variant.format == "safetensors":
        return None, "no engine here runs safetensors: assay model compile turns it into what one does"
    reading = engines.get(variant.format, ())
    if variant.engine is not None and variant.format != "remote":
        known = variant.engine in {name for names in engines.values() for name in names}
        return (variant.engine, None) if known else (None, f"its engine, {variant.engine}, is not here")
    if reading or variant.format == "remote":
        return (reading[0] if reading else None), None
    return None, f"no engine here reads {variant.format}"


def _band(bits: int | None) -> int:
    if bits is None:
        return 1
    return 0 if 4 <= bits <= 8 else 1 if bits > 8 else 2


def _bits_place(bits: int | None, *, large: bool) -> int:
    """Within a band: more bits first below 4 and for small models, else fewer first."""
    if bits is None or not large:
        return -(bits or 0) if bits is None or bits <= 8 else bits
    return bits if bits >= 4 else -bits


def _kind(quantisation: str | None) -> int:
    name = quantisation or ""
    for place, kind in enumerate(KINDS):
        if name.endswith(kind) or (kind in {"int", "fp"} and kind in name):
            return place
    return len(KINDS)
