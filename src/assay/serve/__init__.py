"""Serve: names of models in, answers over the OpenAI protocol out, from many endpoints behind one door.

In: a ``Directory`` of what can be served and ``Effects`` that bring models up and down, both handed in by the app. Out:
an HTTP service whose scheduler decides what loads, waits, goes and is refused. DESIGN.md tells why it is as it is.
"""

from __future__ import annotations

from assay.serve.actions import Action, Grant, Refuse, Start, Stop, Warm
from assay.serve.effects import Directory, Effects, Live, Pulse
from assay.serve.limits import Limits
from assay.serve.model_state import ModelState
from assay.serve.offer import Listed, Offer, Route
from assay.serve.refusal import Refusal, Refused
from assay.serve.scheduler import Scheduler
from assay.serve.ticket import Ticket

__all__ = [
    "Action",
    "Directory",
    "Effects",
    "Grant",
    "Limits",
    "Listed",
    "Live",
    "ModelState",
    "Offer",
    "Pulse",
    "Refusal",
    "Refuse",
    "Refused",
    "Route",
    "Scheduler",
    "Start",
    "Stop",
    "Ticket",
    "Warm",
]
