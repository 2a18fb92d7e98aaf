from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from assay.store import Layout, slug
from assay.store.paths import is_reserved

IDS = st.one_of(
    st.text(min_size=1, max_size=120),
    st.text(alphabet="aB1:-._ /", min_size=1, max_size=9),
    st.sampled_from(
        ["con", "CON.q4", "nul:q4", "a" * 300, "..", ":", "-a", "a-:b", "a:-b", "a--b", "a:b", "a.", "ß", "ss"]
    ),
)


def test_a_slug_is_readable() -> None:
    assert slug("Qwen2.5-0.5B-Instruct:Q4_K_M") == "qwen2.5-0.5b-instruct--q4_k_m"
    assert re.fullmatch(r"my-model-v2-q4\+[0-9a-f]{12}", slug("My Model v2--Q4"))


@given(IDS)
def test_a_slug_is_a_file_name_everywhere(name: str) -> None:
    made = slug(name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9._+-]{0,79}", made)
    assert made[-1] != "."
    assert not is_reserved(made)


@given(IDS, IDS)
def test_two_ids_share_a_slug_only_where_case_is_all_that_differs(a: str, b: str) -> None:
    assert (slug(a) == slug(b)) == (a.casefold() == b.casefold())


def test_ids_that_look_alike_have_slugs_of_their_own() -> None:
    ids = ["a:b", "a--b", "a-:b", "a:-b", "a---b", "a:--b", "a b", "a-b", "a/b", "a.:b", "a.b", "a:", "a", ":a", "a::b"]
    assert len({slug(name) for name in ids}) == len(ids)


@given(IDS)
def test_case_does_not_count(name: str) -> None:
    assert slug(name) == slug(name.casefold())


def test_the_folders() -> None:
    layout = Layout(Path("m"))
    assert [p.as_posix() for p in (layout.files, layout.part("k"), layout.lock("k"), layout.record("s"))] == [
        "m/files",
        "m/partial/k.part",
        "m/locks/k.lock",
        "m/records/s.json",
    ]
    assert (layout.in_use.name, layout.aside.name) == ("in-use", "aside")
