"""Serves the models of this machine until told to stop: joins what answers, what decides and what runs.

In: options. Out: a process behind one address. What stands around it (lock, port, state file, signals, log) is in
``hosting``; nothing is decided here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Self

from aiohttp import web

from assay import __version__, machine
from assay.app.directory import Directory, Loads, given_variants
from assay.app.here import Here
from assay.app.hosting import Ground, Inner, host
from assay.app.serve_options import ServeOptions, opening_of
from assay.app.service_log import ServiceLog
from assay.app.workers import Workers
from assay.serve import (
    Connections,
    Gate,
    Limits,
    Metrics,
    Service,
    ServiceState,
    Several,
    Site,
    application,
    runner,
)
from assay.serve.hosts import hosts_of, parse_origins
from assay.serve.keys import KeyFile, keys_file
from assay.serve.open_files import make_room
from assay.settings import Settings

SHARE = 0.9
"""Of the free memory, what models are given where no bound was asked for."""
LOGGED = "prompts and answers are written into this log, as --log-prompts asks"


def serve(
    options: ServeOptions,
    *,
    echo: Callable[[str], None] | None = None,
    on_ready: Callable[[ServiceState], None] | None = None,
) -> bool:
    """Serve until told to stop; whether every answer under way ended by itself.

    Raises:
        UnknownModel: a model to preload is not here. BadInput: others could reach the service without a key.
        ServiceRunning, PortTaken and what else ``hosting.host`` tells.
    """
    settings = options.settings
    here = Here(settings)
    routes = dict(settings.serve_routes)
    names, given = given_variants(settings.serve_preload, here, routes)
    opening = opening_of(options)

    async def make(ground: Ground) -> Inner:
        def warn(what: str) -> None:
            ground.log.say("warning", what=what)

        for warning in (*opening.warnings, *([LOGGED] if options.asked.log_prompts else [])):
            warn(warning)
        gate = Gate(
            hosts=hosts_of(settings.serve_host, own=(socket.gethostname(),), allowed=settings.serve_allow_hosts),
            keys=KeyFile(keys_file(settings.home)),
            rule=opening.keys,
            origins=parse_origins(settings.serve_allow_origins),
            admin_key=ground.admin_key,
        )
        limits = limits_of(settings)
        loads = Loads(settings.context_length, settings.serve_slots, settings.threads, limits.memory)
        directory = Directory(here, loads, routes=routes, given=given, tell=warn)
        serving = _Serving(Workers(here), directory, limits=limits, gate=gate, ground=ground, preload=names)
        return await serving.opened()

    return host(options, make, echo=echo, on_ready=on_ready)


def limits_of(settings: Settings) -> Limits:
    """The bounds of a service with ``settings`` on this machine at this moment."""
    free, memory, queue = machine.memory_budget(), settings.serve_memory, settings.serve_queue
    most = Limits()
    return Limits(
        memory=memory if memory is not None or free is None else int(free * SHARE),
        queue=queue,
        queue_per_model=min(queue, most.queue_per_model),
        queue_per_client=min(queue, most.queue_per_client),
        ttl_s=settings.serve_ttl_s,
        keep_warm_s=settings.serve_keep_warm_s,
        stall_s=settings.serve_stall_s,
        connections=make_room(most.connections),
    )


class _Serving:
    """The service, its workers and its door, from the first to the last."""

    def __init__(
        self,
        workers: Workers,
        directory: Directory,
        *,
        limits: Limits,
        gate: Gate,
        ground: Ground,
        preload: Sequence[str],
    ) -> None:
        metrics, log = Metrics(), ServiceLog(ground.log)
        self._workers = workers
        self._directory = directory
        self._log = ground.log
        self._service = Service(directory, self._workers, limits, observer=Several(metrics, log))
        self._connections = Connections(limits)
        self._preload = preload
        app = application(
            self._service,
            gate,
            metrics=metrics,
            version=__version__,
            tell=log.request,
            overhear=log.overhear if ground.options.asked.log_prompts else None,
            connections=lambda: self._connections.open,
        )
        self.runner = runner(app, limits)

    async def opened(self) -> Self:
        """Itself, able to bring models up."""
        await self._workers.__aenter__()
        return self

    def site(self, listening: socket.socket, tls: ssl.SSLContext | None) -> web.BaseSite:
        """Where it is reached: connections are bounded."""
        return Site(self.runner, listening, self._connections, tls)

    async def begin(self) -> None:
        """Bring up what stays loaded, and tell what fallback lists lack.

        In this order: a status tells from the first answer on what is to be loaded.
        """
        await self._service.start(self._preload)
        for gap in await self._directory.gaps():
            self._log.say("warning", what=gap)

    async def drain(self) -> bool:
        """Wait for answers under way, for as long as the limits say; whether all of them ended by themselves."""
        return await self._service.stop()

    async def close(self) -> None:
        """End every process."""
        await self._service.stop()
        await self._workers.__aexit__(None, None, None)

    def reload(self) -> None:
        """Keys and lists are looked at all the time."""
