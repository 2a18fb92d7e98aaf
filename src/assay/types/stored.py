"""What lies in the store: a variant with where it came from, and what its making lost."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from assay.types.variant import Variant


class Interval(Struct, frozen=True, kw_only=True):
    """A figure with its 95 % interval; the bounds are None where there is too little to tell."""

    value: float
    low: float | None = None
    high: float | None = None


class CheckScore(Struct, frozen=True, kw_only=True):
    """A task check's mean score, 0 to 1, of the original, of the product, and the difference paired by prompt."""

    criterion: str
    original: Interval
    product: Interval
    difference: Interval


class Proof(Struct, frozen=True, kw_only=True):
    """What a product lost against its original, on the same token ids.

    ``agreement`` is the share of equal greedy tokens (0 to 1) along the original's own continuations of the prompts:
    at each place both have read the same tokens, so that one early fork doesn't count for all that follows. ``kl`` is
    the mean Kullback-Leibler divergence of the next-token distributions, original from product, in nats, over the whole
    vocabulary; ``perplexity_ratio`` the product's perplexity on the text over the original's; ``tokeniser_agreement``
    the share of texts that both turn into the same ids. ``kl`` and ``perplexity_ratio`` are None where no distribution
    of the product could be used.
    """

    original: str
    original_digest: str | None
    product_digest: str
    engine: str
    engine_version: str | None
    prompts: int
    tokens: int
    """Positions at which distributions were compared."""
    agreement: Interval
    kl: Interval | None
    perplexity_original: Interval
    perplexity_ratio: Interval | None
    unusable: int = 0
    """Positions left out of ``kl`` and ``perplexity_ratio``, since the product gave no finite figures there."""
    free_running: Interval | None = None
    """The share of each continuation that is equal when both go on by themselves, up to the first other token."""
    identical: int | None = None
    """Prompts whose whole continuation is equal then."""
    tokeniser_agreement: float | None = None
    checks: tuple[CheckScore, ...] = ()
    decode_tps: float | None = None
    """Median decode rate of the product during the proof, on this machine."""
    gate: tuple[str, ...] = ()
    """The limits that it was held against, in words."""
    failed: tuple[str, ...] = ()
    """Those that it did not meet; empty where it passed."""
    when: str = ""

    @property
    def passed(self) -> bool:
        return not self.failed


class Stored(Struct, frozen=True, kw_only=True):
    """One variant in the store. ``links`` are files that lie elsewhere: path in the variant -> path on this machine."""

    variant: Variant
    added: str
    origin: Literal["download", "import", "compile"]
    links: dict[str, str] = {}
    proof: Proof | None = None
    used: str | None = None
    """When it was last started; None where never."""
    verified: str | None = None
    """When all its files were last hashed and found right."""
