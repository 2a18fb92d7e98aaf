"""A fetch that ends at the first, second, third... change that it would make to a folder, until it makes them all.

``python -m tests.store.crashing FOLDER first|update`` looks after each crash whether anything is half-listed, whether a
second fetch puts it right, and prints how many crashes there were and how often a file was asked for after one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from assay.store import Store, fetch, slug
from tests.store.conftest import Shelf, Told, content_of, offer

OLD = {"a.json": b"{}", "b/b.gguf": b"old weights", "c.gguf": b"same"}
NEW = {"a.json": b"{}", "b/b.gguf": b"new weights", "c.gguf": b"same", "d.json": b"{}"}
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"}
CRASHED = 9


def crash_after(folder: Path, changes: int) -> None:
    """End this process, as a kill would, at the change that comes after so many to ``folder``."""
    left = changes

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in CHANGES and str(arguments[0]).startswith(str(folder)):
            left -= 1
            if left < 0:
                os._exit(CRASHED)

    sys.addaudithook(watch)


def crashed(store: Store, changes: int) -> bool:
    """Fetch in a process of its own that ends after so many changes; whether it came to that."""
    child = os.fork()
    if child == 0:
        crash_after(store.folder, changes)
        fetch(store, [offer("m:q4", NEW, revision="r2")], Shelf(m=NEW), transfers=Told(), parallel=1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, CRASHED}, code
    return code == CRASHED


def look(store: Store) -> int:
    """Check what the crash has left, mend it, check again; gives how many files were asked for."""
    for stored in store.list():
        assert content_of(store, stored) in (OLD, NEW), store.folder
        assert {file.path for file in stored.variant.files} == set(content_of(store, stored)), store.folder
    assert store.problems() == []
    shelf = Shelf(m=NEW)
    (stored,) = fetch(store, [offer("m:q4", NEW, revision="r2")], shelf, transfers=Told())
    assert content_of(store, stored) == NEW, store.folder
    assert store.list() == [stored], store.folder
    assert sorted(p.name for p in store.layout.files.iterdir()) == [slug("m:q4")], store.folder
    assert not store.layout.partial.exists() or list(store.layout.partial.iterdir()) == [], store.folder
    return len(shelf.asked)


def main() -> None:
    """Read the command line and crash."""
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    crashes, asked = 0, []
    while True:
        store = Store(folder / str(crashes))
        if kind == "update":
            fetch(store, [offer("m:q4", OLD)], Shelf(m=OLD), transfers=Told())
        again = crashed(store, crashes)
        asked.append(look(store))
        if not again:
            break
        crashes += 1
    print(json.dumps({"crashes": crashes, "asked": asked}))  # noqa: T201 - how it tells


if __name__ == "__main__":
    main()
