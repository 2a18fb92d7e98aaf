"""What follows: figures, the policy, the choice."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from assay.types.variant import Variant


class Figure(Struct, frozen=True, kw_only=True):
    """One statistic with its bootstrap interval; ``enough`` is False where ``n`` is too small to show it unmarked."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    enough: bool = True


class Summary(Struct, frozen=True, kw_only=True):
    """All figures of one candidate at one concurrency, recomputed from raw samples.

    ``figures`` holds only what is known. Names: ``{ttft,ttfa,e2e,tpot,gap}_{mean,p50,p90,p95,p99}`` (s),
    ``decode_tps``, ``prefill_tps``, ``request_tps``, ``total_tps``, ``throughput`` (tokens/s), ``tokens_per_chunk``,
    ``load_time`` (s),
    ``peak_memory``, ``disk`` (bytes), ``stability``, ``quality``, ``quality.<criterion>``,
    ``error_rate``, ``goodput`` (0..1).
    """

    variant: Variant
    engine: str
    concurrency: int
    status: Literal["pending", "measured", "failed"]
    reason: str | None = None
    requests: int = 0
    failures: int = 0
    retries: int = 0
    output_tokens: int | None = None
    figures: dict[str, Figure] = {}

    @property
    def label(self) -> str:
        return f"{self.variant.id} @ {self.engine}"

    @property
    def key(self) -> tuple[str, str]:
        return (self.variant.id, self.engine)

    def value(self, name: str) -> float | None:
        """The figure's value, or None where it is not known."""
        figure = self.figures.get(name)
        return figure.value if figure else None


class SimpleRow(Struct, frozen=True, kw_only=True):
    """One model as scripts in this field print it: seconds, and total tokens per second; None where unknown.

    ``variant`` and ``engine`` tell which candidate the row is of.
    """

    alias: str
    rounds: int
    variant: str = ""
    engine: str = ""
    latency_avg: float | None = None
    latency_p95: float | None = None
    tokens_per_sec_avg: float | None = None
    first_token_latency_avg: float | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """One hard limit of a policy: ``figure op bound`` in base units (s, bytes, tokens/s, 0..1)."""

    figure: str
    op: Literal["<=", ">="]
    bound: float
    text: str
    """As the policy wrote it, for people."""


class Policy(Struct, frozen=True, kw_only=True):
    """Hard limits, then one objective with a tolerance, then tie-breakers; a confidence level."""

    limits: tuple[Limit, ...] = ()
    licence: str | tuple[str, ...] | None = None
    """A licence class (``permissive``), or a list of SPDX ids; None allows any."""
    objective: str = "quality"
    tolerance: float = 0.02
    then: tuple[str, ...] = ("e2e_p95", "peak_memory", "disk")
    confidence: float = 0.95
    concurrency: int | None = None
    """Level to decide at; None takes the lowest one measured."""


class Verdict(Struct, frozen=True, kw_only=True):
    """How one candidate fared: rejected with every reason, or its chance to be the best under the policy."""

    variant: str
    engine: str
    p_best: float | None = None
    rejected: tuple[str, ...] = ()
    meets_limits: float | None = None
    """Share of bootstrap replicates in which every hard limit held."""

    @property
    def label(self) -> str:
        return f"{self.variant} @ {self.engine}"


class Choice(Struct, frozen=True, kw_only=True):
    """The winner or an explicit none, how sure it is, each rejection with its reason, and the runs that prove it."""

    policy: Policy
    verdicts: tuple[Verdict, ...]
    runs: tuple[str, ...]
    winner: tuple[str, str] | None = None
    p_best: float | None = None
    sure: bool = False
    """Whether P(best) reaches the policy's confidence."""
    sentence: str = ""
    """The choice in one sentence, for people."""
    measured: bool = True
    replicates: int = 0
    warnings: tuple[str, ...] = ()
