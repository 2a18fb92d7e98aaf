from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import NoRoom
from assay.store.room import Wanted, needed, refuse_full

FILES = st.lists(
    st.builds(
        Wanted, st.none() | st.integers(min_value=0, max_value=1 << 50), st.integers(min_value=0, max_value=1 << 50)
    )
)


@given(FILES)
def test_what_is_needed_is_what_is_not_here(files: list[Wanted]) -> None:
    need = needed(files)
    assert 0 <= need <= sum(file.size or 0 for file in files)
    assert need == sum(needed([file]) for file in files)
    whole = [Wanted(file.size, 0) for file in files]
    assert need >= needed(whole) - sum(file.here for file in files)
    assert needed([Wanted(file.size, file.size or 0) for file in files]) == 0


def test_a_file_that_is_too_long_already_frees_nothing() -> None:
    assert needed([Wanted(10, 30), Wanted(10, 4)]) == 6


def test_too_little_room_tells_need_free_and_where(tmp_path: Path) -> None:
    refuse_full(tmp_path, 0, "m")
    with pytest.raises(NoRoom) as caught:
        refuse_full(tmp_path, 10**18, "m:q4")
    assert "m:q4: 1000000000.0 GB are needed" in caught.value.message
    assert "are free" in caught.value.message
    assert str(tmp_path) in caught.value.message
