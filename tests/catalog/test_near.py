"""Names near to a wrong one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.catalog.near import near_names

NAMES = [f"{family}-{size}b" for family in ("Qwen2.5", "phi", "llama-3.2", "gemma-2") for size in range(600)]


def test_the_most_alike_come_first_whatever_their_case() -> None:
    assert near_names("QWEN2.5-77", NAMES)[0] == "Qwen2.5-77b"
    assert near_names("gema-2-9b", NAMES)[0] == "gemma-2-9b"
    assert near_names("phi_4b", NAMES)[0] == "phi-4b"


def test_nothing_is_near() -> None:
    assert near_names("zzzzz", NAMES) == []
    assert near_names("", NAMES) == []
    assert near_names("phi", []) == []


@given(st.text(), st.lists(st.text(max_size=30), max_size=30), st.integers(1, 4))
def test_near_names_are_names(text: str, names: list[str], n: int) -> None:
    near = near_names(text, names, n)
    assert len(near) <= n
    assert set(near) <= set(names)


@given(st.lists(st.text("abcdef0123-", min_size=1, max_size=20), min_size=1, max_size=80), st.data())
def test_a_name_is_nearest_to_itself(names: list[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sampled_from(names))
    assert near_names(wanted, names)[0] == wanted
