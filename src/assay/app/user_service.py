"""The service as one that the system starts when its user logs in: systemd on Linux, launchd on macOS.

In: what a service is started with. Out: the text of a unit or a property list, its place, the commands to enable it.
"""

from __future__ import annotations

import os
import plistlib
import sys
from pathlib import Path
from typing import Literal

from msgspec import Struct

from assay.app.serve_options import Asked, options_for
from assay.errors import BadInput, ServiceError

Kind = Literal["systemd", "launchd"]
LABEL = "dev.assay.service"
UNIT = "assay.service"
_STOP_S = 60
"""How long the system waits for answers under way before it ends the process."""


class UserService(Struct, frozen=True, kw_only=True):
    """A file for the system, and the commands that have the system take notice of it, or forget it."""

    kind: Kind
    path: str
    text: str
    enable: tuple[str, ...]
    disable: tuple[str, ...]


def unit_for(wanted: Asked, kind: Kind | None = None) -> UserService:
    """What would be written for ``wanted``; ``kind`` None: this system's own.

    Raises:
        BadInput: this system has neither. BadConfig: flags that cannot be used.
    """
    options_for(wanted)
    kind = kind or _own_kind()
    command = [sys.executable, "-P", "-m", "assay", "serve", *wanted.words()]
    path = unit_path(kind)
    if kind == "systemd":
        return UserService(
            kind=kind,
            path=str(path),
            text=_systemd(command),
            enable=("systemctl --user daemon-reload", f"systemctl --user enable --now {UNIT}"),
            disable=(f"systemctl --user disable --now {UNIT}", "systemctl --user daemon-reload"),
        )
    return UserService(
        kind=kind,
        path=str(path),
        text=_launchd(command),
        enable=(f"launchctl bootstrap gui/$(id -u) '{path}'",),
        disable=(f"launchctl bootout gui/$(id -u)/{LABEL}",),
    )


def install_service(wanted: Asked, kind: Kind | None = None) -> UserService:
    """Write the file, which replaces an older one of ours. Raise as ``unit_for``, and ``ServiceError``."""
    made = unit_for(wanted, kind)
    path = Path(made.path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made.text, encoding="utf-8")
    except OSError as error:
        raise ServiceError(f"{path} cannot be written", why=error.strerror, remedy="--print shows its text") from error
    return made


def uninstall_service(kind: Kind | None = None) -> tuple[Path, bool]:
    """Remove the file; gives its place and whether it was there. Raise ``BadInput`` and ``ServiceError``."""
    path = unit_path(kind or _own_kind())
    try:
        path.unlink()
    except FileNotFoundError:
        return path, False
    except OSError as error:
        raise ServiceError(f"{path} cannot be removed", why=error.strerror, remedy="check the rights there") from error
    return path, True


def unit_path(kind: Kind) -> Path:
    """Where the system looks for it."""
    if kind == "launchd":
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "systemd" / "user" / UNIT


def _own_kind() -> Kind:
    kinds: dict[str, Kind] = {"linux": "systemd", "darwin": "launchd"}
    if sys.platform not in kinds:
        raise BadInput(
            f"no service can be installed on {sys.platform}",
            why="units for systemd and launchd are known",
            remedy="assay service start, from the system's own list of programs to start",
        )
    return kinds[sys.platform]


def _systemd(command: list[str]) -> str:
    return f"""[Unit]
Description=Assay: language models of this machine over one OpenAI-compatible service
After=network.target

[Service]
Type=exec
ExecStart={" ".join(map(_quoted, command))}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
TimeoutStopSec={_STOP_S}
KillMode=mixed

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    """A word as systemd reads it: ``%`` and ``$`` mean themselves."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if text != word or not word or any(c.isspace() or c in "';#" for c in word) else word


def _launchd(command: list[str]) -> str:
    made = {
        "Label": LABEL,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": _STOP_S,
        "ProcessType": "Interactive",
    }
    return plistlib.dumps(made, sort_keys=False).decode()
