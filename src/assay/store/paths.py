"""Paths that a hub tells are not to be trusted: what would leave the variant's folder, or clash there, is refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from assay.errors import DownloadFailed

_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f\\:<>"|?*]')
_LONGEST: Final = 255
"""Bytes of one name that every common file system takes."""


def is_reserved(name: str) -> bool:
    """Whether Windows takes the file name for a device, whatever its ending."""
    return _RESERVED.fullmatch(name.partition(".")[0].rstrip(" ")) is not None


def fault_of(path: str) -> str | None:
    """Why ``path`` cannot be the relative path of a file on every system; None where it can."""
    if path.startswith("/"):
        return "it is absolute"
    if match := _FORBIDDEN.search(path):
        return f"it holds {match[0]!r}"
    return next(filter(None, map(_fault_of_name, path.split("/"))), None)


def _fault_of_name(name: str) -> str | None:
    if name in {"", ".", ".."}:
        return f"it has a part {name!r}"
    if name[-1] in ". ":
        return f"{name!r} ends with a dot or a space"
    if is_reserved(name):
        return f"{name!r} is the name of a device on Windows"
    if not name.isprintable() or len(name.encode("utf-8", "surrogatepass")) > _LONGEST:
        return "a name in it is too long or not printable"
    return None


def refuse_unsafe(paths: Iterable[str], whose: str) -> None:
    """Check the paths of all files of ``whose`` (a variant or a repository).

    Raises:
        DownloadFailed: one leaves the folder or is no file name everywhere, or two would be the same file somewhere.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        fault = fault_of(path)
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        if fault is None and key in seen:
            fault = f"it is the same as {seen[key]!r} where case does not count"
        if fault is None and key in folders:
            fault = f"{folders[key]!r} needs a folder of that name"
        above = ["/".join(key.split("/")[:depth]) for depth in range(1, key.count("/") + 1)]
        if fault is None and (file := next((a for a in above if a in seen), None)):
            fault = f"{seen[file]!r} is a file, and would be its folder"
        if fault is not None:
            raise DownloadFailed(
                f"{whose}: the file path {path!r} is refused",
                why=fault,
                remedy="take another repository; this one's files cannot be placed safely",
            )
        seen[key] = path
        folders.update(dict.fromkeys(above, path))
