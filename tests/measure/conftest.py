"""The scripted server, one process for all tests that do not kill it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("faulty_server.py")


class FaultyServer:
    """A running scripted server."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def log(self) -> list[dict[str, Any]]:
        """Requests received so far: ``body``, ``key``, ``headers``."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/control/log", timeout=10) as answer:
            entries: list[dict[str, Any]] = json.load(answer)
        return entries


@contextmanager
def running_server(*certificate: Path) -> Iterator[FaultyServer]:
    """The server in a process of its own; with a certificate and its key it speaks TLS."""
    command = [sys.executable, str(PROGRAM), *map(str, certificate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            port = int(process.stdout.readline())
            yield FaultyServer(process, f"http{'s' if certificate else ''}://127.0.0.1:{port}/v1")
        finally:
            process.kill()


@pytest.fixture(scope="session")
def server() -> Iterator[FaultyServer]:
    with running_server() as running:
        yield running
