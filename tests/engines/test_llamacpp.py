"""What is llama.cpp's own, on the bundled GGUF file."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec import structs

from assay import engines
from assay.errors import BadInput, EngineStartFailed
from assay.types import EngineOptions, Variant

pytestmark = pytest.mark.engines
Live = Callable[..., None]


@pytest.fixture
def variant(bundled: dict[str, Variant]) -> Variant:
    return next(variant for variant in bundled.values() if variant.format == "gguf" and variant.alias == "notes-4m")


def test_each_slot_has_the_context_that_was_asked_for(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        assert (client.endpoint.context_length, client.endpoint.slots) == (300, 3)
        full = [client.complete([5] * 299, max_tokens=9) for _ in range(3)]
        assert [status for status, _ in await asyncio.gather(*full)] == [200, 200, 200]
        assert (await client.complete([5] * 300))[0] == 400

    live(variant, EngineOptions(context_length=300, slots=3), use)


def test_without_a_wish_the_context_is_the_models_own(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        assert client.endpoint.context_length == variant.context_length
        assert client.endpoint.arguments["context_per_slot"] == variant.context_length

    live(variant, EngineOptions(), use)


def test_a_context_longer_than_the_models_is_refused(variant: Variant) -> None:
    with pytest.raises(EngineStartFailed, match=f"1000000 tokens was asked for.*at most {variant.context_length}"):
        asyncio.run(engines.load("llamacpp").start(variant, EngineOptions(context_length=1_000_000)))


def test_memory_is_taken_for_the_context_asked_for(variant: Variant, live: Live) -> None:
    found: list[int] = []

    async def use(client: Any) -> None:
        found.append(psutil.Process(client.endpoint.pid).memory_info().rss)

    live(variant, EngineOptions(context_length=256, slots=1), use)
    live(variant, EngineOptions(context_length=2048, slots=16), use)
    small, large = found
    assert large - small > 16 * 2**20


def test_what_it_runs_with_is_told(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        arguments = client.endpoint.arguments
        assert (arguments["threads"], arguments["slots"], arguments["cache_prompt"]) == (2, 2, False)
        assert "warmup" in arguments
        assert client.endpoint.engine_version == client.engine.available().version

    live(variant, EngineOptions(threads=2, slots=2, context_length=256), use)


@pytest.mark.parametrize("cached", [False, True])
def test_prompts_are_reused_only_where_asked_and_told(variant: Variant, live: Live, cached: bool) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": [5] * 100, "max_tokens": 2, "temperature": 0}
        _, first = await client.post("/completions", **asked)
        _, again = await client.post("/completions", **asked)
        counts = [body["usage"]["prompt_tokens_details"]["cached_tokens"] for body in (first, again)]
        assert counts == [0, 99 if cached else 0]
        assert again["choices"] == first["choices"]

    extra = {"cache_prompt": "true"} if cached else {}
    live(variant, EngineOptions(context_length=256, extra=extra), use)


def test_with_a_seed_the_prompt_is_read_anew(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": [5] * 100, "max_tokens": 2, "temperature": 0}
        counts = []
        for more in ({}, {"seed": 3}, {}):
            _, body = await client.post("/completions", **asked, **more)
            counts.append(body["usage"]["prompt_tokens_details"]["cached_tokens"])
        assert counts == [0, 0, 99]

    live(variant, EngineOptions(context_length=256, slots=1, extra={"cache_prompt": "true"}), use)


def test_a_top_k_beyond_every_vocabulary_is_no_bound(variant: Variant, live: Live) -> None:
    async def use(client: Any) -> None:
        texts = []
        for top_k in (10**6, 2**31, 2**32 + 1, 2**63 - 1):
            _, body = await client.complete([5] * 9, max_tokens=20, temperature=5, seed=3, top_k=top_k)
            texts.append(body["choices"][0]["text"])
        assert texts == texts[:1] * 4

    live(variant, EngineOptions(context_length=256, slots=1), use)


def test_a_file_without_a_template_serves_completions_only(variant: Variant, live: Live, tmp_path: Path) -> None:
    bare = tmp_path / "bare.gguf"
    key = b"tokenizer.chat_template"
    bare.write_bytes(Path(variant.path or "").read_bytes().replace(key, key[:-1] + b"X"))

    async def use(client: Any) -> None:
        status, body = await client.chat("hi")
        assert (status, body["error"]["code"]) == (400, "no_chat_template")
        assert "/v1/completions" in body["error"]["message"]
        assert (await client.complete("hi", max_tokens=1))[0] == 200

    live(structs.replace(variant, path=str(bare)), EngineOptions(context_length=256), use)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:1000], "it is cut off"),
        (lambda content: content[:400_000], "it is cut off"),
        (lambda content: content.replace(b"blk.0.attn_q.weight", b"blk.0.attn_X.weight"), "Failed to init"),
    ],
)
def test_a_damaged_file_fails_to_start_and_says_why(
    variant: Variant, tmp_path: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    torn = tmp_path / "torn.gguf"
    torn.write_bytes(damage(Path(variant.path or "").read_bytes()))
    damaged = structs.replace(variant, path=str(torn))
    with pytest.raises(EngineStartFailed, match=words):
        asyncio.run(engines.load("llamacpp").start(damaged, EngineOptions(context_length=256)))


def test_inputs_it_cannot_run_are_refused(variant: Variant) -> None:
    engine = engines.load("llamacpp")
    for wrong, options, words in [
        (structs.replace(variant, path=None), EngineOptions(), "has no path"),
        (variant, EngineOptions(extra={"turbo": "yes"}), "no option 'turbo'"),
        (variant, EngineOptions(device="cuda"), "device 'cuda'"),
    ]:
        with pytest.raises(BadInput, match=words):
            asyncio.run(engine.start(wrong, options))


def test_a_terminate_from_elsewhere_ends_it_in_good_order(variant: Variant, live: Live) -> None:
    """llama.cpp takes SIGTERM for itself while it loads, and would then leave requests hanging."""

    async def use(client: Any) -> None:
        psutil.Process(client.endpoint.pid).send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            while (described := client.engine.describe(client.endpoint)).state == "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (described.state, described.exit_code) == ("dead", 0)

    live(variant, EngineOptions(context_length=256), use)


def test_a_long_prompt_is_given_up_between_two_steps(variant: Variant, live: Live) -> None:
    """Sixteen prompts wait for one slot; the client leaves, and none of the waiting ones makes a token."""

    async def use(client: Any) -> None:
        request = asyncio.create_task(client.complete([[5] * 2000] * 16, max_tokens=40, temperature=50, seed=1))
        await client.reached("running")
        request.cancel()
        health = await client.settled()
        assert health["cancelled"] >= 1
        assert health["generated_tokens"] < 16 * 40

    live(variant, EngineOptions(), use)
