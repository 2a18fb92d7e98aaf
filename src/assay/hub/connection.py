"""One endpoint of a hub: requests with the token, tried again where that makes sense, failures in Assay's errors."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from assay.errors import BadConfig
from assay.hub.failures import Asked, Failure, Place, failure_of, foreign, not_a_hub, offline
from assay.hub.waiting import backoff

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
CONNECT_S = 10.0
QUICK_RETRIES = 2
"""Of what is small: who asks for a list wants an answer soon, also when it is that nobody is there."""
MOST = 64 << 20
"""Bytes of one answer of the API; a page of a listing has some hundred thousand."""
MOST_REFUSAL = 1 << 16
"""The same of an answer that says no."""
OF_THE_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(frozen=True, kw_only=True)
class Connection:
    """``stall_s`` is how long no byte may come, ``longest_wait_s`` the longest wait that the hub may ask for."""

    endpoint: str = field(repr=False)
    token: str | None = field(repr=False)
    offline: bool
    stall_s: float
    retries: int
    longest_wait_s: float
    sleep: Callable[[float], None] = field(repr=False)
    random: Callable[[], float] = field(repr=False)

    @property
    def place(self) -> Place:
        parts = urlsplit(self.endpoint)
        return Place(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), self.token)

    def api(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        """The address of an API route; a list in ``query`` is repeated."""
        return f"{self.endpoint}/api/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")

    def file(self, repo: str, revision: str, path: str) -> str:
        """The address of a file's bytes."""
        library()
        from huggingface_hub import hf_hub_url

        return hf_hub_url(repo, path, revision=revision, endpoint=self.endpoint)

    @contextlib.contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """One GET, its body not read yet; raises what is foreign. Hosts it is redirected to never see the token."""
        library()
        import httpx2
        from huggingface_hub import get_session
        from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

        timeout = httpx2.Timeout(self.stall_s, connect=min(CONNECT_S, self.stall_s))
        with get_session().stream("GET", url, headers={**self._headers(), **headers}, timeout=timeout) as response:
            if response.is_error:
                hf_raise_for_status(_refusal(response))
            yield response

    def json(self, url: str, asked: Asked) -> tuple[Any, str | None]:
        """A whole answer of the API, and the query of the next page where there is one.

        Raises:
            HubError, UnknownModel: after the retries, where they make sense.
        """

        def attempt() -> tuple[bytes, str | None]:
            with self.stream(url, {}) as response:
                return _read(response, MOST), _next_query(response)

        body, following = self.retried(attempt, asked)
        if len(body) > MOST:
            raise not_a_hub(asked, self.place, f"its answer has more than {MOST} bytes")
        try:
            return json.loads(body), following
        except (ValueError, RecursionError) as error:
            raise not_a_hub(asked, self.place) from error

    def retried(self, attempt: Callable[[], T], asked: Asked) -> T:
        """What ``attempt`` gives, tried again up to twice."""
        self.check_online(asked)
        for tried in itertools.count():
            try:
                return attempt()
            except foreign() as error:
                failure = failure_of(error, asked, self.place)
                wait = self.wait(failure, tried, min(self.retries, QUICK_RETRIES))
                if wait is None:
                    raise failure.error from self.cause(error)
                self.sleep(wait)
        raise AssertionError

    def wait(self, failure: Failure, tried: int, retries: int) -> float | None:
        """Seconds before the next try; None where there should be none."""
        if not failure.again or tried >= retries:
            return None
        if failure.wait is None:
            return backoff(tried, self.random())
        return failure.wait + self.random() if failure.wait <= self.longest_wait_s else None

    def cause(self, error: Exception) -> Exception | None:
        """What a traceback may show as the cause: not what says the token back."""
        return None if self.token is not None and self.token in str(error) else error

    def check_online(self, asked: Asked) -> None:
        """Raise ``HubUnreachable`` in offline mode."""
        if self.offline:
            raise offline(asked, self.place)

    def check_name(self, asked: Asked) -> None:
        """Raise ``UnknownModel`` for what cannot be a repository's name."""
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        try:
            validate_repo_id(asked.repo)
        except HFValidationError as error:
            raise failure_of(error, asked, self.place).error from error

    def _headers(self) -> dict[str, str]:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        headers: dict[str, str] = build_hf_headers(
            token=self.token or False, library_name="assay", library_version=_version()
        )
        return headers


def checked_endpoint(endpoint: str) -> str:
    """Without spaces around it and slashes at its end.

    Raises:
        BadConfig: no http or https address.
    """
    address = endpoint.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise BadConfig(
            "The hub's address cannot be used",
            why="it is no http or https address",
            remedy="set HF_ENDPOINT to one like https://huggingface.co, or unset it",
        )
    return address


def checked_token(token: str | None) -> str | None:
    """Without spaces around it; None where nothing is left.

    Raises:
        BadConfig: no header can hold it. The message does not show it.
    """
    token = (token or "").strip() or None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise BadConfig(
            "The hub's token cannot be used",
            why="it has characters that no token has",
            remedy="copy it again into HF_TOKEN; it begins with hf_",
        )
    return token


def _read(response: httpx2.Response, most: int) -> bytes:
    """The body, or a little more than ``most`` bytes of it."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > most:
            break
    return bytes(body)


def _next_query(response: httpx2.Response) -> str | None:
    """The query of the next page; None where there is none, or no address that can be read."""
    try:
        return urlsplit(response.links.get("next", {}).get("url", "")).query or None
    except ValueError:
        return None


def _refusal(response: httpx2.Response) -> httpx2.Response:
    """An answer that says no, with its message alone: huggingface_hub would read all of it and expect an object."""
    import httpx2

    body = b""
    with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
        body = _read(response, MOST_REFUSAL)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None if "html" in response.headers.get("Content-Type", "") else body.decode("utf-8", "replace")
    message = told.get("error") if isinstance(told, dict) else told
    refusal = httpx2.Response(
        response.status_code,
        headers={name: value for name, value in response.headers.items() if name not in OF_THE_BODY},
        content=json.dumps({"error": message} if isinstance(message, str) else {}).encode(),
        request=response.request,
    )
    refusal.history = response.history
    return refusal


@cache
def library() -> None:
    """Have huggingface_hub say nothing of this machine to anyone, before anything of it is used."""
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_TELEMETRY = True


@cache
def _version() -> str | None:
    from importlib import metadata

    try:
        return metadata.version("assay")
    except metadata.PackageNotFoundError:
        return None
