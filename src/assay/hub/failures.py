"""What went wrong at the hub, in Assay's own errors: the one place that knows huggingface_hub's and its client's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from assay.errors import AssayError, DownloadFailed, HubBusy, HubRefused, HubUnreachable, UnknownModel
from assay.hub.waiting import asked_wait

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_WHY = 300


class Asked(NamedTuple):
    """What was asked for, as messages name it."""

    repo: str | None = None
    revision: str | None = None
    path: str | None = None

    @property
    def name(self) -> str:
        if self.repo is None:
            return "the list of models"
        return f"{self.path} of {self.repo}" if self.path else self.repo


class Place(NamedTuple):
    """Where it was asked: the endpoint as it may be shown, and the token that may not."""

    endpoint: str
    token: str | None

    def __repr__(self) -> str:
        return f"Place({self.endpoint!r})"

    def hide(self, text: str) -> str:
        """``text``, shortened, on one line, and without the token."""
        text = " ".join(text.split())
        return (text.replace(self.token, "[token]") if self.token else text)[:MAX_WHY]


class Failure(NamedTuple):
    """An error of the tree, whether another try makes sense, and the seconds that the hub asked to wait before it."""

    error: AssayError
    again: bool
    wait: float | None = None


@cache
def foreign() -> tuple[type[Exception], ...]:
    """Every exception that a request can end in."""
    import httpx2
    from huggingface_hub.errors import HFValidationError

    return (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, HFValidationError, OSError)


def failure_of(error: Exception, asked: Asked, place: Place) -> Failure:
    """Translate one of the ``foreign`` exceptions."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return _of_answer(error, asked, place)
    if isinstance(error, OfflineModeIsEnabled):
        return Failure(offline(asked, place), again=False)
    if isinstance(error, HFValidationError):
        why = "a repository's name is owner/name, of letters, digits, '-', '_' and '.'"
        return Failure(UnknownModel(f"{asked.repo!r} is no repository", why=why, remedy="check the name"), again=False)
    if isinstance(error, (httpx2.TimeoutException, httpx2.NetworkError, httpx2.ProtocolError)):
        why, again = _trouble(error), not isinstance(error, httpx2.LocalProtocolError)
    elif isinstance(error, httpx2.ProxyError):
        why, again = f"the proxy refused: {error}", False
    elif isinstance(error, (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)):
        why, again = str(error), False
    else:
        why, again = str(error), True
    remedy = "check the network, and HF_ENDPOINT where it is set"
    message = f"{place.endpoint} could not be asked for {asked.name}"
    return Failure(HubUnreachable(message, why=place.hide(why), remedy=remedy), again)


def offline(asked: Asked, place: Place) -> HubUnreachable:
    return HubUnreachable(
        f"{place.endpoint} is not asked for {asked.name}",
        why="offline mode is on",
        remedy="unset HF_HUB_OFFLINE, or use what is on this machine: assay model list --cached",
    )


def not_a_hub(asked: Asked, place: Place, why: str = "what came is not the JSON that was expected") -> HubUnreachable:
    """The answer is not what a hub would say: a login page, or another server."""
    return HubUnreachable(
        f"{place.endpoint} did not answer as a model hub does when it was asked for {asked.name}",
        why=why,
        remedy="check HF_ENDPOINT, and whether the network wants a login",
    )


def _trouble(error: Exception) -> str:
    import httpx2

    if isinstance(error, httpx2.ConnectTimeout):
        return "no connection came about in time"
    if isinstance(error, httpx2.TimeoutException):
        return "it went silent"
    return str(error) or "the connection broke"


def status_of(error: Exception) -> int | None:
    """The HTTP status that the hub answered with, where it did."""
    from huggingface_hub.errors import HfHubHTTPError

    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _of_answer(error: HfHubHTTPError, asked: Asked, place: Place) -> Failure:
    status = error.response.status_code
    why = place.hide(error.server_message or f"it answered {status}")
    missing = _missing(error, why, asked, place)
    if missing is not None:
        return Failure(missing, again=False)
    if status in {401, 403}:
        return _refused(error.response, f"{status}: {why}", asked, place)
    if status in AGAIN:
        return _later(error.response, f"{status}: {why}", asked, place)
    remedy = "try again later; if it stays, check HF_ENDPOINT"
    message = f"{place.endpoint} could not give {asked.name}"
    return Failure(HubUnreachable(message, why=f"{status}: {why}", remedy=remedy), again=False)


def _missing(error: HfHubHTTPError, why: str, asked: Asked, place: Place) -> AssayError | None:
    """For what is not there, or not there for everyone."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return _gated(asked, place)
    if isinstance(error, errors.RevisionNotFoundError):
        return UnknownModel(
            f"{asked.repo} has no revision {asked.revision!r}",
            why=why,
            remedy=f"see {place.endpoint}/{asked.repo}/commits/main, or leave the revision out",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return _no_repository(asked, place)
    if error.response.status_code == 404:
        remedy = f"see {place.endpoint}/{asked.repo}" if asked.repo else "check HF_ENDPOINT"
        return UnknownModel(f"There is no {asked.name}", why=why, remedy=remedy)
    return None


def _gated(asked: Asked, place: Place) -> HubRefused:
    page = f"{place.endpoint}/{asked.repo}"
    agree = f"agree to the terms at {page}"
    if place.token is None:
        why, remedy = "its terms must be agreed to, and no token was given", f"{agree}, then set HF_TOKEN"
    else:
        why = "the token's owner has not agreed to its terms, or waits for an answer"
        remedy = f"{agree} with the account that HF_TOKEN belongs to"
    return HubRefused(f"{asked.repo} is gated", why=why, remedy=remedy)


def _no_repository(asked: Asked, place: Place) -> UnknownModel:
    private = "" if place.token else "; a private one wants HF_TOKEN"
    return UnknownModel(
        f"There is no {asked.repo} at {place.endpoint}",
        why="no such repository, or it is private",
        remedy=f"check the name{private}",
    )


def _refused(response: httpx2.Response, why: str, asked: Asked, place: Place) -> Failure:
    origin = (response.url.host, response.url.port)
    if any((earlier.url.host, earlier.url.port) != origin for earlier in response.history):
        message = f"{asked.name} could not be had from where {place.endpoint} keeps it"
        error = DownloadFailed(message, why=f"the link was refused ({response.status_code})", remedy="try again")
        return Failure(error, again=True)
    remedy = "set HF_TOKEN to a token with read access (huggingface.co/settings/tokens)"
    if place.token is not None:
        remedy = "check that HF_TOKEN is valid and may read this repository"
    message = f"{place.endpoint} refused {asked.name}"
    return Failure(HubRefused(message, why=why, remedy=remedy), again=False)


def _later(response: httpx2.Response, why: str, asked: Asked, place: Place) -> Failure:
    wait = _asked_wait(response.headers)
    message = f"{place.endpoint} could not give {asked.name} now"
    if response.status_code == 429 or wait is not None:
        when = f" in {wait:.0f} s" if wait else " later"
        more = "" if place.token else "; with HF_TOKEN set more requests are allowed"
        return Failure(HubBusy(message, why=why, remedy=f"come back{when}{more}"), again=True, wait=wait)
    return Failure(HubUnreachable(message, why=why, remedy="try again later"), again=True)


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    return asked_wait(headers, datetime.now(UTC))
