from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.formats import is_projector, shard_of


@pytest.mark.parametrize(
    ("stem", "told"),
    [
        ("m-00001-of-00003", ("m", 1, 3)),
        ("m-q4_0-00002-OF-00003", ("m-q4_0", 2, 3)),
        ("m", None),
        ("m-1-of-3", None),
        ("-00001-of-00003", None),
        ("m-00001-of-00003-x", None),
    ],
)
def test_the_part_that_a_name_tells(stem: str, told: tuple[str, int, int] | None) -> None:
    assert shard_of(stem) == told


@given(st.from_regex(r"[a-z.-]{1,9}", fullmatch=True), st.integers(1, 99_999), st.integers(1, 99_999))
def test_a_sibling_is_of_the_same_model(stem: str, one: int, other: int) -> None:
    part = shard_of(f"{stem}-{one:05}-of-99999")
    assert part is not None
    assert shard_of(part.sibling(other)) == (stem, other, 99_999)


def test_projector() -> None:
    assert is_projector("Qwen2-VL-MMPROJ-f16.gguf")
    assert not is_projector("project.gguf")
