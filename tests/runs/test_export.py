from __future__ import annotations

import json
from pathlib import Path

from msgspec import structs

from assay.runs import dump, export, read
from assay.types import RunData

GOLDEN = Path(__file__).parent / "golden" / "schema-1"
LABEL = "notes-4m:q8_0 @ llamacpp"


def test_results_hold_answers_and_timings_hold_times() -> None:
    results, timings = export(read(GOLDEN))
    assert results["candidates"][LABEL]["status"] == "measured"
    assert results["candidates"][LABEL]["prompts"] == {
        "who": [
            {
                "concurrency": 1,
                "text": "Ann\u00e9",
                "prompt_tokens": 12,
                "output_tokens": 3,
                "finish": "stop",
                "scores": {"check.answer": 0.0, "person.fluency": 0.75},
            }
        ],
        "list": [{"concurrency": 1, "error": "timeout"}],
    }
    assert results["candidates"]["other:int4 @ ortgenai"]["status"] == "failed"
    assert results["candidates"]["other:int4 @ ortgenai"]["prompts"] == {}
    assert timings["candidates"][LABEL]["load_time"] == 0.25
    assert timings["candidates"][LABEL]["prompts"]["who"] == [
        {"concurrency": 1, "error": None, "ttft": 0.009999, "ttfa": 0.009999, "e2e": 0.029999, "tpot": 0.01}
    ]
    assert timings["candidates"][LABEL]["prompts"]["list"][0]["ttft"] is None
    assert timings["candidates"]["other:int4 @ ortgenai"]["reason"] == "failed to start: exit code 1"


def another_time(data: RunData) -> RunData:
    """The same answers, measured elsewhere and later, in another order, with other numbers and slower."""
    record = structs.replace(
        data.record,
        id="20270101-000000-0000",
        created="2027-01-01T00:00:00Z",
        assay="9",
        machine=structs.replace(data.record.machine, cpu="Another"),
        candidates=tuple(
            structs.replace(c, engine_version="9", reason=f"{c.reason}!", load_ns=1)
            for c in data.record.candidates[::-1]
        ),
    )
    slower = {"sent_ns": 1, "first_text_ns": 999_999_999, "last_text_ns": 1_999_999_999}
    samples = tuple(structs.replace(s, i=s.i + 100, **slower) for s in data.samples)
    scores = tuple(structs.replace(s, sample=s.sample + 100) for s in data.scores[::-1])
    return structs.replace(data, record=record, samples=samples, scores=scores)


def test_equal_answers_give_equal_bytes() -> None:
    data = read(GOLDEN)
    (results, timings), (again, later) = export(data), export(another_time(data))
    assert dump(results) == dump(again)
    assert dump(timings) != dump(later)


def test_another_answer_shows() -> None:
    data = read(GOLDEN)
    samples = tuple(structs.replace(s, text="Bob") if s.i == 1 else s for s in data.samples)
    assert dump(export(data)[0]) != dump(export(structs.replace(data, samples=samples))[0])


def test_the_text_is_for_people_and_git() -> None:
    text = dump(export(read(GOLDEN))[0])
    assert text.endswith("}\n")
    assert "Ann\u00e9" in text
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
