"""Bytes of a file that lies at the hub, by HTTP Range."""

from __future__ import annotations

from assay.errors import DownloadFailed
from assay.hub.connection import Connection
from assay.hub.failures import Asked, status_of
from assay.hub.spans import span_of


class RangeReader:
    """A reader of one remote file; every ``read`` is one request. ``size`` is learnt from the first where not given."""

    def __init__(self, connection: Connection, repo: str, revision: str, path: str, size: int | None) -> None:
        self.name = f"{repo}/{path}"
        self.size = size
        self._connection = connection
        self._asked = Asked(repo, revision, path)
        self._address = (repo, revision, path)

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on; fewer only where the file ends.

        Raises:
            HubError, UnknownModel: it cannot be had.
        """
        if self.size is not None:
            length = min(length, self.size - offset)
        if length <= 0:
            return b""
        return self._connection.retried(lambda: self._once(offset, length), self._asked)

    def _once(self, offset: int, length: int) -> bytes:
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={offset}-{offset + length - 1}"}
        url = self._connection.file(*self._address)
        taken = bytearray()
        try:
            with self._connection.stream(url, headers) as response:
                span = span_of(response)
                self.size = span.total if self.size is None else self.size
                if span.start not in {0, offset}:
                    raise self._odd(f"it begins at {span.start}, and {offset} was asked for")
                skip = offset - span.start
                for piece in response.iter_raw():
                    taken += piece[skip:]
                    skip = max(0, skip - len(piece))
                    if len(taken) >= length:
                        break
        except OSError as error:
            if status_of(error) == 416:
                return b""
            raise
        if len(taken) < length and (self.size is None or offset + len(taken) < self.size):
            raise self._odd(f"{len(taken)} bytes came from {offset} on, and {length} were asked for")
        return bytes(taken[:length])

    def _odd(self, why: str) -> DownloadFailed:
        return DownloadFailed(f"{self.name} cannot be read at the hub", why=why, remedy="try again")
