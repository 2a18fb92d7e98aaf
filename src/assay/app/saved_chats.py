"""Chats that people keep, and the lines that they typed: files below the home, for their owner's eyes alone.

In: names as typed. Out: conversations. A name is checked so that no path comes of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from pathlib import Path

import msgspec

from assay.app.conversation import Conversation, from_json, to_json
from assay.disk import write_whole
from assay.errors import BadInput
from assay.store.paths import is_reserved

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
LINES_KEPT = 1000
NAME_BYTES = 100
_NAME = re.compile(r"\w[\w.-]*")


class SavedChats:
    """The chats in ``folder``, which is made when the first is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Those that are there, the latest first. Raise ``BadInput`` where nobody can look."""
        changed: dict[str, float] = {}
        try:
            for path in self.folder.iterdir():
                if path.suffix == ".json" and _good(path.stem):
                    with contextlib.suppress(OSError):
                        changed[path.stem] = path.stat().st_mtime
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(self.folder, error) from error
        return sorted(changed, key=lambda name: (-changed[name], name))

    def save(self, name: str, conversation: Conversation, *, replace: bool = False) -> Path:
        """Keep ``conversation``; gives its file.

        Raises:
            BadInput: no name, one that is taken (unless ``replace``), or the file cannot be written.
        """
        path = self._path(name)
        try:
            if path.exists() and not replace:
                raise BadInput(f"there is a chat {name!r} already", remedy=f"/save {name} replace, or another name")
            private_folder(self.folder)
            write_whole(path, to_json(conversation), mode=PRIVATE_FILE)
        except OSError as error:
            raise BadInput(f"{path} cannot be written", why=error.strerror or str(error), remedy="free it") from error
        return path

    def load(self, name: str) -> Conversation:
        """Raise ``BadInput``: none of that name, or it cannot be read."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise BadInput(f"there is no chat {name!r}", remedy="/load tells which there are") from None
        except OSError as error:
            raise _unreadable(path, error) from error
        return from_json(content, str(path))

    def _path(self, name: str) -> Path:
        """Where a chat of that name lies."""
        known = unicodedata.normalize("NFC", name)
        if not _good(known):
            raise BadInput(
                f"a chat cannot be named {name!r}",
                why="a name is letters, digits, dots, dashes and underscores, and begins with a letter or a digit",
                remedy="/save my-chat",
            )
        return self.folder / f"{known}.json"


class TypedLines:
    """What was typed at the prompt, the newest ``LINES_KEPT`` of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[str]:
        """The oldest first; a line that cannot be read is left out. The file is cut where it has grown long."""
        try:
            raw = self._path.read_bytes().splitlines()
        except OSError:
            return []
        found = []
        for line in raw:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                found.append(msgspec.json.decode(line, type=str))
        if len(raw) > 2 * LINES_KEPT:
            kept = b"".join(msgspec.json.encode(line) + b"\n" for line in found[-LINES_KEPT:])
            with contextlib.suppress(OSError):
                write_whole(self._path, kept, mode=PRIVATE_FILE)
        return found[-LINES_KEPT:]

    def add(self, line: str) -> None:
        """Keep a line; nothing happens where nothing can be written: a chat goes on without."""
        if not line.strip():
            return
        try:
            content = msgspec.json.encode(line) + b"\n"
        except UnicodeEncodeError:  # half a character, as broken terminals send them
            return
        with contextlib.suppress(OSError):
            private_folder(self._path.parent)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
            with os.fdopen(descriptor, "ab") as file:
                file.write(content)


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner may look into; raise ``OSError``."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"{path} cannot be read", why=error.strerror or str(error), remedy="mend it")


def _good(name: str) -> bool:
    whole = _NAME.fullmatch(name) is not None and len(name.encode()) <= NAME_BYTES
    return whole and not name.endswith(".") and not is_reserved(name)
