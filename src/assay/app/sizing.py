"""How much memory variants will take on this machine: headers are read once, and what was observed comes first.

In: variants, here or offered, a context length and a number of requests at once. Out: estimates and a budget.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import msgspec
from msgspec import Struct, structs

from assay import catalog, disk, engines, machine
from assay.app.here import Here
from assay.errors import AssayError, BadInput
from assay.formats import FileReader, Reader
from assay.types import Estimate, File, Format, Variant

Family = tuple[str, str | None, Format]
"""Repository, revision and format: variants of one such have one shape."""
SHAPES = "shapes.json"
"""File beside the models: what headers told, by the digest of the variant."""
COMMIT = 40
"""Hexadecimal digits of a commit, which always means the same files."""
BROKEN = 3
"""Of a repository so many broken headers are enough; then the files' sizes must do."""


class Measured(Struct, frozen=True):
    """What the headers of a variant tell; ``weights`` are bytes. ``problem`` says why they are no sound headers."""

    shape: catalog.Shape | None
    weights: int
    problem: str | None = None


class Against(NamedTuple):
    """Why no engine will start a variant, by its headers, and what to do."""

    why: str
    remedy: str


class Sizing:
    """Estimates for one context length (tokens of one request) and number of requests at once."""

    def __init__(self, here: Here, context_length: int | None = None, slots: int | None = None) -> None:
        self._here = here
        self._context = context_length or here.settings.context_length
        self._slots = slots or 1
        self._fresh: dict[str, Measured] = {}
        self._passing: dict[str, Measured] = {}
        self._shapes: dict[Family, catalog.Shape | None] = {}
        self._broken: Counter[Family] = Counter()
        self._unread: dict[str, str] = {}

    @cached_property
    def budget(self) -> int | None:
        """Bytes that models may take at this moment."""
        return machine.memory_budget()

    @cached_property
    def _present(self) -> Mapping[str, tuple[str | None, tuple[Format, ...]]]:
        return engines.present()

    @cached_property
    def engines(self) -> Mapping[Format, tuple[str, ...]]:
        """Engines that can run here, by the format that they read."""
        return by_format(self._present)

    def estimate(self, variant: Variant) -> Estimate | None:
        """The estimate for a variant whose headers lie here or were read before; None where nothing is known of it."""
        return self._estimated(variant, self._known(variant) or (self._read(variant) if _lies_here(variant) else None))

    def estimates(self, variants: Iterable[Variant]) -> dict[str, Estimate]:
        """Estimates by id, of offered variants too: of each repository and format one header is asked of the hub.

        The shape is the same for all of them; the bytes of the others' weights are those of their files, which hold
        little else. ``exact`` reads the one that is chosen.
        """
        found: dict[str, Estimate] = {}
        smallest_first = sorted(variants, key=lambda one: one.disk or 0)
        for variant in smallest_first:
            if (before := self._known(variant)) is not None and before.shape is not None:
                self._shapes.setdefault(_family(variant), before.shape)
        for variant in smallest_first:
            if (known := self.estimate(variant)) is not None:
                found[variant.id] = known
                continue
            if variant.disk is None or not variant.source.startswith("hf:") or variant.format == "safetensors":
                continue
            shape = self._family_shape(variant)
            own = catalog.retyped(shape, variant.quantisation, variant.disk) if shape else None
            rough = self._estimated(variant, self._known(variant) or Measured(own, variant.disk))
            if rough is not None:
                found[variant.id] = rough
        return found

    def _family_shape(self, variant: Variant) -> catalog.Shape | None:
        """The shape of the variant's repository and format, by the first of them whose header can be read."""
        family = _family(variant)
        if family not in self._shapes:
            measured = self._read(variant)
            if measured is not None and measured.problem is not None:
                self._broken[family] += 1
                if self._broken[family] < BROKEN:
                    return None
            self._shapes[family] = measured.shape if measured else None
        return self._shapes[family]

    def against(self, variant: Variant) -> Against | None:
        """What speaks against it: its headers are broken, or allow no context as long as was asked for."""
        measured = self._known(variant)
        if measured is not None and measured.problem is not None:
            return Against(measured.problem, "name another variant, or another repository of the same model")
        shape = measured.shape if measured else self._shapes.get(_family(variant))
        longest = shape.context_length if shape else None
        if longest is None or self._context is None or self._context <= longest:
            return None
        why = f"{self._context:,} tokens of context were asked for, and it has at most {longest:,}"
        return Against(why, f"ask for {longest} tokens of context or less")

    @property
    def unread(self) -> tuple[str, ...]:
        """Whose headers the hub did not give, and why."""
        return tuple(f"the headers of {repo}: {why}" for repo, why in self._unread.items())

    def told(self, variant: Variant) -> Variant:
        """The variant with what its header tells and nobody else did: parameters and context length."""
        measured = self._known(variant)
        shape = measured.shape if measured else self._shapes.get(_family(variant))
        if shape is None:
            return variant
        return structs.replace(
            variant,
            parameters=variant.parameters or shape.parameters,
            context_length=variant.context_length or shape.context_length,
        )

    def exact(self, variant: Variant) -> Estimate | None:
        """The estimate by the variant's own headers, which are asked of the hub where they are not here."""
        return self._estimated(variant, self._known(variant) or self._read(variant))

    def close(self) -> None:
        """Keep what was read for the next time; a file that cannot be written costs time, and nothing else."""
        if not self._fresh:
            return
        with contextlib.suppress(OSError):
            disk.write_whole(
                self._here.settings.models_home / SHAPES, msgspec.json.encode({**self._kept, **self._fresh})
            )

    @cached_property
    def _kept(self) -> dict[str, Measured]:
        try:
            return msgspec.json.decode(
                (self._here.settings.models_home / SHAPES).read_bytes(), type=dict[str, Measured]
            )
        except (OSError, msgspec.MsgspecError):
            return {}

    def _known(self, variant: Variant) -> Measured | None:
        digest = variant.digest
        return self._fresh.get(digest) or self._passing.get(digest) or self._kept.get(digest)

    def _read(self, variant: Variant) -> Measured | None:
        """From the headers; None where they cannot be had, which a download or a start will tell of."""
        try:
            measured = Measured(*catalog.measure_of(variant, self._opened))
        except BadInput as error:
            if isinstance(error.__cause__, OSError):
                return None
            measured = Measured(None, 0, error.clause)
        except AssayError as error:
            self._unread.setdefault(variant.source.removeprefix("hf:"), error.why or error.message)
            return None
        (self._fresh if _lasting(variant) else self._passing)[variant.digest] = measured
        return measured

    def _opened(self, variant: Variant, file: File) -> Reader:
        folder = catalog.folder_of(variant)
        if folder is not None:
            return FileReader(folder / file.path)
        if variant.revision is None:
            raise BadInput(f"the commit of {variant.id} is not known", remedy="ask the hub for it first")
        repo = variant.source.removeprefix("hf:")
        path = f"{variant.folder}/{file.path}" if variant.folder else file.path
        return self._here.hub.reader(repo, variant.revision, path, file.size)

    def _estimated(self, variant: Variant, measured: Measured | None) -> Estimate | None:
        if measured is None or measured.problem is not None:
            return None
        reading = self.engines.get(variant.format, ())
        engine = variant.engine or (reading[0] if reading else "llamacpp")
        formula = catalog.estimate(
            measured.shape, measured.weights, engine=engine, context_length=self._context, slots=self._slots
        )
        version, _ = self._present.get(engine, (None, ()))
        seen = self._here.observed.find(engine, version, variant.digest, formula.context_length, self._slots)
        return structs.replace(formula, observed=seen.peak) if seen else formula


def engines_here() -> Mapping[Format, tuple[str, ...]]:
    """Engines that can run here, by the format that they read; the preferred format first."""
    return by_format(engines.present())


def by_format(present: Mapping[str, tuple[str | None, tuple[Format, ...]]]) -> Mapping[Format, tuple[str, ...]]:
    """Names of engines by format, from names with version and formats."""
    found: dict[Format, list[str]] = {}
    for name, (_, formats) in present.items():
        for form in formats:
            found.setdefault(form, []).append(name)
    return {form: tuple(names) for form, names in found.items()}


def _family(variant: Variant) -> Family:
    return variant.source, variant.revision, variant.format


def _lasting(variant: Variant) -> bool:
    """Whether the digest says what the files hold: a file that somebody may write over has none of its own."""
    return any(file.sha256 for file in variant.files) or len(variant.revision or "") == COMMIT


def _lies_here(variant: Variant) -> bool:
    return variant.path is not None and variant.format in {"gguf", "onnx", "safetensors"}
