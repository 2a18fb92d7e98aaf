"""What ``assay doctor`` tells: machine, engines and why others are not there, the instrument, where things lie."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from assay import __version__, engines, machine, measure
from assay.app import loop
from assay.errors import BadInput
from assay.settings import Settings, resolve
from assay.types import Availability, Machine, SelfTest

LEAST_S, MOST_S = 0.1, 600.0
"""Bounds of the self-test's seconds a level: enough for some events, and an end."""


class EngineHealth(Struct, frozen=True, kw_only=True):
    """One engine by name: what it reads, and whether it runs here."""

    name: str
    formats: tuple[str, ...]
    availability: Availability


class Health(Struct, frozen=True, kw_only=True):
    """The state of one installation. ``places`` are paths by what lies there; ``settings``: where values came from."""

    assay: str
    machine: Machine
    memory_budget: int | None
    engines: tuple[EngineHealth, ...]
    selftest: SelfTest
    shortfalls: tuple[str, ...]
    places: dict[str, str]
    settings: dict[str, str]

    @property
    def usable(self) -> bool:
        """Whether at least one engine that runs model files is there."""
        return any(one.availability.ok and one.formats != ("adapter",) for one in self.engines)


def doctor(*, home: str | Path | None = None, seconds: float | None = None) -> Health:
    """Look at this machine and this installation; ``seconds`` is the time for each level of the self-test."""
    settings = resolve({"home": home}, os.environ, Path.cwd())
    here = machine.inspect()
    instrument = selftest(seconds=seconds)
    return Health(
        assay=__version__,
        machine=here,
        memory_budget=here.memory_budget,
        engines=tuple(_engine(name) for name in engines.names()),
        selftest=instrument,
        shortfalls=measure.shortfalls(instrument),
        places=_places(settings),
        settings=dict(settings.sources),
    )


def selftest(*, seconds: float | None = None) -> SelfTest:
    """Measure the measuring client against a server with known timings, ``seconds`` for each level.

    Raises:
        BadInput: so many or so few seconds.
    """
    if seconds is not None and not LEAST_S <= seconds <= MOST_S:
        raise BadInput(f"the self-test cannot take {seconds:g} s a level", remedy=f"give {LEAST_S:g} to {MOST_S:g}")
    return loop.run(lambda: measure.self_test(seconds) if seconds else measure.self_test())


def _engine(name: str) -> EngineHealth:
    engine = engines.load(name)
    return EngineHealth(name=name, formats=engine.formats, availability=engine.available())


def _places(settings: Settings) -> dict[str, str]:
    return {
        "home": str(settings.home),
        "runs": str(settings.runs),
        "models": str(settings.models_home),
        "package": str(Path(__file__).parents[1]),
    }
