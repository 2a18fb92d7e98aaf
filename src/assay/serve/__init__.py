"""Serve: names of models in, answers over the OpenAI protocol out, from many endpoints behind one door.

In: a ``Directory`` of what can be served and ``Effects`` that bring models up and down, both handed in by the app. Out:
``application`` over a ``Service`` whose scheduler decides what loads, waits, goes and is refused; and the ``Place``
where a running one is told of. DESIGN.md tells why it is as it is. A module is imported when it is first used: who asks
for a status needs no HTTP server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.serve.actions import Action, Grant, Refuse, Start, Stop, Warm
    from assay.serve.connections import Connections, Site, runner
    from assay.serve.door import application
    from assay.serve.effects import Directory, Effects, Live, Pulse
    from assay.serve.event_log import EventLog
    from assay.serve.gate import Gate
    from assay.serve.lease import Lease
    from assay.serve.limits import Limits
    from assay.serve.metrics import Metrics
    from assay.serve.model_state import ModelState
    from assay.serve.observer import Observer, Several
    from assay.serve.offer import Listed, Offer, Route
    from assay.serve.place import Place, ServiceState, Standing
    from assay.serve.refusal import Refusal, Refused
    from assay.serve.scheduler import Scheduler
    from assay.serve.service import Service
    from assay.serve.tally import Tally
    from assay.serve.ticket import Ticket

__all__ = [
    "Action",
    "Connections",
    "Directory",
    "Effects",
    "EventLog",
    "Gate",
    "Grant",
    "Lease",
    "Limits",
    "Listed",
    "Live",
    "Metrics",
    "ModelState",
    "Observer",
    "Offer",
    "Place",
    "Pulse",
    "Refusal",
    "Refuse",
    "Refused",
    "Route",
    "Scheduler",
    "Service",
    "ServiceState",
    "Several",
    "Site",
    "Standing",
    "Start",
    "Stop",
    "Tally",
    "Ticket",
    "Warm",
    "application",
    "runner",
]

_MODULES = {
    "actions": ("Action", "Grant", "Refuse", "Start", "Stop", "Warm"),
    "connections": ("Connections", "Site", "runner"),
    "door": ("application",),
    "effects": ("Directory", "Effects", "Live", "Pulse"),
    "event_log": ("EventLog",),
    "gate": ("Gate",),
    "lease": ("Lease",),
    "limits": ("Limits",),
    "metrics": ("Metrics",),
    "model_state": ("ModelState",),
    "observer": ("Observer", "Several"),
    "offer": ("Listed", "Offer", "Route"),
    "place": ("Place", "ServiceState", "Standing"),
    "refusal": ("Refusal", "Refused"),
    "scheduler": ("Scheduler",),
    "service": ("Service",),
    "tally": ("Tally",),
    "ticket": ("Ticket",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
