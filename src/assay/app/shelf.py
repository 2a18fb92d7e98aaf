"""What is done with runs that are there: list them, score them anew, ask people and read their ratings back."""

from __future__ import annotations

import os
from pathlib import Path

from assay import judge, runs
from assay.app.measuring import fresh_scores
from assay.app.run import Run
from assay.settings import resolve

ListedRun = runs.ListedRun


def list_runs(*, home: str | Path | None = None) -> list[ListedRun]:
    """Every run, newest first; one that cannot be read is listed with its problem."""
    return runs.list_runs(resolve({"home": home}, os.environ, Path.cwd()).runs)


def rescore(run: Run) -> tuple[Run, int]:
    """Add the check scores that the run lacks; gives the run as it is now, and how many were added."""
    found = fresh_scores(run)
    if found:
        with runs.reopen(run.path) as writer:
            for score in found:
                writer.score(score)
    return Run(run.path, runs.read(run.path)), len(found)


def write_sheet(run: Run, path: str | Path) -> int:
    """Write the run's answers with empty columns for ratings (.csv or .json); gives the number of rows.

    Raises:
        BadRatings: the file is there already, and may hold somebody's work.
    """
    return judge.write_ratings(Path(path), run.data)


def rate(run: Run, path: str | Path, who: str | None = None) -> tuple[Run, int]:
    """Read a filled sheet into the run as scores of a person; gives the run as it is now, and how many were added.

    Raises:
        BadRatings: a cell that cannot be used, by line and column; then nothing is added.
    """
    found = judge.read_ratings(Path(path), run.data, who)
    with runs.reopen(run.path) as writer:
        for score in found:
            writer.score(score)
    return Run(run.path, runs.read(run.path)), len(found)


def stable_files(run: Run) -> dict[str, str]:
    """``results.json``, which changes only when an answer changes, and ``timings.json``; keys sorted."""
    results, timings = runs.export(run.data)
    return {"results.json": runs.dump(results), "timings.json": runs.dump(timings)}
