"""Deciding: pure functions from runs and a policy to figures, differences and a choice. No effects.

In: `RunData`, a policy.toml, and what class a licence has.
Out: `Summary` (all figures with intervals), `Comparison` (what changed, and what of it is real), `Choice`.
"""

from __future__ import annotations

from assay.decide.choose import choose
from assay.decide.compare import Comparison, Difference, Pair, compare
from assay.decide.figures import FIGURES, Meaning, meaning
from assay.decide.policy import DEFAULT_POLICY, parse_policy, policy_schema, read_policy
from assay.decide.simple import simple
from assay.decide.summary import summarise

__all__ = [
    "DEFAULT_POLICY",
    "FIGURES",
    "Comparison",
    "Difference",
    "Meaning",
    "Pair",
    "choose",
    "compare",
    "meaning",
    "parse_policy",
    "policy_schema",
    "read_policy",
    "simple",
    "summarise",
]
