"""Which runs there are, and which one somebody means."""

from __future__ import annotations

import difflib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from assay.errors import RunError, RunNotFound
from assay.runs.lock import is_held
from assay.runs.reader import RECORD, read_record
from assay.types import RunRecord

LATEST: Final = "latest"


class ListedRun(Struct, frozen=True, kw_only=True):
    """A run as a list shows it. ``record`` is None where it cannot be read, and ``problem`` says why."""

    id: str
    path: Path
    record: RunRecord | None = None
    problem: str | None = None
    live: bool = False
    """Whether a process is writing it now."""

    @property
    def status(self) -> str:
        """The record's status; ``interrupted`` where it says ``running`` and nobody writes it, ``damaged`` without."""
        if self.record is None:
            return "damaged"
        return "interrupted" if self.record.status == "running" and not self.live else self.record.status


def new_id(now: datetime | None = None) -> str:
    """An id for a run: UTC to the second and four random hexadecimal digits. Ids sort by time."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{secrets.token_hex(2)}"


def list_runs(folder: Path) -> list[ListedRun]:
    """Every run in ``folder``, the newest first; one that cannot be read is listed with its problem."""
    return [_listed(path) for path in _folders(folder)]


def find(folder: Path, text: str) -> Path:
    """The run that ``text`` means: an id in ``folder``, the unique beginning of one, a name, ``latest``, or a path.

    Raises `RunNotFound`, with near names, or with the ids between which to choose.
    """
    if (Path(text) / RECORD).is_file():
        return Path(text)
    folders = _folders(folder)
    if not folders:
        raise RunNotFound(f"no run {text!r}", why=f"there are no runs in {folder}", remedy="assay bench MODEL")
    if text == LATEST:
        return folders[0]
    matches = [path for path in folders if path.name == text] or [
        p for p in folders if text and p.name.startswith(text)
    ]
    if not matches:
        matches = [run.path for run in list_runs(folder) if run.record is not None and run.record.name == text]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RunNotFound(
            f"{text!r} could be any of {len(matches)} runs",
            remedy=f"say which: {', '.join(path.name for path in matches[:8])}",
        )
    raise _unknown(text, list_runs(folder))


def _unknown(text: str, runs: list[ListedRun]) -> RunNotFound:
    names = {run.id for run in runs} | {run.record.name for run in runs if run.record and run.record.name}
    near = difflib.get_close_matches(text, sorted(names), n=3)
    return RunNotFound(
        f"no run {text!r}",
        why="it is no id, beginning of an id, name or path of a run",
        remedy=f"did you mean {' or '.join(near)}?" if near else "assay run list",
    )


def _folders(folder: Path) -> list[Path]:
    """Run folders, the newest first; a folder without a record is a run that never began."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if (path / RECORD).is_file()), key=lambda p: p.name, reverse=True)


def _listed(path: Path) -> ListedRun:
    try:
        record, _ = read_record(path)
    except RunError as error:
        return ListedRun(id=path.name, path=path, problem=error.message)
    return ListedRun(id=path.name, path=path, record=record, live=is_held(path))
