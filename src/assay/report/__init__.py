"""The report room: what a run says, for people and for programs.

In: a ``Report`` (run, statistics and choice, all computed elsewhere). Out: terminal, Markdown, CSV, JSON, one
self-contained HTML page, and charts as SVG or PNG. Pure functions; a module is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.report.chart_set import charts, save_chart
    from assay.report.json_document import document, to_json
    from assay.report.markdown import simple_markdown, to_markdown
    from assay.report.page import to_html
    from assay.report.progress import ProgressReporter
    from assay.report.sheets import samples_csv, simple_csv, to_csv
    from assay.report.subject import Report
    from assay.report.terminal import print_report, terminal_text

__all__ = [
    "ProgressReporter",
    "Report",
    "charts",
    "document",
    "print_report",
    "samples_csv",
    "save_chart",
    "simple_csv",
    "simple_markdown",
    "terminal_text",
    "to_csv",
    "to_html",
    "to_json",
    "to_markdown",
]

_MODULES = {
    "chart_set": ("charts", "save_chart"),
    "json_document": ("document", "to_json"),
    "markdown": ("simple_markdown", "to_markdown"),
    "page": ("to_html",),
    "progress": ("ProgressReporter",),
    "sheets": ("samples_csv", "simple_csv", "to_csv"),
    "subject": ("Report",),
    "terminal": ("print_report", "terminal_text"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
