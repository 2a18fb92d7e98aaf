"""The parent side that all built-in engines share: a variant comes up as a worker process with an endpoint."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal

from assay.engines.page_cache import load_kind
from assay.engines.process import WorkerProcess, exit_reason
from assay.engines.worker.model import Spec
from assay.errors import BadInput, EngineUnavailable
from assay.types import Availability, Endpoint, EngineOptions, EngineStatus, Format, Variant

State = Literal["ready", "dead", "stopped"]


class WorkerEngine:
    """An engine in a worker process. A subclass names itself, and where its worker's ``open_model`` is.

    ``package`` is the distribution that must be installed, None where none is needed. An endpoint is stopped and
    described by the object that started it.
    """

    name: str
    formats: tuple[Format, ...]
    opener: str
    """``module:function`` that opens a model inside the worker."""
    package: str | None = None
    devices: tuple[str, ...] = ("cpu",)

    def __init__(self) -> None:
        self._workers: dict[str, WorkerProcess] = {}

    def available(self) -> Availability:
        """Whether the engine's package is installed; nothing is imported for the answer."""
        if self.package is None:
            return Availability(ok=True)
        try:
            return Availability(ok=True, version=metadata.version(self.package))
        except metadata.PackageNotFoundError:
            why = f"the package {self.package} is not installed"
            return Availability(ok=False, why=why, remedy=f"pip install {self.package}")

    async def start(self, variant: Variant, options: EngineOptions) -> Endpoint:
        """Bring ``variant`` up; raise ``EngineUnavailable``, ``BadInput`` or ``EngineStartFailed``."""
        availability = self.available()
        if not availability.ok:
            raise EngineUnavailable(
                f"engine {self.name} cannot run here", why=availability.why, remedy=availability.remedy
            )
        self.check(variant, options)
        model = variant.served_id or variant.id
        kind = load_kind(variant)  # after the check, which may have read the files
        worker = WorkerProcess(Spec(opener=self.opener, model=model, variant=variant, options=options))
        await worker.start(options.start_timeout_s)
        ready = worker.ready or {}
        url = f"http://127.0.0.1:{ready['port']}/v1"
        self._workers[url] = worker
        return Endpoint(
            url=url,
            model=model,
            engine=self.name,
            engine_version=ready.get("version"),
            pid=worker.pid,
            context_length=ready.get("context_length"),
            slots=ready.get("slots"),
            load_ns=worker.load_ns,
            load_kind=kind,
            arguments=ready.get("arguments") or {},
            headers=worker.spec.headers,
        )

    async def stop(self, endpoint: Endpoint) -> None:
        """End the endpoint's process tree; no error when it is already gone."""
        worker = self._workers.get(endpoint.url)
        if worker:
            await worker.stop()

    def describe(self, endpoint: Endpoint | None = None) -> EngineStatus:
        """The engine, or one endpoint: ``ready``, ``stopped`` on request, ``dead`` with exit code and log tail."""
        if endpoint is None:
            availability = self.available()
            return EngineStatus(
                name=self.name, version=availability.version, formats=self.formats, reason=availability.why
            )
        worker = self._workers.get(endpoint.url)
        if worker is None:
            raise BadInput(f"engine {self.name} has not started {endpoint.url}")
        code = worker.exit_code
        state, reason = _state(worker, code)
        return EngineStatus(
            name=self.name,
            version=endpoint.engine_version,
            formats=self.formats,
            state=state,
            exit_code=code,
            reason=reason,
            log_tail=worker.log_tail,
            arguments=endpoint.arguments,
        )

    def check(self, variant: Variant, options: EngineOptions) -> None:
        """Refuse what this engine can never run, before a process is started; raise ``BadInput``."""
        if variant.format not in self.formats:
            known = ", ".join(self.formats)
            raise BadInput(f"engine {self.name} runs {known}, but {variant.id} is {variant.format}")
        for name in ("slots", "threads", "context_length"):
            value = getattr(options, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} is {value}, but must be at least 1")
        if options.device not in self.devices:
            known = ", ".join(self.devices)
            raise BadInput(f"engine {self.name} runs on {known} here, but device {options.device!r} was asked for")
        if variant.path is not None and not Path(variant.path).exists():
            raise BadInput(f"{variant.path} does not exist", why=f"it is where the files of {variant.id} should be")


def _state(worker: WorkerProcess, code: int | None) -> tuple[State, str | None]:
    if worker.stopped:
        return "stopped", None
    if code is not None:
        return "dead", exit_reason(code)
    if worker.broken:
        return "dead", worker.broken
    return "ready", None
