"""Asks the service of this home over HTTP, as this user: no key has to be given.

In: a home. Out: what the service says of itself and its models. Standard library alone, so that a status is quick.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from assay.errors import ServiceError, ServiceNotRunning
from assay.serve.place import Place, ServiceState, Standing
from assay.settings import home_of

__all__ = ["ServiceClient", "ServiceState", "find_service", "need_service", "not_running", "place_of"]

QUICK_S = 0.7
"""How long a status is waited for."""
LONG_S = 900.0
"""How long a load is waited for."""


class ServiceClient:
    """Talks to one running service; each request has a connection of its own."""

    def __init__(self, state: ServiceState) -> None:
        self.state = state

    def status(self, *, timeout_s: float = QUICK_S) -> dict[str, Any]:
        """What the service says of itself. Raise ``ServiceError`` where it does not answer."""
        return object_of(self.ask("GET", "/assay/status", timeout_s=timeout_s))

    def models(self) -> list[dict[str, Any]]:
        """The models that are loaded or about to be. Raise ``ServiceError``."""
        return rows_of(self.ask("GET", "/assay/models", timeout_s=5.0))

    def load(self, model: str, *, ttl: float | None = None, timeout_s: float = LONG_S) -> dict[str, Any]:
        """Bring a model up; what the service says of it. Raise ``ServiceError`` in its own words where it cannot."""
        return object_of(self.ask("POST", "/assay/load", {"model": model, "ttl": ttl}, timeout_s=timeout_s))

    def unload(self, model: str, *, force: bool = False) -> list[str]:
        """Take a model down when idle, with ``force`` at once; the ids of those that go. Raise ``ServiceError``."""
        told = object_of(self.ask("POST", "/assay/unload", {"model": model, "force": force}, timeout_s=60.0))
        going = told.get("unloaded")
        return [str(one) for one in going] if isinstance(going, list) else []

    def stop(self, *, now: bool = False) -> None:
        """Have the service end. Raise ``ServiceError`` where it does not answer."""
        self.ask("POST", "/assay/stop", {"now": now}, timeout_s=5.0)

    def healthy(self, *, timeout_s: float = QUICK_S) -> bool:
        """Whether it answers at all."""
        with contextlib.suppress(ServiceError):
            self.ask("GET", "/health", timeout_s=timeout_s)
            return True
        return False

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float) -> Any:
        """One request; the answer's JSON. Raise ``ServiceError``: no answer, or a refusal in the service's words."""
        headers = {"Authorization": f"Bearer {self.state.admin_key}", "Connection": "close"}
        content = None
        if body is not None:
            content, headers["Content-Type"] = msgspec.json.encode(body), "application/json"
        try:
            with contextlib.closing(self._connection(timeout_s)) as connection:
                connection.request(method, quote(path, safe="/?=&"), body=content, headers=headers)
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise silent(self.state, error) from error
        return answered(status, text)

    def tls(self) -> ssl.SSLContext | None:
        """Trusts the very certificate that the service was given, whatever name it was made for; None: plain HTTP."""
        if not self.state.tls:
            return None
        context = ssl.create_default_context(cafile=self.state.cert)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        state = self.state
        context = self.tls()
        if context is None:
            return http.client.HTTPConnection(state.dialled, state.port, timeout=timeout_s)
        return http.client.HTTPSConnection(state.dialled, state.port, timeout=timeout_s, context=context)


def place_of(home: str | Path | None) -> Place:
    """Where the service of this home, or of the one that the environment names, is told of."""
    return Place(home_of({"home": home}, os.environ))


def find_service(home: str | Path | None = None) -> ServiceClient | None:
    """The service of this home; None where none is running."""
    state = place_of(home).look().running
    return ServiceClient(state) if state is not None else None


def need_service(home: str | Path | None = None) -> ServiceClient:
    """The service of this home. Raise ``ServiceNotRunning``."""
    standing = place_of(home).look()
    state = standing.running
    if state is None:
        raise not_running(standing)
    return ServiceClient(state)


def not_running(standing: Standing) -> ServiceNotRunning:
    """The error where a service is needed, with how the last one ended where that is known."""
    if standing.kind == "starting":
        return ServiceNotRunning("the service is still starting", remedy="try again in a moment")
    killed = standing.kind == "killed"
    return ServiceNotRunning(
        "the service is not running",
        why=standing.problem or ("the last one was killed" if killed else None),
        remedy="assay service start",
    )


def answered(status: int, text: bytes) -> Any:
    """An answer's JSON; raise ``ServiceError`` where it is a refusal, in the service's words."""
    told = _decoded(text)
    if status >= 400:
        message, _, remedy = _refusal(status, told).partition("; try: ")
        raise ServiceError(message, remedy=remedy or "assay service ps; assay service logs")
    return told


def silent(state: ServiceState, error: Exception) -> ServiceError:
    """The error where no answer came."""
    return ServiceError(
        f"the service at {state.address} does not answer",
        why=str(error) or type(error).__name__,
        remedy="assay service logs tells what it does; assay service restart",
    )


def object_of(told: Any) -> dict[str, Any]:
    """An answer that is an object; an empty one where it is none."""
    return told if isinstance(told, dict) else {}


def rows_of(told: Any) -> list[dict[str, Any]]:
    """The models of an answer of ``/assay/models``."""
    rows = object_of(told).get("models")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return None


def _refusal(status: int, told: Any) -> str:
    error = told.get("error") if isinstance(told, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message) if message else f"the service answered with status {status}"
