from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import StoreError
from assay.hub.arrival import STEP, Arrival, Closed

PIECES = st.lists(st.none() | st.binary(max_size=64) | st.sampled_from([b"x" * STEP, b"y" * (STEP + 1)]), max_size=8)


@settings(max_examples=60)
@given(st.binary(max_size=100) | st.just(b"z" * (STEP + 7)), PIECES)
def test_digests_are_those_of_the_file(there: bytes, pieces: list[bytes | None]) -> None:
    """Whatever lay there, was written, or was thrown away (None) on the way."""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "deep" / "part"
        part.parent.mkdir()
        part.write_bytes(there)
        arrival = Arrival(part, None)
        expected = there
        for piece in pieces:
            if piece is None:
                arrival.restart()
                expected = b""
            else:
                arrival.write(piece)
                expected += piece
        digests = arrival.digests()
        arrival.close()
        assert part.read_bytes() == expected
        assert digests.sha256 == hashlib.sha256(expected).hexdigest()
        assert digests.size == arrival.size == len(expected)


def test_nothing_is_written_after_close(tmp_path: Path) -> None:
    arrival = Arrival(tmp_path / "part", 10)
    arrival.write(b"some")
    arrival.close()
    arrival.close()
    for late in (lambda: arrival.write(b"more"), arrival.restart, arrival.digests):
        with pytest.raises(Closed):
            late()
    assert (tmp_path / "part").read_bytes() == b"some"


def test_shortened_by_someone_else(tmp_path: Path) -> None:
    """Then the hash would be of other bytes than were written, so there is none."""
    arrival = Arrival(tmp_path / "part", None)
    arrival.write(b"some")
    (tmp_path / "part").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be used"):
        arrival.digests()
    arrival.close()
