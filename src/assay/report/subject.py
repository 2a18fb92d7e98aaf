"""What a report is about: one run, its statistics, the choice. Everything is handed in; nothing is computed here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from msgspec import Struct

from assay.types import Candidate, Choice, RunData, RunRecord, SimpleRow, Summary, Verdict

Key = tuple[str, str]
"""Variant id and engine: what a candidate is known by within a run."""


class Report(Struct, frozen=True, kw_only=True):
    """The input of every function of this room.

    ``summaries`` and ``choice`` come from the decide room, ``licence_classes`` (licence id -> ``permissive``,
    ``copyleft``, ...) from the catalog, ``simple`` from the decide room. ``command`` is the command line that made the
    run, where it is known; otherwise one is put together from the run's record.
    """

    run: RunData
    summaries: tuple[Summary, ...] = ()
    choice: Choice | None = None
    licence_classes: Mapping[str, str] = {}
    simple: tuple[SimpleRow, ...] = ()
    command: str | None = None

    @property
    def record(self) -> RunRecord:
        return self.run.record

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """In the order of the run; a candidate's place decides its colour in every chart."""
        return self.record.candidates

    @property
    def levels(self) -> tuple[int, ...]:
        """Concurrency levels with statistics, the one decided at first."""
        found = sorted({s.concurrency for s in self.summaries}) or sorted(set(self.record.workload.concurrency))
        wanted = self.choice.policy.concurrency if self.choice else None
        first = wanted if wanted in found else found[0] if found else 1
        return (first, *(level for level in found if level != first))

    @property
    def level(self) -> int:
        """The concurrency level that was decided at: the policy's, or the lowest measured."""
        return self.levels[0]

    def summary(self, key: Key, level: int) -> Summary | None:
        return next((s for s in self.summaries if s.key == key and s.concurrency == level), None)

    def verdict(self, key: Key) -> Verdict | None:
        verdicts = self.choice.verdicts if self.choice else ()
        return next((v for v in verdicts if (v.variant, v.engine) == key), None)

    def licence_class(self, licence: str | None) -> str | None:
        return self.licence_classes.get(licence) if licence else None

    @property
    def sentence(self) -> str:
        """The choice in one sentence, or that none was made."""
        if self.choice and self.choice.sentence:
            return self.choice.sentence
        if self.choice and self.choice.winner:
            return "Run {} @ {}.".format(*self.choice.winner)
        if self.choice:
            return "No candidate meets the policy."
        return "Measured, not yet decided: no policy was applied to this run."

    @property
    def bench_command(self) -> str:
        """The command that made the run, or the nearest one that the record can tell of."""
        if self.command:
            return self.command
        work = self.record.workload
        words = ["assay", "bench", *(c.variant.id for c in self.candidates), "--prompts", "prompts.json"]
        words += ["--rounds", str(work.rounds), "--concurrency", ",".join(map(str, work.concurrency))]
        return shlex.join(words)

    @property
    def report_command(self) -> str:
        """The command that writes this report anew."""
        return shlex.join(["assay", "report", self.record.id, "--format", "html"])
