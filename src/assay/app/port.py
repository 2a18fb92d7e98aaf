"""A port to listen on: exactly the one that was asked for, and who has it where that is taken."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys

from assay.errors import BadInput, PortTaken

BACKLOG = 1024
"""Connections that the system keeps while the service is busy."""
_OURS = ("assay.app.detached", "assay serve", "assay.cli serve")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 gets any free one.

    Raises:
        PortTaken: another program listens there. BadInput: no such address here, or no right to the port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BadInput(
            f"{host!r} is no address of this machine", why=error.strerror or str(error), remedy="give --host 127.0.0.1"
        ) from error
    # A name such as localhost has several addresses: the oldest protocol is the one that every client tries.
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        # From here on nobody else can have the port: two bound sockets may share it until one listens.
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _refused(host, port, error) from error
    return listening


def _refused(host: str, port: int, error: OSError) -> PortTaken | BadInput:
    if error.errno == errno.EADDRINUSE:
        return taken(host, port)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return BadInput(f"port {port} may not be used", why=error.strerror, remedy="give a port above 1023")
    return BadInput(
        f"nothing can listen on {host}:{port}", why=error.strerror, remedy="give --host 127.0.0.1, or --host 0.0.0.0"
    )


def taken(host: str, port: int) -> PortTaken:
    """The error for a port that another program has, with its name where the system tells."""
    pid, command = _holder(port)
    if any(words in command for words in _OURS):
        return PortTaken(
            f"{host}:{port} is taken by another Assay service",
            why=f"process {pid}: {command}",
            remedy="assay service status --home DIR with its home; or give another --port",
        )
    return PortTaken(
        f"{host}:{port} is taken by another program",
        why=f"process {pid}: {command}" if pid else "the system does not say by which",
        remedy="end that program, or give another --port (0: any that is free)",
    )


def _holder(port: int) -> tuple[int | None, str]:
    """The process that listens on ``port`` and its command line; unknown where the system does not say."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                pid = one.pid if one.pid != os.getpid() else None
                with contextlib.suppress(psutil.Error):
                    return pid, " ".join(psutil.Process(one.pid).cmdline())[:200]
                return pid, ""
    return None, ""
