"""What a look at the hub found, in words: a table, reasons when asked for, and what was left out."""

from __future__ import annotations

from msgspec import structs

from assay.report.columns import shown_width
from assay.report.finds import SHOWN_FOLDS, lines
from assay.report.units import UNKNOWN
from assay.types import Discovery, File, Find, Fold, Variant

CHOICE = Variant(
    id="fresh:q4_k_m",
    alias="fresh",
    format="gguf",
    source="hf:acme/Fresh-GGUF",
    files=(File(path="fresh-Q4_K_M.gguf", size=2_100_000_000),),
)
FOUND = Find(
    id="acme/Fresh",
    licence="mit",
    licence_class="permissive",
    parameters=3_100_000_000,
    why=("new since yesterday", "as gguf"),
    fits=True,
    fit_reason="about 2.9 GB needed",
    choice=CHOICE,
    folded=(Fold(id="copy/Fresh", rule="copy", why="the same files"),),
)
BARE = Find(id="acme/Bare")
LOOK = Discovery(finds=(FOUND, BARE), left=(), since="2026-11-01T08:30:00+00:00", until="2026-11-08T08:30:00+00:00")


def test_finds_are_a_table_that_says_how_to_fetch_them() -> None:
    told = lines(LOOK, verbose=False)
    assert told[0] == "since 2026-11-01 08:30 UTC: 2 models"
    fresh, bare = told[-2:]
    for part in ("acme/Fresh", "3.10 B", "2.10 GB", "mit (permissive)", "yes", "hf:acme/Fresh-GGUF:q4_k_m"):
        assert part in fresh
    assert bare.split() == ["acme/Bare", UNKNOWN, UNKNOWN, UNKNOWN, "(unknown)", UNKNOWN, UNKNOWN]


def test_reasons_and_what_was_folded_are_told_when_asked_for() -> None:
    told = lines(structs.replace(LOOK, left=(Fold(id="spam/x", rule="spam", why="thirty a day"),)), verbose=True)
    for line in (
        "acme/Fresh: new since yesterday; as gguf",
        "  fit: about 2.9 GB needed",
        "  with it: copy/Fresh (copy)",
        "left out: 1",
        "  spam/x: thirty a day (spam)",
    ):
        assert line in told


def test_what_was_left_out_is_counted_and_never_a_flood() -> None:
    left = tuple(Fold(id=f"spam/{n}", rule="spam", why="x") for n in range(SHOWN_FOLDS + 3))
    many = structs.replace(LOOK, left=left)
    assert lines(many, verbose=False)[-1] == f"{len(left)} left out; -v tells which and why"
    told = lines(many, verbose=True)
    assert told[-1] == "  and 3 more; -o json has all"
    assert sum(line.startswith("  spam/") for line in told) == SHOWN_FOLDS


def test_nothing_new_is_one_line() -> None:
    told = lines(structs.replace(LOOK, finds=()), verbose=False)
    assert told == ["since 2026-11-01 08:30 UTC: 0 models; nothing new that was asked for"]


def test_it_fits_the_terminal_and_shows_foreign_text_safely() -> None:
    strange = structs.replace(FOUND, id="acme/" + "x" * 90, licence="\x1b[31mred\nline")
    told = lines(structs.replace(LOOK, finds=(strange,)), verbose=False, width=70)
    assert all(shown_width(line) <= 70 for line in told)
    assert not any("\x1b" in line or "\n" in line for line in told)
