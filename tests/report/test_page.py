"""The HTML page as text: complete, escaped, self-contained, with the structure that readers need."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from msgspec.structs import replace

from assay.report import Report, to_html
from assay.report.page import TEXT_LIMIT, fold, unbroken

VOID = {"meta", "link", "br", "img", "input", "hr", "col", "wbr"}


class Page(HTMLParser):
    """Elements of a page, and whether every one is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(report: Report) -> str:
    return to_html(report)


@pytest.fixture(scope="module")
def page(written: str) -> Page:
    return Page(written)


@pytest.fixture(scope="module")
def spoilt(hostile: Report) -> Page:
    return Page(to_html(hostile))


def test_the_page_is_well_formed_and_says_what_was_chosen(page: Page, report: Report) -> None:
    assert page.open == []
    text = "".join(page.text)
    assert report.sentence in text
    assert "96.8%" in text
    assert all(c.variant.id in text for c in report.candidates)
    assert report.choice is not None
    assert all(warning in text for warning in report.choice.warnings)


def test_every_part_is_there(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    parts = {"table", "rejected", "quality_latency", "latency_distribution", "prompt_latency", "concurrency", "answers"}
    parts |= {"failures", "workload", "machine", "engines", "instrument", "definitions", "provenance"}
    assert parts <= ids
    linked = {(a["href"] or "")[1:] for a in page.all("a")}
    assert linked <= ids


def test_headings_and_tables_can_be_followed_by_ear(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(cell.get("scope") for cell in page.all("th"))
    assert all(figure.get("aria-label") for figure in page.all("figure"))
    assert [a.get("lang") for a in page.all("html")] == ["en"]
    text = "".join(page.text)
    assert " (best)" in text
    assert " (too few samples)" in text


def test_ids_are_unlike(page: Page, spoilt: Page) -> None:
    for made in (page, spoilt):
        ids = [attributes["id"] for _, attributes in made.elements if "id" in attributes]
        assert len(ids) == len(set(ids))


def test_unknown_is_a_dash_that_says_so(page: Page, bare: Report) -> None:
    assert any(a.get("title") == "not measured" for a in page.all("span"))
    text = " ".join(Page(to_html(bare)).text)
    assert "Measured, not yet decided" in text
    assert "Not tested before this run." in text


def test_nothing_is_fetched(written: str) -> None:
    assert not re.search(r"""(?:src|href|xlink:href)=["'](?!#|data:)""", written)
    assert not re.search(r"url\((?!#)", written)
    assert "@import" not in written


def test_only_the_pages_own_script_may_run(written: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", written, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in written
    assert "default-src &#39;none&#39;" in written


def test_hostile_texts_stay_texts(spoilt: Page) -> None:
    assert spoilt.open == []
    assert len(spoilt.all("script")) == 1
    assert spoilt.all("img") == []
    assert not [a for _, a in spoilt.elements for name in a if name.startswith("on")]
    text = "".join(spoilt.text)
    assert "</script><script>document.title='owned'</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_long_texts_are_folded_and_very_long_ones_cut_with_the_rest_counted(spoilt: Page) -> None:
    assert not fold("short", 10).long
    assert fold("x" * 11, 10).long
    assert fold("\n" * 20, 100).long
    cut = fold("y" * (TEXT_LIMIT + 7), 10)
    assert (len(cut.whole), cut.left_out, cut.length) == (TEXT_LIMIT, 7, TEXT_LIMIT + 7)
    assert [a for a in spoilt.all("details") if a.get("class") == "fold"]


def test_names_are_not_broken_at_their_hyphens() -> None:
    assert unbroken("Run notes-4m <b>") == 'Run <span class="whole">notes-4m</span> &lt;b&gt;'
    assert unbroken("<img-x>") == '<span class="whole">&lt;img-x&gt;</span>'
    assert "whole" not in unbroken("x-" * 40)


def test_what_is_not_shown_is_counted(page: Page) -> None:
    assert "12 more prompts are not shown." in " ".join(page.text)


def test_a_run_without_failures_says_so(report: Report) -> None:
    record = replace(report.record, candidates=report.candidates[:1])
    good = tuple(s for s in report.run.samples if s.ok)
    text = to_html(replace(report, run=replace(report.run, record=record, samples=good)))
    assert "every measured request was answered" in text


def variables(rule: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})", rule))


def test_text_can_be_read_in_light_and_dark(written: str, contrast: Callable[[str, str], float]) -> None:
    style = re.findall(r"<style>(.*?)</style>", written, flags=re.DOTALL)[0]
    light = variables(style.split("}")[0])
    dark = variables(re.findall(r"\[data-theme=dark\]\{(.*?)\}", style)[0])
    for scheme in (light, dark):
        for name in ("ink", "quiet", "mark", "bad", "good", "warn"):
            assert contrast(scheme[name], scheme["paper"]) >= 4.5, name
        assert contrast(scheme["ink"], scheme["soft"]) >= 7
