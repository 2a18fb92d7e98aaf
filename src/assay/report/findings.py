"""What a reader must know beside the figures: rejections, failures with their counts, and notes on the run."""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct

from assay.report.subject import Report
from assay.report.units import duration, plural
from assay.types import Sample


class Rejection(Struct, frozen=True):
    """A candidate that broke a hard limit, with every reason."""

    label: str
    reasons: tuple[str, ...]


class Failure(Struct, frozen=True, kw_only=True):
    """One way in which a candidate failed. ``count`` requests of ``out_of``; both None when it failed as a whole."""

    label: str
    kind: str
    message: str
    count: int | None = None
    out_of: int | None = None
    prompts: tuple[str, ...] = ()

    @property
    def extent(self) -> str:
        if self.count is None or self.out_of is None:
            return "all of it"
        return f"{self.count:,} of {plural(self.out_of, 'request')}"


def rejections(report: Report) -> list[Rejection]:
    """Every rejected candidate, in the order of the choice; one that failed is under failures as well."""
    verdicts = report.choice.verdicts if report.choice else ()
    return [Rejection(v.label, v.rejected) for v in verdicts if v.rejected]


def failures(report: Report) -> list[Failure]:
    """Candidates that failed as a whole, then failed requests grouped by candidate, kind, status and message."""
    found = [
        Failure(label=c.label, kind="candidate", message=c.reason or "no reason was recorded")
        for c in report.candidates
        if c.status == "failed"
    ]
    for candidate in report.candidates:
        own = [s for s in report.run.samples if (s.variant, s.engine) == candidate.key and s.phase == "measure"]
        groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
        for sample in own:
            if sample.error:
                status = f" {sample.error.status}" if sample.error.status is not None else ""
                groups[sample.error.kind + status, sample.error.message].append(sample)
        found += [
            Failure(
                label=candidate.label,
                kind=kind,
                message=message,
                count=len(samples),
                out_of=len(own),
                prompts=tuple(dict.fromkeys(s.prompt for s in samples)),
            )
            for (kind, message), samples in sorted(groups.items(), key=lambda group: -len(group[1]))
        ]
    return found


def notes(report: Report) -> list[str]:
    """What may make the figures less than they seem, the choice's own warnings first."""
    record, machine = report.record, report.record.machine
    found = list(report.choice.warnings) if report.choice else []
    if record.status != "complete":
        found.append(f"The run's status is {record.status}: what is shown is what had been measured.")
    if report.run.damaged_lines:
        found.append(
            f"{plural(report.run.damaged_lines, 'line')} of the run's files could not be read and were left out."
        )
    if record.selftest is None:
        found.append("The instrument was not tested before this run, so its own error is unknown.")
    elif not all(lag.counts_exact for lag in record.selftest.lags):
        found.append("The self-test lost or doubled events: token counts of this run may be off.")
    elif record.selftest.error_s > 0.005:
        found.append(
            f"The instrument's own lag reached {duration(record.selftest.error_s)}: smaller differences say nothing."
        )
    if machine.on_battery:
        found.append("The machine ran on battery, where processors slow down.")
    if machine.load_average is not None and machine.load_average > machine.cores / 2:
        found.append(
            "The machine was busy when the run began: "
            f"load average {machine.load_average:.1f} on {machine.cores} cores."
        )
    retries = sum(s.attempt > 0 for s in report.run.samples)
    if retries:
        found.append(f"{plural(retries, 'request')} were retries; each try is kept as a sample of its own.")
    return found
