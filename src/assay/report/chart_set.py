"""Charts of a report, each one description for a file of its own (SVG, PNG) and for the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import BadInput
from assay.report.chart_distribution import latency_distribution
from assay.report.chart_levels import concurrency
from assay.report.chart_prompts import prompt_latency
from assay.report.chart_tradeoff import quality_latency
from assay.report.drawing import Drawing
from assay.report.palette import PAPER, Theme
from assay.report.subject import Report

if TYPE_CHECKING:
    import altair as alt

DRAWINGS: tuple[Callable[[Report, int, Theme], Drawing | None], ...] = (
    quality_latency,
    latency_distribution,
    prompt_latency,
    concurrency,
)
WIDTH = 760


def drawings(report: Report, *, width: int = WIDTH, theme: Theme = PAPER) -> list[Drawing]:
    """Every chart that the run has data for, ``width`` pixels wide, without titles."""
    return [drawing for draw in DRAWINGS if (drawing := draw(report, width, theme))]


def charts(report: Report) -> dict[str, alt.TopLevelMixin]:
    """Name -> chart with its title: ``quality_latency``, ``latency_distribution``, ``prompt_latency``, ``concurrency``.

    A chart without data is left out; ``concurrency`` needs two levels.
    """
    return {drawing.name: drawing.finished(PAPER, titled=True) for drawing in drawings(report)}


def save_chart(chart: alt.TopLevelMixin, path: Path) -> None:
    """Write ``chart`` as SVG, or as PNG at twice its size, after the suffix of ``path``; nothing is fetched.

    Raises:
        BadInput: the suffix is neither ``.svg`` nor ``.png``.
    """
    suffix = path.suffix.lower()
    if suffix not in {".svg", ".png"}:
        raise BadInput(
            f"A chart cannot be written as {path.name!r}.",
            why="charts are written as SVG or PNG, told by the suffix",
            remedy=f"name it {path.stem}.svg or {path.stem}.png",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".svg":
        path.write_text(chart_svg(chart.to_dict()), encoding="utf-8")
    else:
        import vl_convert

        path.write_bytes(vl_convert.vegalite_to_png(chart.to_dict(), scale=2, allowed_base_urls=[]))


def chart_svg(spec: dict[str, Any]) -> str:
    """A Vega-Lite description as SVG text; its data lies inside, so nothing is fetched."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
