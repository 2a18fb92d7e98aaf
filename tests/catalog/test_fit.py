"""Which entries fit the memory of this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.catalog import Entry, by_memory, first_fitting, suits
from assay.types import File, Variant

GB = 10**9
SIZES = st.none() | st.integers(1, 10**13)


def local(size: int | None) -> Variant:
    return Variant(id="a", alias="a", format="gguf", source="a", files=(File(path="a", size=size),))


@pytest.mark.parametrize(
    ("entry", "budget", "fits", "said"),
    [
        (Entry(alias="a", min_memory=8 * GB), 8 * GB, True, "asks for 8.0 GB"),
        (Entry(alias="a", min_memory=8 * GB), 8 * GB - 1, False, "only 8.0 GB are free"),
        (Entry(alias="a", min_memory=9 * GB, size=1), 8 * GB, False, "asks for 9.0 GB"),
        (Entry(alias="a", size=4 * GB), 8 * GB, True, "files are 4.0 GB"),
        (Entry(alias="a", size=7 * GB), 8 * GB, None, "less than a fifth"),
        (Entry(alias="a", size=9 * GB), 8 * GB, False, "only 8.0 GB"),
        (Entry(alias="a", variants=(local(4 * GB),)), 8 * GB, True, "files are 4.0 GB"),
        (Entry(alias="a", variants=(local(None),)), 8 * GB, None, "neither"),
        (Entry(alias="a"), 8 * GB, None, "neither"),
        (Entry(alias="a", min_memory=1), None, None, "does not tell"),
        (Entry(alias="a", variants=(Variant(id="r", alias="r", format="remote", source="u"),)), None, True, "endpoint"),
    ],
)
def test_fit(entry: Entry, budget: int | None, fits: bool | None, said: str) -> None:
    (fit,) = by_memory([entry], None, budget)
    assert fit.fits is fits
    assert said in fit.reason


def test_the_smallest_variant_decides() -> None:
    entry = Entry(alias="a", variants=(local(9 * GB), local(4 * GB)))
    assert by_memory([entry], None, 8 * GB)[0].fits


@pytest.mark.parametrize(
    ("tasks", "capabilities", "asked", "suited"),
    [
        (("chat",), (), "chat", True),
        (("Chat",), (), "CHAT", True),
        (("chat-completion",), (), "chat", True),
        ((), ("chat", "tools"), "tools", True),
        (("text generation",), (), "text_generation", True),
        (("summarization",), (), "summarise", True),
        (("chat",), (), "code", False),
        ((), (), "chat", False),
    ],
)
def test_task(tasks: tuple[str, ...], capabilities: tuple[str, ...], asked: str, suited: bool) -> None:
    entry = Entry(alias="a", tasks=tasks, capabilities=capabilities)
    assert suits(entry, asked) is suited
    assert [fit.entry for fit in by_memory([entry], asked, None)] == [entry] * suited
    assert len(by_memory([entry], None, None)) == 1


def test_what_a_variants_own_file_says_counts_too() -> None:
    entry = Entry(alias="a", variants=(Variant(id="a", alias="a", format="gguf", source="a", capabilities=("chat",)),))
    assert suits(entry, "chat")


@given(st.lists(st.tuples(SIZES, SIZES), max_size=6), SIZES)
def test_the_first_that_surely_fits_is_taken_and_more_memory_never_fits_less(
    rows: list[tuple[int | None, int | None]], budget: int | None
) -> None:
    entries = [Entry(alias=str(n), min_memory=memory, size=size) for n, (memory, size) in enumerate(rows)]
    fits = by_memory(entries, None, budget)
    assert [fit.entry for fit in fits] == entries
    taken = first_fitting(fits)
    before = fits if taken is None else fits[: fits.index(taken)]
    assert not any(fit.fits for fit in before)
    rank = {False: 0, None: 1, True: 2}
    if budget is not None:
        for fit, more in zip(fits, by_memory(entries, None, budget * 2), strict=True):
            assert rank[more.fits] >= rank[fit.fits]
