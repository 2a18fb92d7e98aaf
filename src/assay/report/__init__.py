"""The report room: what a run says, for people and for programs.

In: a ``Report`` (run, statistics and choice, all computed elsewhere). Out: terminal, Markdown, CSV, JSON, one
self-contained HTML page, and charts as SVG or PNG. Pure functions; third-party libraries load when one is called.
"""

from __future__ import annotations

from assay.report.charts import charts, save_chart
from assay.report.document import document, to_json
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
