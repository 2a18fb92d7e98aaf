"""A service to hold something of: ``assay serve`` as a process of its own, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from assay.catalog import bundled_folder

READY_S = 60.0
KEY = "known-to-the-benchmark"
KNOWN = {"Authorization": f"Bearer {KEY}"}
"""What opens the workers of a service whose ``key_known`` is set; by themselves they have keys that nobody is told."""
WITH_KEY = f"""
import secrets, sys
secrets.token_urlsafe = lambda *_: {KEY!r}
from assay.cli import main
sys.exit(main())
"""
TOOLS, EMBEDDER = "tooled", "embedder"
TEMPLATE = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}\n"
    'Answer with <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>\n{% endif %}'
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content or '' }}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Broken(Exception):
    """Something was not held."""


class Served:
    """``assay serve`` on a free port; use it as a context. ``address`` is its root, ``pid`` its process."""

    def __init__(self, home: Path, *words: str, key_known: bool = False) -> None:
        self._home = home
        self._words = words
        self._program = ["-c", WITH_KEY] if key_known else ["-m", "assay"]
        self._log = home / "benchmark.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    @property
    def pid(self) -> int:
        """Of the service itself; ``RuntimeError`` before ``start``."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process.pid

    def start(self, *, port: int = 0) -> float:
        """Start it and wait until it answers; gives the seconds that took."""
        began = time.monotonic()
        self._home.mkdir(parents=True, exist_ok=True)
        where = ["--port", str(port), "--home", str(self._home)]
        command = [sys.executable, *self._program, "serve", *self._words, *where]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-o", "json"], stdout=subprocess.PIPE, stderr=log, cwd=self._home
            )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], READY_S)
        line = os.read(self._process.stdout.fileno(), 65536) if readable else b""
        if not line:
            self.kill()
            self._process.stdout.close()
            raise RuntimeError(f"the service did not come up: {self.told(2000)}")
        self.address = json.loads(line)["address"]
        return time.monotonic() - began

    def get(self, path: str) -> Any:
        """What it answers to a GET, as JSON."""
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What it answers to a POST of JSON, as JSON."""
        head = {"Content-Type": "application/json"}
        asked = urllib.request.Request(self.address + path, json.dumps(body).encode(), head)
        with urllib.request.urlopen(asked, timeout=300) as answer:
            return json.load(answer)

    def told(self, most: int) -> str:
        """The last ``most`` characters of its log, of all its starts."""
        return self._log.read_text()[-most:]

    def children(self) -> list[psutil.Process]:
        """Every process that it has started."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def worker(self) -> str:
        """The base URL of its one worker, to ask it directly, with ``KNOWN``."""
        open_ = [one for child in self.children() for one in child.net_connections("tcp")]
        for port in (one.laddr.port for one in open_ if one.status == psutil.CONN_LISTEN):
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/health", headers=KNOWN)
            with urllib.request.urlopen(asked, timeout=10) as answer:
                if "generated_tokens" in json.load(answer):
                    return f"http://127.0.0.1:{port}/v1"
        raise RuntimeError("the service has no worker")

    def kill(self) -> None:
        """SIGKILL, to it alone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int | None:
        """Let it end in good order; its exit code, None where it had to be killed."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            code: int | None = self._process.wait(60)
        except subprocess.TimeoutExpired:
            code = None
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def end(self, seconds: float) -> tuple[int | None, list[int]]:
        """``stop`` it; its exit code, and which of its processes still run ``seconds`` later."""
        children = self.children()
        return self.stop(), left_of(children, seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def furnish(home: Path) -> None:
    """A model that takes tools and one that embeds, beside the bundled ones."""
    bundled, tooled = bundled_folder(), home / TOOLS
    shutil.copytree(bundled / "notes-4m" / "notes-4m-onnx-int4", tooled)
    (tooled / "chat_template.jinja").write_text(TEMPLATE)
    small = bundled / "notes-0.5m" / "notes-0.5m-q8_0.gguf"
    entries = [
        {"alias": TOOLS, "path": str(tooled)},
        {"alias": EMBEDDER, "path": str(small), "task": "embeddings"},
    ]
    (home / "models.json").write_text(json.dumps(entries))


def left_of(processes: list[psutil.Process], seconds: float) -> list[int]:
    """Which of them still run after ``seconds``; one that nobody has reaped yet runs no more."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    left = []
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process.pid)
    return left
