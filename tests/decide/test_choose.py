from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from assay.decide import DEFAULT_POLICY, choose, parse_policy
from assay.errors import NothingMeasured, RunsUnlike
from assay.types import Choice, Policy, RunData, Verdict

Make = Callable[..., RunData]
PROMPTS = [f"p{n:02}" for n in range(20)]
CLASSES = {"MIT": "permissive", "gemma": "restricted use"}


def every(**answer: Any) -> dict[str, list[dict[str, Any]]]:
    """The same answer to every prompt."""
    return {prompt: [answer] for prompt in PROMPTS}


def chosen(data: RunData | list[RunData], policy: str | Policy = DEFAULT_POLICY, **options: Any) -> Choice:
    read = parse_policy(policy) if isinstance(policy, str) else policy
    return choose(data if isinstance(data, list) else [data], read, CLASSES, **({"replicates": 300} | options))


def verdict(choice: Choice, variant: str) -> Verdict:
    [found] = [one for one in choice.verdicts if one.variant == variant]
    return found


def test_the_better_one_is_chosen_and_surely(make: Make) -> None:
    choice = chosen(make({"good": every(quality=0.9, e2e=2.0), "bad": every(quality=0.5)}))
    assert choice.winner == ("good", "e")
    assert choice.p_best == 1 - 0.5**20
    assert (choice.sure, choice.replicates, choice.runs) == (True, 300, ("run",))
    assert choice.sentence == "Run good @ e, P(best) >99.9%: it beats bad @ e on quality (0.9 against 0.5)."
    assert choice.verdicts == (
        Verdict(variant="good", engine="e", p_best=1 - 0.5**20, meets_limits=1.0),
        Verdict(variant="bad", engine="e", p_best=0.0, meets_limits=1.0),
    )
    assert choice.warnings == ("e2e_p95 rests on few requests (20)",)


def test_within_the_tolerance_the_next_line_decides(make: Make) -> None:
    data = make({"slow": every(quality=0.86, e2e=2.0), "fast": every(quality=0.85, e2e=1.0)})
    assert chosen(data).winner == ("fast", "e")
    assert chosen(data).sentence == (
        "Run fast @ e, P(best) >99.9%: it ties with slow @ e on quality (0.85 and 0.86) and is ahead on e2e_p95 (1 s "
        "against 2 s)."
    )
    assert chosen(data, "[prefer]\ntolerance = 0.005").winner == ("slow", "e")


def test_a_latency_difference_below_the_instruments_error_is_a_tie(make: Make) -> None:
    answers = {"big": every(quality=0.8, e2e=0.010), "small": every(quality=0.8, e2e=0.011)}
    sizes = {"big": 2000, "small": 1000}
    assert chosen(make(answers, sizes=sizes, error_s=0.0005)).winner == ("big", "e")
    tied = chosen(make(answers, sizes=sizes, error_s=0.002))
    assert tied.winner == ("small", "e")
    assert "e2e_p95 (11 ms and 10 ms, less apart than the instrument can tell)" in tied.sentence
    assert "ahead on disk (1 kB against 2 kB)" in tied.sentence


def test_equals_are_taken_by_name_and_that_is_said(make: Make) -> None:
    choice = chosen(make({"b": every(quality=0.8), "a": every(quality=0.8)}))
    assert choice.winner == ("a", "e")
    assert "equals b @ e in every line of the policy and comes first by name" in choice.sentence


def test_near_equals_are_told_apart_by_the_bare_figures(make: Make) -> None:
    choice = chosen(make({"a": every(quality=0.80), "b": every(quality=0.81)}))
    assert choice.winner == ("b", "e")
    assert "a @ e ties with it in every line within the tolerance" in choice.sentence
    assert "the bare figure decides: quality (0.81 against 0.8)" in choice.sentence


def test_every_rejection_has_its_reasons(make: Make) -> None:
    data = make(
        {
            "fine": every(quality=0.8, ttft=0.1),
            "late": every(quality=0.9, ttft=0.4, e2e=3.0),
            "bound": every(quality=0.9),
            "nameless": every(quality=0.9),
            "dead": {},
            "mute": {prompt: [{"error": "refused"}] for prompt in PROMPTS},
            "unjudged": every(),
        },
        memory={"fine": 10, "late": 10, "bound": 10, "nameless": 10},
        licences={"bound": "gemma", "nameless": None},
        reasons={"dead": "the engine exited with code 1"},
    )
    choice = chosen(data, '[require]\nlicence = "permissive"\nttft_p95 = "200ms"\npeak_memory = "1kB"')
    assert choice.winner == ("fine", "e")
    assert {one.variant: one.rejected for one in choice.verdicts} == {
        "fine": (),
        "late": ("ttft_p95 400 ms > 200 ms (interval 400 ms to 400 ms)",),
        "bound": ("licence gemma is restricted use, policy wants permissive",),
        "nameless": ("licence unknown: none is declared",),
        "dead": ("failed: the engine exited with code 1",),
        "mute": ("every request failed (20): refused",),
        "unjudged": ("peak_memory unknown: not measured", "quality unknown: not measured"),
    }
    assert {one.p_best for one in choice.verdicts if one.rejected} == {None}
    assert verdict(choice, "late").meets_limits == verdict(choice, "bound").meets_limits == 0.0
    assert "it is the only one of 7 candidates that qualifies" in choice.sentence


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ('licence = ["Apache-2.0", "BSD-3-Clause"]', "licence MIT is not among Apache-2.0, BSD-3-Clause"),
        ('licence = "non-commercial"', "licence MIT is permissive, policy wants non-commercial"),
        ("decode_tps = 20", "decode_tps 10 tok/s < 20 tok/s (interval 10 tok/s to 10 tok/s)"),
        ('decode_tps = "<=5"', "decode_tps 10 tok/s > 5 tok/s (interval 10 tok/s to 10 tok/s)"),
        ('disk = "10B"', "disk 1 kB > 10 B"),
        ('"quality.fluency" = 0.5', "quality.fluency unknown: not measured"),
        ("goodput = 0.5", "goodput unknown: not measured"),
    ],
)
def test_limits_in_words(make: Make, policy: str, reason: str) -> None:
    choice = chosen(make({"m": every(quality=0.8)}), f"[require]\n{policy}")
    assert verdict(choice, "m").rejected == (reason,)
    assert (choice.winner, choice.p_best, choice.sure) == (None, None, False)


@pytest.mark.parametrize(
    "policy", ['licence = "MIT"', 'licence = ["mit"]', 'licence = "Permissive"', "goodput = 0.5\nttft_p50 = 1"]
)
def test_limits_that_hold(make: Make, policy: str) -> None:
    choice = chosen(make({"m": every(quality=0.8)}), f"[require]\n{policy}")
    assert choice.winner == ("m", "e")
    assert choice.sentence == "Run m @ e, P(best) >99.9%: it is the only candidate."


def test_a_licence_unknown_to_the_table_is_said_so(make: Make) -> None:
    data = make({"m": every(quality=0.8)}, licences={"m": "Mine-1.0"})
    policy = '[require]\nlicence = "permissive"'
    reason = "licence Mine-1.0 is of no known class, policy wants permissive"
    assert verdict(chosen(data, policy), "m").rejected == (reason,)
    assert choose([data], parse_policy(policy), lambda _licence: "permissive", replicates=50).winner == ("m", "e")


def test_when_none_qualifies_the_nearest_limit_is_named(make: Make) -> None:
    data = make(
        {"far": every(quality=0.9, ttft=0.4), "near": every(quality=0.9, ttft=0.22), "dead": {}}, reasons={"dead": "x"}
    )
    choice = chosen(data, '[require]\nttft_p95 = "200ms"')
    assert choice.sentence == (
        "No candidate qualifies: the nearest is near @ e, whose ttft_p95 of 220 ms misses the limit of at most 200 ms "
        "by 10%."
    )
    choice = chosen(data, '[require]\nttft_p95 = "100ms"\nquality = 0.95')
    assert choice.sentence.endswith(
        "near @ e, whose ttft_p95 of 220 ms misses the limit of at most 100 ms by 120%, and 1 other limit by less."
    )


def test_when_no_number_is_near_the_reasons_are_told(make: Make) -> None:
    data = make(
        {"a": every(quality=0.9), "b": {}}, reasons={"b": "failed to start: exit code 1"}, licences={"a": "gemma"}
    )
    choice = chosen(data, '[require]\nlicence = "permissive"')
    assert choice.sentence == (
        "No candidate qualifies: a @ e (licence gemma is restricted use, policy wants permissive), "
        "b @ e (failed to start: exit code 1)."
    )


def test_without_scores_speed_takes_the_place_of_quality(make: Make) -> None:
    data = make({"slow": every(e2e=2.0), "fast": every(e2e=1.0)})
    choice = chosen(data)
    assert choice.winner == ("fast", "e")
    assert choice.sentence == (
        "Run fast @ e, P(best) >99.9%: it beats slow @ e on throughput (5 tok/s against 2.5 tok/s); nothing was "
        "scored, so throughput decided in place of quality."
    )
    assert "nothing was scored: throughput decides in place of quality" in choice.warnings
    assert choice.policy == DEFAULT_POLICY
    blind = make({"slow": every(e2e=2.0, output_tokens=None), "fast": every(e2e=1.0)})
    assert "e2e_p50 (1 s against 2 s)" in chosen(blind).sentence


def test_an_objective_that_nobody_has_rejects_all(make: Make) -> None:
    choice = chosen(make({"m": every(quality=0.9)}), '[prefer]\nobjective = "peak_memory"')
    assert verdict(choice, "m").rejected == ("peak_memory unknown: not measured",)


def test_a_close_race_is_not_called_sure(make: Make) -> None:
    a = {prompt: [{"quality": float(n % 3 == 0)}] for n, prompt in enumerate(PROMPTS)}
    b = {prompt: [{"quality": float(n % 3 == 1)}] for n, prompt in enumerate(PROMPTS)}
    choice = chosen(make({"a": a, "b": b}), "[prefer]\nthen = []")
    assert choice.p_best is not None
    assert 0.3 < choice.p_best < 0.8
    assert not choice.sure
    assert re.match(r"Run [ab] @ e for now, P\(best\) [\d.]+% where 95% was asked for: ", choice.sentence)


def test_a_limit_near_its_bound_lowers_the_chance(make: Make) -> None:
    times = {prompt: [{"quality": 0.9, "ttft": 0.15 + n * 0.005}] for n, prompt in enumerate(PROMPTS)}
    choice = chosen(make({"edge": times, "safe": every(quality=0.5)}), '[require]\nttft_mean = "200ms"')
    edge = verdict(choice, "edge")
    assert edge.meets_limits is not None
    assert 0.3 < edge.meets_limits < 0.95
    assert choice.winner == ("edge", "e")
    assert choice.p_best == edge.p_best == edge.meets_limits
    assert verdict(choice, "safe").p_best == pytest.approx(1 - edge.meets_limits)


def test_one_prompt_cannot_tell_how_sure(make: Make) -> None:
    choice = chosen(make({"a": {"p": [{"quality": 0.9}]}, "b": {"p": [{"quality": 0.5}]}}))
    assert (choice.winner, choice.p_best, choice.sure, choice.replicates) == (("a", "e"), None, False, 0)
    assert choice.sentence.startswith("Run a @ e, though one prompt cannot tell how sure that is: ")
    assert "only one prompt was measured: how sure the choice is cannot be told" in choice.warnings
    assert {one.meets_limits for one in choice.verdicts} == {None}


@pytest.mark.parametrize(("prompts", "sure"), [(2, False), (4, False), (5, True)])
def test_few_prompts_that_agree_may_do_so_by_chance(make: Make, prompts: int, sure: bool) -> None:
    answers = {v: {p: [{"quality": q}] for p in PROMPTS[:prompts]} for v, q in (("a", 0.9), ("b", 0.5))}
    choice = chosen(make(answers))
    assert (choice.p_best, choice.sure) == (1 - 0.5**prompts, sure)


def test_the_same_prompts_are_drawn_for_all(make: Make) -> None:
    hard = {prompt: n / len(PROMPTS) for n, prompt in enumerate(PROMPTS)}
    a = {prompt: [{"quality": share}] for prompt, share in hard.items()}
    b = {prompt: [{"quality": min(1.0, share + 0.03)}] for prompt, share in hard.items()}
    choice = chosen(make({"a": a, "b": b}), "[prefer]\ntolerance = 0\nthen = []")
    assert choice.winner == ("b", "e")
    assert choice.p_best == pytest.approx(1)


def test_the_level_decided_at(make: Make) -> None:
    answers = {
        "one": {p: [{"quality": 0.8, "e2e": 1.0}, {"quality": 0.8, "e2e": 9.0, "concurrency": 4}] for p in PROMPTS},
        "many": {p: [{"quality": 0.8, "e2e": 2.0}, {"quality": 0.8, "e2e": 3.0, "concurrency": 4}] for p in PROMPTS},
        "single": every(quality=0.8, e2e=1.5),
    }
    assert chosen(make(answers)).winner == ("one", "e")
    at_four = chosen(make(answers), "concurrency = 4")
    assert at_four.winner == ("many", "e")
    assert verdict(at_four, "single").rejected == ("not measured at concurrency 4",)


def test_warnings_name_what_weakens_a_choice(make: Make) -> None:
    answers = {p: [{"quality": 0.8}] for p in PROMPTS[:4]} | {"p99": [{"error": "late"}]}
    warnings = chosen(make({"m": answers}, error_s=None, status="interrupted")).warnings
    assert warnings == (
        "only 5 prompts were measured: intervals and P(best) are rough",
        "run run is interrupted: what it lacks is not in the choice",
        "the instrument's own error was not measured: a small difference in latency may be its own",
        "e2e_p95 rests on few requests (4)",
        "m @ e: 1 of 5 requests failed, and are in no latency",
    )


def test_candidates_of_several_runs_are_held_against_each_other(make: Make) -> None:
    first = make({"a": every(quality=0.9), "b": every(quality=0.95)}, run_id="one", created="2026-01-01T00:00:00Z")
    second = make({"b": every(quality=0.5), "c": every(quality=0.7)}, run_id="two", created="2026-02-01T00:00:00Z")
    for datas in ([first, second], [second, first]):
        choice = chosen(datas)
        assert choice.winner == ("a", "e")
        assert "b @ e is in several runs: the one of 2026-02-01T00:00:00Z counts" in choice.warnings
    assert chosen([first, second]).runs == ("one", "two")
    assert [one.variant for one in chosen([first, second]).verdicts] == ["a", "b", "c"]


def test_unlike_runs_are_refused_unless_allowed_by_name(make: Make) -> None:
    first = make({"a": every(quality=0.9)}, run_id="one")
    elsewhere = make({"b": every(quality=0.5)}, run_id="two", cpu="other")
    with pytest.raises(RunsUnlike, match="cpu cpu and other"):
        chosen([first, elsewhere])
    choice = chosen([first, elsewhere], allow=("machine",))
    assert choice.winner == ("a", "e")
    assert "machine differs between one and two: cpu cpu and other" in choice.warnings


def test_there_must_be_a_candidate(make: Make) -> None:
    with pytest.raises(NothingMeasured):
        chosen([])
    with pytest.raises(NothingMeasured):
        chosen(make({}))


def test_the_point_and_the_sentence_do_not_hang_on_the_order(make: Make) -> None:
    answers = {"a": every(quality=0.9), "b": every(quality=0.8), "c": every(quality=0.7)}
    backwards = dict(reversed(answers.items()))
    one, other = chosen(make(answers)), chosen(make(backwards))
    assert one.sentence == other.sentence
    assert set(one.verdicts) == set(other.verdicts)
    assert [v.variant for v in other.verdicts] == ["c", "b", "a"]


SHARES = st.lists(st.floats(0, 1), min_size=6, max_size=6)


@settings(max_examples=30)
@given(st.lists(SHARES, min_size=2, max_size=4), st.floats(0, 1))
def test_chances_add_up_to_at_most_one(make: Make, qualities: list[list[float]], bound: float) -> None:
    data = make({f"m{c}": {f"p{n}": [{"quality": q}] for n, q in enumerate(qs)} for c, qs in enumerate(qualities)})
    choice = chosen(data, f"[require]\nquality = {bound:.3f}", replicates=100)
    total = sum(one.p_best or 0.0 for one in choice.verdicts)
    assert total <= 1 + 1e-9
    everywhere = chosen(data, replicates=100)
    assert 1 - 0.5**6 <= sum(one.p_best or 0.0 for one in everywhere.verdicts) <= 1 + 1e-9
    assert (choice.winner is None) == all(one.rejected for one in choice.verdicts)


@settings(max_examples=30)
@given(SHARES, st.floats(0.001, 0.3), st.lists(st.floats(0.2, 2), min_size=6, max_size=6), st.floats(0.01, 0.5))
def test_the_dominated_never_win(
    make: Make, shares: list[float], worse: float, times: list[float], slower: float
) -> None:
    better = {f"p{n}": [{"quality": q, "e2e": t}] for n, (q, t) in enumerate(zip(shares, times, strict=True))}
    dominated = {
        f"p{n}": [{"quality": q - worse, "e2e": t + slower}] for n, (q, t) in enumerate(zip(shares, times, strict=True))
    }
    choice = chosen(make({"a": dominated, "b": better}, sizes={"a": 2000}), replicates=100)
    assert choice.winner == ("b", "e")
    assert verdict(choice, "a").p_best == 0.0


def test_a_run_cut_short_is_judged_by_what_it_has(make: Make) -> None:
    data = make({"m": every(quality=0.9), "n": {}}, candidate_status="pending", status="interrupted")
    choice = chosen(data)
    assert choice.winner == ("m", "e")
    assert verdict(choice, "n").rejected == ("not measured at concurrency 1",)


def test_of_a_repeated_candidate_a_failure_does_not_hide_what_was_measured(make: Make) -> None:
    first = make({"a": every(quality=0.9)}, run_id="one", created="2026-01-01T00:00:00Z")
    second = make({"a": {}}, run_id="two", created="2026-02-01T00:00:00Z", reasons={"a": "x"})
    second = structs.replace(second, record=structs.replace(second.record, workload=first.record.workload))
    assert chosen([first, second]).winner == ("a", "e")
