"""The keys of the service: a file of hashes, who is behind a key that a request brings, and what that key may do.

A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back: slow password hashes (bcrypt, scrypt) make up
for words that people choose, and here they would only make every request slow.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from assay.disk import Stamp, write_whole
from assay.errors import BadInput
from assay.serve.hosts import KeyRule
from assay.serve.place import FOLDER, PRIVATE, lock_at_once
from assay.serve.rate import Rate
from assay.serve.refusal import INVALID, Refusal

PREFIX = "assay-"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._@-]{0,63}")
"""What a key may be called: never like an address, which clients without a key go by."""
VERSION = 1
LOCK_S = 10.0
"""How long another command may take to change the file."""
LOOK_S = 0.25
"""How often, at most, a running service looks whether the file has changed."""

Moment = Annotated[datetime, Meta(tz=True)]


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key as the file has it. None: no limit, no end."""

    name: Annotated[str, Meta(pattern=f"^{NAME.pattern}$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    created: Moment
    expires: Moment | None = None
    rate: Rate | None = None
    at_once: Annotated[int, Meta(ge=1)] | None = None
    revoked: Moment | None = None

    def state(self, now: datetime) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    keys: tuple[Key, ...]


class Added(Struct, frozen=True):
    """A new key and, this once, its text."""

    key: Key
    secret: str

    def __repr__(self) -> str:
        return f"Added({self.key.name})"


def keys_file(home: Path) -> Path:
    """Where the keys of a home lie."""
    return home / FOLDER / "keys.json"


def read(path: Path) -> tuple[Key, ...]:
    """The keys in the file, revoked ones too; none where there is no file.

    Raises:
        BadInput: the file cannot be read, or is not what ``add`` writes.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _damaged(path, str(error)) from error
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    if file.version != VERSION:
        raise _damaged(path, f"its version is {file.version}, and this Assay knows {VERSION}")
    if len({key.name for key in file.keys}) < len(file.keys):
        raise _damaged(path, "two keys have one name")
    return file.keys


def add(
    path: Path,
    name: str,
    *,
    now: datetime,
    rate: Rate | None = None,
    at_once: int | None = None,
    expires: datetime | None = None,
) -> Added:
    """Make a key and write its hash down; a revoked or expired key of that name gives its name up.

    Raises:
        BadInput: the name cannot be used or is taken, a limit is no limit, or the file cannot be changed.
    """
    if not NAME.fullmatch(name):
        raise BadInput(
            f"a key cannot be called {name!r}",
            why="a name starts with a letter and has letters, digits and ._@- after it, 64 at most",
            remedy="assay service keys add laptop",
        )
    if at_once is not None and at_once < 1:
        raise BadInput(f"a key cannot have {at_once} requests at once", remedy="give 1 or more, or leave it out")
    if expires is not None and expires <= now:
        raise BadInput("the key would have expired already", remedy="give a time to come, such as 30d")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = Key(name=name, sha256=_digest(secret), created=now, expires=expires, rate=rate, at_once=at_once)
    with _locked(path):
        kept = read(path)
        if any(other.name == name and other.state(now) == "valid" for other in kept):
            raise BadInput(
                f"there is a key {name!r} already", remedy=f"assay service keys revoke {name}, or a new name"
            )
        _write(path, (*(other for other in kept if other.name != name), key))
    return Added(key, secret)


def revoke(path: Path, name: str, *, now: datetime) -> Key:
    """Mark the key as revoked, for good; a running service lets it in no more within a second.

    Raises:
        BadInput: no such key, or the file cannot be changed.
    """
    with _locked(path):
        kept = read(path)
        found = next((key for key in kept if key.name == name), None)
        if found is None:
            raise BadInput(f"there is no key {name!r}", remedy="assay service keys list")
        if found.revoked is None:
            found = structs.replace(found, revoked=now)
            _write(path, tuple(found if key.name == name else key for key in kept))
    return found


def match(keys: tuple[Key, ...], given: str, now: datetime) -> Key | None:
    """The valid key that ``given`` is the text of. Every hash is compared, each in constant time."""
    digest, found = _digest(given), None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found if found is not None and found.state(now) == "valid" else None


def any_valid(keys: Iterable[Key], now: datetime) -> bool:
    """Whether anybody could come in by one of them."""
    return any(key.state(now) == "valid" for key in keys)


class Ring(Struct, frozen=True):
    """The keys at this moment. ``seen``: there is a file of keys, or there was one since the service started.

    ``problem`` says why the file cannot be read: then nobody can be told from anybody.
    """

    keys: tuple[Key, ...] = ()
    seen: bool = False
    problem: str | None = None


def presented(authorization: str | None, others: Iterable[str | None]) -> str | None:
    """The key that a request brings: ``Authorization: Bearer KEY``, else the first of ``others`` that there is."""
    scheme, _, given = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer" and given.strip():
        return given.strip()
    return next((other.strip() for other in others if other and other.strip()), None)


def is_secret(given: str | None, secret: str) -> bool:
    """Whether ``given`` is the secret, in a time that does not depend on how much of it is right."""
    return given is not None and hmac.compare_digest(_digest(given), _digest(secret))


def judge_key(ring: Ring, rule: KeyRule, given: str | None, now: datetime) -> Key | Refusal | None:
    """Who sent a request: a key, None for somebody who needs none, or why it is refused (401, 503).

    A refusal is the same for a key that never was, one that has expired and one that was revoked.
    """
    if ring.problem is not None and rule != "never":
        return UNREADABLE
    key = match(ring.keys, given, now) if given is not None else None
    if key is not None or rule == "never" or (rule == "if_any" and not ring.seen):
        return key
    return MISSING if given is None else WRONG


UNREADABLE = Refusal(
    status=503,
    code="keys_unreadable",
    message="the service cannot read its keys and lets nobody in; `assay service keys list` on its machine says why",
)
MISSING = Refusal(
    status=401,
    code="invalid_api_key",
    kind=INVALID,
    message="this service wants a key, as 'Authorization: Bearer KEY'; "
    "`assay service keys add NAME` on its machine makes one",
)
WRONG = Refusal(status=401, code="invalid_api_key", kind=INVALID, message="the key that was sent is not valid here")


ONLY_OWN = Refusal(
    status=403,
    code="not_allowed",
    kind="permission_error",
    message="only commands of the user who started the service may do that",
)


class KeyFile:
    """The file as a running service follows it."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._next = float("-inf")
        self._mark: Stamp | None = None
        self._ring = Ring()

    def ring(self) -> Ring:
        """What the file says, at most ``LOOK_S`` ago."""
        now = self._clock()
        if now >= self._next:
            self._next = now + LOOK_S
            self._look()
        return self._ring

    def _look(self) -> None:
        try:
            mark = Stamp.of(self._path.stat())
        except FileNotFoundError:
            # Keys that are gone let nobody in; they do not take the lock off the door.
            self._mark, self._ring = None, Ring(seen=self._ring.seen)
            return
        except OSError as error:
            self._mark, self._ring = None, Ring(seen=True, problem=str(error))
            return
        if mark == self._mark:
            return
        try:
            self._ring = Ring(read(self._path), seen=True)
            self._mark = mark
        except BadInput as error:
            self._mark, self._ring = None, Ring(seen=True, problem=error.sentence)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _write(path: Path, keys: tuple[Key, ...]) -> None:
    content = msgspec.json.format(msgspec.json.encode(_File(version=VERSION, keys=keys)), indent=2)
    try:
        write_whole(path, content + b"\n", mode=PRIVATE)
    except OSError as error:
        raise BadInput(f"{path} cannot be written", why=str(error), remedy="make room, or its folder yours") from error


def _damaged(path: Path, why: str) -> BadInput:
    remedy = f"put {path} right, or remove it and add the keys anew; until then nobody is let in"
    return BadInput(f"the keys in {path} cannot be read", why=why, remedy=remedy)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One command at a time changes the file; the lock goes with the process that holds it."""
    beside = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        raise BadInput(f"{path} cannot be changed", why=str(error), remedy="make its folder yours") from error
    try:
        until = time.monotonic() + LOCK_S
        while not lock_at_once(descriptor, beside):
            if time.monotonic() > until:
                raise BadInput(f"{path} is being changed by another command", remedy="try again")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
