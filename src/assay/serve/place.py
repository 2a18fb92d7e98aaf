"""Where a running service of this home is told of: a lock that dies with it, and a file with its address.

The file alone is never believed: a service runs while the lock is held by the process that the lock's file names.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from assay.disk import try_lock, write_whole
from assay.errors import BadInput, ServiceRunning

FOLDER = "service"
PRIVATE = 0o600
_SLACK_S = 2.0
"""Where start times are reckoned from the wall clock, they move when that is set."""
_PATIENCE_S = 2.0
"""A look at the lock holds it for a moment, and one that wants it tries again for so long."""
_HALF_S = 60.0
_PROC = Path("/proc/self/stat")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a client dials instead


class Born(Struct, frozen=True):
    """A process: its number, and when it was started (seconds of a clock that only ``born`` reads)."""

    pid: int
    created: float

    @property
    def lives(self) -> bool:
        """Whether it still runs, and is not another one with its number."""
        created = born(self.pid)
        return created is not None and abs(created - self.created) <= _SLACK_S


class ServiceState(Struct, frozen=True, kw_only=True):
    """A service that answers. ``started`` is in UTC; ``asked`` is what it was started with, for a restart.

    ``admin_key`` opens it to whoever can read this file: the same user.
    """

    pid: int
    created: float
    host: str
    port: int
    tls: bool
    version: str
    started: str
    log: str
    admin_key: str
    cert: str | None = None
    stopping: bool = False
    asked: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ServiceState({self.pid}, {self.address})"

    @property
    def dialled(self) -> str:
        """The host that a client on this machine connects to."""
        return _EVERYWHERE.get(self.host, self.host)

    @property
    def address(self) -> str:
        """``http://127.0.0.1:5273``."""
        host = f"[{self.dialled}]" if ":" in self.dialled else self.dialled
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class Standing(Struct, frozen=True, kw_only=True):
    """What is there: ``running`` answers or did, ``starting`` does not yet, ``killed`` ended without being stopped.

    ``state`` is the last that was told, of a killed one too; ``problem`` says what is wrong with the file.
    """

    kind: Literal["running", "starting", "stopped", "killed"]
    pid: int | None = None
    state: ServiceState | None = None
    problem: str | None = None

    @property
    def running(self) -> ServiceState | None:
        """The service that runs; None where none does."""
        return self.state if self.kind == "running" else None


class Place:
    """The folder ``service`` of a home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / FOLDER
        self.file = self.folder / "state.json"
        self.lock = self.folder / "lock"
        self.log = self.folder / "service.log"
        self.output = self.folder / "output.log"
        """What a service in the background wrote to its own stdout and stderr."""

    def make(self) -> None:
        """Make the folder, for this user alone. Raise ``OSError``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if sys.platform != "win32":
            self.folder.chmod(0o700)

    def sweep(self) -> None:
        """Remove halves of files that killed processes were writing; one that is being written now is younger."""
        for half in self.folder.glob(".*.new"):
            with contextlib.suppress(OSError):
                if time.time() - half.stat().st_mtime > _HALF_S:
                    half.unlink()

    def look(self) -> Standing:
        """What runs here now. Raise ``OSError`` where the folder may not be read."""
        holder = self._holder()
        state, problem = self._read()
        if holder is None and state is not None:
            # One that has come up since the first look is no killed one.
            holder = self._holder()
        if holder is None:
            return Standing(kind="killed" if state or problem else "stopped", state=state, problem=problem)
        if state is not None and state.pid == holder.pid:
            return Standing(kind="running", pid=holder.pid, state=state)
        return Standing(kind="starting", pid=holder.pid, problem=problem)

    def take(self) -> Held:
        """Become the service of this home; what a killed one left is replaced.

        Raises:
            ServiceRunning: another process is. BadInput: the disk knows no locks. OSError: the folder cannot be
            written.
        """
        self.make()
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            until = time.monotonic() + _PATIENCE_S
            while not lock_at_once(descriptor, self.lock):
                if self._named() is not None or time.monotonic() > until:
                    raise already(self.look())
                time.sleep(0.02)
            return Held(self, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def _holder(self) -> Born | None:
        """The process that holds the lock; None where nobody does, or somebody only looks."""
        try:
            descriptor = os.open(self.lock, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            return None if try_lock(descriptor) else self._named()
        except OSError:  # no locks here, so none is held
            return None
        finally:
            os.close(descriptor)

    def _named(self) -> Born | None:
        """The live process that the lock's file names."""
        try:
            named = msgspec.json.decode(self.lock.read_bytes(), type=Born)
        except (OSError, msgspec.DecodeError):
            return None
        return named if named.lives else None

    def _read(self) -> tuple[ServiceState | None, str | None]:
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=ServiceState), None
        except FileNotFoundError:
            return None, None
        except (OSError, msgspec.DecodeError) as error:
            return None, f"{self.file} cannot be read: {error}"


class Held:
    """The lock of a place, held by this process until it is closed or the process ends, however it ends."""

    def __init__(self, place: Place, descriptor: int) -> None:
        self.place = place
        self._descriptor = descriptor
        created = born(os.getpid())
        self.own = Born(os.getpid(), created if created is not None else 0.0)
        with contextlib.suppress(FileNotFoundError):
            place.file.unlink()
        place.sweep()
        self._name(msgspec.json.encode(self.own))

    def __enter__(self) -> Held:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def tell(self, state: ServiceState) -> None:
        """Write the state, for this user alone, unless the place has gone or is another's. Raise ``OSError``."""
        if self._ours():
            write_whole(self.place.file, msgspec.json.encode(state), mode=PRIVATE)

    def close(self) -> None:
        """Take the state away and let go of the lock."""
        if self._ours():
            self.place.file.unlink(missing_ok=True)
        self._name(b"")
        os.close(self._descriptor)

    def _ours(self) -> bool:
        """Whether the lock is still the place's: a folder that was removed may have been made again by another."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.place.lock.stat())
        except OSError:
            return False

    def _name(self, holder: bytes) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, holder)


def already(standing: Standing) -> ServiceRunning:
    """The error for a second service in one home."""
    state = standing.running
    return ServiceRunning(
        f"the service is already running at {state.address}" if state else "the service is already starting",
        why=f"process {standing.pid} holds {FOLDER}/lock" if standing.pid else None,
        remedy="assay service status; assay service stop ends it; --home DIR has a service of its own",
    )


def born(pid: int) -> float | None:
    """When a process was started; None where there is none of that number, or it has ended and was not reaped.

    On Linux in seconds since the boot, which no change of the clock moves; elsewhere in seconds since 1970.
    """
    if _PROC.is_file():
        try:
            fields = (
                (_PROC.parents[1] / str(pid) / "stat")
                .read_text(encoding="utf-8", errors="replace")
                .rpartition(")")[2]
                .split()
            )
        except OSError:
            return None
        return None if fields[0] in "ZX" else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def lock_at_once(descriptor: int, path: Path) -> bool:
    """Tell whether the lock of the open file ``path`` could be taken; raise ``BadInput`` where its disk knows none."""
    try:
        return try_lock(descriptor)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be locked",
            why=f"{error.strerror or error}: some network drives know no locks",
            remedy="keep Assay's home on another disk: --home, or ASSAY_HOME",
        ) from error
