"""What is new on the hub, fits this machine and runs on an engine here; measured, or kept in a list.

In: a time to look back to, wishes. Out: a ``Discovery``; the time of the look is kept for the next one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assay import amounts, catalog, disk, machine
from assay.app import given
from assay.app.benchmark import bench
from assay.app.getting import best_of, choose
from assay.app.here import Here, open_here
from assay.app.run import Run
from assay.app.sizing import Sizing
from assay.errors import AssayError, BadInput, BadRegistry, NothingMeasured
from assay.types import Discovery, Find, Repo, Reporter, Silent, Transfers

SEEN = "discover.json"
NEWEST, TRENDING = 1000, 200
"""How many repositories of each listing are looked at: with a hundred a page, a dozen questions."""
ASKED = 2
"""Packagings of one model whose files are asked for, the best first."""


def discover(
    *,
    since: str | None = None,
    task: str = "chat",
    max_size: str | None = None,
    licences: Sequence[str] = (),
    fits: bool = False,
    limit: int = 20,
    context_length: int | str | None = None,
    slots: int | None = None,
    token: str | None = None,
    home: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Discovery:
    """Models that came to the hub since the last look (or ``since``: ``7d``, a date) and those that trend, best first.

    ``fits`` leaves out what does not surely fit. What was shown by an earlier look is not news; with ``since`` all is.

    Raises:
        BadInput: a time, a size or a licence class that is none. HubError: the hub cannot be asked.
    """
    here = open_here({"home": home, "context_length": context_length}, token=token)
    reporter = reporter or Silent()
    now = datetime.now(UTC)
    mark = catalog.read_watermark(here.settings.home / SEEN)
    start = catalog.start_of_look(since, mark, now)
    wishes = catalog.Wishes(task, given.size("--max-size", max_size), tuple(licences))
    reporter.stage("Asking the hub what is new")
    newest, trending = _listings(here, task, start)
    sizing = Sizing(here, slots=slots)
    looked = itertools.count(1)

    def fitting(find: Find) -> catalog.Fitting:
        reporter.progress(min(next(looked), limit), limit, find.id)
        return _fitting(find, here, sizing)

    reporter.stage("Looking what fits")
    found = catalog.discover(
        newest,
        trending,
        since=start,
        now=now,
        wishes=wishes,
        known=_known(here, mark if since is None else None),
        fits=fitting,
        only_fitting=fits,
        limit=limit,
    )
    sizing.close()
    shown = [find.id for find in found.finds] + [part.id for find in found.finds for part in find.packagings]
    try:
        catalog.move_watermark(here.settings.home / SEEN, now, shown)
    except BadInput as error:
        reporter.note(error.sentence)
    return found


def bench_finds(
    found: Discovery,
    first: int,
    *,
    home: str | Path | None = None,
    command: str | None = None,
    reporter: Reporter | None = None,
    transfers: Transfers | None = None,
) -> Run:
    """Fetch and measure the first so many finds that fit.

    Raises:
        BadInput: fewer than one. NothingMeasured: none fits, or none could be measured.
    """
    if first < 1:
        raise BadInput(f"{first} models cannot be measured", remedy="give 1 or more")
    names = [find.reference for find in found.finds if find.reference is not None]
    if not names:
        raise NothingMeasured("nothing that was found fits and runs here", remedy="look further back: --since 30d")
    return bench(names[:first], name="discover", command=command, home=home, reporter=reporter, transfers=transfers)


def add_to_registry(found: Discovery, path: str | Path) -> list[str]:
    """Add what was found to a ``models.json`` in the shape that it has, or to a new one; gives the aliases added.

    What has an entry already is left as it is.

    Raises:
        BadRegistry: the file cannot be read or written.
    """
    path = Path(path)
    content: Any = {"version": 1, "models": []}
    known: set[str] = set()
    if path.exists():
        known = {entry.alias.lower() for entry in catalog.read_registry(path).entries}
        content = json.loads(path.read_bytes())
    added = []
    for find in found.finds:
        alias = find.choice.alias if find.choice else find.id.partition("/")[2].lower()
        if alias.lower() not in known:
            known.add(alias.lower())
            added.append(alias)
            _add(content, alias, _entry(find))
    _write(path, content)
    return added


def machine_line() -> str:
    """This machine in one line, for who reads a digest elsewhere."""
    here = machine.inspect()
    budget = amounts.format_amount(here.memory_budget) if here.memory_budget is not None else "an unknown amount"
    gpus = "".join(f", {gpu.name}" for gpu in here.gpus)
    return f"{here.cpu or here.arch}, {here.cores} cores{gpus}, {budget} of memory free for models"


def _known(here: Here, mark: catalog.Watermark | None) -> frozenset[str]:
    """Repositories that are no news: of the curated list, in the store, and what earlier looks have shown."""
    listed = (name for entry in here.catalog.curated for name in (entry.repo, *entry.gguf, *entry.onnx))
    stored = (one.variant.source.removeprefix("hf:") for one in here.catalog.stored)
    return frozenset((*listed, *stored, *(mark.ids if mark is not None else ())))


def _listings(here: Here, task: str, start: datetime) -> tuple[list[Repo], list[Repo]]:
    pipeline, since = catalog.PIPELINES.get(task, (task,))[0], start.isoformat()
    newest = list(here.hub.search(task=pipeline, since=since, limit=NEWEST))
    trending = list(here.hub.search(task=pipeline, sort="trending", limit=TRENDING))
    newest += here.hub.search(filters=("gguf",), since=since, limit=NEWEST)
    return newest, trending


def _fitting(find: Find, here: Here, sizing: Sizing) -> catalog.Fitting:
    """Whether one of the find's packagings runs and fits here, by its files and its header."""
    problems: list[str] = []
    for packaging in find.runnable[:ASKED]:
        name = f"hf:{packaging.id}"
        try:
            best = best_of(choose(here.catalog.find(name), here, sizing), sizing)
        except AssayError as error:
            problems.append(f"{name}: {error.clause}")
            continue
        return catalog.Fitting({"yes": True, "no": False}.get(best.fits or ""), "; ".join(best.reasons), best.variant)
    return catalog.Fitting(False, "; ".join(problems) or "nobody has packaged it for an engine that is here")


def _entry(find: Find) -> dict[str, Any]:
    said = {
        "source": find.reference or f"hf:{find.id}",
        "licence": find.licence,
        "task": find.task,
        "notes": "; ".join(find.why),
    }
    return {key: value for key, value in said.items() if value}


def _add(content: Any, alias: str, entry: dict[str, Any]) -> None:
    models = content["models"] if isinstance(content, dict) and "models" in content else content
    if isinstance(models, list):
        models.append({"alias": alias, **entry})
    else:
        models[alias] = entry


def _write(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        disk.write_whole(path, text.encode())
    except OSError as error:
        raise BadRegistry(f"{path} cannot be written", why=str(error), remedy="give another path") from error
