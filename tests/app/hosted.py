"""A service of nothing behind the real lock, port, state, signals and end: ``python hosted.py HOME PORT [WORD...]``.

``die:MOMENT`` kills it at ``make``, ``begin``, ``drain`` or ``close``; ``slow-drain`` waits until ``HOME/go`` is there,
``cut-off`` cuts answers off; ``bad-make`` and ``bad-begin`` fail there; ``warn`` has a library warn; ``home`` is where
what happened is written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

from aiohttp import web

from assay.app.hosting import Ground, Inner, host
from assay.app.serve_options import options_for, wanted_service
from assay.errors import AssayError, BadInput
from assay.serve.place import ServiceState


class Nothing:
    def __init__(self, ground: Ground, words: list[str]) -> None:
        self.ground = ground
        self.words = words
        application = web.Application()
        application.router.add_get("/health", self.health)
        self.runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self.at("make")

    def at(self, moment: str) -> None:
        self.ground.log.say(f"at {moment}")
        if f"die:{moment}" in self.words:
            os.kill(os.getpid(), signal.SIGKILL)
        if f"bad-{moment}" in self.words:
            raise BadInput(f"{moment} failed", why="it was told to", remedy="tell it otherwise")

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"key": request.headers.get("Authorization", "") == f"Bearer {self.ground.admin_key}"})

    def site(self, listening: socket.socket, tls: ssl.SSLContext | None) -> web.BaseSite:
        return web.SockSite(self.runner, listening, ssl_context=tls)

    async def begin(self) -> None:
        self.at("begin")
        if "warn" in self.words:
            try:
                raise ValueError("my secret prompt")
            except ValueError:
                logging.getLogger("library").exception("it went wrong with %s", "my secret prompt")
                logging.getLogger("assay.serve.door").exception("request %s", "req-7")
            asyncio.get_running_loop().call_exception_handler({"message": "it was lost", "of": "my secret prompt"})

    async def drain(self) -> bool:
        self.at("drain")
        while "slow-drain" in self.words and not (self.ground.options.settings.home / "go").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return "cut-off" not in self.words

    async def close(self) -> None:
        self.at("close")

    def reload(self) -> None:
        self.ground.log.say("read anew")


def main() -> int:
    home, port, *words = sys.argv[1:]

    async def make(ground: Ground) -> Inner:
        return Nothing(ground, words)

    def ready(state: ServiceState) -> None:
        sys.stdout.write(f"{state.address}\n")
        sys.stdout.flush()

    try:
        options = options_for(wanted_service(home=Path(home), flags={"serve_port": port}))
        return 0 if host(options, make, on_ready=ready) else 7
    except AssayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
