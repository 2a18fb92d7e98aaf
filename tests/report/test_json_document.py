"""JSON."""

from __future__ import annotations

import json

from assay.report import Report, to_json


def test_the_object_holds_what_its_docstring_says(report: Report) -> None:
    found = json.loads(to_json(report))
    assert list(found) == ["version", "run", "choice", "notes", "candidates", "failures", "instrument", "models"]
    assert found["run"]["id"] == report.record.id
    assert found["choice"]["winner"] == ["notes-4m:q8_0", "llama.cpp"]
    assert [c["variant"] for c in found["candidates"]] == [c.variant.id for c in report.candidates]
    best = found["candidates"][2]
    quality = best["levels"][0]["figures"]["quality"]
    assert list(quality) == ["value", "low", "high", "n", "enough"]
    assert (quality["value"], quality["n"], quality["enough"]) == (0.91, 24, True)
    assert "peak_memory" not in found["candidates"][3]["levels"][0]["figures"]
    assert found["models"][0] == {
        "alias": "notes-4m",
        "rounds": 3,
        "variant": "notes-4m:q8_0",
        "engine": "llama.cpp",
        "latency_avg": 0.03661,
        "latency_p95": 0.0518,
        "tokens_per_sec_avg": 2311.4,
        "first_token_latency_avg": 0.00644,
        "status": "measured",
        "reason": None,
        "figures": next(c for c in found["candidates"] if c["variant"] == "notes-4m:q8_0")["levels"][0]["figures"],
    }
    assert found["models"][0]["figures"]


def test_unknown_is_null(bare: Report) -> None:
    found = json.loads(to_json(bare))
    assert found["choice"] is None
    assert found["instrument"] is None
    assert found["candidates"][0]["p_best"] is None
    assert found["candidates"][0]["levels"] == []


def test_the_same_run_gives_the_same_text(report: Report, hostile: Report) -> None:
    assert to_json(report) == to_json(report)
    assert json.loads(to_json(hostile))["choice"]["warnings"][3].startswith("=HYPERLINK")
