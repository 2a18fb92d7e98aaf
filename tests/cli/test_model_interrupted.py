"""Bad moments on the command line, in processes of their own: Ctrl-C, kill, a reader that leaves, closed streams."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.catalog import bundled_folder
from tests.cli.conftest import Shell
from tests.hub.running import Server, running

ROOT = Path(__file__).parents[2]
FILE = "tiny-Q8_0.gguf"
HALF = 2_000_000


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A hub with one GGUF file of 4.4 MB."""
    folder = tmp_path_factory.mktemp("hub") / "acme" / "Tiny-GGUF"
    folder.mkdir(parents=True)
    shutil.copy(bundled_folder() / "notes-4m" / "notes-4m-q8_0.gguf", folder / FILE)
    with running(folder.parents[1]) as server:
        yield server


@pytest.fixture
def environment(hub: Server, tmp_path: Path) -> dict[str, str]:
    hub.clear()
    here = {"ASSAY_HOME": str(tmp_path / "home"), "HOME": str(tmp_path / "user"), "HF_ENDPOINT": hub.url}
    return {**os.environ, **here, "PYTHONPATH": str(ROOT / "src")}


def assay(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "assay", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def parts(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["ASSAY_HOME"]).glob("models/partial/*.part"))


def half_arrived(process: subprocess.Popen[bytes], environment: dict[str, str]) -> None:
    """Wait until the first half of the file lies on the disk."""
    while process.poll() is None:
        if any(part.stat().st_size >= HALF for part in parts(environment)):
            return
        time.sleep(0.02)
    pytest.fail(f"it ended before that: {process.communicate()}")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("end", ["SIGINT", "SIGKILL"])
def test_a_download_that_was_ended_goes_on_where_it_was(hub: Server, environment: dict[str, str], end: str) -> None:
    # A whole request for the file follows one for its header, which asks for a range.
    hub.fault("stall", FILE, skip=1, at=HALF)
    process = assay(environment, "model", "download", "hf:acme/Tiny-GGUF")
    half_arrived(process, environment)
    process.send_signal(getattr(signal, end))
    out, err = process.communicate(timeout=30)
    assert process.returncode == (130 if end == "SIGINT" else -signal.SIGKILL)
    assert out == b""
    assert b"Traceback" not in err
    if end == "SIGINT":
        assert b"interrupted" in err
    assert [part.stat().st_size for part in parts(environment)] == [HALF]

    listed, _ = assay(environment, "model", "list", "--cached", "--filter", "alias=tiny", "-o", "json").communicate()
    assert json.loads(listed) == [], "what is not whole is not listed"

    hub.clear()
    again = assay(environment, "model", "download", "hf:acme/Tiny-GGUF")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert b"tiny:q8_0: 4.40 MB in 1 file, verified" in out
    assert f"bytes={HALF}-" in [entry["range"] for entry in hub.log(FILE, method="GET")]
    assert not any(entry["range"] is None for entry in hub.log(FILE, method="GET")), "nothing is fetched twice"
    assert parts(environment) == []


def test_two_shells_fetch_a_file_once(hub: Server, environment: dict[str, str]) -> None:
    hub.fault("trickle", FILE, times=None, piece=500_000, pause_s=0.05)
    both = [assay(environment, "model", "download", "hf:acme/Tiny-GGUF") for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert all(b"verified" in out for out, _ in told)
    whole = [entry for entry in hub.log(FILE, method="GET") if entry["range"] is None]
    assert len(whole) == 1


@pytest.mark.engines
def test_a_reader_that_has_had_enough_ends_an_answer_quietly(shell: Shell) -> None:
    told = shell(
        "assay model run notes-4m --prompt 'Who is going?' --max-tokens 200 | head -c 1; echo ${PIPESTATUS[0]}"
    )
    assert told.stderr == b""
    assert told.stdout[1:] == b"0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.engines
def test_an_answer_that_cannot_be_written_says_so(shell: Shell) -> None:
    told = shell("assay model run notes-4m --prompt 'Who is going?' --max-tokens 8 > /dev/full")
    assert told.returncode == 2
    assert b"No space left" in told.stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell closes streams like this on Unix")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("assay model list >&-", 0),
        ("assay model list 2>&-", 0),
        ("assay model run notes-4m <&-", 2),
        ("assay cache remove '*' <&-", 2),
        pytest.param("assay model run notes-4m --prompt x --max-tokens 2 <&- >&-", 0, marks=pytest.mark.engines),
    ],
)
def test_closed_streams_hold_nothing_and_break_nothing(shell: Shell, line: str, code: int) -> None:
    told = shell(line)
    assert told.returncode == code, told.stderr
    assert b"unexpected" not in told.stderr
    assert b"Traceback" not in told.stderr


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_bytes_that_are_no_text_are_no_prompt(shell: Shell, utf8: str) -> None:
    told = shell(r"printf 'bad \xff utf' | assay model run notes-4m", PYTHONUTF8=utf8)
    assert told.returncode == 2
    assert b"standard input is not UTF-8" in told.stderr
