"""How the figures of a report are defined."""

from __future__ import annotations

from assay.report.units import UNKNOWN

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("TTFT", "Time to first text: from the first byte of the request written to the first chunk that holds text."),
    ("E2E", "From the first byte of the request written to the last chunk with text or the finish reason."),
    ("p50, p95", "Percentiles over all measured requests (linear). p95 wants at least 60 of them, p99 at least 300."),
    ("decode", "Output tokens per second after the first chunk, of a single request: how fast the text runs."),
    ("overall", "All output tokens of the measured phase per second of wall time: what the machine got done."),
    ("mean score", "Mean of all judgements of a candidate's answers, each 0 to 1."),
    ("peak memory", "Highest memory of the engine's whole process tree (PSS; RSS where PSS is not to be had)."),
    ("disk", "Bytes of the variant's files."),
    ("interval", "Bootstrap interval at the policy's confidence, made by drawing prompts anew, not requests."),
    ("P(best)", "Share of bootstrap draws in which the policy would have picked this candidate."),
    ("†", "Too few samples for this figure to be relied on."),
    (UNKNOWN, "Not measured, or not known."),
)
