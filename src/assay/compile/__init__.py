"""Your own checkpoint -> a runnable variant, with proof of what it lost.

In: a folder with safetensors weights, a format, precisions; what disk and memory are free. Out: a plan, then products
(each a ``Variant`` with its files hashed), then a ``Proof`` for each. Light to import: the work runs in processes, and
``assay.compile.proof``, which computes with numpy, is imported by its own name.
"""

from __future__ import annotations

from assay.compile.build import Product, build
from assay.compile.checkpoint import Checkpoint, checkpoint_digest, read_checkpoint, refuse_no_checkpoint
from assay.compile.gate import Gate, default_gate, judge
from assay.compile.plan import Plan, Planned, plan, refuse_without_room, wanted_for

__all__ = [
    "Checkpoint",
    "Gate",
    "Plan",
    "Planned",
    "Product",
    "build",
    "checkpoint_digest",
    "default_gate",
    "judge",
    "plan",
    "read_checkpoint",
    "refuse_no_checkpoint",
    "refuse_without_room",
    "wanted_for",
]
