"""A checkpoint becomes variants that run: found or fetched, converted, held against its original, kept or refused.

In: a name, a format, precisions. Out: for each product what it lost, and where it is.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from assay import catalog, compile, disk, judge, machine, measure, store  # noqa: A004 - the room's own name
from assay.app.getting import asked, brought
from assay.app.here import Here, open_here
from assay.app.sizing import engines_here
from assay.compile.gate import Gate, default_gate
from assay.compile.gate import judge as judged
from assay.compile.proof import prove
from assay.compile.reference import Original, ask_original
from assay.engines.probe import probe
from assay.errors import BadInput, CompileError, EngineError, EngineUnavailable, StoreError, UnknownModel
from assay.types import Probed, ProbeRequest, Prompt, Proof, Reporter, Silent, Stored, Transfers, Variant

DEFAULT_PRECISION = "int8"
ANSWER_TOKENS = 128
"""Longest answer that a check is given."""
WORK = "compiling"
"""Folder beside the models for what is not finished, so that a second call goes on with it."""


class Compiled(Struct, frozen=True, kw_only=True):
    """One product. ``stored`` is its record; where it is not kept that is None.

    Then ``refused`` says why, by its gate's word or by what kept its engine from being asked (``proof`` is None then),
    and ``aside`` where it lies. ``seconds`` is how long making it took, None where an earlier call had made it.
    """

    variant: Variant
    proof: Proof | None
    stored: Stored | None
    refused: str | None = None
    aside: str | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()


class Limits(Struct, frozen=True, kw_only=True):
    """What a person sets in place of a precision's own limits; None keeps those."""

    max_kl: float | None = None
    max_perplexity_rise: float | None = None
    min_agreement: float | None = None


def compile_model(
    source: str,
    *,
    to: Literal["onnx", "gguf"] = "gguf",
    precisions: Sequence[str] = (),
    alias: str | None = None,
    limits: Limits | None = None,
    prompts: str | Path | None = None,
    text: str | Path | None = None,
    token: str | None = None,
    home: str | Path | None = None,
    reporter: Reporter | None = None,
    transfers: Transfers | None = None,
) -> list[Compiled]:
    """Make a product of ``source`` in each precision, prove what it lost, and keep it if its gate lets it through.

    ``source`` is a folder with safetensors, or names a model that has them. What an earlier call made of the same
    checkpoint, and its gate let through, is not made again.

    Raises:
        BadInput: the checkpoint, a precision, a limit or the prompts cannot be used. MissingExtra: the extra
        ``compile`` is not installed. EngineUnavailable: no engine here runs this format. NoRoom: disk or memory do not
        suffice. StoreError: another model has the name of a product. CompileError: a conversion failed, or the
        original cannot be run.
    """
    limits = limits or Limits()
    _refuse_limits(limits)
    wanted = compile.wanted_for(to, tuple(precisions) or (DEFAULT_PRECISION,))
    engine = _engine(to)
    here = open_here({"home": home}, token=token)
    reporter = reporter or Silent()
    passages = _passages(text)
    original = _checkpoint(source, here, transfers or Silent())
    questions = _questions(prompts, original, here)
    folder = Path(original.path or "")
    checkpoint = compile.read_checkpoint(
        folder, name=alias or original.alias, source=original.source, revision=original.revision
    )
    plan = compile.plan(checkpoint, to, wanted, free_disk=None, free_memory=None)
    _refuse_taken(plan, here)
    _refuse_without_room([planned for planned in plan.products if here.store.find(planned.id) is None], here)

    def waits(pid: int | None) -> None:
        reporter.note(f"waiting for process {pid or 'unknown'}, which is compiling")

    with here.store.lock(WORK, waits):
        reporter.stage(f"Hashing {original.id}")
        digest = compile.checkpoint_digest(checkpoint, reporter.progress)
        plan, made = _without_those_here(plan, digest, here)
        _refuse_without_room(plan.products, here)
        if plan.products:
            made += _made_and_proven(plan, _Ask(here, original, digest, engine, questions, passages, limits, reporter))
    return made


@dataclass
class _Ask:
    """What every product of one checkpoint is asked, and the original's answers, which are asked for once."""

    here: Here
    original: Variant
    digest: str
    engine: str
    questions: Sequence[Prompt]
    passages: Sequence[str] | None
    limits: Limits
    reporter: Reporter
    answered: Original | None = None

    @property
    def work(self) -> Path:
        """The folder for what is not finished."""
        return self.here.settings.models_home / WORK

    def prove(self, product: Variant) -> Proof:
        """The product against its original, with the word of its gate.

        Raises:
            CompileError: the original cannot be run. _Unproven: the product cannot be asked.
        """
        original = self._original()
        try:
            proof = prove(
                original,
                product,
                engine=self.engine,
                probe=_probe,
                work=self.work / "product",
                score=self._score if any(question.expect for question in self.questions) else None,
                reporter=self.reporter,
            )
        except (EngineError, CompileError) as error:
            raise _Unproven(str(error)) from error
        return judged(proof, _gate(product.quantisation, self.limits))

    def _original(self) -> Original:
        if self.answered is None:
            self.reporter.stage(f"Asking the original, {self.original.id}")
            self.answered = ask_original(
                Path(self.original.path or ""),
                self.questions,
                work=self.work / "original",
                name=self.original.id,
                digest=self.digest,
                text=self.passages,
                answer_tokens=ANSWER_TOKENS,
                free_memory=machine.memory_budget(),
                reporter=self.reporter,
            )
        return self.answered

    def _score(self, number: int, text: str) -> Mapping[str, float]:
        expect = self.questions[number].expect
        return {finding.criterion: finding.value for finding in judge.check(text, expect)} if expect else {}


class _Unproven(Exception):
    """Why a product could not be held against its original."""


def _made_and_proven(plan: compile.Plan, ask: _Ask) -> list[Compiled]:
    made = []
    unfinished = ask.work / "unfinished"
    products = compile.build(plan, ask.work / "made", reporter=ask.reporter, work=unfinished, digest=ask.digest)
    for product in products:
        proof, stored, aside, refused = None, None, None, None
        try:
            proof = ask.prove(product.variant)
            refused = "; ".join(proof.failed) or None
        except _Unproven as error:
            refused = str(error)
        if proof is not None and refused is None:
            stored = store.adopt(ask.here.store, product.variant, proof, ask.reporter.note)
        else:
            aside = str(store.set_aside(ask.here.store, product.variant, proof or refused or ""))
            ask.reporter.note(f"{product.variant.id} was refused: {refused}")
        made.append(
            Compiled(
                variant=stored.variant if stored else product.variant,
                proof=proof,
                stored=stored,
                refused=refused,
                aside=aside,
                seconds=None if product.reused else product.seconds,
                notes=product.notes,
            )
        )
    shutil.rmtree(ask.work, ignore_errors=True)
    return made


def _engine(to: Literal["onnx", "gguf"]) -> str:
    """The engine that will serve the products.

    Raises:
        EngineUnavailable: none here reads their format.
    """
    reading = engines_here().get(to, ())
    if not reading:
        raise EngineUnavailable(
            f"no engine here runs {to}",
            why="a product is proven by the engine that will serve it",
            remedy="assay doctor tells what is missing",
        )
    return reading[0]


def _probe(variant: Variant, engine: str, request: ProbeRequest, folder: Path, reporter: Reporter) -> Probed:
    return probe(variant, engine, request, folder, reporter=reporter)


def _without_those_here(plan: compile.Plan, digest: str, here: Here) -> tuple[compile.Plan, list[Compiled]]:
    """The plan without what the store has of this checkpoint already, and that."""
    there = []
    left = []
    for planned in plan.products:
        stored = here.store.find(planned.id)
        proof = stored.proof if stored else None
        if stored is None or proof is None or proof.original_digest != digest:
            left.append(planned)
            continue
        there.append(Compiled(variant=stored.variant, proof=proof, stored=stored))
    return structs.replace(plan, products=tuple(left)), there


def _refuse_taken(plan: compile.Plan, here: Here) -> None:
    """Raises:
    StoreError: a product could not take its place, or would stand beside a model that has nothing to do with it.
    """
    made = {planned.id.casefold() for planned in plan.products}
    name, source = plan.checkpoint.name, plan.checkpoint.source
    for stored in here.store.list():
        variant = stored.variant
        same = variant.source == source
        if variant.id.casefold() in made:
            taken = stored.origin != "compile" or not same
        else:
            taken = variant.alias.casefold() == name.casefold() and stored.origin == "import" and not same
        if taken:
            raise StoreError(
                f"another model is here under the name {name}",
                why=f"{variant.id} came by {stored.origin} from {variant.source}, not from {source}",
                remedy=f"assay cache remove {variant.id}, or give the products another name with --alias",
            )


def _checkpoint(source: str, here: Here, transfers: Transfers) -> Variant:
    """The safetensors that ``source`` names, fetched where they are not here.

    Raises:
        UnknownModel: it has none. BadInput: it is a folder with something else.
    """
    if Path(source).is_dir():
        compile.refuse_no_checkpoint(Path(source))
    for text in (source, f"{source}:safetensors"):
        try:
            found = here.catalog.find(text)
        except UnknownModel:
            if text == source:
                raise
            break
        local = [v for v in found.variants if v.format == "safetensors" and v.path is not None]
        if local:
            return local[0]
        if found.wanted and not found.variants:
            offered = [v for v in asked(found, here)[0].variants if v.format == "safetensors"]
            if offered:
                return brought(offered[0], here, transfers)
    raise UnknownModel(
        f"{source} has no checkpoint in safetensors",
        why="that is what other formats are made of",
        remedy="name the publisher's own repository (hf:owner/name) or a folder with safetensors",
    )


def _questions(given: str | Path | None, original: Variant, here: Here) -> tuple[Prompt, ...]:
    """The prompts of the proof: a person's own, those of the bundled models for these, else a general set."""
    path = Path(given) if given is not None else here.settings.prompts
    if path is None and original.source == "bundled":
        path = catalog.bundled_prompts()
    questions = measure.read_prompts(path) if path is not None else measure.default_prompts()
    judge.vet(questions)
    return tuple(questions)


def _passages(path: str | Path | None) -> tuple[str, ...] | None:
    """A person's text by paragraphs; None for the passages that come with Assay.

    Raises:
        BadInput: it cannot be read, or is too short to tell anything.
    """
    if path is None:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read", why=str(error), remedy="give a text file in UTF-8") from error
    passages = tuple(part.strip() for part in text.split("\n\n") if part.strip())
    if not passages:
        raise BadInput(f"{path} holds no text", remedy="give some paragraphs, with empty lines between them")
    return passages


def _gate(quantisation: str | None, limits: Limits) -> Gate:
    own = {name: value for name, value in structs.asdict(limits).items() if value is not None}
    return structs.replace(default_gate(quantisation), **own)


def _refuse_limits(limits: Limits) -> None:
    for name, value in structs.asdict(limits).items():
        most = 1.0 if name == "min_agreement" else float("inf")
        if value is not None and not 0 <= value <= most:
            flag = "--" + name.replace("_", "-")
            raise BadInput(
                f"{flag} cannot be {value:g}", remedy="give a number from 0" + (" to 1" if most == 1 else "")
            )


def _refuse_without_room(products: Sequence[compile.Planned], here: Here) -> None:
    home = here.settings.models_home
    compile.refuse_without_room(products, fillable(home, _free), machine.memory_budget())


def fillable(home: Path, free: Callable[[Path], int | None]) -> int | None:
    """Bytes of disk that a compile may use: the free ones, and those that an unfinished one has taken already.

    What it finished is used again or replaced, and so needs no room a second time. None where nobody knows.
    """
    known = free(home)
    return None if known is None else known + sum(_size(path) for path in (home / WORK).rglob("*"))


def _size(path: Path) -> int:
    """None of what another process took away meanwhile."""
    try:
        state = path.stat()
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def _free(folder: Path) -> int | None:
    try:
        return disk.free(folder)
    except OSError:
        return None
