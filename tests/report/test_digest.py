"""The digest: what is told of each find, and that text from a hub is only ever text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.report.digest import digest
from assay.report.units import UNKNOWN
from assay.types import File, Find, Fold, Packaging, Variant

CHOICE = Variant(
    id="foo-7b:q4_k_m",
    alias="foo-7b",
    format="gguf",
    source="hf:packer/Foo-7B-GGUF",
    quantisation="q4_k_m",
    files=(File(path="foo.gguf", size=4_400_000_000),),
)
FOLDED = tuple(
    Fold(id=f"copier/Foo-{n}", rule="copied name", why="named like it", into="maker/Foo-7B") for n in range(7)
)
FIND = Find(
    id="maker/Foo-7B",
    packagings=(Packaging(id="packer/Foo-7B-GGUF", formats=("gguf",), variants=(CHOICE,)),),
    folded=FOLDED,
    licence="apache-2.0",
    licence_class="permissive",
    parameters=7_610_000_000,
    task="text-generation",
    why=("new", "trending"),
    fits=True,
    fit_reason="6 GB are free",
    choice=CHOICE,
    gated=True,
)


def written(*finds: Find, left: tuple[Fold, ...] = ()) -> str:
    return digest(finds, "2026-11-15T00:00:00Z", "2026-11-22T09:00:00Z", "8 cores, 16 GB of memory", left)


def test_the_digest_of_a_week() -> None:
    rules = {"a/b": "known", "a/c": "known", "a/d": "size"}
    left = tuple(Fold(id=id_, rule=rule, why="for a reason") for id_, rule in rules.items())
    assert written(FIND, left=left) == (
        "# New models, 2026-11-15 to 2026-11-22\n"
        "\n"
        "8 cores, 16 GB of memory\n"
        "\n"
        "1 model is worth a look. 1 of them surely fits this machine.\n"
        "\n"
        "| Model | Parameters | Size | Licence | Task | Fits | Why it is here |\n"
        "| --- | ---: | ---: | --- | --- | --- | --- |\n"
        "| [maker/Foo-7B](https://huggingface.co/maker/Foo-7B) | 7.61 B | 4.40 GB | permissive (apache-2.0) "
        "| text-generation | yes: 6 GB are free | new, trending |\n"
        "\n"
        "## To fetch one\n"
        "\n"
        "- maker/Foo-7B: `assay model download hf:packer/Foo-7B-GGUF:q4_k_m`; "
        "its terms must be agreed to on its page first\n"
        "\n"
        "## Folded\n"
        "\n"
        "- maker/Foo-7B stands for copier/Foo-0 (named like it); copier/Foo-1 (named like it); "
        "copier/Foo-2 (named like it); copier/Foo-3 (named like it); copier/Foo-4 (named like it); and 2 more\n"
        "\n"
        "Left out, by rule: known 2, size 1. `assay discover -v` tells each with its reason.\n"
    )


def test_a_week_without_news() -> None:
    text = written()
    assert "Nothing was found that is new" in text
    assert "|" not in text
    assert "##" not in text


def test_what_is_not_known_is_a_dash_and_no_figure() -> None:
    text = written(Find(id="maker/Bar"))
    linked = "[maker/Bar](https://huggingface.co/maker/Bar)"
    assert f"| {linked} | {UNKNOWN} | {UNKNOWN} | unknown | {UNKNOWN} | unknown |  |" in text
    assert "Of 1 nobody can say" in text
    assert "download" not in text


def test_without_a_choice_the_best_packaging_is_fetched() -> None:
    find = Find(id="maker/Bar", packagings=(Packaging(id="x/Bar-AWQ"), Packaging(id="y/Bar-GGUF", formats=("gguf",))))
    assert "`assay model download hf:y/Bar-GGUF`" in written(find)


@pytest.mark.parametrize(
    ("source", "id_"),
    [("hf:a/b c", "a:q4_0"), ("hf:a/b`x`", "a:q4_0"), ("hf:a/b", "a:q4 0"), ("http://h/v1", "a:q4_0")],
)
def test_a_name_that_could_do_more_than_name_is_in_no_command(source: str, id_: str) -> None:
    choice = Variant(id=id_, alias="a", format="gguf", source=source)
    assert "download" not in written(Find(id="a/b", choice=choice))


def test_foreign_text_is_only_text() -> None:
    evil = "x`|<script>alert(1)</script>\n# Big\x1b[2J[a](javascript:b)"
    folded = Fold(id=evil, rule=evil, why=evil)
    choice = Variant(id="a:q4`; rm -rf ~`", alias="a", format="gguf", source="hf:a/b`$(x)`")
    find = Find(id=evil, licence=evil, task=evil, why=(evil,), fit_reason=evil, folded=(folded,), choice=choice)
    text = written(find, left=(folded,))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "rm -rf" not in text
    assert not re.search(r"(?<!\\)\[a(?<!\\)\]", text)
    assert not re.search(r"^# Big", text, flags=re.MULTILINE)
    assert re.findall(r"(?<!\\)`[^`]*`", text) == ["`assay discover -v`"]


FOREIGN: Any = st.text(max_size=30)


@given(id_=FOREIGN, licence=FOREIGN, task=FOREIGN, why=FOREIGN, reason=FOREIGN)
def test_whatever_a_hub_says_the_table_keeps_its_form(id_: str, licence: str, task: str, why: str, reason: str) -> None:
    folds = (Fold(id=id_, rule=why, why=reason),)
    find = Find(id=id_, licence=licence, task=task, why=(why,), fit_reason=reason, folded=folds)
    lines = written(find, FIND, left=folds).split("\n")
    rows = [line for line in lines if line.startswith("| ")]
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows] == [8] * 4
    assert [line for line in lines if line.startswith("#")] == [
        "# New models, 2026-11-15 to 2026-11-22", "## To fetch one", "## Folded",
    ]  # fmt: skip
