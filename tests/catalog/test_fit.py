"""Which variants and entries fit the memory of this machine, and what is said of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assay.catalog import Entry, by_memory
from assay.catalog.fit import by_estimate, fit_of, suits
from assay.types import Estimate, File, Variant

MB = 10**6
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


@given(st.lists(st.tuples(SIZES, SIZES), max_size=6), SIZES, st.integers(0, 10**13))
def test_more_memory_never_makes_an_entry_fit_less(
    rows: list[tuple[int | None, int | None]], budget: int | None, more: int
) -> None:
    entries = [Entry(alias=str(n), min_memory=memory, size=size) for n, (memory, size) in enumerate(rows)]
    fits = by_memory(entries, None, budget)
    assert [fit.entry for fit in fits] == entries
    rank = {False: 0, None: 1, True: 2}
    if budget is not None:
        for fit, then in zip(fits, by_memory(entries, None, budget + more), strict=True):
            assert rank[then.fits] >= rank[fit.fits]


GUESS = Estimate(
    low=900 * MB, likely=GB, high=1100 * MB, weights=900 * MB, cache=0, buffers=0, base=100 * MB, engine="llamacpp",
    context_length=4096, slots=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("budget", "fits", "reason"),
    [
        (2 * GB, "yes", "about 1.0 GB needed with 4096 tokens, 2.0 GB free"),
        (1105 * MB, "tight", "about 1.0 GB needed with 4096 tokens, 1.1 GB free"),
        (1050 * MB, "tight", "about 1.0 GB needed (1.1 GB at worst) with 4096 tokens, 1.1 GB free"),
        (999 * MB, "no", "about 1.0 GB needed with 4096 tokens, 999.0 MB free"),
        (None, None, "about 1.0 GB needed; this machine does not tell how much memory is free"),
    ],
)
def test_by_an_estimate(budget: int | None, fits: str | None, reason: str) -> None:
    assert by_estimate(GUESS, budget) == (fits, reason)


def test_several_slots_are_told() -> None:
    assert "4096 tokens in each of 4 slots" in by_estimate(structs.replace(GUESS, slots=4), 2 * GB)[1]


@pytest.mark.parametrize(
    ("observed", "budget", "fits", "reason"),
    [
        (1500, 2 * GB, "yes", "took 1.5 GB before (about 1.0 GB by the formula, with 4096 tokens), 2.0 GB free"),
        (1500, 1600 * MB, "tight", "took 1.5 GB before"),
        (1500, 1400 * MB, "no", "took 1.5 GB before"),
        (950, 1060 * MB, "yes", "took 950.0 MB before"),
        (300, 1010 * MB, "yes", "took 300.0 MB before; with 4096 tokens in use at least 900.0 MB needed, 1.0 GB free"),
        (300, 950 * MB, "tight", "took 300.0 MB before; with"),
        (300, 800 * MB, "no", "took 300.0 MB before; with"),
    ],
)
def test_by_what_was_observed_but_never_below_the_low_end(observed: int, budget: int, fits: str, reason: str) -> None:
    """A load with short prompts shows less than one whose context is full."""
    found = by_estimate(structs.replace(GUESS, observed=observed * MB), budget)
    assert found[0] == fits
    assert reason in found[1]


@given(
    parts=st.lists(st.integers(0, 99 * GB), min_size=3, max_size=3).map(sorted),
    observed=st.none() | st.integers(0, 99 * GB),
    budget=st.integers(0, 200 * GB),
    more=st.integers(0, 200 * GB),
)
def test_more_memory_never_makes_an_estimate_fit_less(
    parts: list[int], observed: int | None, budget: int, more: int
) -> None:
    low, likely, high = parts
    found = structs.replace(GUESS, low=low, likely=likely, high=high, observed=observed)
    order = ["no", "tight", "yes"]
    less, enough = by_estimate(found, budget)[0], by_estimate(found, budget + more)[0]
    assert order.index(str(less)) <= order.index(str(enough))


@pytest.mark.parametrize(
    ("budget", "fits", "said"),
    [
        (8 * GB, "yes", "about 4.5 GB"),
        (5 * GB, "tight", "less than a fifth"),
        (4 * GB, "no", "only 4.0 GB"),
        (None, None, ""),
    ],
)
def test_before_the_hub_is_asked_the_parameters_must_do(budget: int | None, fits: str | None, said: str) -> None:
    promised = Variant(id="a:gguf", alias="a", format="gguf", source="hf:o/a", parameters=8 * GB)
    told, reason = fit_of(promised, None, budget)
    assert told == fits
    assert said in reason
    asking = structs.replace(promised, min_memory=9 * GB)
    assert "asks for" in fit_of(asking, None, 8 * GB)[1]
    checkpoint = structs.replace(promised, format="safetensors")
    assert fit_of(checkpoint, None, 8 * GB)[0] is None, "what it takes depends on what it is compiled to"
