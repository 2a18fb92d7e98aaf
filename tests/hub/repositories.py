"""The repositories that the Hub server serves: a folder tree read as the Hub would describe it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

CARD = ".repo.json"
LFS_ENDINGS = (".gguf", ".safetensors", ".onnx", ".data", ".bin", ".onnx_data")
LFS_SIZE = 1 << 20
NAMES = {"created": "createdAt", "modified": "lastModified", "trending": "trendingScore", "card": "cardData"}
ALWAYS = ("_id", "id")
LISTED = (*ALWAYS, "modelId", "likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "createdAt")


class Blob(NamedTuple):
    """One file of a repository; ``source`` is where its bytes are, a path or the bytes themselves."""

    path: str
    size: int
    sha256: str
    git_sha1: str
    lfs: bool
    source: Path | bytes

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_sha1

    @property
    def pointer(self) -> bytes:
        """What git keeps in place of a large file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @property
    def oid(self) -> str:
        return git_sha1(self.pointer) if self.lfs else self.git_sha1

    def entry(self) -> dict[str, Any]:
        """As the tree lists it."""
        entry = {"type": "file", "oid": self.oid, "size": self.size, "path": self.path}
        return {**entry, "lfs": self._lfs("oid")} if self.lfs else entry

    def sibling(self, whole: bool) -> dict[str, Any]:
        """As the repository's own description lists it."""
        if not whole:
            return {"rfilename": self.path}
        sibling = {"rfilename": self.path, "size": self.size, "blobId": self.oid}
        return {**sibling, "lfs": self._lfs("sha256")} if self.lfs else sibling

    def _lfs(self, name: str) -> dict[str, Any]:
        return {name: self.sha256, "size": self.size, "pointerSize": len(self.pointer)}


class Repositories:
    """``ROOT/owner/name/<files>``, read anew for every request; hashes are kept by size and time of change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.changed: dict[str, bytes] = {}
        """Files whose content was replaced while the server ran, by ``owner/name/path``."""
        self.commits: dict[str, set[str]] = {}
        """Every commit that was told, by repository."""
        self._hashes: dict[tuple[str, int, int], tuple[str, str]] = {}
        self._lock = threading.Lock()

    def ids(self) -> list[str]:
        return sorted(f"{p.parent.name}/{p.name}" for p in self.root.glob("*/*") if p.is_dir())

    def has(self, repo: str) -> bool:
        return repo.count("/") == 1 and ".." not in repo and (self.root / repo).is_dir()

    def card(self, repo: str) -> dict[str, Any]:
        path = self.root / repo / CARD
        given = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return {NAMES.get(key, key): value for key, value in given.items()}

    def blobs(self, repo: str) -> list[Blob]:
        with self._lock:
            return list(self._blobs(repo))

    def blob(self, repo: str, path: str) -> Blob | None:
        """Only this file is hashed, where it is not known yet."""
        file = self.root / repo / path
        if ".." in path or path == CARD or not file.is_file():
            return None
        with self._lock:
            return self._blob(repo, file)

    def commit(self, repo: str) -> str:
        """Of the files' names and contents, and so another one after each change."""
        told = [(blob.path, blob.sha256) for blob in self.blobs(repo)]
        commit = hashlib.sha1(json.dumps(told).encode(), usedforsecurity=False).hexdigest()
        self.commits.setdefault(repo, set()).add(commit)
        return commit

    def revision(self, repo: str, name: str) -> str | None:
        """The commit that ``name`` (a branch, a tag, a commit that was told) stands for; None where there is none."""
        commit = self.commit(repo)
        known = {"main", *self.card(repo).get("refs", ())}
        if name in known:
            return commit
        return name if name in self.commits[repo] else None

    def describe(self, repo: str, commit: str | None = None, *, blobs: bool = False) -> dict[str, Any]:
        """Everything that is known of a repository, under the Hub's names."""
        card = self.card(repo)
        licence = (card.get("cardData") or {}).get("license")
        tags = [*card.get("tags", ())]
        if licence and not any(tag.startswith("license:") for tag in tags):
            tags.append(f"license:{licence}")
        return {
            "_id": hashlib.sha1(repo.encode(), usedforsecurity=False).hexdigest()[:24],
            "createdAt": "2025-01-01T00:00:00.000Z",
            "lastModified": "2025-01-01T00:00:00.000Z",
            "downloads": 0,
            "likes": 0,
            "trendingScore": 0,
            "private": False,
            "gated": False,
            "disabled": False,
            **card,
            "id": repo,
            "modelId": repo,
            "author": repo.partition("/")[0],
            "sha": commit or self.commit(repo),
            "tags": tags,
            "siblings": [blob.sibling(blobs) for blob in self.blobs(repo)],
        }

    def change(self, repo: str, path: str, grow: int) -> None:
        """Replace a file's bytes by others, ``grow`` bytes longer (or shorter)."""
        blob = self.blob(repo, path)
        assert blob is not None, path
        old = blob.source if isinstance(blob.source, bytes) else blob.source.read_bytes()
        new = bytes(byte ^ 0x5A for byte in old)
        self.changed[f"{repo}/{path}"] = new + b"\x5a" * grow if grow >= 0 else new[:grow]

    def _blobs(self, repo: str) -> Iterator[Blob]:
        for file in sorted((self.root / repo).rglob("*")):
            if file.is_file() and file.name != CARD:
                yield self._blob(repo, file)

    def _blob(self, repo: str, file: Path) -> Blob:
        path = file.relative_to(self.root / repo).as_posix()
        changed = self.changed.get(f"{repo}/{path}")
        size = len(changed) if changed is not None else file.stat().st_size
        lfs = file.name.endswith(LFS_ENDINGS) or size > LFS_SIZE
        if changed is not None:
            return Blob(path, size, hashlib.sha256(changed).hexdigest(), git_sha1(changed), lfs, changed)
        key = (str(file), size, file.stat().st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = _hashes(file, size)
        return Blob(path, size, *self._hashes[key], lfs, file)


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _hashes(file: Path, size: int) -> tuple[str, str]:
    sha256 = hashlib.sha256()
    sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            sha256.update(piece)
            sha1.update(piece)
    return sha256.hexdigest(), sha1.hexdigest()
