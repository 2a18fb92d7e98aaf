"""One file brought whole, whatever the server does."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from assay.errors import DownloadFailed, HubBusy, HubRefused, HubUnreachable, NoRoom, StoreError, UnknownModel
from assay.hub import Hub
from assay.types import Digests, File, RemoteFile
from tests.hub.conftest import TOKEN, Place, Remote
from tests.hub.running import Server

CONTENT = random.Random(7).randbytes(300_000)


class Bringing:
    """Brings ``model.gguf`` with CONTENT into a part of its own, and keeps what was told."""

    def __init__(self, hub: Hub, source: RemoteFile, part: Path) -> None:
        self.hub = hub
        self.source = source
        self.part = part
        self.told: list[tuple[int, int | None]] = []
        self.notes: list[str] = []

    def __call__(self, hub: Hub | None = None, cancelled: threading.Event | None = None) -> Digests:
        return (hub or self.hub).fetch(
            self.source, self.part, lambda *at: self.told.append(at), self.notes.append, cancelled
        )

    def check(self, content: bytes = CONTENT, hub: Hub | None = None) -> None:
        """It comes, whole and right, with the digests that belong to it."""
        digests = self(hub)
        assert self.part.read_bytes() == content
        assert digests.sha256 == hashlib.sha256(content).hexdigest()
        assert digests.size == len(content)
        assert self.told[-1] == (len(content), len(content))


@pytest.fixture
def bring(hub: Hub, place: Place, remote: Remote, tmp_path: Path) -> Bringing:
    return Bringing(hub, remote(place({"model.gguf": CONTENT})), tmp_path / "model.part")


def impatient(server: Server, waits: list[float]) -> Hub:
    """Takes 0.3 s of silence for a stall."""
    return Hub(server.url, stall_s=0.3, sleep=waits.append, random=lambda: 1.0)


def ranges(server: Server) -> list[str | None]:
    return [entry["range"] for entry in server.log("model.gguf")]


def test_whole(bring: Bringing, server: Server) -> None:
    bring.check()
    assert ranges(server) == [None]
    assert bring.notes == []


def test_a_file_that_is_kept_in_git(hub: Hub, place: Place, remote: Remote, tmp_path: Path) -> None:
    source = remote(place({"config.json": b'{"a": 1}'}), "config.json")
    digests = hub.fetch(source, tmp_path / "part", lambda *_: None, lambda _: None)
    assert source.file.git_sha1 is not None
    assert digests.sha256 == hashlib.sha256(b'{"a": 1}').hexdigest()


def test_empty_file(hub: Hub, place: Place, remote: Remote, tmp_path: Path) -> None:
    digests = hub.fetch(remote(place({"empty.txt": b""}), "empty.txt"), tmp_path / "part", lambda *_: None, print)
    assert digests.size == 0
    assert digests.sha256 == hashlib.sha256().hexdigest()
    assert (tmp_path / "part").exists()


@pytest.mark.parametrize("reset", [False, True])
def test_cut(bring: Bringing, server: Server, waits: list[float], reset: bool) -> None:
    server.fault("cut", "model.gguf", at=100_000, reset=reset)
    bring.check()
    assert ranges(server) == [None, "bytes=100000-"]
    assert waits == [1.0]
    assert "trying again in 1 s (1 of 5)" in bring.notes[0]


def test_200_random_cuts(bring: Bringing, server: Server) -> None:
    """Each time the part of a process that gave up, and a new one that goes on."""
    numbers = random.Random(3)
    once = Hub(server.url, retries=0)
    for at in (numbers.randrange(1, len(CONTENT)) for _ in range(200)):
        bring.part.unlink(missing_ok=True)
        server.clear()
        server.fault("cut", "model.gguf", at=at)
        with pytest.raises(DownloadFailed, match=f"stopped after {at} of {len(CONTENT)} bytes"):
            bring(once)
        assert bring.part.read_bytes() == CONTENT[:at]
        bring.check(hub=once)
        assert ranges(server) == [None, f"bytes={at}-"]


def test_many_cuts_of_one_file(bring: Bringing, server: Server, waits: list[float]) -> None:
    """Progress gives new patience: more cuts than retries, and still whole."""
    for at in range(20_000, 300_000, 20_000):
        server.fault("cut", "model.gguf", at=at)
    bring.check()
    assert len(ranges(server)) == 15
    assert set(waits) == {1.0}


def test_stall(bring: Bringing, server: Server, waits: list[float]) -> None:
    server.fault("stall", "model.gguf", at=150_000)
    bring.check(hub=impatient(server, waits))
    assert ranges(server)[-1] == "bytes=150000-"
    assert "went silent" in bring.notes[0]


def test_stall_for_ever(bring: Bringing, server: Server, waits: list[float]) -> None:
    server.fault("stall", "model.gguf", times=None, at=150_000)
    with pytest.raises(DownloadFailed, match="stopped after 150000 of 300000 bytes") as failed:
        bring(impatient(server, waits))
    assert "what has come is kept" in str(failed.value)
    assert waits[-5:] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert bring.part.read_bytes() == CONTENT[:150_000]


def test_trickle_is_no_stall(place: Place, remote: Remote, server: Server, tmp_path: Path) -> None:
    source = remote(place({"model.gguf": CONTENT[:40]}))
    server.fault("trickle", "model.gguf", piece=2, pause_s=0.1)
    hub = Hub(server.url, stall_s=1.5)
    digests = hub.fetch(source, tmp_path / "part", lambda *_: None, lambda _: None)
    assert digests.sha256 == hashlib.sha256(CONTENT[:40]).hexdigest()
    assert len(server.log("model.gguf")) == 1


def test_short_answer_that_looks_right(bring: Bringing, server: Server) -> None:
    server.fault("short", "model.gguf", at=200_000)
    bring.check()
    assert "300000 were promised" in bring.notes[0]


def test_short_answer_each_time(bring: Bringing, server: Server) -> None:
    server.fault("short", "model.gguf", times=None, at=200_000)
    with pytest.raises(DownloadFailed, match="did not arrive whole"):
        bring()
    assert bring.part.stat().st_size == 0


@pytest.mark.parametrize("told", [True, False])
def test_longer_than_promised(bring: Bringing, server: Server, told: bool) -> None:
    bring.source = structs.replace(bring.source, file=File(path="model.gguf", size=1000))
    if not told:
        server.fault("chunked", "model.gguf", times=None)
    with pytest.raises(DownloadFailed, match="did not arrive whole"):
        bring()


def test_wrong_bytes_have_other_digests(bring: Bringing, server: Server) -> None:
    """The length is right, so only the digests tell; the caller compares them."""
    server.fault("wrong", "model.gguf", at=1234)
    digests = bring()
    assert digests.size == len(CONTENT)
    assert digests.sha256 != bring.source.file.sha256


def test_range_ignored(bring: Bringing, server: Server) -> None:
    bring.part.write_bytes(CONTENT[:99])
    server.fault("norange", "model.gguf")
    bring.check()
    assert ranges(server) == ["bytes=99-"]
    assert "begin anew" in bring.notes[0]


def test_whole_part_is_only_hashed(bring: Bringing, server: Server) -> None:
    bring.part.write_bytes(CONTENT)
    bring.check()
    assert ranges(server) == []


def test_part_too_long(bring: Bringing, server: Server) -> None:
    bring.part.write_bytes(CONTENT + b"more")
    bring.check()
    assert ranges(server) == [None]


@pytest.mark.parametrize("have", [0, 1, 299_999, 300_000, 300_001])
def test_nothing_known_but_the_name(
    hub: Hub, place: Place, remote: Remote, server: Server, tmp_path: Path, have: int
) -> None:
    bring = Bringing(hub, remote(place({"model.gguf": CONTENT}), known=False), tmp_path / "part")
    bring.part.write_bytes((CONTENT + b"x")[:have])
    bring.check()


def test_no_length_told(bring: Bringing, server: Server) -> None:
    server.fault("chunked", "model.gguf")
    bring.check()


def test_no_length_known_at_all(hub: Hub, place: Place, remote: Remote, server: Server, tmp_path: Path) -> None:
    server.fault("chunked", "model.gguf")
    Bringing(hub, remote(place({"model.gguf": CONTENT}), known=False), tmp_path / "part").check()


def test_changed_since_it_was_listed(bring: Bringing, server: Server, waits: list[float]) -> None:
    server.fault("cut", "model.gguf", at=1000)
    server.fault("change", "model.gguf", skip=1)
    with pytest.raises(DownloadFailed, match="is not what was listed"):
        bring()
    assert len(waits) == 1
    assert bring.part.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("grow", [0, 100, -100])
def test_changed_between_two_requests(
    hub: Hub, place: Place, remote: Remote, server: Server, tmp_path: Path, grow: int
) -> None:
    """Where nothing was promised, the two contents are at least not mixed."""
    bring = Bringing(hub, remote(place({"model.gguf": CONTENT}), known=False), tmp_path / "part")
    server.fault("cut", "model.gguf", at=1000)
    server.fault("change", "model.gguf", skip=1, grow=grow)
    changed = bytes(byte ^ 0x5A for byte in CONTENT)
    bring.check(changed + b"\x5a" * grow if grow >= 0 else changed[:grow])


@pytest.mark.parametrize("code", [429, 500, 503])
def test_busy_then_well(bring: Bringing, server: Server, waits: list[float], code: int) -> None:
    server.fault("status", "model.gguf", code=code, retry_after="7")
    bring.check()
    assert waits == [8.0]


def test_busy_without_a_time(bring: Bringing, server: Server, waits: list[float]) -> None:
    server.fault("status", "model.gguf", times=3, code=503)
    bring.check()
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("code", "kind"), [(429, HubBusy), (503, HubUnreachable), (500, HubUnreachable)], ids=["429", "503", "500"]
)
def test_busy_for_ever(bring: Bringing, server: Server, waits: list[float], code: int, kind: type[Exception]) -> None:
    server.fault("status", "model.gguf", times=None, code=code)
    with pytest.raises(kind, match=f"could not give model.gguf of {bring.source.repo} now"):
        bring()
    assert len(waits) == 5
    assert len(ranges(server)) == 6


def test_asked_to_wait_too_long(bring: Bringing, server: Server, waits: list[float]) -> None:
    server.fault("status", "model.gguf", times=None, code=503, retry_after="3600")
    with pytest.raises(HubBusy, match="come back in 3600 s"):
        bring()
    assert waits == []


@pytest.mark.parametrize(
    ("code", "more", "kind", "words"),
    [
        (401, {}, HubRefused, "HF_TOKEN"),
        (403, {}, HubRefused, "HF_TOKEN"),
        (403, {"error_code": "GatedRepo"}, HubRefused, "agree to the terms at http://127"),
        (404, {"error_code": "EntryNotFound"}, UnknownModel, "There is no model.gguf of"),
        (404, {"error_code": "RevisionNotFound"}, UnknownModel, "has no revision"),
        (418, {}, HubUnreachable, "could not give"),
    ],
)
def test_refused_at_once(
    bring: Bringing,
    server: Server,
    waits: list[float],
    code: int,
    more: dict[str, Any],
    kind: type[Exception],
    words: str,
) -> None:
    server.fault("status", "model.gguf", times=None, code=code, **more)
    with pytest.raises(kind, match=words):
        bring()
    assert waits == []
    assert len(ranges(server)) == 1


def test_redirected_without_the_token(bring: Bringing, server: Server) -> None:
    server.fault("redirect", "model.gguf", times=None)
    server.fault("cut", "model.gguf", at=1000)
    hub = Hub(server.url, token=TOKEN, sleep=lambda _: None)
    bring.check(hub=hub)
    seen = [(entry["host"], entry["range"], entry["authorization"]) for entry in server.log("model.gguf")]
    assert seen == [
        ("hub", None, True),
        ("cdn", None, False),
        ("hub", "bytes=1000-", True),
        ("cdn", "bytes=1000-", False),
    ]


def test_link_run_out(bring: Bringing, server: Server) -> None:
    """What another host refuses is asked for again at the hub, which gives a new link."""
    server.fault("redirect", "model.gguf", times=None)
    server.fault("status", "model.gguf", host="cdn", code=403)
    bring.check()
    assert "the link was refused (403)" in bring.notes[0]


def test_gated(hub: Hub, place: Place, remote: Remote, server: Server, tmp_path: Path) -> None:
    source = remote(place({"model.gguf": CONTENT}, gated="manual"))
    page = f"{server.url}/{source.repo}"
    for token, words in ((None, "no token was given"), ("hf_other", "has not agreed")):
        with pytest.raises(HubRefused, match="is gated") as refused:
            Bringing(Hub(server.url, token=token), source, tmp_path / "part")()
        assert words in str(refused.value)
        assert page in str(refused.value)
        assert "HF_TOKEN" in str(refused.value)
    Bringing(Hub(server.url, token=TOKEN), source, tmp_path / "part").check()


def test_server_gone(bring: Bringing, waits: list[float]) -> None:
    bring.part.write_bytes(CONTENT[:10])
    with pytest.raises(HubUnreachable, match=r"http://127.0.0.1:1 could not be asked"):
        bring(Hub("http://127.0.0.1:1", sleep=waits.append, retries=2, random=lambda: 0.0))
    assert waits == [0.5, 1.0]
    assert bring.part.read_bytes() == CONTENT[:10]


def test_cancelled(bring: Bringing, server: Server) -> None:
    server.fault("stall", "model.gguf", at=1000)
    cancelled = threading.Event()
    patient = Hub(server.url, stall_s=600)

    def tell(done: int, _total: int | None) -> None:
        if done:
            cancelled.set()

    with pytest.raises(CancelledError):
        patient.fetch(bring.source, bring.part, tell, bring.notes.append, cancelled)
    assert bring.part.read_bytes() == CONTENT[:1000]
    bring.check()


def test_offline(bring: Bringing, server: Server) -> None:
    before = len(server.log())
    with pytest.raises(HubUnreachable, match="offline mode is on"):
        bring(Hub(server.url, offline=True))
    assert len(server.log()) == before
    assert not bring.part.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_full(bring: Bringing, waits: list[float]) -> None:
    bring.part.symlink_to("/dev/full")
    with pytest.raises(NoRoom, match="cannot be written any further") as full:
        bring()
    assert "No space left" in str(full.value)
    assert "300.0 kB are still to come" in str(full.value)
    assert waits == []


LIMITED = """
import resource, sys
from pathlib import Path
from assay.hub import Hub
from assay.errors import NoRoom
from assay.types import File, RemoteFile
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
url, repo, part = sys.argv[1:]
source = RemoteFile(repo=repo, revision="main", path="model.gguf", file=File(path="model.gguf", size=300_000))
try:
    Hub(url).fetch(source, Path(part), lambda *_: None, print)
except NoRoom as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_room_ends_midway_and_comes_back(bring: Bringing, server: Server) -> None:
    command = [sys.executable, "-c", LIMITED, server.url, bring.source.repo, str(bring.part)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "200.0 kB are still to come" in said
    assert bring.part.read_bytes() == CONTENT[:100_000]
    bring.check()
    assert ranges(server)[-1] == "bytes=100000-"


def test_part_cannot_be_made(bring: Bringing, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bring.part = tmp_path / "file" / "part"
    with pytest.raises(StoreError, match="cannot be used"):
        bring()


def test_names_that_need_quoting(hub: Hub, place: Place, remote: Remote, tmp_path: Path) -> None:
    path = "sub folder/mödel #1?.gguf"
    source = remote(place({path: CONTENT}), path)
    Bringing(hub, source, tmp_path / "part").check()


def test_no_repository_name(hub: Hub, tmp_path: Path) -> None:
    source = RemoteFile(repo="a/b/c", revision="main", path="x", file=File(path="x"))
    with pytest.raises(UnknownModel, match="'a/b/c' is no repository"):
        hub.fetch(source, tmp_path / "part", lambda *_: None, lambda _: None)
