"""How people name a repository of the Hub: ``hf:owner/name[:selector][@revision]``, or the address of its page."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from assay.errors import UnknownModel

PREFIX = "hf:"
HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
REPO = re.compile(rf"{PART}/{PART}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
OTHER_KINDS = frozenset({"datasets", "spaces", "collections", "papers", "docs", "blog", "organizations", "api"})
"""What the first part of a page's path says when the page is about something else than a model."""
RIGHT = "write hf:owner/name, with :Q4_K_M or :file.gguf after it for one quantisation, and @revision at the end"


class HubName(Struct, frozen=True):
    """``repo`` is ``owner/name``, ``selector`` a quantisation, file or folder, ``revision`` a branch, tag or commit."""

    repo: str
    selector: str | None = None
    revision: str | None = None

    @property
    def source(self) -> str:
        """The repository as a variant's ``source`` has it."""
        return f"{PREFIX}{self.repo}"

    def __str__(self) -> str:
        selector = f":{self.selector}" if self.selector else ""
        return f"{self.source}{selector}" + (f"@{self.revision}" if self.revision else "")


def parse_hub_name(text: str) -> HubName | None:
    """The repository that ``text`` names; None where it is meant as something else.

    Read are ``hf:owner/name:selector@revision``, the same after ``hf.co/``, and the address of a model's page, of a
    folder (``/tree/rev/folder``) or a file of it (``/blob/rev/file``, ``/resolve/rev/file``).

    Raises:
        UnknownModel: it begins like one of these and goes on wrongly.
    """
    text = text.strip()
    if text.lower().startswith(PREFIX):
        return _spelled(text[len(PREFIX) :], text)
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    if host not in HOSTS or parts.scheme.lower() not in {"http", "https"}:
        return None
    path = [unquote(part) for part in parts.path.split("/") if part]
    if len(path) > 2:
        return _page(path, text)
    return _spelled("/".join(path), text)


def is_repo_id(text: str) -> bool:
    """Whether ``text`` has the form ``owner/name`` that the Hub gives its repositories."""
    return REPO.fullmatch(text) is not None and not any(wrong in text for wrong in ("--", "..")) and text[-4:] != ".git"


def _spelled(rest: str, text: str) -> HubName:
    named, at, revision = rest.rpartition("@") if "@" in rest else (rest, "", "")
    repo, colon, selector = named.partition(":")
    if ":" in revision:
        raise _refused(text, "the file or quantisation stands before the revision")
    if at and not REVISION.fullmatch(revision):
        raise _refused(text, f"{revision!r} is no branch, tag or commit" if revision else "no revision follows the @")
    if colon and not _is_inside(selector):
        raise _refused(text, f"{selector!r} is no file of a repository" if selector else "nothing follows the colon")
    return HubName(_repo(repo, text), selector or None, revision or None)


def _page(path: list[str], text: str) -> HubName:
    """``owner/name/kind/revision/inside`` of an address."""
    repo, kind, rest = _repo("/".join(path[:2]), text), path[2], path[3:]
    if kind not in {"tree", "blob", "resolve", "raw"} or not rest:
        return HubName(repo)
    revision, inside = rest[0], "/".join(rest[1:])
    if not REVISION.fullmatch(revision):
        raise _refused(text, f"{revision!r} is no branch, tag or commit")
    if inside and not _is_inside(inside):
        raise _refused(text, f"{inside!r} is no file of a repository")
    return HubName(repo, inside or None, revision)


def _repo(repo: str, text: str) -> str:
    if is_repo_id(repo) and repo.partition("/")[0].lower() not in OTHER_KINDS:
        return repo
    first, slash, _ = repo.partition("/")
    if first.lower() in OTHER_KINDS:
        raise _refused(text, f"an address under /{first} is no model's")
    raise _refused(
        text, f"{repo!r} is no owner/name" if slash else "the owner and the name, a slash between, are expected"
    )


def _is_inside(path: str) -> bool:
    return bool(path.strip()) and path.isprintable() and not {"", ".", ".."} & set(path.split("/"))


def _refused(text: str, why: str) -> UnknownModel:
    return UnknownModel(f"{text[:200]!r} names no model of the Hub", why=why, remedy=RIGHT)
