"""What a product lost: the same questions to it and to its original, and the figures of the difference.

Imports numpy, so the package's own ``__init__`` doesn't import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec import structs

from assay.compile.divergence import Compared, compare, exp_mean_interval, mean_interval, shared
from assay.compile.reference import Original
from assay.errors import CompileError
from assay.types import CheckScore, Interval, Probed, ProbeRequest, Proof, Reporter, Silent, Variant

Probe = Callable[[Variant, str, ProbeRequest, Path, Reporter], Probed]
"""Ask a variant on the engine of that name; the folder is for its distributions."""
Score = Callable[[int, str], Mapping[str, float]]
"""An answer to the prompt of that number, by each criterion, 0 to 1."""
RATED = 5
"""Answers that are asked for where no check reads them: the decode rate is their median."""


def prove(
    original: Original,
    product: Variant,
    *,
    engine: str,
    probe: Probe,
    work: Path,
    score: Score | None = None,
    reporter: Reporter | None = None,
) -> Proof:
    """Ask ``product`` what ``original`` was asked, and compare; no gate has judged it yet.

    ``work`` holds the product's distributions while they are compared (as much as the original's).

    Raises:
        EngineError: the engine cannot run the product. CompileError: what it gave does not fit what was asked.
    """
    reporter = reporter or Silent()
    reporter.stage(f"comparing {product.id} with its original")
    request = original.request if score else structs.replace(original.request, answers=RATED)
    probed = probe(product, engine, request, work, reporter)
    try:
        compared = _compare(original, probed)
    finally:
        Path(probed.distributions).unlink(missing_ok=True)
    agreement, free_running, identical = _agreement(original, probed)
    sequences = np.repeat(np.arange(len(original.request.sequences)), _lengths(original))
    usable = np.isfinite(compared.kl)
    surprise = np.where(usable[:, np.newaxis], compared.surprise, np.nan)
    return Proof(
        original=original.name,
        original_digest=original.digest,
        product_digest=product.digest,
        engine=engine,
        engine_version=probed.engine_version,
        prompts=len(original.request.prompts),
        tokens=len(compared.kl),
        agreement=agreement,
        kl=mean_interval(compared.kl, sequences),
        perplexity_original=_known(exp_mean_interval(compared.surprise[:, 0], sequences), "text"),
        perplexity_ratio=exp_mean_interval(surprise[:, 1] - surprise[:, 0], sequences),
        unusable=int(np.count_nonzero(~usable)),
        free_running=free_running,
        identical=identical,
        tokeniser_agreement=_tokeniser_agreement(original.probed, probed),
        checks=_checks(original.probed.answers, probed.answers, score) if score else (),
        decode_tps=probed.decode_tps,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _lengths(original: Original) -> list[int]:
    return [len(scored.positions) for scored in original.request.sequences]


def _compare(original: Original, probed: Probed) -> Compared:
    following = [
        scored.ids[place + 1] if i < original.passages else None
        for i, scored in enumerate(original.request.sequences)
        for place in scored.positions
    ]
    left = np.load(original.probed.distributions, mmap_mode="r", allow_pickle=False)
    right = np.load(probed.distributions, mmap_mode="r", allow_pickle=False)
    if len(left) != len(following) or len(right) != len(following):
        raise CompileError(f"{len(left)} and {len(right)} distributions were given for {len(following)} positions")
    return compare(left, right, following)


def _agreement(original: Original, probed: Probed) -> tuple[Interval, Interval, int]:
    """Along the original's continuations, and when both run free: its share, and how many are the same to the end."""
    equal, prompts, shares, identical = [], [], [], 0
    continuations = original.probed.greedy
    for i, (mine, theirs) in enumerate(zip(continuations, probed.tops[original.passages :], strict=True)):
        equal += [float(a == b) for a, b in zip(mine, theirs, strict=True)]
        prompts += [i] * len(mine)
    for mine, theirs in zip(continuations, probed.greedy, strict=True):
        shares.append(shared(mine, theirs) / len(mine))
        identical += mine == theirs
    agreement = _known(mean_interval(equal, prompts), "prompts")
    return agreement, _known(mean_interval(shares, range(len(shares))), "prompts"), identical


def _tokeniser_agreement(original: Probed, product: Probed) -> float | None:
    """Over the text and the rendered conversations; what the original itself cannot render doesn't count."""
    equal = [mine == theirs for mine, theirs in zip(original.tokenised, product.tokenised, strict=True)]
    rendered = zip(original.rendered, product.rendered, strict=True)
    equal += [mine == theirs for mine, theirs in rendered if mine is not None]
    return sum(equal) / len(equal) if equal else None


def _checks(original: Sequence[str | None], product: Sequence[str | None], score: Score) -> tuple[CheckScore, ...]:
    """Each criterion over the prompts that it is asked of; an answer that a product cannot give counts as empty."""
    found: dict[str, list[tuple[float, float]]] = {}
    for i, (mine, theirs) in enumerate(zip(original, product, strict=True)):
        before, after = score(i, mine or ""), score(i, theirs or "")
        for criterion in before.keys() & after.keys():
            found.setdefault(criterion, []).append((before[criterion], after[criterion]))
    scores = []
    for criterion in sorted(found):
        pairs = np.asarray(found[criterion])
        prompts = range(len(pairs))
        scores.append(
            CheckScore(
                criterion=criterion,
                original=_known(mean_interval(pairs[:, 0], prompts), criterion),
                product=_known(mean_interval(pairs[:, 1], prompts), criterion),
                difference=_known(mean_interval(pairs[:, 1] - pairs[:, 0], prompts), criterion),
            )
        )
    return tuple(scores)


def _known(interval: Interval | None, what: str) -> Interval:
    if interval is None:
        raise CompileError(f"the original gave no figure to compare with ({what})")
    return interval
