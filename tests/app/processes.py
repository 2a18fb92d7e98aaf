"""Models as real processes of the scripted engine, and a look at which processes there are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import psutil
import pytest

from assay import app
from assay.app.here import Here
from assay.catalog import bundled_folder
from assay.serve import Live, Offer
from assay.types import EngineOptions, Variant

CAP_S = 30.0
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def scripted(id: str = "scripted-1", **script: Any) -> Offer:  # noqa: A002
    """An offer of the scripted engine."""
    variant = Variant(id=id, alias=id, format="openvino", source="test")
    options = EngineOptions(slots=2, context_length=64, extra={"script": json.dumps(script)})
    return Offer(variant=variant, engine="scripted", options=options, needs=1 << 20)


def taken_in(here: Here) -> Variant:
    """A bundled model, taken into the store of ``here``."""
    file = bundled_folder() / "notes-0.5m" / "notes-0.5m-q8_0.gguf"
    (stored,) = app.import_models(str(file), home=here.settings.home)
    return here.store.placed(stored)


async def until(true: Callable[[], bool]) -> None:
    """Wait for it; fail where it never comes."""
    async with asyncio.timeout(CAP_S):
        while not true():  # noqa: ASYNC110 - it is another process that makes it true
            await asyncio.sleep(0.01)


def children() -> set[int]:
    """Processes that this one has started and that live."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
    return found


def pid_of(live: Live) -> int:
    assert live.endpoint.pid is not None
    return live.endpoint.pid


async def answer(live: Live, **body: Any) -> dict[str, Any]:
    """A whole answer, from the worker itself."""
    body = {"model": live.endpoint.model, "prompt": "hi", "max_tokens": 4, **body}
    url, headers = f"{live.endpoint.url}/completions", live.headers
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as got:
        return dict(await got.json())
