from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import RunDamaged
from assay.runs.lines import Lines, mend, read_lines
from assay.types import Score

DECODE = msgspec.json.Decoder(Score).decode
SCORES = st.lists(
    st.builds(
        Score,
        sample=st.integers(0, 9),
        judge=st.just("check"),
        criterion=st.text(st.characters(codec="utf-8")),
        value=st.floats(0, 1),
    ),
    max_size=6,
)


def score(sample: int) -> Score:
    return Score(sample=sample, judge="check", criterion="caf\u00e9\n", value=0.5)


def write(path: Path, scores: list[Score]) -> bytes:
    path.unlink(missing_ok=True)
    lines = Lines(path)
    for item in scores:
        lines.append(item)
    lines.close()
    lines.close()
    return path.read_bytes()


@given(scores=SCORES, data=st.data())
def test_a_file_cut_at_any_byte_keeps_its_whole_lines_and_goes_on(
    tmp_path_factory: pytest.TempPathFactory, scores: list[Score], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    content = write(path, scores)
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    items, cut_lines = read_lines(path, DECODE)
    assert list(items) in (scores[:whole], scores[: whole + 1])
    assert cut_lines == int(len(items) == whole and content[:cut][-1:] not in (b"", b"\n"))

    mend(path, DECODE)
    lines = Lines(path)
    lines.append(score(77))
    lines.close()
    assert read_lines(path, DECODE) == ((*items, score(77)), 0)


@pytest.mark.parametrize("damage", [b"{", b"nonsense", b'{"sample": "x"}', b"\xff\xfe", b"[]"])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "scores.jsonl"
    content = write(path, [score(1), score(2)])
    first, second, _ = content.split(b"\n")
    path.write_bytes(b"\n".join([first, damage, second, b""]))
    with pytest.raises(RunDamaged, match=r"scores\.jsonl, line 2"):
        read_lines(path, DECODE)


def test_zeros_after_a_power_cut_and_empty_lines_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    content = write(path, [score(1)])
    path.write_bytes(b"\n" + content + b"\n" + b"\0" * 100)
    assert read_lines(path, DECODE) == ((score(1),), 1)


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    mend(tmp_path / "none.jsonl", DECODE)
    assert read_lines(tmp_path / "none.jsonl", DECODE) == ((), 0)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from assay.errors import RunError
from assay.runs.lines import Lines
from assay.types import Score

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
lines, kept = Lines(Path(sys.argv[1])), 0
try:
    while True:
        lines.append(Score(sample=kept, judge="check", criterion="x" * 90, value=1.0))
        kept += 1
except RunError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
lines.append(Score(sample=99, judge="check", criterion="after", value=1.0))
print(kept)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are of POSIX")
def test_a_write_that_runs_out_of_room_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    *message, kept = done.stdout.splitlines()
    assert "cannot write to" in message[0]
    assert "why:" in message[1]
    items, cut = read_lines(path, DECODE)
    assert cut == 0
    assert [item.sample for item in items] == [*range(int(kept)), 99]
