from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from assay.types import (
    NS,
    Candidate,
    Decoding,
    File,
    Lag,
    Machine,
    Prompt,
    Reading,
    RequestError,
    RunData,
    RunRecord,
    Sample,
    Score,
    SelfTest,
    Variant,
    Workload,
)

Answers = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
Make = Callable[..., RunData]


def answer(i: int, variant: str, prompt: str, turn: int, start_ns: int, given: Mapping[str, Any]) -> Sample:
    """A sample with ``tokens`` one-token chunks, the first at ``ttft`` and the last at ``e2e`` seconds."""
    tokens, ttft, e2e = given.get("tokens", 5), given.get("ttft", 0.1), given.get("e2e", 0.5)
    first, last = start_ns + round(ttft * NS), start_ns + round(e2e * NS)
    chunks = tuple(first + (last - first) * n // max(tokens - 1, 1) for n in range(tokens))
    error = given.get("error")
    return Sample(
        i=given.get("i", i),
        variant=variant,
        engine="e",
        prompt=prompt,
        round=given.get("round", turn),
        phase=given.get("phase", "measure"),
        concurrency=given.get("concurrency", 1),
        block=given.get("block", i),
        attempt=given.get("attempt", 0),
        sent_ns=start_ns,
        first_byte_ns=first,
        first_text_ns=None if error else first,
        first_answer_ns=None if error else first,
        last_text_ns=None if error else last,
        done_ns=last,
        chunk_ns=() if error else chunks,
        first_chunk_tokens=1,
        prompt_tokens=10,
        output_tokens=given.get("output_tokens", tokens),
        error=RequestError(kind="timeout", message=error) if error else None,
        text=given.get("text", "x"),
    )


@pytest.fixture(scope="session")
def make() -> Make:
    """Makes a run of ``{variant: {prompt: [answer, ...]}}``; an answer's ``quality`` becomes a check's score."""

    def run(
        answers: Answers,
        *,
        run_id: str = "run",
        error_s: float | None = 0.001,
        licences: Mapping[str, str | None] | None = None,
        sizes: Mapping[str, int] | None = None,
        memory: Mapping[str, int] | None = None,
        reasons: Mapping[str, str] | None = None,
        temperature: float = 0.0,
        stream: bool = True,
        created: str = "2026-11-22T07:15:01Z",
        cpu: str = "cpu",
        status: Any = "complete",
        candidate_status: Any = "measured",
        rounds: int = 3,
        words: str = "?",
        step_s: float = 10.0,
    ) -> RunData:
        samples: list[Sample] = []
        scores: list[Score] = []
        for variant, prompts in answers.items():
            for prompt, given in prompts.items():
                for turn, one in enumerate(given):
                    start = round(one.get("start", len(samples) * step_s) * NS)
                    sample = answer(len(samples), variant, prompt, turn, start, one)
                    samples.append(sample)
                    if one.get("quality") is not None:
                        scores.append(Score(sample=sample.i, judge="check", criterion="answer", value=one["quality"]))
        ids = list(dict.fromkeys(prompt for prompts in answers.values() for prompt in prompts)) or ["p"]
        levels = tuple(sorted({sample.concurrency for sample in samples})) or (1,)
        return RunData(
            record=RunRecord(
                id=run_id,
                created=created,
                assay="0.1.0",
                status=status,
                workload=Workload(
                    prompts=tuple(Prompt(id=prompt, prompt=words) for prompt in ids),
                    rounds=rounds,
                    concurrency=levels,
                    stream=stream,
                    decoding=Decoding(temperature=temperature),
                ),
                machine=Machine(system="Linux", release="6", arch="x86_64", cpu=cpu, cores=4),
                candidates=tuple(
                    Candidate(
                        variant=Variant(
                            id=variant,
                            alias=variant.partition(":")[0],
                            format="gguf",
                            source="x",
                            licence=(licences or {}).get(variant, "MIT"),
                            files=(File(path="f", size=(sizes or {}).get(variant, 1000)),),
                        ),
                        engine="e",
                        status="failed" if variant in (reasons or {}) else candidate_status,
                        reason=(reasons or {}).get(variant),
                        load_ns=2 * NS,
                    )
                    for variant in answers
                ),
                selftest=None
                if error_s is None
                else SelfTest(
                    lags=(
                        Lag(streams=1, events_per_s=1, events=1, p50=0, p99=error_s, worst=error_s, counts_exact=True),
                    ),
                    loop="uvloop",
                ),
            ),
            samples=tuple(samples),
            scores=tuple(scores),
            readings=tuple(
                Reading(variant=variant, engine="e", t_ns=0, memory=size) for variant, size in (memory or {}).items()
            ),
        )

    return run
