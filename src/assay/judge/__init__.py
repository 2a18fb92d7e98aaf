"""Judging: what an answer is worth.

In: samples and what their prompts expect, or a ratings file that a person has filled.
Out: scores, each with its criterion, its value (0..1) and why.
"""

from __future__ import annotations

from assay.judge.checks import Finding, check, mean_value, score, vet
from assay.judge.ratings import read_ratings, write_ratings

__all__ = ["Finding", "check", "mean_value", "read_ratings", "score", "vet", "write_ratings"]
