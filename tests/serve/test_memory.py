from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.serve.memory import Holding, Memory, Plan, Use, cost_of, size_of
from tests.serve.asking import offer


def holds(model: str, reserved: int | None, use: Use = "idle", *, cost: float = 1.0) -> Holding:
    return Holding(model=model, reserved=reserved, use=use, cost=cost)


def memory(budget: int | None, *holdings: Holding, machine: int | None = None) -> Memory:
    return Memory(budget, machine, holdings)


def test_an_offer_takes_what_it_is_reckoned_to_or_its_files_and_a_fifth() -> None:
    assert size_of(offer("a", 700, disk=1000)) == 700
    assert size_of(offer("a", None, disk=1001)) == 1202
    assert size_of(offer("a", None)) is None
    assert size_of(offer("a", remote=True, disk=1000)) == 0


def test_a_model_starts_where_it_fits_beside_what_is_promised_already() -> None:
    assert memory(10, holds("b", 6)).plan(4) == Plan("start")
    assert memory(None).plan(10**15) == Plan("start")


def test_what_other_programs_leave_bounds_it_too() -> None:
    assert memory(100, machine=9).plan(10) == Plan("never")
    assert memory(100, machine=10).plan(10) == Plan("start")
    assert memory(None, machine=9).plan(10) == Plan("never")
    assert memory(100, holds("b", 4), machine=10).plan(6) == Plan("start")
    assert memory(100, holds("b", 4), machine=10).plan(7) == Plan("evict", ("b",))
    assert memory(7, holds("b", 4), machine=100).plan(7) == Plan("evict", ("b",))


def test_nothing_starts_into_memory_that_may_not_be_there_and_nobody_goes_for_it() -> None:
    state = Memory(None, 10, (holds("b", 3, "busy"), holds("c", 3)), 2)
    assert state.plan(2) == Plan("start")
    assert state.plan(3) == Plan("coming")
    assert state.plan(5) == Plan("evict", ("c",))
    assert state.plan(10) == Plan("wait")


def test_the_one_that_costs_least_goes_first() -> None:
    assert memory(10, holds("b", 5, cost=3), holds("c", 5, cost=2)).plan(5) == Plan("evict", ("c",))


def test_no_more_go_than_are_needed() -> None:
    small, large = holds("b", 2, cost=1), holds("c", 6, cost=2)
    assert memory(8, small, large).plan(6) == Plan("evict", ("c",))
    assert memory(8, small, large).plan(7) == Plan("evict", ("b", "c"))


def test_nobody_goes_where_all_that_are_idle_would_not_suffice() -> None:
    assert memory(10, holds("b", 4), holds("c", 5, "busy")).plan(8) == Plan("wait")
    assert memory(10, holds("b", 4), holds("c", 5, "fixed")).plan(8) == Plan("never")


def test_a_busy_model_makes_room_only_where_it_was_told_to() -> None:
    full = memory(10, holds("b", 6, "busy"), holds("c", 4, "busy"))
    assert full.plan(6) == Plan("wait")
    assert full.plan(6, frozenset({"b"})) == Plan("hold", ("b",))
    assert full.plan(6, frozenset({"c"})) == Plan("wait")


def test_nobody_goes_for_what_is_on_its_way_already() -> None:
    assert memory(10, holds("b", 6, "going"), holds("c", 4)).plan(6) == Plan("coming")
    assert memory(10, holds("b", 6, "yielding"), holds("c", 4)).plan(6) == Plan("coming")
    assert memory(10, holds("b", 6, "going"), holds("c", 4)).plan(7) == Plan("evict", ("c",))


def test_a_model_of_unknown_size_is_alone() -> None:
    assert memory(10).plan(None) == Plan("start")
    assert memory(10, holds("b", 1)).plan(None) == Plan("evict", ("b",))
    assert memory(10, holds("b", 1, "busy")).plan(None) == Plan("wait")
    assert memory(10, holds("b", 1, "fixed")).plan(None) == Plan("never")
    assert memory(10, holds("b", None)).plan(1) == Plan("evict", ("b",))
    assert memory(None, holds("b", None, "busy")).plan(1) == Plan("wait")


def test_an_upstream_always_fits_and_is_never_in_the_way() -> None:
    upstream = holds("up", 0)
    assert memory(10, holds("b", 10, "fixed"), machine=0).plan(0) == Plan("start")
    assert memory(10, holds("b", None, "fixed")).plan(0) == Plan("start")
    assert memory(10, upstream).plan(None) == Plan("start")
    assert memory(10, upstream, holds("b", 10)).plan(5) == Plan("evict", ("b",))


def test_a_quick_load_long_unused_costs_least() -> None:
    assert cost_of(2, 0) < cost_of(20, 0)
    assert cost_of(20, 100) < cost_of(20, 1)
    assert cost_of(20, 1000) < cost_of(2, 1)
    assert cost_of(None, 5) == pytest.approx(cost_of(10, 5))


USES: st.SearchStrategy[Use] = st.sampled_from(["idle", "busy", "yielding", "going", "fixed"])
HOLDINGS = st.lists(st.tuples(st.integers(0, 9) | st.none(), USES, st.floats(0, 9)), max_size=5).map(
    lambda rows: tuple(
        Holding(model=f"m{i}", reserved=reserved, use=use, cost=cost) for i, (reserved, use, cost) in enumerate(rows)
    )
)
BYTES = st.integers(0, 20)


@given(BYTES | st.none(), BYTES | st.none(), HOLDINGS, BYTES | st.none(), st.data())
def test_a_plan_keeps_within_the_bounds_and_takes_no_model_too_many(
    budget: int | None, machine: int | None, holdings: tuple[Holding, ...], needs: int | None, data: st.DataObject
) -> None:
    state = Memory(budget, machine, holdings)
    held = frozenset(data.draw(st.sets(st.sampled_from([h.model for h in holdings]))) if holdings else ())
    plan = state.plan(needs, held)
    use = {holding.model: holding.use for holding in holdings}
    coming = tuple(model for model in use if use[model] in {"going", "yielding"})

    assert bool(plan.victims) == (plan.verdict in {"evict", "hold"})
    if plan.verdict == "start" and needs:
        for bound in (budget, machine):
            assert bound is None or sum(h.reserved or 0 for h in holdings) + needs <= bound
    if plan.victims:
        assert all(use[model] == "idle" or (model in held and use[model] == "busy") for model in plan.victims)
        assert state.fits(needs, (*coming, *plan.victims))
        for fewer in combinations(plan.victims, len(plan.victims) - 1):
            assert not state.fits(needs, (*coming, *fewer))
    if plan.verdict == "never":
        assert not state.fits(needs, tuple(model for model in use if use[model] != "fixed"))
