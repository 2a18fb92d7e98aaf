"""What is done with the keys of the service of this home: make one, list them, revoke one.

In: names and limits as people type them. Out: what the file holds then; the text of a key once, when it is made.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from assay.amounts import parse_moment
from assay.errors import BadInput
from assay.serve import keys as files
from assay.serve.rate import parse_rate
from assay.settings import resolve


class ListedKey(Struct, frozen=True, kw_only=True):
    """A key as it is shown: never its text, which is not kept. Times are UTC. None: no limit, no end."""

    name: str
    state: str
    """``valid``, ``expired`` or ``revoked``."""
    created: datetime
    expires: datetime | None = None
    rate: str | None = None
    at_once: int | None = None
    revoked: datetime | None = None


class NewKey(Struct, frozen=True, kw_only=True):
    """A key and its text, which nothing can show again."""

    key: ListedKey
    secret: str
    file: str

    def __repr__(self) -> str:
        return f"NewKey({self.key.name})"


class RevokedKey(Struct, frozen=True, kw_only=True):
    """A key that lets nobody in any more; ``left`` is how many still do."""

    key: ListedKey
    left: int


def add_key(
    name: str,
    *,
    rate: str | None = None,
    at_once: int | None = None,
    expires: str | None = None,
    home: str | Path | None = None,
) -> NewKey:
    """Make a key: ``rate`` like ``60/min``, ``expires`` like ``30d``, ``12h``, ``2w`` or a date (UTC).

    Raises:
        BadInput: the name is taken or cannot be used, a limit is none, or the file cannot be changed.
    """
    now = _now()
    try:
        limit = parse_rate(rate) if rate is not None else None
    except ValueError as error:
        raise BadInput(f"--rate cannot be {rate!r}", why=str(error), remedy="write it like 60/min") from error
    path = _file(home)
    added = files.add(path, name, now=now, rate=limit, at_once=at_once, expires=_until(expires, now))
    return NewKey(key=_listed(added.key, now), secret=added.secret, file=str(path))


def list_keys(*, home: str | Path | None = None) -> tuple[ListedKey, ...]:
    """Every key by name, revoked ones too. Raise ``BadInput`` where the file cannot be read."""
    now = _now()
    return tuple(sorted((_listed(key, now) for key in files.read(_file(home))), key=lambda key: key.name))


def revoke_key(name: str, *, home: str | Path | None = None) -> RevokedKey:
    """Revoke a key for good. Raise ``BadInput`` where there is none of that name."""
    now, path = _now(), _file(home)
    gone = files.revoke(path, name, now=now)
    left = sum(key.state(now) == "valid" for key in files.read(path))
    return RevokedKey(key=_listed(gone, now), left=left)


def _file(home: str | Path | None) -> Path:
    return files.keys_file(resolve({"home": home}, os.environ, Path.cwd()).home)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _listed(key: files.Key, now: datetime) -> ListedKey:
    return ListedKey(
        name=key.name,
        state=key.state(now),
        created=key.created,
        expires=key.expires,
        rate=str(key.rate) if key.rate is not None else None,
        at_once=key.at_once,
        revoked=key.revoked,
    )


def _until(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text, now, ahead=True)
    except ValueError as error:
        raise BadInput(f"--expires cannot be {text!r}", remedy="write it like 30d, 12h, 2w or 2027-01-31") from error
