"""Brings one file whole: goes on where it stopped, tries again, and waits in between."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import AssayError, DownloadFailed, HubUnreachable
from assay.hub.arrival import Arrival, Closed
from assay.hub.connection import Connection
from assay.hub.failures import Asked, Failure, failure_of, foreign
from assay.hub.spans import content_name, size_beyond, span_of
from assay.types import Digests, RemoteFile

if TYPE_CHECKING:
    import httpx2

TICK_S = 0.1


class Again(Exception):
    """The answer cannot be used, but another one may be."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class Transfer:
    """One file on its way, brought by a thread of its own, so that whoever waits can stop waiting at any time."""

    def __init__(self, connection: Connection, source: RemoteFile, arrival: Arrival) -> None:
        self.notes: deque[str] = deque()
        self.done = threading.Event()
        self.outcome: Digests | BaseException = Closed()
        self.total = source.file.size
        self._connection = connection
        self._source = source
        self._asked = Asked(source.repo, source.revision, source.path)
        self._arrival = arrival
        self._before = arrival.size
        self._etag: str | None = None

    def run(self) -> None:
        """Bring it and hash it; what comes of it is in ``outcome`` once ``done`` is set."""
        try:
            self._bring()
            self.outcome = self._arrival.digests()
        except BaseException as error:
            self.outcome = error
        finally:
            self.done.set()

    def _bring(self) -> None:
        tried, furthest = 0, self._before
        while not self._complete():
            try:
                self._try()
            except Again as again:
                failure = again.failure
                cause: Exception = again
            except foreign() as error:
                failure = failure_of(error, self._asked, self._connection.place)
                cause = error
            else:
                continue
            if self._arrival.size > furthest:
                tried, furthest = 0, self._arrival.size
            wait = self._connection.wait(failure, tried, self._connection.retries)
            if wait is None:
                raise self._given_up(failure) from self._connection.cause(cause)
            tried += 1
            self.notes.append(
                f"{self._source.file.path}: {failure.error.why or failure.error.message}; trying again in {wait:.0f} s"
                f" ({tried} of {self._connection.retries})"
            )
            self._connection.sleep(wait)

    def _complete(self) -> bool:
        """Whether nothing more is to come; what is longer than it should be is begun anew."""
        if self.total is None:
            return False
        if self._arrival.size > self.total:
            self._arrival.restart()
        return self._arrival.size == self.total

    def _try(self) -> None:
        """Ask for what is not here yet, and take what comes."""
        have = self._arrival.size
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        url = self._connection.file(self._source.repo, self._source.revision, self._source.path)
        try:
            with self._connection.stream(url, headers) as response:
                self._begin(response, have)
                for piece in response.iter_raw():
                    self._arrival.write(piece)
                    if self.total is not None and self._arrival.size > self.total:
                        break
        except OSError as error:
            answer = getattr(error, "response", None)
            if answer is None or answer.status_code != 416:
                raise
            if self._source.file.size is None and size_beyond(answer) == have:
                self.total = have
                return
            self._arrival.restart()
            raise Again(self._odd("it has no bytes after those that are here")) from error
        if self.total is None:
            self.total = self._arrival.size
        if self._arrival.size != self.total:
            raise Again(self._odd(f"it ended after {self._arrival.size} of {self.total} bytes"))

    def _begin(self, response: httpx2.Response, have: int) -> None:
        """Look whether the answer goes on from what is here, and make it fit where it does not."""
        self._check_content(response)
        span = span_of(response)
        etag = response.headers.get("ETag")
        changed, self._etag = self._etag not in {None, etag}, etag
        size = self._source.file.size
        if size is None:
            self.total = span.total
        elif span.total not in {None, size}:
            raise Again(self._odd(f"it has {span.total} bytes there, and {size} were promised"))
        if span.start == have and not changed:
            return
        self._arrival.restart()
        if span.start:
            raise Again(self._odd("it changed while it was coming" if changed else "other bytes than asked for came"))
        if have:
            self.notes.append(f"{self._source.file.path}: it has to begin anew")

    def _check_content(self, response: httpx2.Response) -> None:
        """Stop at once where the hub itself says that this is not the content it listed."""
        name = content_name(response)
        known = [one.lower() for one in (self._source.file.sha256, self._source.file.git_sha1) if one]
        if name is not None and name not in known and len(name) in map(len, known):
            raise DownloadFailed(
                f"{self._asked.name} is not what was listed",
                why="it has changed at the hub since, or a mirror has another version",
                remedy="ask for the model again, so that it is listed anew",
            )

    def _odd(self, why: str) -> Failure:
        error = DownloadFailed(
            f"{self._asked.name} did not arrive whole", why=why, remedy="give the same command again"
        )
        return Failure(error, again=True)

    def _given_up(self, failure: Failure) -> AssayError:
        """The error to end with: how far it came, where something has."""
        error, size = failure.error, self._arrival.size
        if size == self._before or not failure.again or not isinstance(error, HubUnreachable):
            return error
        of = f" of {self.total}" if self.total is not None else ""
        return DownloadFailed(
            f"{self._asked.name} stopped after {size}{of} bytes",
            why=error.why,
            remedy="give the same command again: what has come is kept",
        )


def fetch(
    connection: Connection,
    source: RemoteFile,
    part: Path,
    *,
    tell: Callable[[int, int | None], None],
    note: Callable[[str], None],
    cancelled: threading.Event | None,
) -> Digests:
    """See `Hub.fetch`."""
    from concurrent.futures import CancelledError

    connection.check_online(Asked(source.repo, source.revision, source.path))
    arrival = Arrival(part, source.file.size)
    transfer = Transfer(connection, source, arrival)
    threading.Thread(target=transfer.run, name=f"fetching {source.path}", daemon=True).start()
    try:
        ended = False
        while not ended:
            ended = transfer.done.wait(TICK_S)
            if cancelled is not None and cancelled.is_set():
                raise CancelledError
            while transfer.notes:
                note(transfer.notes.popleft())
            tell(arrival.size, transfer.total)
    finally:
        arrival.close()
    if isinstance(transfer.outcome, BaseException):
        raise transfer.outcome
    return transfer.outcome
