"""Models in words: the list's columns, one model's facts and reasons, what was fetched, an answer's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from assay.app.answer import Answer
from assay.app.models import Info, Told
from assay.catalog import LeftOut, Row
from assay.report import models
from assay.report.columns import shown_width
from assay.report.units import UNKNOWN
from assay.store import Found
from assay.types import Estimate, File, Interval, Proof, Sample, Stored, Variant

SMALL = Variant(
    id="tiny:q8_0",
    alias="tiny",
    format="gguf",
    source="hf:acme/Tiny-GGUF",
    revision="0123456789abcdef0123456789abcdef01234567",
    files=(File(path="tiny-Q8_0.gguf", size=4_400_512),),
    parameters=4_100_000,
    context_length=2048,
    licence="apache-2.0",
    base="acme/Tiny",
    tasks=("chat",),
    capabilities=("chat", "tools"),
    languages=("en", "de"),
    notes="a small one",
)
ESTIMATE = Estimate(
    low=42_500_000, likely=74_400_000, high=81_800_000, weights=4_370_000, cache=6_290_000, buffers=8_700_000,
    base=55_000_000, engine="llamacpp", context_length=2048, slots=1,
)  # fmt: skip


def told(variant: Variant = SMALL, **more: Any) -> Told:
    known: dict[str, Any] = {
        "variant": variant, "runs": True, "ok": True, "engine": "llamacpp", "fits": "yes", "estimate": ESTIMATE,
        "reasons": ("llamacpp runs it", "about 74.4 MB needed"), "licence_class": "permissive", "stored": None,
        "path": None,
    }  # fmt: skip
    return Told(**(known | more))


def info(*variants: Told, **more: Any) -> Info:
    runs = next((one.variant.id for one in variants if one.runs), None)
    known: dict[str, Any] = {"memory_budget": 8_000_000_000, "left_out": (), "unasked": (), "pages": ()}
    return Info(**({"alias": "tiny", "origin": "hub", "runs": runs, "variants": variants} | known | more))


def named(name: str) -> Variant:
    return structs.replace(SMALL, id=f"tiny:{name}")


def row(alias: str, **more: Any) -> Row:
    known: dict[str, Any] = {
        "id": f"{alias}:q8_0", "origin": "store", "variant": None, "runs": True, "cached": False, "device": "cpu",
        "task": "chat", "size": 4_400_512, "licence": "mit", "licence_class": "permissive", "fits": "yes", "reason": "",
    }  # fmt: skip
    return Row(alias=alias, **(known | more))


def test_the_list_names_an_alias_once_and_marks_what_is_here() -> None:
    lines = models.table([row("tiny", cached=True), row("tiny", id="tiny:q4_0"), row("other")])
    assert lines[0].split() == ["Alias", "Device", "Task", "File", "Size", "License", "Model", "ID", "Fits"]
    assert lines[1].split() == ["tiny", "CPU", "chat", "4.40", "MB", "*", "mit", "tiny:q8_0", "yes"]
    assert lines[2].split()[0] == "CPU"
    assert lines[3].startswith("other")
    assert lines[4:] == ["", "* is on this machine"]


def test_what_is_unknown_is_a_dash_and_never_a_figure() -> None:
    lines = models.table(
        [row("bare", device=None, task=None, size=None, licence=None, licence_class="unknown", fits=None)]
    )
    assert lines[1].split() == ["bare", models.ANY_DEVICE, UNKNOWN, UNKNOWN, "unknown", "bare:q8_0", UNKNOWN]
    assert len(lines) == 2, "nothing is here, so nothing explains a star"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_is_never_too_narrow(width: int) -> None:
    rows = [row("a-model-with-a-very-long-name-instruct" * 2), row("b", id="b:" + "q" * 80)]
    assert all(shown_width(line) <= width for line in models.table(rows, width=width))


def test_one_model_is_told_with_its_figures() -> None:
    stored = Stored(variant=SMALL, added="2026-11-01T10:00:00Z", origin="download", used="2026-11-02T10:00:00Z")
    lines = models.info(info(told(stored=stored, path="/models/tiny.gguf")), verbose=False)
    for line in (
        "  runs        tiny:q8_0 on llamacpp",
        "  source      hf:acme/Tiny-GGUF at 0123456789ab",
        "  files       1 file, 4.40 MB",
        "  lies at     /models/tiny.gguf",
        "  made from   acme/Tiny",
        "  parameters  4.10 M",
        "  context     2,048 tokens",
        "  licence     apache-2.0 (permissive)",
        "  good for    chat, tools",
        "  languages   en, de",
        "  here since  2026-11-01, by download, last used 2026-11-02",
    ):
        assert line in lines
    memory = next(line for line in lines if line.startswith("  memory"))
    assert "74.4 MB likely (42.5 MB to 81.8 MB) with 2,048 tokens" in memory
    assert "weights 4.37 MB, cache 6.29 MB, rest 63.7 MB" in memory


def test_what_was_observed_stands_beside_the_formula() -> None:
    seen = structs.replace(ESTIMATE, observed=70_000_000, slots=4, unknown=("how it packs",))
    memory = next(line for line in models.info(info(told(estimate=seen)), verbose=False) if "memory" in line)
    assert "in 4 slots" in memory
    assert memory.endswith("; 70.0 MB observed here, 70.0 MB reckoned with; not known: how it packs")


def test_the_others_are_counted_and_told_of_when_asked() -> None:
    gpu = told(named("fp16"), runs=False, ok=False, reasons=("it was made for GPU",))
    both = info(
        told(), told(named("q4_0"), runs=False), gpu, left_out=(LeftOut(tuple("abcd"), "no model"),), pages=("p",)
    )
    assert "  2 other variants; -v tells of each" in models.info(both, verbose=False)
    lines = models.info(both, verbose=True)
    assert any(line.startswith("  > tiny:q8_0: llamacpp runs it") for line in lines)
    assert any(line.startswith("  + tiny:q4_0: ") for line in lines)
    assert "  - tiny:fp16: it was made for GPU" in lines
    assert "  - a, b, c and 1 more: no model" in lines
    assert "  page: p" in lines


def test_where_nothing_runs_the_first_reasons_are_told_and_the_rest_counted() -> None:
    none = [told(named(f"q{n}"), runs=False, ok=False, reasons=("too large",)) for n in range(8)]
    lines = models.info(info(*none, unasked=("the hub is away",)), verbose=False)
    assert lines[1] == "  nothing of it runs here:"
    assert lines[2] == "    tiny:q0: too large"
    assert sum("too large" in line for line in lines) == models.SHOWN
    assert "  2 other variants; -v tells of each" in lines
    assert lines[-1] == "  not asked: the hub is away"
    assert not any("other variant" in line for line in models.info(info(none[0]), verbose=False))


def test_a_proof_is_shown_with_what_was_compiled() -> None:
    figure = Interval(value=0.97, low=0.9, high=1.0)
    proof = Proof(
        original="o", original_digest=None, product_digest="d", engine="llamacpp", engine_version=None, prompts=20,
        tokens=100, agreement=figure, kl=figure, perplexity_original=figure, perplexity_ratio=figure,
    )  # fmt: skip
    lines = models.info(
        info(told(stored=Stored(variant=SMALL, added="2026-11-01", origin="compile", proof=proof))), verbose=False
    )
    assert "  what its making lost" in lines
    assert any("97% (90% to 100%) of greedy tokens" in line for line in lines)


def test_what_was_fetched_is_one_line() -> None:
    plain = Stored(variant=SMALL, added="2026-11-01", origin="download")
    assert models.stored(plain) == "tiny:q8_0: 4.40 MB in 1 file, verified"
    linked = structs.replace(plain, links={"tiny-Q8_0.gguf": "/elsewhere/tiny.gguf"})
    assert "1 file linked" in models.stored(linked)


def test_what_could_be_imported_is_a_table() -> None:
    found = Found("ollama:tiny", "ollama", Path("/o"), Path("/o/blob"), "gguf", 4_400_512)
    lines = models.importable([found])
    assert lines[1].split() == ["ollama:tiny", "gguf", "4.40", "MB", "/o/blob"]
    assert "assay model import PATH" in models.importable([])[0]


def test_an_answer_tells_what_ran_and_how_long_it_took() -> None:
    sample = Sample(
        i=0, variant="tiny:q8_0", engine="llamacpp", prompt="prompt", round=0, phase="measure", prompt_tokens=12,
        output_tokens=8, finish="stop",
    )  # fmt: skip
    known = {
        "variant": "tiny:q8_0", "reasons": ("it fits",), "engine": "llamacpp", "engine_version": "1", "where": "here",
        "why_there": "it is",
    }  # fmt: skip
    lines = models.answered(Answer(**known, load_s=1.5, context_length=2048, sample=sample))  # type: ignore[arg-type]
    assert lines[0] == "ran tiny:q8_0 on llamacpp 1: it fits"
    assert "loaded in 1.50 s" in lines[1]
    assert "12 prompt and 8 output tokens, ended by stop" in lines[1]
    bare = structs.replace(sample, prompt_tokens=None, output_tokens=None, finish=None)
    lines = models.answered(Answer(**known, load_s=None, context_length=None, sample=bare))  # type: ignore[arg-type]
    assert lines[1] == f"{UNKNOWN} prompt and {UNKNOWN} output tokens, ended by {UNKNOWN}"
