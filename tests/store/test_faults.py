"""The fault table: each fault of a hub, and of our own disk, at each file of a variant, with the real hub client."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assay.errors import (
    AssayError,
    DownloadFailed,
    HubBusy,
    HubError,
    HubRefused,
    NoRoom,
    UnknownModel,
)
from assay.hub import Hub
from assay.store import Store, fetch
from assay.types import Variant
from tests.hub.running import Server
from tests.store.conftest import Told, content_of
from tests.store.faulty import NAMES, offered, repository

SIZE = 3000


class Fault(NamedTuple):
    """What the server is told, and what must come of it: a whole variant (None), or this error."""

    kind: Any
    told: dict[str, Any]
    ends: type[AssayError] | None


FAULTS = {
    "stall once": Fault("stall", {"at": 1000}, None),
    "stall always": Fault("stall", {"at": 1000, "times": None}, HubError),
    "cut once": Fault("cut", {"at": 1234}, None),
    "cut before the first byte": Fault("cut", {"at": 0}, None),
    "cut before the last byte": Fault("cut", {"at": SIZE - 1, "reset": True}, None),
    "cut always": Fault("cut", {"at": 1234, "times": None}, HubError),
    "wrong once": Fault("wrong", {"at": 2000}, None),
    "wrong always": Fault("wrong", {"at": 2000, "times": None}, DownloadFailed),
    "short once": Fault("short", {"at": 2000}, None),
    "401": Fault("status", {"code": 401, "times": None}, HubRefused),
    "403": Fault("status", {"code": 403, "times": None}, HubRefused),
    "404": Fault("status", {"code": 404, "times": None}, UnknownModel),
    "429 once": Fault("status", {"code": 429, "retry_after": "2"}, None),
    "429 always": Fault("status", {"code": 429, "retry_after": "2", "times": None}, HubBusy),
    "503 once": Fault("status", {"code": 503, "retry_after": "2"}, None),
    "503 always": Fault("status", {"code": 503, "retry_after": "2", "times": None}, HubBusy),
    "changed since it was listed": Fault("change", {}, DownloadFailed),
    "changed and longer": Fault("change", {"grow": 50}, DownloadFailed),
}


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def hub(server: Server, slept: list[float]) -> Hub:
    """It waits for nothing but a stalled server."""
    return Hub(server.url, stall_s=0.3, retries=2, sleep=slept.append, random=lambda: 0.5)


def nothing_half_listed(store: Store, variant: Variant) -> None:
    assert store.list() == []
    assert store.problems() == []
    assert store.find(variant.id) is None
    assert not store.folder_of(variant.id).exists()
    assert not store.layout.files.exists() or list(store.layout.files.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_in_a_right_variant_or_a_clear_error(
    fault: str, name: str, root: Path, server: Server, hub: Hub, slept: list[float], store: Store, told: Told
) -> None:
    kind, how, ends = FAULTS[fault]
    repo = f"{fault} {name}".replace(" ", "-")
    files = repository(root, repo, SIZE)
    variant = offered(hub, repo, files)
    server.fault(kind, f"org/{repo}/{name}", **how)
    if ends is None:
        (stored,) = fetch(store, [variant], hub.fetch, transfers=told)
        assert store.list() == [stored]
        assert content_of(store, stored) == files
        assert [entry["fault"] for entry in server.log(f"*/{repo}/*{name}")].count(kind) == 1
        assert "retry_after" not in how or max(slept) >= 2
        return
    with pytest.raises(ends) as caught:
        fetch(store, [variant], hub.fetch, transfers=told)
    assert name in str(caught.value)
    assert caught.value.remedy
    nothing_half_listed(store, variant)
    if kind == "change":
        files = {path: content for path, content in files.items() if path != name}
    server.clear()
    variant = offered(hub, repo, files)
    (stored,) = fetch(store, [variant], hub.fetch, transfers=told)
    assert content_of(store, stored) == files
    assert store.list() == [stored]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_changes_between_two_requests_is_never_mixed(
    name: str, root: Path, server: Server, hub: Hub, store: Store, told: Told
) -> None:
    repo = f"mixed-{name}"
    files = repository(root, repo)
    variant = offered(hub, repo, files)
    server.fault("cut", f"org/{repo}/{name}", at=1000)
    server.fault("change", f"org/{repo}/{name}", skip=1)
    with pytest.raises(DownloadFailed, match=name.replace(".", r"\.")):
        fetch(store, [variant], hub.fetch, transfers=told)
    nothing_half_listed(store, variant)
    changed = files | {name: bytes(byte ^ 0x5A for byte in files[name])}
    (stored,) = fetch(store, [offered(hub, repo, files)], hub.fetch, transfers=told)
    assert content_of(store, stored) == changed


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_only_what_is_missing_is_asked_for_again(
    ranges: bool, root: Path, server: Server, hub: Hub, store: Store, told: Told
) -> None:
    repo = f"resumed-{ranges}"
    files = repository(root, repo)
    server.fault("cut", f"org/{repo}/model.onnx", at=1000, times=None)
    variant = offered(hub, repo, files)
    with pytest.raises(HubError):
        fetch(store, [variant], hub.fetch, transfers=told)
    server.clear()
    if not ranges:
        server.fault("norange", f"org/{repo}/model.onnx")
    (stored,) = fetch(store, [variant], hub.fetch, transfers=told)
    assert content_of(store, stored) == files
    (again,) = server.log(f"*/{repo}/*model.onnx", method="GET")
    assert again["range"] == "bytes=1000-"
    assert again["bytes"] == len(files["model.onnx"]) - (1000 if ranges else 0)


def test_cut_anywhere_it_is_resumed(root: Path, server: Server, hub: Hub, told: Told, tmp_path: Path) -> None:
    files = repository(root, "cuts")
    variant = offered(hub, "cuts", files)
    chance = random.Random(3)
    for number in range(25):
        store = Store(tmp_path / str(number))
        for name in chance.sample(NAMES, 2):
            server.fault("cut", f"org/cuts/{name}", at=chance.randrange(len(files[name])), reset=chance.random() < 0.5)
        (stored,) = fetch(store, [variant], hub.fetch, transfers=told)
        assert content_of(store, stored) == files
        assert [entry["fault"] for entry in server.log("*/cuts/*", method="GET")].count("cut") == 2 * (number + 1)


KEPT = 64 << 10


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_fills_up_meanwhile(
    name: str, root: Path, server: Server, hub: Hub, told: Told, tmp_path: Path
) -> None:
    """A small disk that is filled by somebody else at the moment when the file begins to come."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here ({mounted.stderr.strip()}); file size limits are tried instead")
    try:
        repo = f"full-{name}"
        files = repository(root, repo, 400_000)
        variant, store = offered(hub, repo, files), Store(disk / "models")
        server.fault("trickle", f"org/{repo}/{name}", piece=20_000, pause_s=0.1, times=None)
        filler = disk / "filler"

        class Filling(Told):
            def file(self, what: str, done: int, total: int | None, /) -> None:
                super().file(what, done, total)
                if what == name and done and not filler.exists():
                    left = min(KEPT, (total or done) - done) // 2  # too little for the rest of this very file
                    filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - left)))

        with pytest.raises(NoRoom) as caught:
            fetch(store, [variant], hub.fetch, transfers=Filling(), parallel=1)
        assert filler.exists()
        assert name in caught.value.message
        nothing_half_listed(store, variant)
        filler.unlink()
        (stored,) = fetch(store, [variant], hub.fetch, transfers=told)
        assert content_of(store, stored) == files
    finally:
        subprocess.run(["umount", str(disk)], check=True)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from assay.errors import AssayError
from assay.hub import Hub
from assay.store import Store, fetch
from assay.types import Silent
from tests.store.faulty import offered, NAMES
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
url, repo, folder, limit = sys.argv[1:]
hub = Hub(url)
variant = offered(hub, repo, dict.fromkeys(NAMES, b""))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    fetch(Store(Path(folder)), [variant], hub.fetch, transfers=Silent())
except AssayError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX's")
@pytest.mark.parametrize("name", NAMES)
def test_a_limit_on_file_sizes(name: str, root: Path, server: Server, hub: Hub, told: Told, store: Store) -> None:
    repo = f"limit-{name}"
    files = repository(root, repo)
    (root / "org" / repo / name).write_bytes(bytes(9000))
    files[name] = bytes(9000)
    command = [sys.executable, "-c", LIMITED, server.url, repo, str(store.folder), "8000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("NoRoom"), done.stdout + done.stderr
    assert name in done.stdout
    variant = offered(hub, repo, files)
    nothing_half_listed(store, variant)
    (stored,) = fetch(store, [variant], hub.fetch, transfers=told)
    assert content_of(store, stored) == files


def test_a_record_tells_the_digests_that_were_found(
    root: Path, server: Server, hub: Hub, store: Store, told: Told
) -> None:
    files = repository(root, "whole")
    (stored,) = fetch(store, [offered(hub, "whole", files)], hub.fetch, transfers=told)
    written = json.loads(store.layout.record("whole--int4").read_text("utf-8"))
    assert written["stored"]["variant"]["revision"] == hub.repo("org/whole").revision
    assert all(file.sha256 and file.size == len(files[file.path]) for file in stored.variant.files)
    assert [file.path for file in stored.variant.files if file.git_sha1] == ["config.json"]
