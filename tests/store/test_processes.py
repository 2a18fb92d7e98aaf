"""Processes that are killed, and processes that want the same at the same time; with the real hub client."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assay.hub import Hub
from assay.store import Store, fetch
from tests.hub.running import Server
from tests.store.conftest import Told, content_of
from tests.store.faulty import NAMES, offered, repository
from tests.waiting import until

FETCH = """
import sys
from pathlib import Path
from assay.hub import Hub
from assay.store import Store, fetch
from tests.store.faulty import offered, NAMES

class Loud:
    def file(self, name, done, total):
        print("file", name, done, flush=True)
    def note(self, text):
        print("note", text, flush=True)

url, folder, *repos = sys.argv[1:]
hub = Hub(url)
fetch(Store(Path(folder)), [offered(hub, repo, dict.fromkeys(NAMES)) for repo in repos], hub.fetch, transfers=Loud())
"""


@contextmanager
def start(server: Server, store: Store, *repos: str) -> Iterator[subprocess.Popen[str]]:
    """A process that fetches; it is killed when the block ends."""
    command = [sys.executable, "-c", FETCH, server.url, str(store.folder), *repos]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def part_of(store: Store, files: dict[str, bytes], name: str, hub: Hub, repo: str) -> Path:
    file = next(file for file in offered(hub, repo, files).files if file.path == name)
    return store.layout.part(file.sha256 or f"git-{file.git_sha1}")


@pytest.mark.parametrize("name", NAMES)
def test_after_a_kill_only_the_missing_bytes_are_asked_for(
    name: str, root: Path, server: Server, store: Store, told: Told
) -> None:
    repo, hub = f"killed-{name}", Hub(server.url)
    files = repository(root, repo)
    parts = {path: part_of(store, files, path, hub, repo) for path in NAMES}
    sizes = {path: len(content) for path, content in files.items()} | {name: 1500}
    server.fault("stall", f"org/{repo}/{name}", at=1500)
    with start(server, store, repo) as process:
        until(lambda: all(p.exists() and p.stat().st_size == sizes[path] for path, p in parts.items()))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert store.list() == []
    server.clear()
    (stored,) = fetch(store, [offered(hub, repo, files)], hub.fetch, transfers=told)
    assert content_of(store, stored) == files
    (asked,) = server.log(f"*/{repo}/resolve/*", method="GET")
    assert asked["path"].endswith(f"/{name}")
    assert (asked["range"], asked["bytes"]) == ("bytes=1500-", len(files[name]) - 1500)
    assert list(store.layout.partial.iterdir()) == []


def test_killed_at_any_moment_nothing_is_half_listed(root: Path, server: Server, store: Store, told: Told) -> None:
    hub, chance = Hub(server.url), random.Random(5)
    files = repository(root, "shaken", 30_000)
    server.fault("trickle", "org/shaken/*", piece=500, pause_s=0.005, times=None)
    for _ in range(6):
        with start(server, store, "shaken") as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 8)):
                process.stdout.readline()
            process.kill()
        for stored in store.list():
            assert content_of(store, stored) == files
        assert store.problems() == []
    (stored,) = fetch(store, [offered(hub, "shaken", files)], hub.fetch, transfers=told)
    assert content_of(store, stored) == files


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send elsewhere")
def test_an_interrupt_stops_soon_and_keeps_what_has_come(root: Path, server: Server, store: Store) -> None:
    hub = Hub(server.url)
    files = repository(root, "interrupted")
    part = part_of(store, files, "model.onnx", hub, "interrupted")
    server.fault("stall", "org/interrupted/model.onnx", at=700)
    with start(server, store, "interrupted") as process:
        until(lambda: part.exists() and part.stat().st_size == 700)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT
    assert part.stat().st_size == 700
    assert store.list() == []


@pytest.mark.skipif(os.name != "posix", reason="a process can be stopped and continued by signals on POSIX only")
def test_two_that_want_the_same_do_the_work_once(root: Path, server: Server, store: Store) -> None:
    files = repository(root, "shared", 60_000)
    server.fault("trickle", "org/shared/*", piece=2000, pause_s=0.02, times=None)
    with start(server, store, "shared") as first:
        assert first.stdout is not None
        first.stdout.readline()
        first.send_signal(signal.SIGSTOP)
        with start(server, store, "shared") as second:
            assert second.stdout is not None
            until(lambda: f"waiting for process {first.pid}" in second.stdout.readline())  # type: ignore[union-attr]
            first.send_signal(signal.SIGCONT)
            second.communicate(timeout=60)
        first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert [entry["range"] for entry in server.log("*/shared/resolve/*", method="GET")] == [None] * 3
    (stored,) = store.list()
    assert content_of(store, stored) == files
    assert list(store.layout.partial.iterdir()) == []


def test_a_file_that_two_variants_share_comes_once(root: Path, server: Server, store: Store) -> None:
    """Each process has a file of its own too, and both begin with the one that they share."""
    shared = {"config.json": b"#" * 50_000}
    files = {repo: repository(root, repo) | shared for repo in ("left", "right")}
    for repo in files:
        (root / "org" / repo / "config.json").write_bytes(shared["config.json"])
    server.fault("trickle", "org/*/config.json", piece=2000, pause_s=0.02, times=None)
    with start(server, store, "left") as first, start(server, store, "right") as second:
        first.communicate(timeout=60)
        second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(server.log("*/resolve/*/config.json", method="GET")) == 1
    for stored in store.list():
        assert content_of(store, stored) == files[stored.variant.alias]
    assert len(store.list()) == 2


def test_who_waits_for_one_that_is_killed_goes_on_with_its_work(root: Path, server: Server, store: Store) -> None:
    hub = Hub(server.url)
    files = repository(root, "heir")
    part = part_of(store, files, "model.onnx", hub, "heir")
    server.fault("stall", "org/heir/model.onnx", at=900)
    with start(server, store, "heir") as first:
        until(lambda: part.exists() and part.stat().st_size == 900)
        with start(server, store, "heir") as second:
            assert second.stdout is not None
            until(lambda: "waiting for process" in second.stdout.readline())  # type: ignore[union-attr]
            first.kill()
            second.communicate(timeout=60)
    assert second.returncode == 0
    (stored,) = store.list()
    assert content_of(store, stored) == files
    ranges = [entry["range"] for entry in server.log("*/heir/*/model.onnx", method="GET")]
    assert ranges == [None, "bytes=900-"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it takes a fork for each crash")
@pytest.mark.parametrize("kind", ["first", "update"])
def test_a_crash_between_any_two_steps_leaves_nothing_half_listed(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.store.crashing", str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["crashes"] > 15
    assert told["asked"][-1] == 0
