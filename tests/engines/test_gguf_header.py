from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.gguf_header import read_header
from assay.errors import BadInput

KINDS: dict[int, Any] = {
    0: st.integers(0, 2**8 - 1),
    1: st.integers(-(2**7), 2**7 - 1),
    2: st.integers(0, 2**16 - 1),
    3: st.integers(-(2**15), 2**15 - 1),
    4: st.integers(0, 2**32 - 1),
    5: st.integers(-(2**31), 2**31 - 1),
    6: st.floats(width=32, allow_nan=False),
    7: st.booleans(),
    8: st.text(max_size=9),
    10: st.integers(0, 2**64 - 1),
    11: st.integers(-(2**63), 2**63 - 1),
    12: st.floats(allow_nan=False),
}
CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def scalar(kind: int, value: Any) -> bytes:
    return string(value) if kind == 8 else struct.pack("<" + CODES[kind], value)


@st.composite
def entries(draw: st.DrawFn) -> tuple[bytes, Any]:
    """The bytes after a key, and what reading them gives."""
    kind = draw(st.sampled_from([*KINDS, 9]))
    if kind != 9:
        value = draw(KINDS[kind])
        return struct.pack("<I", kind) + scalar(kind, value), value
    inner = draw(st.sampled_from(list(KINDS)))
    values = draw(st.lists(KINDS[inner], max_size=5))
    body = b"".join(scalar(inner, value) for value in values)
    return struct.pack("<IIQ", 9, inner, len(values)) + body, len(values)


def file_of(pairs: dict[str, tuple[bytes, Any]], version: int = 3) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", version, 0, len(pairs))
    return head + b"".join(string(key) + data for key, (data, _) in pairs.items())


@given(st.dictionaries(st.text(min_size=1, max_size=9), entries(), max_size=6), st.sampled_from([2, 3]))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, tuple[bytes, Any]], version: int
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    path.write_bytes(file_of(pairs, version))
    assert read_header(path) == {key: value for key, (_, value) in pairs.items()}


def test_arrays_of_arrays_are_passed_over(tmp_path: Path) -> None:
    inner = struct.pack("<IQ", 4, 2) + struct.pack("<II", 1, 2)
    pairs = {"a": (struct.pack("<IIQ", 9, 9, 2) + inner * 2, 2), "b": (struct.pack("<I", 7) + b"\x01", True)}
    path = tmp_path / "x.gguf"
    path.write_bytes(file_of(pairs))
    assert read_header(path) == {"a": 2, "b": True}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GGUF", "buffer"),
        (b"NOPE" + bytes(40), "does not begin with GGUF"),
        (struct.pack("<4sIQQ", b"GGUF", 9, 0, 0), "version is 9"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 1 << 40), "cut off"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + string("k") + struct.pack("<I", 77), "77"),
    ],
)
def test_what_is_no_gguf_file_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        read_header(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_header(tmp_path / "missing.gguf")
