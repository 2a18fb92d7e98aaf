"""What Prometheus is told, read with Prometheus's own parser."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from assay.serve import Pulse
from assay.serve.metrics import Metrics
from assay.serve.tally import Tally
from assay.types import PROMPT_TOKENS
from tests.serve.doorstep import DONE, ROLE, Door, Model, chunk, open_door, run, streams
from tests.serve.opened import until

CHAT = "/v1/chat/completions"


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(door: Door) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What ``/metrics`` says."""
    async with door.client.get(door.url + "/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=1.0.0")
        return read(await answer.text())


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def tally(**more: Any) -> Tally:
    return Tally(id="a", method="POST", path=CHAT, route=CHAT, arrived=10.0, ended=12.0, status=200, model="m", **more)


def test_prompts_of_streams_without_usage_are_counted() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", PROMPT_TOKENS: "12"})
        await response.prepare(request)
        await response.write(ROLE + DONE)
        return response

    async def work() -> None:
        async with open_door(Model(answer=answer)) as door:
            async with door.chat(stream=True) as got:
                assert PROMPT_TOKENS not in got.headers
                assert await got.read() == ROLE + DONE
            await until(lambda: len(door.told) == 1)
            assert (await scrape(door))[key("assay_prompt_tokens_total", model="m")] == 12

    run(work)


def test_requests_loads_and_models_are_counted() -> None:
    async def work() -> None:
        model = Model(answer=streams(ROLE, chunk("a"), chunk("b"), DONE))
        async with open_door(model) as door:
            for _ in range(2):
                async with door.chat(stream=True) as answer:
                    await answer.read()
            await door.post(CHAT, b'{"model":"nobody"}')
            await door.get("/nowhere/at/all")
            await until(lambda: len(door.told) == 4)
            seen = await scrape(door)
            assert seen[key("assay_requests_total", route=CHAT, model="m", status="200")] == 2
            assert seen[key("assay_requests_total", route=CHAT, model="", status="404")] == 1
            assert seen[key("assay_requests_total", route="other", model="", status="404")] == 1
            assert seen[key("assay_refusals_total", code="model_not_found")] == 1
            assert seen[key("assay_ttft_seconds_count", model="m")] == 2
            assert seen[key("assay_load_seconds_count", model="m")] == 1
            assert seen[key("assay_wait_seconds_count", model="m")] == 2
            assert seen[key("assay_models", state="ready")] == 1
            assert seen[key("assay_model_running", model="m")] == 0
            assert seen[key("assay_memory_reserved_bytes", model="m")] == 1
            assert seen[key("assay_queue_length")] == 0
            assert seen[key("assay_connections")] >= 1

    run(work)


def test_names_that_requests_make_up_are_no_labels() -> None:
    async def work() -> None:
        async with open_door(Model()) as door:
            before = len(await scrape(door))
            for i in range(50):
                await door.post(CHAT, f'{{"model":"made-up-{i}"}}'.encode())
                await door.get(f"/v1/models/made-up-{i}")
                await door.get(f"/made-up-{i}")
            after = await scrape(door)
            assert "made-up" not in str(after)
            assert len(after) - before < 20

    run(work)


def test_a_crash_is_counted() -> None:
    async def work() -> None:
        model = Model()
        model.answer = model.dies("killed")
        async with open_door(model) as door:
            async with door.chat() as answer:
                assert answer.status == 503
            seen = await scrape(door)
            assert seen[key("assay_crashes_total", model="m")] == 2
            assert seen[key("assay_refusals_total", code="model_lost")] == 1

    run(work)


def test_a_model_that_cannot_be_loaded_and_one_that_was_evicted_are_counted() -> None:
    metrics = Metrics()
    metrics.failed("a", "no such file")
    metrics.stopped("b", "room for c", evicted=True)
    metrics.stopped("b", "it was idle", evicted=False)
    metrics.left("a", 1.0)
    seen = read(metrics.text((), 0, None).decode())
    assert seen[key("assay_load_failures_total", model="a")] == 1
    assert seen[key("assay_evictions_total", model="b")] == 1
    assert seen[key("assay_left_total")] == 1
    assert key("assay_connections") not in seen


def test_tokens_are_those_that_the_workers_count_over_all_their_lives() -> None:
    metrics = Metrics()
    metrics.loaded("m", "e", 1.0)
    metrics.pulse("m", Pulse(generated=10, prompted=100))
    metrics.request(tally(prompt_tokens=7, completion_tokens=7))
    metrics.pulse("m", Pulse())
    metrics.pulse("m", Pulse(generated=25, prompted=100))
    metrics.loaded("m", "e", 1.0)
    metrics.pulse("m", Pulse(generated=5, prompted=3))
    seen = read(metrics.text((), 0, None).decode())
    assert seen[key("assay_completion_tokens_total", model="m")] == 30
    assert seen[key("assay_prompt_tokens_total", model="m")] == 103


def test_what_a_worker_does_not_count_is_taken_from_its_answers() -> None:
    metrics = Metrics()
    metrics.pulse("m", Pulse(generated=10))
    metrics.request(tally(prompt_tokens=7, completion_tokens=10))
    seen = read(metrics.text((), 0, None).decode())
    assert seen[key("assay_completion_tokens_total", model="m")] == 10
    assert seen[key("assay_prompt_tokens_total", model="m")] == 7


def test_tokens_of_a_model_that_does_not_count_are_those_of_its_answers() -> None:
    metrics = Metrics()
    metrics.request(tally(prompt_tokens=7, completion_tokens=5))
    metrics.request(tally())
    seen = read(metrics.text((), 0, None).decode())
    assert seen[key("assay_completion_tokens_total", model="m")] == 5
    assert seen[key("assay_prompt_tokens_total", model="m")] == 7


def test_first_text_counts_not_the_first_event() -> None:
    seen = tally()
    for now, data in ((10.1, ROLE), (10.5, chunk("a")), (10.6, chunk("b") + chunk("c")), (10.8, chunk("d"))):
        seen.streamed(data, now)
    assert seen.ttft == 10.5 - 10.0
    assert seen.tpot is not None
    assert abs(seen.tpot - 0.1) < 1e-9
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}\n\n'
    seen.stream_ended(usage + DONE)
    assert (seen.prompt_tokens, seen.completion_tokens) == (9, 7)
    assert abs(seen.tpot - 0.05) < 1e-9


def test_a_stream_without_text_has_no_first_one() -> None:
    seen = tally()
    escaped = b'data: {"choices":[{"delta":{"content":""}}],"note":"\\"content\\":\\"x\\""}\n\n'
    for data in (ROLE, escaped, DONE):
        seen.streamed(data, 11.0)
    assert seen.ttft is None
    assert seen.tpot is None


def test_usage_that_is_none_changes_nothing() -> None:
    seen = tally()
    for body in (b"", b"{", b"\xff", b"[]", b'{"usage":null}', b'{"usage":{"prompt_tokens":"7"}}', b"[" * 100_000):
        seen.answered(body)
        seen.stream_ended(b"data: " + body + b"\n\n")
    assert (seen.prompt_tokens, seen.completion_tokens) == (None, None)
    seen.answered(b'{"usage":{"prompt_tokens":4,"total_tokens":4}}')
    assert (seen.prompt_tokens, seen.completion_tokens) == (4, 0)
