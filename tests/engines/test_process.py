"""Worker processes that start, fail, hang and die for real."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from assay import engines
from assay.engines.process import WorkerProcess
from assay.engines.worker.model import Spec
from assay.errors import BadInput, EngineStartFailed, EngineStartKilled
from assay.types import EngineOptions, Variant
from tests.waiting import until

RunScript = Callable[..., None]


def options(timeout_s: float = 60.0, **script: Any) -> EngineOptions:
    return EngineOptions(start_timeout_s=timeout_s, context_length=64, extra={"script": json.dumps(script)})


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_an_endpoint_says_what_it_is(with_script: RunScript) -> None:
    async def use(client: Any) -> None:
        endpoint = client.endpoint
        assert endpoint.url.startswith("http://127.0.0.1:")
        assert endpoint.url.endswith("/v1")
        assert (endpoint.model, endpoint.engine, endpoint.engine_version) == ("scripted-1", "scripted", "1.0")
        assert (endpoint.context_length, endpoint.slots) == (64, 4)
        assert endpoint.arguments == {"script": ["pieces"]}
        assert endpoint.load_ns > 0
        assert psutil.Process(endpoint.pid).ppid() == os.getpid()
        described = client.engine.describe(endpoint)
        assert (described.state, described.exit_code) == ("ready", None)

        def told() -> bool:
            tail = client.engine.describe(endpoint).log_tail
            return "loading the scripted model" in tail and "a native library prints this to stdout" in tail

        await asyncio.to_thread(until, told)

    with_script(use, pieces=[])


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of other systems has other settings")
@pytest.mark.parametrize("own", [None, "1000000"])
def test_a_worker_gives_large_pieces_of_memory_back_unless_the_user_has_it_otherwise(
    with_script: RunScript, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    name = "MALLOC_TRIM_THRESHOLD_"
    monkeypatch.delenv(name, raising=False)
    if own is not None:
        monkeypatch.setenv(name, own)

    async def use(client: Any) -> None:
        environment = psutil.Process(client.endpoint.pid).environ()
        assert environment["MALLOC_MMAP_THRESHOLD_"] == str(4 << 20)
        assert environment[name] == (own or str(4 << 20))

    with_script(use, pieces=[])


def test_stop_ends_the_process_and_may_be_repeated(scripted: Variant) -> None:
    async def go() -> None:
        engine = engines.load("scripted")
        endpoint = await engine.start(scripted, options())
        await engine.stop(endpoint)
        assert endpoint.pid not in children()
        described = engine.describe(endpoint)
        assert (described.state, described.exit_code) == ("stopped", 0)
        await engine.stop(endpoint)

    asyncio.run(go())


def test_a_start_in_one_event_loop_can_be_stopped_in_another(scripted: Variant) -> None:
    engine = engines.load("scripted")
    endpoint = asyncio.run(engine.start(scripted, options()))
    assert engine.describe(endpoint).state == "ready"
    asyncio.run(engine.stop(endpoint))
    assert engine.describe(endpoint).state == "stopped"


def test_stop_takes_what_the_engine_has_started(scripted: Variant) -> None:
    async def go() -> int:
        engine = engines.load("scripted")
        endpoint = await engine.start(scripted, options(start="child"))
        (child,) = psutil.Process(endpoint.pid).children()
        await engine.stop(endpoint)
        return child.pid

    assert gone_within(asyncio.run(go()), 10)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"start": "exit"}, ["exit code 7", "loading the scripted model"]),
        ({"start": "raise"}, ["RuntimeError: the weights are torn", "scripted_engine.py"]),
    ],
)
def test_a_failed_start_says_why_and_leaves_nothing(
    scripted: Variant, script: dict[str, Any], words: list[str]
) -> None:
    before = children()
    with pytest.raises(EngineStartFailed) as failed:
        asyncio.run(engines.load("scripted").start(scripted, options(**script)))
    told = str(failed.value)
    assert "scripted-1" in told
    assert all(word in told for word in words), told
    assert children() == before


@pytest.mark.parametrize("start", ["hang", "hang_holding_gil"])
def test_a_start_that_hangs_is_killed_and_reported(scripted: Variant, start: str) -> None:
    before = children()
    with pytest.raises(EngineStartFailed, match="not ready within 2 s"):
        asyncio.run(engines.load("scripted").start(scripted, options(2.0, start=start)))
    assert children() == before


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (signal.SIGKILL, EngineStartKilled),
        (signal.SIGTERM, EngineStartKilled),
        (signal.SIGSEGV, EngineStartFailed),
        (signal.SIGABRT, EngineStartFailed),
    ],
)
def test_a_start_that_others_end_is_told_from_one_that_crashes(
    scripted: Variant, how: signal.Signals, kind: type[EngineStartFailed]
) -> None:
    async def go() -> None:
        start = asyncio.create_task(engines.load("scripted").start(scripted, options(start="hang")))
        while not (started := children() - before):  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.01)
        os.kill(started.pop(), how)
        with pytest.raises(EngineStartFailed, match=f"ended by signal {how:d} during start") as failed:
            await start
        assert type(failed.value) is kind

    before = children()
    asyncio.run(go())
    assert children() == before


def test_a_start_that_is_given_up_leaves_nothing(scripted: Variant) -> None:
    async def go() -> None:
        start = asyncio.create_task(engines.load("scripted").start(scripted, options(start="hang")))
        while not children() - before:  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(0.01)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start

    before = children()
    asyncio.run(go())
    assert children() == before


@pytest.mark.parametrize("stream", [True, False])
def test_a_crash_of_native_code_is_an_error_and_a_status(with_script: RunScript, stream: bool) -> None:
    async def use(client: Any) -> None:
        async with asyncio.timeout(60):
            if stream:
                events = client.events("/completions", prompt="a")
                assert (await anext(events))["choices"][0]["text"] == "one"
                with pytest.raises(aiohttp.ClientError):
                    await anext(events)
            else:
                with pytest.raises(aiohttp.ClientError):
                    await client.complete("a")
            with pytest.raises(aiohttp.ClientError):
                await client.health()
            while (described := client.engine.describe(client.endpoint)).state == "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (described.state, described.exit_code) == ("dead", -signal.SIGKILL)
        assert described.reason == "the process was ended by signal 9"

    with_script(use, pieces=[(b"one".hex(), 1), (b"two".hex(), 1)], die_at=1)


def test_what_a_crashed_worker_has_started_is_ended_too(with_script: RunScript) -> None:
    started: list[int] = []

    async def use(client: Any) -> None:
        started.extend(child.pid for child in psutil.Process(client.endpoint.pid).children())
        with pytest.raises(aiohttp.ClientError):
            await client.complete("a")
        await asyncio.to_thread(gone_within, started[0], 20)
        await client.engine.stop(client.endpoint)
        assert client.engine.describe(client.endpoint).state == "dead"

    with_script(use, pieces=[(b"one".hex(), 1)], die_at=0, start="child")
    assert gone_within(started[0], 1)


PRELUDE = """
import json, os, subprocess, sys, time
sys.stdin.readline()
def ready(**more):
    print(json.dumps({"event": "ready", "port": 1, **more}), flush=True)
"""
SPAWNS = "ready(child=subprocess.Popen(['sleep', '1000'], stdout=2).pid)"
FORKS = "child = os.fork()\nif child: ready(child=child)"


async def started(variant: Variant, code: str) -> WorkerProcess:
    """A worker that runs ``code``, and then stays."""
    command = (sys.executable, "-S", "-c", f"{PRELUDE}\n{code}\ntime.sleep(1000)")
    worker = WorkerProcess(Spec(opener="none:none", model=variant.id, variant=variant, options=options()), command)
    await worker.start(60)
    return worker


def test_what_a_killed_worker_has_started_is_ended_whoever_looks_at_that_moment(scripted: Variant) -> None:
    async def go() -> None:
        for _ in range(20):
            worker = await started(scripted, SPAWNS)
            assert worker.pid
            assert worker.ready
            os.kill(worker.pid, signal.SIGKILL)
            while worker.exit_code is None:
                pass
            assert worker.exit_code == -signal.SIGKILL
            assert gone_within(worker.ready["child"], 20)

    asyncio.run(go())


def test_what_a_killed_worker_has_forked_is_ended_though_it_holds_the_pipes(scripted: Variant) -> None:
    async def go() -> None:
        worker = await started(scripted, FORKS)
        assert worker.pid
        assert worker.ready
        os.kill(worker.pid, signal.SIGKILL)
        assert gone_within(worker.ready["child"], 20)
        await worker.stop()
        assert (worker.stopped, worker.exit_code) == (False, -signal.SIGKILL)

    asyncio.run(go())


LINE_WITHOUT_END = """
for _ in range(4):
    os.write(2, "é".encode() * 500_000 + b".")
"""


def test_the_log_keeps_the_end_of_a_line_that_never_ends_and_no_more(scripted: Variant) -> None:
    async def go() -> None:
        worker = await started(scripted, f"{LINE_WITHOUT_END}\nos.write(2, b'the end'); ready()")
        await worker.stop(0)

        def tail() -> str:
            return worker.log_tail.replace("\n", "")

        await asyncio.to_thread(until, lambda: tail().endswith("é.the end"))
        assert set(tail()) <= set("é.the nd")
        assert 500_000 < len(tail()) < 1_000_000

    asyncio.run(go())


PARENT = """
import asyncio, signal, sys, time
for name in ("SIGHUP", "SIGINT"):  # whoever runs the tests may have them ignored (nohup), and children inherit that
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
from assay import engines
from assay.types import EngineOptions, Variant
variant = Variant(id="scripted-1", alias="s", format="openvino", source="test")
options = EngineOptions(context_length=64, start_timeout_s=600, extra={"script": sys.argv[1]})
async def main():
    endpoint = await engines.load("scripted").start(variant, options)
    print(endpoint.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_worker_ends_with_its_parent_however_that_ends(plugin_site: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, json.dumps({"start": "child"})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        (grandchild,) = psutil.Process(worker).children()
        parent.send_signal(how)
    assert gone_within(worker, 20)
    assert gone_within(grandchild.pid, 20)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_worker_whose_native_code_hangs_ends_with_its_parent_too(plugin_site: Path) -> None:
    command = [sys.executable, "-c", PARENT, json.dumps({"start": "hang_holding_gil"})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        me = psutil.Process(parent.pid)
        while not (started := me.children()):
            time.sleep(0.02)
        worker = started[0]
        while worker.num_threads() < 3:  # the model is opened in a thread beside the loop and the parent watch
            time.sleep(0.02)
        parent.kill()
    assert gone_within(worker.pid, 20)


def test_inputs_that_can_never_run_are_refused_before_a_process_is_started(scripted: Variant) -> None:
    engine = engines.load("scripted")
    gguf = Variant(id="x", alias="x", format="gguf", source="test")
    missing = Variant(id="x", alias="x", format="openvino", source="test", path="/no/such/model")
    for variant, asked, words in [
        (gguf, options(), "runs openvino, but x is gguf"),
        (missing, options(), "/no/such/model does not exist"),
        (scripted, EngineOptions(slots=0), "slots is 0"),
        (scripted, EngineOptions(threads=-1), "threads is -1"),
        (scripted, EngineOptions(context_length=0), "context_length is 0"),
        (scripted, EngineOptions(device="npu"), "device 'npu'"),
    ]:
        with pytest.raises(BadInput, match=words):
            asyncio.run(engine.start(variant, asked))


def test_an_endpoint_of_another_engine_is_not_described(scripted: Variant) -> None:
    engine = engines.load("scripted")
    endpoint = asyncio.run(engine.start(scripted, options()))
    asyncio.run(engine.stop(endpoint))
    with pytest.raises(BadInput, match="has not started"):
        engines.load("scripted").describe(endpoint)
