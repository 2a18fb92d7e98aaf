"""Charts by themselves."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from assay.errors import BadInput
from assay.report import Report, charts, save_chart
from assay.report.chart_distribution import TICKS, quantiles
from assay.report.chart_levels import spread
from assay.report.chart_prompts import PROMPTS_DRAWN, drawn_prompts
from assay.report.chart_set import drawings
from assay.report.drawing import axis, names
from assay.report.outliers import PromptLatency
from assay.report.palette import DARK_SERIES, LIGHT_SERIES
from assay.types import Figure, Summary

VALUES = st.lists(st.floats(min_value=0.001, max_value=1e4), min_size=1, max_size=400)
SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    # The file was written by the chart itself in this test.
    return ["".join(e.itertext()) for e in ET.parse(path).iter(f"{SVG}text")]  # noqa: S314


def test_there_is_one_chart_for_each_question(report: Report) -> None:
    assert list(charts(report)) == ["quality_latency", "latency_distribution", "prompt_latency", "concurrency"]


def test_a_chart_without_data_is_left_out(report: Report, bare: Report) -> None:
    assert charts(bare) == {}
    single = replace(report, summaries=tuple(s for s in report.summaries if s.concurrency == 1))
    assert "concurrency" not in charts(single)


def test_each_is_written_as_svg_and_png(report: Report, tmp_path: Path) -> None:
    for name, chart in charts(report).items():
        save_chart(chart, tmp_path / "deep" / f"{name}.svg")
        save_chart(chart, tmp_path / f"{name}.PNG")
        shown = texts(tmp_path / "deep" / f"{name}.svg")
        assert all(any(label in text for text in shown) for label in names(report)[:4])
        assert (tmp_path / f"{name}.PNG").read_bytes().startswith(b"\x89PNG")


def test_other_suffixes_are_refused_with_what_to_do(report: Report, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written") as caught:
        save_chart(charts(report)["quality_latency"], tmp_path / "chart.gif")
    assert caught.value.remedy == "name it chart.svg or chart.png"
    assert list(tmp_path.iterdir()) == []


def test_names_without_room_are_left_out_and_that_is_told(report: Report) -> None:
    def crowd(summary: Summary) -> Summary:
        wide = {"e2e_p50": Figure(value=0.03, low=0.001, high=0.06), "quality": Figure(value=0.5, low=0, high=1)}
        return replace(summary, figures={**summary.figures, **wide} if summary.figures else {})

    same = replace(report, summaries=tuple(map(crowd, report.summaries)))
    drawn = {drawing.name: drawing for drawing in drawings(same, width=340)}
    assert "left out" in drawn["quality_latency"].note
    assert drawings(report)[0].note == ""


def test_one_prompt_is_no_chart(report: Report) -> None:
    few = tuple(s for s in report.run.samples if s.prompt == "note-01")
    single = replace(report, run=replace(report.run, samples=few))
    assert "prompt_latency" not in charts(single)


@pytest.mark.parametrize(("domain", "values"), [((0.9, 30), [1, 2, 5, 10, 20]), ((0.5, 2000), [1, 10, 100, 1000])])
def test_logarithmic_axes_have_round_ticks(domain: tuple[float, float], values: list[float]) -> None:
    assert axis(domain, log=True, ticks=4).to_dict()["values"] == values


def test_hostile_names_stay_names(hostile: Report, tmp_path: Path) -> None:
    for name, chart in charts(hostile).items():
        path = tmp_path / f"{name}.svg"
        save_chart(chart, path)
        assert not list(ET.parse(path).iter(f"{SVG}script"))  # noqa: S314
        assert any("</script>" in text for text in texts(path))


def test_a_name_is_the_id_where_it_is_unlike_and_cut_names_are_told_apart(report: Report) -> None:
    assert names(report)[2] == "notes-4m:q8_0"
    long = tuple(
        replace(c, variant=replace(c.variant, id="x" * 80), engine=f"engine-{i}")
        for i, c in enumerate(report.candidates)
    )
    same = replace(report, run=replace(report.run, record=replace(report.record, candidates=long)))
    assert len(set(names(same))) == len(long)


@given(VALUES)
def test_quantiles_are_the_values_or_lie_between_them(values: list[float]) -> None:
    found = quantiles(values)
    assert found == sorted(found)
    assert len(found) == min(len(values), TICKS)
    assert min(values) <= found[0] <= found[-1] <= max(values)
    if len(values) <= TICKS:
        assert found == sorted(values)


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.1, 9))
def test_labels_are_moved_apart_and_keep_their_order(values: list[float], gap: float) -> None:
    placed = spread(values, gap)
    order = sorted(range(len(values)), key=lambda i: values[i])
    moved = [placed[i] for i in order]
    assert all(b - a >= gap * 0.999 for a, b in pairwise(moved))
    assert all(p >= v for p, v in zip(placed, values, strict=True))


def test_of_too_many_prompts_the_slowest_are_drawn(report: Report) -> None:
    many = [
        PromptLatency(prompt=f"p{i}", latency=1.0 + i % 97, output_tokens=None, score=0, times_typical=None)
        for i in range(500)
    ]
    drawn = drawn_prompts(report, [many])
    assert len(drawn) == PROMPTS_DRAWN
    left_out = {p.prompt: p.latency for p in many if p.prompt not in drawn}
    assert max(left_out.values()) <= min(p.latency for p in many if p.prompt in drawn)


def test_every_series_can_be_read_on_its_paper(contrast: Callable[[str, str], float]) -> None:
    assert min(contrast(colour, "#ffffff") for colour in LIGHT_SERIES) >= 4.5
    assert min(contrast(colour, "#14161a") for colour in DARK_SERIES) >= 4.5
    assert len(LIGHT_SERIES) == len(DARK_SERIES)


def test_importing_the_room_loads_no_heavy_library() -> None:
    heavy = ("altair", "vl_convert", "jinja2", "rich", "numpy")
    code = f"import assay.report, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
