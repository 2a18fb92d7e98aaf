"""A run as two JSON documents: what the models answered, stable enough to keep in git, and how long it took.

The first holds no id, time, path or duration, so two runs of a fixed prompt set at temperature 0 give equal bytes as
long as the models answer the same. The second holds the rest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from assay.types import Candidate, RunData, Sample, Score

Document = dict[str, Any]
_DIGITS = 6


def export(data: RunData) -> tuple[Document, Document]:
    """``(results, timings)`` of a run: per candidate and prompt, a list of measured requests in the order of rounds.

    Only the last try of a request counts. In ``results``, a request has ``text``, ``prompt_tokens``, ``output_tokens``,
    ``finish`` and ``scores`` by ``judge.criterion``, or the kind of its error; why a candidate failed, which may name
    ports and paths, stands with the timings. Timings are in seconds.
    """
    requests = _final(data.samples)
    scores = _by_sample(data.scores)
    workload = data.record.workload
    results: Document = {"prompts": len(workload.prompts), "workload": workload.digest, "candidates": {}}
    timings: Document = {
        "run": data.record.id,
        "created": data.record.created,
        "assay": data.record.assay,
        "machine": data.record.machine.digest,
        "candidates": {},
    }
    for candidate in data.record.candidates:
        mine = requests[candidate.key]
        results["candidates"][candidate.label] = _results_of(candidate, mine, scores)
        timings["candidates"][candidate.label] = _timings_of(candidate, mine)
    return results, timings


def dump(document: Document) -> str:
    """The document as text for version control: keys sorted, two spaces, a line end at the end."""
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _final(samples: Iterable[Sample]) -> Mapping[tuple[str, str], list[Sample]]:
    last = {sample.key: sample for sample in sorted(samples, key=lambda s: s.i) if sample.phase == "measure"}
    final = defaultdict(list)
    for sample in sorted(last.values(), key=lambda s: (s.prompt, s.concurrency, s.round)):
        final[sample.variant, sample.engine].append(sample)
    return final


def _by_sample(scores: Iterable[Score]) -> Mapping[int, dict[str, float]]:
    by_sample: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for score in scores:
        by_sample[score.sample][f"{score.judge}.{score.criterion}"] = score.value
    return by_sample


def _results_of(candidate: Candidate, samples: list[Sample], scores: Mapping[int, dict[str, float]]) -> Document:
    prompts = defaultdict(list)
    for sample in samples:
        prompts[sample.prompt].append(_result(sample, scores.get(sample.i, {})))
    return {"status": candidate.status, "variant": candidate.variant.digest, "prompts": dict(prompts)}


def _result(sample: Sample, scores: dict[str, float]) -> Document:
    if sample.error is not None:
        return {"concurrency": sample.concurrency, "error": sample.error.kind}
    return {
        "concurrency": sample.concurrency,
        "text": sample.text,
        "prompt_tokens": sample.prompt_tokens,
        "output_tokens": sample.output_tokens,
        "finish": sample.finish,
        "scores": scores,
    }


def _timings_of(candidate: Candidate, samples: list[Sample]) -> Document:
    prompts = defaultdict(list)
    for sample in samples:
        seconds = {name: getattr(sample, name) for name in ("ttft", "ttfa", "e2e", "tpot")}
        prompts[sample.prompt].append(
            {"concurrency": sample.concurrency, "error": sample.error.message if sample.error else None}
            | {name: None if value is None else round(value, _DIGITS) for name, value in seconds.items()}
        )
    return {
        "engine_version": candidate.engine_version,
        "reason": candidate.reason,
        "load_time": None if candidate.load_ns is None else round(candidate.load_ns / 1e9, _DIGITS),
        "prompts": dict(prompts),
    }
