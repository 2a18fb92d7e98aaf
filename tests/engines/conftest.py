"""Real engine processes for these tests, and a client that reads what they stream."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from assay import engines
from assay.types import Endpoint, Engine, EngineOptions, Variant

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def plugin_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the import path with the scripted engine as an installed distribution."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(HERE / "scripted_engine.py", site)
    info = site / "scripted_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[assay.engines]\nscripted = scripted_engine:ScriptedEngine\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        known = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), *([known] if known else [])]))
        yield site
        sys.modules.pop("scripted_engine", None)


class Client:
    """Speaks to one endpoint; bodies get its model id."""

    def __init__(self, engine: Engine, endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
        self.engine = engine
        self.endpoint = endpoint
        self.session = session

    async def post(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        body = {"model": self.endpoint.model, **body}
        async with self.session.post(self.endpoint.url + path, json=body) as response:
            return response.status, await response.json()

    async def chat(self, content: str = "hi", **body: Any) -> tuple[int, dict[str, Any]]:
        return await self.post("/chat/completions", messages=[{"role": "user", "content": content}], **body)

    async def complete(self, prompt: Any = "hi", **body: Any) -> tuple[int, dict[str, Any]]:
        return await self.post("/completions", prompt=prompt, **body)

    async def events(self, path: str, **body: Any) -> AsyncIterator[Any]:
        """The decoded events of a stream; the end mark comes as the string ``[DONE]``."""
        body = {"model": self.endpoint.model, "stream": True, **body}
        async with self.session.post(self.endpoint.url + path, json=body) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line.startswith(b"data: "):
                    data = line[6:].strip()
                    yield "[DONE]" if data == b"[DONE]" else json.loads(data)

    async def stream(self, content: str = "hi", **body: Any) -> list[Any]:
        messages = [{"role": "user", "content": content}]
        return [event async for event in self.events("/chat/completions", messages=messages, **body)]

    async def health(self) -> dict[str, Any]:
        async with self.session.get(self.endpoint.url.removesuffix("/v1") + "/health") as response:
            return {"http": response.status, **await response.json()}

    async def reached(self, name: str, least: int = 1) -> dict[str, Any]:
        """Health once what it calls ``name`` is at least ``least``."""
        async with asyncio.timeout(60):
            while (health := await self.health())[name] < least:  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.001)
        return health

    async def settled(self) -> dict[str, Any]:
        """Health once no generation runs any more."""
        async with asyncio.timeout(60):
            while (health := await self.health())["running"]:  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.01)
        return health


@asynccontextmanager
async def _live(engine: Engine, variant: Variant, options: EngineOptions) -> AsyncIterator[Client]:
    endpoint = await engine.start(variant, options)
    try:
        async with aiohttp.ClientSession(headers=endpoint.headers) as session:
            yield Client(engine, endpoint, session)
    finally:
        await engine.stop(endpoint)


Use = Callable[[Client], Awaitable[None]]


@pytest.fixture
def with_script(plugin_site: Path) -> Callable[..., None]:
    """Run an async function against a scripted engine: ``with_script(use, pieces=[...], slots=..., context=...)``."""

    def run(use: Use, *, slots: int = 4, context: int | None = 64, **script: Any) -> None:
        async def go() -> None:
            options = EngineOptions(slots=slots, context_length=context, extra={"script": json.dumps(script)})
            async with _live(engines.load("scripted"), SCRIPTED, options) as client:
                await use(client)

        asyncio.run(go())

    return run


SCRIPTED = Variant(id="scripted-1", alias="scripted", format="openvino", source="test", engine="scripted")


@pytest.fixture
def scripted(plugin_site: Path) -> Variant:
    """A variant for the scripted engine."""
    return SCRIPTED


@pytest.fixture
def live() -> Callable[[Variant, EngineOptions, Use], None]:
    """Run an async function against any variant on its engine."""

    def run(variant: Variant, options: EngineOptions, use: Use) -> None:
        async def go() -> None:
            async with _live(engines.for_variant(variant), variant, options) as client:
                await use(client)

        asyncio.run(go())

    return run


Run = Callable[[Use], None]


@pytest.fixture(scope="session")
def kept() -> Callable[[Variant, EngineOptions], AbstractContextManager[Run]]:
    """For tests that share a worker: ``with kept(variant, options) as run``, then ``run(use)`` for each function."""

    @contextmanager
    def keep(variant: Variant, options: EngineOptions) -> Iterator[Run]:
        engine = engines.for_variant(variant)
        endpoint = asyncio.run(engine.start(variant, options))

        def run(use: Use) -> None:
            async def go() -> None:
                async with aiohttp.ClientSession(headers=endpoint.headers) as session:
                    await use(Client(engine, endpoint, session))

            asyncio.run(go())

        yield run
        asyncio.run(engine.stop(endpoint))

    return keep


@pytest.fixture(scope="session")
def bundled() -> dict[str, Variant]:
    """The bundled variants by id, with absolute paths."""
    folder = Path(engines.__file__).parents[1] / "catalog" / "bundled"
    manifest = folder / "bundled.json"
    if not manifest.exists():
        pytest.skip("the bundled models are not in this checkout")
    listed = [structs.replace(v, path=str(folder / (v.path or ""))) for v in _decode(manifest)]
    return {variant.id: variant for variant in listed}


def _decode(manifest: Path) -> list[Variant]:
    import msgspec

    return msgspec.json.decode(manifest.read_bytes(), type=list[Variant])
