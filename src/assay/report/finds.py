"""What a look at the hub found, on a terminal."""

from __future__ import annotations

from assay.report.columns import columns
from assay.report.units import UNKNOWN, parameters, plural, size
from assay.types import Discovery, Find

HEAD = ("Model", "Parameters", "File Size", "License", "Fits", "Fetch as")
SHOWN_FOLDS = 40


def lines(found: Discovery, *, verbose: bool, width: int | None = None) -> list[str]:
    """A table, best first; with ``verbose`` also why each is shown, and what was folded or left out."""
    head = f"since {found.since[:16].replace('T', ' ')} UTC: {plural(len(found.finds), 'model')}"
    if not found.finds:
        told = [f"{head}; nothing new that was asked for"]
    else:
        told = [head, "", *columns(HEAD, [_row(find) for find in found.finds], right=(1, 2), width=width)]
    if verbose:
        told += ["", *(line for find in found.finds for line in _why(find))]
        told += ["", f"left out: {len(found.left)}"]
        told += [f"  {fold.id}: {fold.why} ({fold.rule})" for fold in found.left[:SHOWN_FOLDS]]
        if len(found.left) > SHOWN_FOLDS:
            told.append(f"  and {len(found.left) - SHOWN_FOLDS} more; -o json has all")
    elif found.left:
        told += ["", f"{len(found.left)} left out; -v tells which and why"]
    return told


def _row(find: Find) -> tuple[str, ...]:
    fits = {True: "yes", False: "no", None: UNKNOWN}[find.fits]
    licence = f"{find.licence or UNKNOWN} ({find.licence_class})"
    return (find.id, parameters(find.parameters), size(find.size), licence, fits, find.reference or UNKNOWN)


def _why(find: Find) -> list[str]:
    told = [f"{find.id}: {'; '.join(find.why)}"]
    if find.fit_reason:
        told.append(f"  fit: {find.fit_reason}")
    if find.folded:
        told.append(f"  with it: {', '.join(f'{fold.id} ({fold.rule})' for fold in find.folded[:8])}")
    return told
