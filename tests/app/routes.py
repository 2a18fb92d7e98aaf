"""A home with an upstream in its list, and what a name means there."""

from __future__ import annotations

import asyncio

from assay.app.directory import Directory, Loads
from assay.app.here import Here
from assay.serve import Route

REMOTE = {"alias": "far", "endpoint": "http://127.0.0.1:9/v1", "model": "org/far", "key": "env:FAR_KEY"}


def route(here: Here, name: str, loads: Loads = Loads(), **more: object) -> Route:  # noqa: B008 - frozen
    return asyncio.run(Directory(here, loads, **more).route(name))  # type: ignore[arg-type]
