"""The hub as the rest of Assay sees it: descriptions, bytes, and files brought whole."""

from __future__ import annotations

import itertools
import random as chance
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from msgspec import structs

from assay.errors import BadInput, DownloadFailed, HubError, UnknownModel
from assay.hub.connection import Connection, checked_endpoint, checked_token
from assay.hub.description import DESCRIBED, LISTED, repo_from
from assay.hub.failures import Asked, not_a_hub
from assay.hub.ranges import RangeReader
from assay.hub.transfer import fetch
from assay.types import Digests, RemoteFile, Repo

HUGGING_FACE = "https://huggingface.co"
PAGE = 100
SMALL = 64 << 20
PAGES = 200
"""Of a repository's tree; the hub gives a thousand files a page."""
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

Sort = Literal["trending", "created", "downloads"]
SORTS: dict[Sort, str] = {"trending": "trendingScore", "created": "createdAt", "downloads": "downloads"}


class Hub:
    """A hub at one address, with one token. Nothing is asked of it before a method is called; use it from any thread.

    ``endpoint`` may have a path (a mirror) and a slash at its end. The token goes to the endpoint's host and to no
    other, and into no message. ``stall_s`` is how long no byte may come before a try is given up, ``retries`` how often
    a file is tried again without a further byte. ``sleep`` and ``random`` (0..1) are for tests.
    """

    def __init__(
        self,
        endpoint: str = HUGGING_FACE,
        *,
        token: str | None = None,
        offline: bool = False,
        stall_s: float = 30.0,
        retries: int = 5,
        longest_wait_s: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        """Raise ``BadConfig`` for an endpoint or a token that cannot be one."""
        self._connection = Connection(
            endpoint=checked_endpoint(endpoint),
            token=checked_token(token),
            offline=offline,
            stall_s=stall_s,
            retries=retries,
            longest_wait_s=longest_wait_s,
            sleep=sleep,
            random=random,
        )

    def __repr__(self) -> str:
        return f"Hub({self.endpoint!r})"

    @property
    def endpoint(self) -> str:
        """Its address, as messages may show it."""
        return self._connection.place.endpoint

    def repo(self, repo_id: str, revision: str | None = None) -> Repo:
        """A repository with its files, as of ``revision`` (a branch, a tag, a commit; None: its main branch).

        Raises:
            UnknownModel: no such repository or revision; with names that are near.
            HubError: it cannot be asked, or refuses.
        """
        asked = Asked(repo_id, revision)
        self._connection.check_name(asked)
        route = f"models/{quote(repo_id)}"
        try:
            told = self._told(f"{route}/revision/{quote(revision, safe='')}" if revision else route, asked)
        except UnknownModel as error:
            near = self._near(repo_id)
            if not near:
                raise
            raise UnknownModel(error.message, why=error.why, remedy=f"did you mean {near}?") from error
        commit = told.get("sha")
        if not isinstance(commit, str) or COMMIT.fullmatch(commit) is None:
            raise not_a_hub(asked, self._connection.place, "it does not tell the commit, by which files are asked for")
        repo = repo_from(told, self._pages(f"{route}/tree/{commit}", {"recursive": "true"}, asked, PAGES))
        return repo if repo.id else structs.replace(repo, id=repo_id)

    def search(
        self,
        text: str | None = None,
        *,
        task: str | None = None,
        sort: Sort = "trending",
        since: str | None = None,
        author: str | None = None,
        filters: tuple[str, ...] = (),
        limit: int | None = None,
    ) -> Iterator[Repo]:
        """Repositories without their files, at most ``limit``, asked for page by page as they are taken.

        ``text`` is in the name, ``task`` is a pipeline tag (``text-generation``), ``filters`` are tags that all must
        have (``gguf``, ``license:mit``). ``since`` (ISO 8601; without a zone: UTC) gives those created after it, newest
        first whatever ``sort`` says, and stops at the first older one.

        Raises:
            BadInput: ``since`` is no date.
            HubError: it cannot be asked, or refuses; when it is asked.
        """
        query: dict[str, Any] = {
            "search": text,
            "author": author,
            "pipeline_tag": task,
            "filter": list(filters),
            "sort": SORTS["created" if since is not None else sort],
            "limit": PAGE if limit is None else min(limit, PAGE),
            "expand": list(LISTED),
        }
        last = None if since is None else _moment(since)
        if since is not None and last is None:
            raise BadInput(f"{since!r} is no date", remedy="one like 2026-01-31 or 2026-01-31T08:00:00Z would be")
        entries = self._pages("models", {key: value for key, value in query.items() if value}, Asked())
        found = (repo for repo in map(repo_from, entries) if repo.id)
        return itertools.islice(itertools.takewhile(lambda repo: _is_after(repo.created, last), found), limit)

    def reader(self, repo_id: str, revision: str, path: str, size: int | None = None) -> RangeReader:
        """Bytes of one file by their place, for who reads its header."""
        return RangeReader(self._connection, repo_id, revision, path, size)

    def read(self, repo_id: str, revision: str, path: str, limit: int = SMALL) -> bytes:
        """A small file whole.

        Raises:
            DownloadFailed: it has more than ``limit`` bytes.
            UnknownModel: no such file.
            HubError: it cannot be had.
        """
        content = self.reader(repo_id, revision, path).read(0, limit + 1)
        if len(content) > limit:
            raise DownloadFailed(
                f"{repo_id}/{path} is not read",
                why=f"it has more than {limit} bytes, which a file of its kind never has",
                remedy=f"look at it: {self.endpoint}/{repo_id}/blob/{revision}/{path}",
            )
        return content

    def fetch(
        self,
        source: RemoteFile,
        part: Path,
        tell: Callable[[int, int | None], None],
        note: Callable[[str], None],
        cancelled: threading.Event | None = None,
    ) -> Digests:
        """Bring one file whole into ``part``, going on after the bytes that lie there, and hash it on the way.

        ``tell`` hears about ten times a second how many bytes are here, of how many (None: not known); fewer than
        before where it has to begin anew. ``note`` hears of every new try. Both are called in the caller's thread.
        The length is checked; whether the content is right is the caller's to judge by the digests, among which the
        name as a git blob is not: it begins with the size, and whoever needs it reads a small file again. Whatever
        ends it, ``part`` keeps what has come.

        Raises:
            HubUnreachable, HubBusy, DownloadFailed: after the retries; also at once where the hub asks to wait
                longer than ``longest_wait_s`` or says itself that the file is not what was listed.
            HubRefused, UnknownModel: at once.
            NoRoom: the disk is full.
            StoreError: ``part`` cannot be written.
            concurrent.futures.CancelledError: ``cancelled`` was set.
        """
        return fetch(self._connection, source, part, tell=tell, note=note, cancelled=cancelled)

    def _told(self, route: str, asked: Asked) -> dict[str, Any]:
        told, _ = self._connection.json(self._connection.api(route, {"expand": list(DESCRIBED)}), asked)
        if not isinstance(told, dict):
            raise not_a_hub(asked, self._connection.place)
        return told

    def _pages(
        self, route: str, query: dict[str, Any], asked: Asked, most: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Entries of a listing, page after page; of a link only the query is used, since a mirror's may lead away.

        Raise ``HubUnreachable`` where there are more than ``most`` pages.
        """
        url = self._connection.api(route, query)
        seen: set[str] = set()
        while url not in seen:
            if len(seen) == most:
                raise not_a_hub(asked, self._connection.place, f"the list of files has more pages than {most}")
            seen.add(url)
            entries, following = self._connection.json(url, asked)
            if not isinstance(entries, list):
                raise not_a_hub(asked, self._connection.place)
            yield from (entry for entry in entries if isinstance(entry, dict))
            if following:
                url = f"{self._connection.api(route)}?{following}"

    def _near(self, repo_id: str) -> str:
        """Names of the same owner's repositories that are near this one, which is not there; empty where none is."""
        import difflib

        owner, _, _ = repo_id.rpartition("/")
        try:
            known = [repo.id for repo in self.search(author=owner, sort="downloads", limit=PAGE)] if owner else []
        except (HubError, UnknownModel):
            known = []
        return "" if repo_id in known else " or ".join(difflib.get_close_matches(repo_id, known, n=3))


def _is_after(created: str | None, last: datetime | None) -> bool:
    """Whether it is new; what has no time of its own is."""
    moment = _moment(created) if created is not None else None
    return last is None or moment is None or moment > last


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
