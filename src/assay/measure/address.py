"""Addresses that people write for OpenAI-compatible servers, and the models found there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import msgspec

from assay.errors import BadInput, EngineUnavailable
from assay.measure.wire import error_text

LIST_TIMEOUT_S = 15.0
_ROUTES = re.compile(r"/(chat/completions|completions|models)/?$")
_VERSION = re.compile(r"/v\d+$")


class _Listing(msgspec.Struct):
    class Model(msgspec.Struct):
        id: str

    data: list[Model]


def base_url(text: str) -> str:
    """The base URL that ends in ``/v1`` (or the version that ``text`` names), from an address as people write it.

    ``localhost:5273``, ``http://host/``, ``http://host/v1/`` and ``http://host/v1/chat/completions`` are all taken.
    Raises ``BadInput``, also for a user name in the URL: it would be written into the run.
    """
    given = text.strip()
    address = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise BadInput(
            f"not an address of a server: {given!r}", why=str(error), remedy="http://127.0.0.1:5273/v1"
        ) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", given):
        raise BadInput(f"not an address of a server: {given!r}", remedy="write it like http://127.0.0.1:5273/v1")
    if parts.username is not None or parts.password is not None:
        raise BadInput(
            "the address holds a user name or password, which a run would keep", remedy="pass it as the API key"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = _ROUTES.sub("", parts.path).rstrip("/")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path if _VERSION.search(path) else path + '/v1'}"


def bearer(api_key: str | None) -> dict[str, str]:
    """The headers that carry ``api_key``; none without one."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


async def list_models(url: str, headers: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Ids that ``GET {url}/models`` lists, in its order. Raises ``EngineUnavailable`` with what the server said."""
    timeout = aiohttp.ClientTimeout(total=LIST_TIMEOUT_S)
    remedy = f"check that a server answers at {url}/models, and the API key"
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{url}/models", allow_redirects=False) as response,
        ):
            body = await response.read()
    except TimeoutError as error:
        why = f"no answer within {LIST_TIMEOUT_S:g} s"
        raise EngineUnavailable(f"{url} does not answer", why=why, remedy=remedy) from error
    except aiohttp.ClientError as error:
        raise EngineUnavailable(f"{url} does not answer", why=str(error), remedy=remedy) from error
    if response.status != 200:
        why = f"HTTP {response.status}: {error_text(body)}"
        raise EngineUnavailable(f"{url} does not list its models", why=why, remedy=remedy)
    try:
        return tuple(model.id for model in msgspec.json.decode(body, type=_Listing).data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EngineUnavailable(f"{url}/models is not a list of models", why=str(error), remedy=remedy) from error
