"""The Hugging Face cache: ``models--owner--name/{blobs,refs,snapshots}``, blobs named by their hash. Only read.

The layout is the one that huggingface_hub documents ("Understand caching"); where links cannot be made (Windows
without the right to), the snapshots hold the files themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from assay.store.entries import Entry, entries
from assay.types import File

REPOSITORY = re.compile(r"models--(?P<owner>[^/]+?)--(?P<name>[^/]+)")


def folders(env: Mapping[str, str], home: Path) -> list[Path]:
    """Where the cache may lie: HF_HUB_CACHE, else HF_HOME/hub, else the default one."""
    for name, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if text := env.get(name):
            return [_expanded(text, home) / below]
    cache = _expanded(env["XDG_CACHE_HOME"], home) if env.get("XDG_CACHE_HOME") else home / ".cache"
    return [cache / "huggingface" / "hub"]


def models(folder: Path) -> list[tuple[str, Entry]]:
    """Every model of the cache with its name: ``owner/name``, and the file or folder within it where there is one."""
    found = []
    for repository in _repositories(folder):
        match = REPOSITORY.fullmatch(repository.name)
        if match and (snapshot := newest_snapshot(repository)):
            name = f"{match['owner']}/{match['name']}"
            for entry in entries(snapshot):
                below = entry.path.relative_to(snapshot).as_posix()
                found.append((name if below == "." else f"{name}/{below}", entry))
    return found


def newest_snapshot(repository: Path) -> Path | None:
    """What ``main`` points at, else the snapshot that was made last."""
    snapshots = repository / "snapshots"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        commit = ""
    try:
        if commit and Path(commit).name == commit and (snapshots / commit).is_dir():
            return snapshots / commit
        return max((s for s in snapshots.iterdir() if s.is_dir()), key=lambda s: s.stat().st_mtime_ns, default=None)
    except OSError:
        return None


def blob(folder: Path, file: File) -> Path | None:
    """The blob named by the file's hash: SHA-256 for large files, the git blob's name for small ones."""
    for name in (file.sha256, file.git_sha1):
        for repository in _repositories(folder) if name else ():
            found = repository / "blobs" / str(name)
            if _is_file_of(found, file.size):
                return found
    return None


def _is_file_of(path: Path, size: int | None) -> bool:
    try:
        return path.is_file() and size in {None, path.stat().st_size}
    except OSError:
        return False


def _repositories(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("models--*"))
    except OSError:
        return []


def _expanded(text: str, home: Path) -> Path:
    return home / text[2:] if text.startswith(("~/", "~\\")) else home if text == "~" else Path(text)
