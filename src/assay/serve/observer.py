"""What happens to models and requests, told to whoever counts it or writes it down."""

from __future__ import annotations

from typing import Protocol

from assay.serve.effects import Pulse
from assay.serve.refusal import Refusal


class Observer(Protocol):
    """Called on the event loop; must not block and must not raise. ``model`` is a variant's id, times are seconds."""

    def loading(self, model: str, engine: str) -> None:
        """A load has begun."""
        ...

    def loaded(self, model: str, engine: str, seconds: float) -> None:
        """It is up."""
        ...

    def failed(self, model: str, why: str) -> None:
        """A load did not succeed; ``why`` may have several lines."""
        ...

    def stopped(self, model: str, why: str, *, evicted: bool) -> None:
        """It was taken down; ``evicted``: for the memory that another model needed."""
        ...

    def died(self, model: str, why: str) -> None:
        """It ended, broke or was killed as wedged while it was up; ``why`` may have several lines."""
        ...

    def pulse(self, model: str, pulse: Pulse) -> None:
        """How it is, from time to time while it is up."""
        ...

    def granted(self, name: str, model: str, waited: float, loading: float | None) -> None:
        """A request for ``name`` goes to the model, after ``waited`` in all, ``loading`` of that for its load."""
        ...

    def refused(self, name: str, refusal: Refusal) -> None:
        """A request for ``name`` is not served."""
        ...

    def left(self, name: str, waited: float) -> None:
        """Whoever asked for ``name`` went away before a model was free."""
        ...

    def ended(self, name: str, model: str, seconds: float) -> None:
        """A granted request has ended, ``seconds`` after it was granted."""
        ...


class Quiet:
    """Tells nobody."""

    def loading(self, model: str, engine: str) -> None: ...

    def loaded(self, model: str, engine: str, seconds: float) -> None: ...

    def failed(self, model: str, why: str) -> None: ...

    def stopped(self, model: str, why: str, *, evicted: bool) -> None: ...

    def died(self, model: str, why: str) -> None: ...

    def pulse(self, model: str, pulse: Pulse) -> None: ...

    def granted(self, name: str, model: str, waited: float, loading: float | None) -> None: ...

    def refused(self, name: str, refusal: Refusal) -> None: ...

    def left(self, name: str, waited: float) -> None: ...

    def ended(self, name: str, model: str, seconds: float) -> None: ...


class Several:
    """Tells each of several, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def loading(self, model: str, engine: str) -> None:
        for one in self._observers:
            one.loading(model, engine)

    def loaded(self, model: str, engine: str, seconds: float) -> None:
        for one in self._observers:
            one.loaded(model, engine, seconds)

    def failed(self, model: str, why: str) -> None:
        for one in self._observers:
            one.failed(model, why)

    def stopped(self, model: str, why: str, *, evicted: bool) -> None:
        for one in self._observers:
            one.stopped(model, why, evicted=evicted)

    def died(self, model: str, why: str) -> None:
        for one in self._observers:
            one.died(model, why)

    def pulse(self, model: str, pulse: Pulse) -> None:
        for one in self._observers:
            one.pulse(model, pulse)

    def granted(self, name: str, model: str, waited: float, loading: float | None) -> None:
        for one in self._observers:
            one.granted(name, model, waited, loading)

    def refused(self, name: str, refusal: Refusal) -> None:
        for one in self._observers:
            one.refused(name, refusal)

    def left(self, name: str, waited: float) -> None:
        for one in self._observers:
            one.left(name, waited)

    def ended(self, name: str, model: str, seconds: float) -> None:
        for one in self._observers:
            one.ended(name, model, seconds)
