from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from assay.measure.client import Client
from assay.measure.loop import run
from assay.measure.wire import messages_of
from assay.types import NS, Decoding, Endpoint, Prompt, RequestError, Sample
from tests.measure.conftest import FaultyServer, running_server

PROMPT = Prompt(id="p", prompt="hello", system="be brief")
BLANK = Sample(i=3, variant="v", engine="e", prompt="p", round=1, phase="measure", concurrency=2, block=9)


def ask(
    url: str,
    model: str,
    *,
    stream: bool = True,
    timeout_s: float = 10.0,
    headers: dict[str, str] | None = None,
    decoding: Decoding | None = None,
    times: int = 1,
) -> Sample:
    """The last sample of ``times`` requests over one client."""

    async def go() -> Sample:
        async with Client(Endpoint(url=url, model=model, engine="e"), headers=headers) as client:
            for _ in range(times):
                sample = await client.ask(
                    PROMPT, decoding or Decoding(max_tokens=32), BLANK, stream=stream, timeout_s=timeout_s
                )
        return sample

    return run(go())


def failure(sample: Sample) -> tuple[str, int | None]:
    assert sample.error is not None
    return sample.error.kind, sample.error.status


def test_a_whole_stream(server: FaultyServer) -> None:
    sample = ask(server.url, "ok")
    assert sample.error is None
    assert (sample.text, sample.finish) == ("echo: hello", "stop")
    assert (sample.prompt_tokens, sample.output_tokens, sample.token_source) == (5, 3, "server")
    assert sample.chunk_chars == (4, 2, 5)
    assert sample.first_chunk_tokens == 1
    assert sample.cached_tokens is None
    assert (sample.i, sample.variant, sample.block, sample.concurrency) == (3, "v", 9, 2)


def test_somebody_may_read_along(server: FaultyServer) -> None:
    heard: list[str] = []

    async def go() -> Sample:
        async with Client(Endpoint(url=server.url, model="ok", engine="e")) as client:
            return await client.ask(PROMPT, Decoding(max_tokens=32), BLANK, heard=heard.append)

    sample = run(go())
    assert heard == ["echo", ": ", "hello"]
    assert "".join(heard) == sample.text


def test_headers_are_told_before_the_text(server: FaultyServer) -> None:
    told: list[str] = []

    async def go() -> None:
        async with Client(Endpoint(url=server.url, model="ok", engine="e")) as client:
            await client.chat(
                messages_of(PROMPT), {}, BLANK, heard=told.append, headed=lambda head: told.append(head["content-type"])
            )

    run(go())
    assert told == ["text/event-stream", "echo", ": ", "hello"]


def test_stamps_are_in_the_order_of_events(server: FaultyServer) -> None:
    sample = ask(server.url, "ok")
    stamps = [sample.sent_ns, sample.first_byte_ns, sample.first_text_ns, sample.last_text_ns, sample.done_ns]
    known = [stamp for stamp in stamps if stamp is not None]
    assert len(known) == 5
    assert known == sorted(known)
    assert sample.first_text_ns == sample.first_answer_ns == sample.chunk_ns[0]
    assert list(sample.chunk_ns) == sorted(sample.chunk_ns)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, None])
def test_both_kinds_of_event_loop(server: FaultyServer, loop_factory: object) -> None:
    async def go() -> Sample:
        async with Client(Endpoint(url=server.url, model="ok", engine="e")) as client:
            return await client.ask(PROMPT, Decoding(), BLANK)

    sample = asyncio.run(go()) if loop_factory else run(go())
    assert (sample.error, sample.text) == (None, "echo: hello")


def test_what_is_sent(server: FaultyServer) -> None:
    decoding = Decoding(max_tokens=7, temperature=0.5, top_p=0.9, top_k=40, seed=3, stop=("END",))
    ask(server.url, "ok", decoding=decoding, headers={"Authorization": "Bearer k-1"})
    last = server.log()[-1]
    assert last["body"] == {
        "model": "ok",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 3,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    assert last["key"] == "Bearer k-1"
    assert last["headers"]["accept-encoding"] == "identity"


def test_parameters_that_are_none_are_left_out(server: FaultyServer) -> None:
    ask(server.url, "ok", decoding=Decoding(temperature=None), stream=False)
    assert set(server.log()[-1]["body"]) == {"model", "messages", "max_tokens", "stream"}


def test_reasoning_is_text_but_no_answer(server: FaultyServer) -> None:
    sample = ask(server.url, "reasoning")
    assert (sample.text, sample.reasoning) == ("42", "let me see")
    assert sample.first_text_ns == sample.chunk_ns[0]
    assert sample.first_answer_ns == sample.chunk_ns[2]


def test_thinking_tags_in_the_content(server: FaultyServer) -> None:
    sample = ask(server.url, "think_tags")
    assert (sample.text, sample.reasoning) == ("yes", "hmm")
    assert sample.first_answer_ns == sample.chunk_ns[3]


@pytest.mark.parametrize(
    ("model", "output", "source", "first"),
    [
        ("coalesced", 5, "server", None),
        ("coalesced_told", 5, "server", 3),
        ("timings", 2, "server", 1),
        ("no_usage", 3, "chunks", 1),
    ],
)
def test_token_counts_say_who_counted(
    server: FaultyServer, model: str, output: int, source: str, first: int | None
) -> None:
    sample = ask(server.url, model)
    assert sample.error is None
    assert (sample.output_tokens, sample.token_source, sample.first_chunk_tokens) == (output, source, first)


def test_cached_prompt_tokens(server: FaultyServer) -> None:
    sample = ask(server.url, "cached")
    assert (sample.prompt_tokens, sample.cached_tokens) == (12, 9)
    llama = ask(server.url, "timings")
    assert (llama.prompt_tokens, llama.cached_tokens) == (11, 8)


@pytest.mark.parametrize("model", ["until_close", "held_open"])
def test_bodies_that_end_unusually(server: FaultyServer, model: str) -> None:
    sample = ask(server.url, model)
    assert (sample.error, sample.text, sample.finish) == (None, "ab", "stop")


@pytest.mark.parametrize(("model", "stream"), [("ok", False), ("ignores_stream", True)])
def test_a_whole_completion_has_no_arrival_times(server: FaultyServer, model: str, stream: bool) -> None:
    sample = ask(server.url, model, stream=stream)
    assert (sample.error, sample.text, sample.finish) == (None, "echo: hello", "stop")
    assert (sample.output_tokens, sample.token_source) == (3, "server")
    assert (sample.ttft, sample.tpot, sample.chunk_ns) == (None, None, ())
    assert sample.e2e is not None
    assert sample.e2e > 0


def test_an_empty_answer_is_no_error(server: FaultyServer) -> None:
    sample = ask(server.url, "empty")
    assert (sample.error, sample.text, sample.finish, sample.first_text_ns) == (None, "", "stop", None)
    assert sample.output_tokens == 1
    assert sample.e2e is not None


@pytest.mark.parametrize("model", ["nothing", "no_body"])
def test_no_answer_at_all(server: FaultyServer, model: str) -> None:
    assert failure(ask(server.url, model)) == ("empty", None)


def test_an_error_inside_a_good_status(server: FaultyServer) -> None:
    sample = ask(server.url, "error_in_stream")
    assert failure(sample) == ("stream", None)
    assert sample.error is not None
    assert "out of KV memory" in sample.error.message
    assert sample.text == "so far"


def test_an_error_is_seen_at_once_where_the_stream_then_hangs(server: FaultyServer) -> None:
    sample = ask(server.url, "error_then_silence", timeout_s=60)
    assert failure(sample) == ("stream", None)
    assert sample.text == "so far"
    assert (sample.done_ns or 0) - (sample.sent_ns or 0) < 30 * NS


def test_malformed_event(server: FaultyServer) -> None:
    sample = ask(server.url, "malformed")
    assert failure(sample) == ("protocol", None)
    assert sample.text == "good"


@pytest.mark.parametrize(
    ("model", "status", "words"),
    [
        ("not_found", 404, "no model not_found"),
        ("plain_error", 503, "overloaded, try later"),
        ("redirects", 307, "not followed"),
    ],
)
def test_http_errors_keep_the_servers_words(server: FaultyServer, model: str, status: int, words: str) -> None:
    sample = ask(server.url, model)
    assert failure(sample) == ("http", status)
    assert sample.error is not None
    assert words in sample.error.message


def test_a_key_is_never_in_a_sample(server: FaultyServer) -> None:
    sample = ask(server.url, "echoes_key", headers={"Authorization": "Bearer sk-very-secret"})
    assert failure(sample) == ("http", 401)
    assert sample.error is not None
    assert "sk-very-secret" not in repr(sample)
    assert "***" in sample.error.message


def test_connection_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sample = ask(f"http://127.0.0.1:{port}/v1", "ok")
    assert failure(sample) == ("connect", None)
    assert sample.sent_ns is None
    assert sample.done_ns is not None


def test_closed_before_any_answer(server: FaultyServer) -> None:
    sample = ask(server.url, "close_unanswered")
    assert failure(sample) == ("connect", None)


def test_not_http_at_all(server: FaultyServer) -> None:
    assert failure(ask(server.url, "not_http")) == ("protocol", None)


@pytest.mark.parametrize(("model", "text"), [("reset", "before the reset"), ("no_finish", "only half")])
def test_a_broken_stream_keeps_its_text(server: FaultyServer, model: str, text: str) -> None:
    sample = ask(server.url, model)
    assert failure(sample) == ("stream", None)
    assert sample.text == text


@pytest.mark.parametrize("where", [0, 1, 5, 100, 101, 300, 611, 1000])
def test_a_cut_at_any_byte_is_an_error(server: FaultyServer, where: int) -> None:
    sample = ask(server.url, f"cut_at:{where}")
    assert sample.error == RequestError(kind="stream", message="the connection broke off before the answer ended")
    words = sample.text.split()
    assert words == [str(n) for n in range(len(words))]
    assert len(words) >= where // 100


@pytest.mark.parametrize(("model", "text"), [("stall", "before the stall"), ("silent", "")])
def test_a_timeout_keeps_the_text(server: FaultyServer, model: str, text: str) -> None:
    sample = ask(server.url, model, timeout_s=0.4)
    assert failure(sample) == ("timeout", None)
    assert sample.text == text
    assert sample.sent_ns is not None
    assert sample.done_ns is not None


def test_a_server_that_refuses_counts_in_every_chunk_is_asked_for_them_at_the_end(server: FaultyServer) -> None:
    before = len(server.log())
    sample = ask(server.url, "refuses_continuous", times=3)
    assert (sample.error, sample.output_tokens, sample.token_source) == (None, 3, "server")
    asked = [entry["body"]["stream_options"] for entry in server.log()[before:]]
    assert asked == [{"include_usage": True, "continuous_usage_stats": True}] + [{"include_usage": True}] * 3


def test_requests_in_flight_together_step_down_together(server: FaultyServer) -> None:
    async def go() -> list[Sample]:
        endpoint = Endpoint(url=server.url, model="refuses_continuous", engine="e")
        async with Client(endpoint, connections=4) as client:
            return await asyncio.gather(*(client.ask(PROMPT, Decoding(), BLANK) for _ in range(4)))

    assert [(sample.error, sample.token_source) for sample in run(go())] == [(None, "server")] * 4


def test_a_server_that_refuses_stream_options_is_asked_without(server: FaultyServer) -> None:
    before = len(server.log())
    sample = ask(server.url, "refuses_options", times=2)
    assert (sample.error, sample.output_tokens, sample.token_source) == (None, 3, "chunks")
    asked = [entry["body"].get("stream_options") for entry in server.log()[before:]]
    assert asked == [{"include_usage": True, "continuous_usage_stats": True}, {"include_usage": True}, None, None]


def test_a_connection_serves_many_requests(server: FaultyServer) -> None:
    sample = ask(server.url, "ok", times=20)
    assert (sample.error, sample.text) == (None, "echo: hello")


TLS_CLIENT = """
import asyncio, sys
from assay.measure.client import Client
from assay.measure.loop import fastest_loop
from assay.types import Decoding, Endpoint, Prompt, Sample

async def ask(url):
    blank = Sample(i=0, variant="v", engine="e", prompt="p", round=0, phase="measure")
    async with Client(Endpoint(url=url, model="ok", engine="e")) as client:
        for _ in range(2):
            sample = await client.ask(Prompt(id="p", prompt="hello"), Decoding(), blank)
    print(sample.error, sample.text, len(sample.chunk_ns), sample.output_tokens, sep="|")

factory = asyncio.new_event_loop if sys.argv[1] == "asyncio" else fastest_loop()[1]
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(ask(sys.argv[2]))
"""


@pytest.mark.parametrize("loop", ["asyncio", "fastest"])
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_streams_over_tls(tmp_path: Path, loop: str) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    env = {**os.environ, "SSL_CERT_FILE": str(certificate), "PYTHONPATH": os.pathsep.join(sys.path)}
    with running_server(certificate, key) as secure:
        program = [sys.executable, "-c", TLS_CLIENT, loop, secure.url]
        told = subprocess.run(program, env=env, check=True, capture_output=True, text=True, timeout=60).stdout
        untrusted = ask(secure.url, "ok")
    assert told == "None|echo: hello|3|3\n"
    assert failure(untrusted) == ("connect", None)
