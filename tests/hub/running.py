"""A Hub server for tests, in a process of its own, and how to tell it to misbehave.

    from tests.hub.running import running

    with running(tmp_path / "hub") as server:          # serves tmp_path/hub/OWNER/NAME/<files> as they are now
        hub = Hub(endpoint=server.url)                 # or HF_ENDPOINT=server.url for a subprocess
        server.fault("cut", "*.gguf", at=1000)         # the first GET of any GGUF file ends after byte 1000
        ...
        assert [e["range"] for e in server.log("*.gguf")] == [None, "bytes=1000-"]

Files may be written, changed or added while it runs. ``OWNER/NAME/.repo.json`` (not served) tells the rest, under the
Hub's own names or these: ``created``, ``modified`` (ISO 8601), ``trending``, ``card`` (card data: ``license``...), and
``downloads, likes, tags, pipeline_tag, library_name, gated, private, safetensors, gguf, baseModels, config, refs``
(further branches and tags, which all mean the present files). ``.gguf .safetensors .onnx .data .bin .onnx_data`` and
files over 1 MiB are kept in LFS (the tree tells their SHA-256), the rest in git (the tree tells the git blob's SHA-1).
The commit comes from names and contents. A gated repository's files and everything of a private one want ``token``.

Faults: ``server.fault(KIND, FILE, times=1, ...)``; FILE is a pattern for ``owner/name/path/in/repository`` (where it
has a slash) or for the bare file name (where it has none); API calls are matched by their path, e.g. ``/api/models/*``.
``times`` is how many requests it hits (None: all), after the first ``skip`` of them; ``method`` "GET" (default), "HEAD"
or "*"; ``host`` "hub", "cdn" or None (both).
Positions (``at``) are absolute offsets in the file, also for a request that asks for a Range.

    stall     sends the file up to byte ``at``, then nothing more, and keeps the connection open
    cut       sends up to byte ``at`` and closes the connection (``reset=True``: resets it)
    wrong     flips ``length`` bytes from ``at`` on; the length is right
    short     answers as if the file ended at byte ``at``: a whole, right-looking response with fewer bytes
    status    answers ``code`` (401, 403, 404, 429, 500, 503...), with ``retry_after="2"`` and
              ``error_code="GatedRepo"`` where given; with ``body="<html>"`` in place of JSON (``code`` may be 200
              then), and with ``echo=True`` it says the Authorization header back
    norange   ignores Range: 200 with the whole file
    change    replaces the file's content before answering, ``grow`` bytes longer; other bytes, ETag and commit from
              then on (``skip=1``: at the second request)
    trickle   sends ``piece`` bytes, waits ``pause_s``, and so on
    redirect  302 to another host (``server.cdn``, another origin) that wants no token; other faults then hit there
    chunked   sends without Content-Length
    away      a listing's link to its next page leads to the other host

``server.log(FILE)`` gives the requests so far: ``method, path, host`` ("hub" or "cdn"), ``range, status, bytes`` (of
the body, sent so far), ``authorization`` (whether there was such a header), ``fault`` (kind or None), ``agent``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.hub.faults import Kind

PROJECT = Path(__file__).parents[2]


class Server:
    """A running Hub server: ``url`` is its endpoint, ``cdn`` the other host that ``redirect`` points to."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, cdn: int, prefix: str) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}{prefix}"
        self.cdn = f"http://127.0.0.1:{cdn}"
        self._admin = f"http://127.0.0.1:{port}/-/"

    def fault(self, kind: Kind, file: str = "*", *, times: int | None = 1, **more: Any) -> None:
        """Have this fault from now on."""
        self._ask("POST", "faults", {"kind": kind, "file": file, "times": times, **more})

    def clear(self) -> None:
        """Have no faults and an empty log."""
        self._ask("DELETE", "faults")

    def log(self, file: str = "*", *, method: str = "*") -> list[dict[str, Any]]:
        """Requests so far, oldest first, whose path's last part (or the whole path, with a slash in it) matches."""
        entries: list[dict[str, Any]] = self._ask("GET", "log")
        return [
            entry
            for entry in entries
            if method in {"*", entry["method"]}
            and fnmatchcase(entry["path"] if "/" in file else entry["path"].rpartition("/")[2], file)
        ]

    def _ask(self, method: str, what: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._admin + what, data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def running(root: Path, *, token: str | None = None, page: int = 1000, prefix: str = "") -> Iterator[Server]:
    """The server over ``root``, until the block ends.

    ``token`` is the one that gated and private repositories accept, ``page`` how many entries a page of a listing or a
    tree has at most, ``prefix`` a path before every route (``/mirror``).
    """
    command = [sys.executable, "-m", "tests.hub.server", "--root", str(root.resolve()), "--page", str(page)]
    environment = {**os.environ, "HUB_TOKEN": token or "", "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [*command, "--prefix", prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env=environment,
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, "the Hub server did not start"
            port, cdn = map(int, line.split())
            yield Server(process, port, cdn, prefix.rstrip("/"))
        finally:
            process.kill()
