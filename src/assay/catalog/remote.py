"""Models behind an address: ``http(s)://host/v1#model``."""

from __future__ import annotations

from urllib.parse import urlsplit

from assay.errors import BadInput
from assay.types import Variant


def is_address(text: str) -> bool:
    """Whether ``text`` is meant as an address."""
    return text.lower().startswith(("http://", "https://"))


def remote_variant(address: str, *, model: str | None = None, alias: str | None = None) -> Variant:
    """The variant behind an OpenAI-compatible address, with or without ``/v1``.

    ``model`` is the id to send, unless the address names it after ``#``. Without either, ``served_id`` is None: whoever
    asks the server takes the only model that it lists.

    Raises:
        BadInput: no address, or one that holds a password, which every record of a run would show.
    """
    try:
        parts = urlsplit(address.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"{address!r} is not an address", why=str(error), remedy=EXAMPLE) from error
    if parts.scheme.lower() not in {"http", "https"} or not host:
        raise BadInput(f"{address!r} is not an address", why="http://host or https://host is expected", remedy=EXAMPLE)
    if parts.username or parts.password:
        raise BadInput(
            f"the address of {host} holds a user name or password",
            why="every record of a run would show it",
            remedy="set OPENAI_API_KEY in the environment",
        )
    if parts.query:
        raise BadInput(f"{address!r} holds a query", why="only paths can be asked", remedy=EXAMPLE)
    place = f"[{host}]" if ":" in host else host
    place = f"{place}:{port}" if port is not None else place
    path = parts.path.rstrip("/")
    served = parts.fragment or model
    name = alias or (f"{served}@{place}" if served else place)
    return Variant(
        id=name,
        alias=alias or served or place,
        format="remote",
        source=f"{parts.scheme.lower()}://{place}{path if path.endswith('/v1') else path + '/v1'}",
        served_id=served,
    )


EXAMPLE = "write it like http://127.0.0.1:8000/v1#model"
