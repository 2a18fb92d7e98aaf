"""Every engine keeps the same promises, on real models in real worker processes."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import psutil
import pytest
from msgspec.json import encode

from assay import engines
from assay.engines.worker.model import Spec
from assay.types import EngineOptions, Variant

pytestmark = pytest.mark.engines

CONTEXT = 256
WILD: dict[str, Any] = {"temperature": 50, "seed": 11}
"""Sampling under which a trained model does not soon end."""
REAL = ("llamacpp", "onnxruntime_genai")
Use = Callable[[Any], Awaitable[None]]
Run = Callable[[Use], None]
Live = Callable[..., None]


def real(bundled: dict[str, Variant], form: str) -> Variant:
    found = [variant for variant in bundled.values() if variant.format == form and variant.alias == "notes-4m"]
    if not found:
        pytest.skip(f"no bundled {form} model in this checkout")
    return found[0]


@pytest.fixture(scope="module", params=[*REAL, "custom"])
def variant(request: pytest.FixtureRequest) -> Iterator[Variant]:
    if request.param == "custom":
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(Path(__file__).parent)
            yield Variant(id="talker", alias="talker", format="adapter", source="test", adapter="talker:Talker")
        return
    bundled: dict[str, Variant] = request.getfixturevalue("bundled")
    yield real(bundled, "gguf" if request.param == "llamacpp" else "onnx")


@pytest.fixture(scope="module")
def run(variant: Variant, kept: Any) -> Iterator[Run]:
    """Run an async function against the one worker that most tests share; its slots are fewer than some requests."""
    with kept(variant, options(slots=3)) as run:
        yield run


def options(slots: int) -> EngineOptions:
    return EngineOptions(context_length=CONTEXT, slots=slots)


def text(body: dict[str, Any], choice: int = 0) -> str:
    entry = body["choices"][choice]
    return str(entry["text"] if "text" in entry else entry["message"]["content"])


def is_real(variant: Variant) -> bool:
    return variant.format != "adapter"


def test_the_limit_is_kept_under_both_names_and_usage_is_exact(run: Run) -> None:
    async def use(client: Any) -> None:
        for name in ("max_tokens", "max_completion_tokens"):
            for limit in (1, 7):
                status, body = await client.complete("The team met on Monday", **{name: limit}, **WILD)
                assert status == 200, body
                usage = body["usage"]
                assert (usage["completion_tokens"], body["choices"][0]["finish_reason"]) == (limit, "length")
                assert usage["total_tokens"] == usage["prompt_tokens"] + limit

    run(use)


def test_the_context_bounds_an_answer_without_a_limit(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        _, body = await client.complete("a " * (CONTEXT - 8 if not is_real(variant) else 60), **WILD)
        usage = body["usage"]
        finish = body["choices"][0]["finish_reason"]
        assert usage["total_tokens"] == CONTEXT if finish == "length" else usage["total_tokens"] < CONTEXT
        assert usage["completion_tokens"] > 0

    run(use)


def test_a_natural_end_is_a_stop(run: Run) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat("Was a decision made? Answer briefly.", temperature=0)
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["usage"]["total_tokens"] < CONTEXT

    run(use)


def test_streamed_and_whole_answers_agree(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat("List the action items", temperature=0, max_tokens=20)
        usage = {"include_usage": True, "continuous_usage_stats": True}
        events = await client.stream("List the action items", temperature=0, max_tokens=20, stream_options=usage)
        assert events[0]["choices"][0]["delta"]["role"] == "assistant"
        *chunks, last, done = events
        assert done == "[DONE]"
        entries = [chunk["choices"][0] for chunk in chunks]
        assert "".join(entry["delta"].get("content", "") for entry in entries) == text(body)
        assert [e["finish_reason"] for e in entries if e["finish_reason"]] == [body["choices"][0]["finish_reason"]]
        assert last["usage"]["completion_tokens"] == body["usage"]["completion_tokens"]
        assert last["usage"]["prompt_tokens"] == body["usage"]["prompt_tokens"]
        if is_real(variant):
            counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
            assert counts == sorted(counts)
            with_text = [entry for entry in entries if entry["delta"].get("content")]
            assert len(with_text) <= counts[-1] == body["usage"]["completion_tokens"]

    run(use)


def test_a_stop_string_cuts_wherever_it_lies(run: Run) -> None:
    async def use(client: Any) -> None:
        _, whole = await client.complete("Anna will", max_tokens=40, **WILD)
        answer = text(whole)
        assert len(answer) > 8
        for start in (2, 5):
            stop = answer[start : start + 3]
            expected = answer[: answer.index(stop)]
            _, cut = await client.complete("Anna will", max_tokens=40, stop=[stop, "\0never"], **WILD)
            assert (text(cut), cut["choices"][0]["finish_reason"]) == (expected, "stop")
            await client.settled()
            assert cut["usage"]["completion_tokens"] <= whole["usage"]["completion_tokens"]
            events = client.events("/completions", prompt="Anna will", max_tokens=40, stop=stop, **WILD)
            streamed = [event["choices"][0]["text"] async for event in events if event != "[DONE]"]
            assert "".join(streamed) == expected
        assert (await client.settled())["running"] == 0

    run(use)


def test_a_seed_repeats_an_answer_and_choices_differ(run: Run) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"temperature": 50, "max_tokens": 24}
        _, first = await client.complete("We talked about", seed=5, **asked)
        _, again = await client.complete("We talked about", seed=5, **asked)
        _, other = await client.complete("We talked about", seed=6, **asked)
        assert text(first) == text(again) != text(other)
        _, several = await client.complete("We talked about", seed=5, n=3, **asked)
        assert [choice["index"] for choice in several["choices"]] == [0, 1, 2]
        assert len({text(several, i) for i in range(3)}) == 3
        assert several["usage"]["prompt_tokens"] == first["usage"]["prompt_tokens"]

    run(use)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("repetition_penalty", 0.01, 50),
        ("frequency_penalty", -2, 2),
        ("presence_penalty", -2, 2),
        ("top_k", 1, 0),
        ("top_p", 0.001, 1),
        ("min_p", 1, 0),
    ],
)
def test_a_parameter_has_an_effect_or_is_refused(
    variant: Variant, run: Run, name: str, low: float, high: float
) -> None:
    async def use(client: Any) -> None:
        prompt = list(range(300, 490)) if is_real(variant) else "a note"
        # A penalty is added to scores, which a wild temperature would drown.
        heat = {"temperature": 3} if name.endswith("_penalty") else {}
        asked: dict[str, Any] = {"prompt": prompt, "max_tokens": 32, **WILD, **heat}
        answers = [await client.post("/completions", **asked, **{name: value}) for value in (low, high)]
        if answers[0][0] == 400:
            error = answers[0][1]["error"]
            assert (error["param"], error["code"]) == (name, "unsupported_parameter")
        else:
            assert [status for status, _ in answers] == [200, 200]
            assert text(answers[0][1]) != text(answers[1][1])

    run(use)


def test_a_prompt_that_does_not_fit_is_a_400_with_both_lengths(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        if is_real(variant):
            _, fits = await client.complete([5] * (CONTEXT - 1), max_tokens=9)
            assert fits["usage"]["total_tokens"] == CONTEXT
            status, body = await client.complete([5] * CONTEXT)
            assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
        for stream in (False, True):
            status, body = await client.chat("word " * 400, stream=stream)
            assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
            lengths = [int(word) for word in body["error"]["message"].split() if word.isdigit()]
            assert lengths[0] >= 400
            assert lengths[1] == CONTEXT

    run(use)


def test_other_mistakes_are_told_apart(run: Run) -> None:
    async def use(client: Any) -> None:
        assert (await client.chat(model="other"))[0] == 404
        wrong: dict[str, Any] = {"temperature": "x", "top_logprobs": 1, "logit_bias": {"a": 1}, "n": 0}
        for param, value in wrong.items():
            status, answer = await client.chat(**{param: value})
            assert (status, answer["error"]["param"]) == (400, param)
        status, answer = await client.complete([10**9])
        assert (status, answer["error"]["param"]) == (400, "prompt")
        status, _ = await client.chat(user="me", metadata={"a": "b"}, max_tokens=1)
        assert status == 200
        assert (await client.health())["http"] == 200
        status, answer = await client.post("/embeddings", input="a text")
        assert (status, answer["error"]["code"]) == (400, "unsupported")

    run(use)


def test_log_probabilities_are_told_or_refused(variant: Variant, run: Run) -> None:
    """A token a piece, streamed and whole, for every choice; what is told begins before a stop string."""

    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": ["Anna will", "We"], "n": 2, "max_tokens": 12, "logprobs": 2, **WILD}
        status, body = await client.post("/completions", **asked)
        if not is_real(variant):
            assert (status, body["error"]["param"], body["error"]["code"]) == (400, "logprobs", "unsupported_parameter")
            return
        events = [event async for event in client.events("/completions", **asked) if event != "[DONE]"]
        for i, choice in enumerate(body["choices"]):
            told = choice["logprobs"]
            spelt = [token for token in told["tokens"] if not token.startswith(("bytes:", "<|"))]
            assert all(choice["text"][start:].startswith(t) for t, start in places(told) if t in spelt)
            assert all(value <= 1e-6 for value in told["token_logprobs"])
            parts = [event["choices"][0] for event in events if event["choices"][0]["index"] == i]
            streamed = [token for part in parts if part["logprobs"] for token in part["logprobs"]["tokens"]]
            assert streamed == told["tokens"]
        told_tokens = sum(len(choice["logprobs"]["tokens"]) for choice in body["choices"])
        assert told_tokens <= body["usage"]["completion_tokens"]
        _, whole = await client.complete("Anna will", max_tokens=20, **WILD)
        stop = text(whole)[4:7]
        _, cut = await client.complete("Anna will", max_tokens=20, stop=stop, logprobs=0, **WILD)
        assert all(start < len(text(cut)) for _, start in places(cut["choices"][0]["logprobs"]))
        await client.settled()
        _, chat = await client.chat("List the action items", temperature=0, max_tokens=5, logprobs=True, top_logprobs=1)
        content = chat["choices"][0]["logprobs"]["content"]
        assert [entry["top_logprobs"][0]["token"] for entry in content] == [entry["token"] for entry in content]
        assert b"".join(bytes(entry["bytes"]) for entry in content).decode(errors="ignore") == text(chat)

    run(use)


def places(logprobs: dict[str, Any]) -> list[tuple[str, int]]:
    return list(zip(logprobs["tokens"], logprobs["text_offset"], strict=True))


def test_a_bias_decides_or_is_refused(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"prompt": "We met", "max_tokens": 4, "logit_bias": {"400": 100}}
        status, body = await client.post("/completions", **asked, temperature=0)
        if not is_real(variant):
            assert (status, body["error"]["param"]) == (400, "logit_bias")
            return
        first = text(body)
        assert len(first) == 4 * len(first[: len(first) // 4])
        assert first == first[: len(first) // 4] * 4
        _, sampled = await client.post("/completions", **asked, temperature=1, seed=1)
        assert text(sampled) == first
        status, body = await client.complete("We met", logit_bias={"1000000": 1})
        assert (status, body["error"]["param"]) == (400, "logit_bias")

    run(use)


def test_a_prompt_is_echoed_or_refused(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        prompt = "Zoë met 🙂 <|im_start|>us"
        status, body = await client.complete(prompt, echo=True, max_tokens=2, logprobs=1, temperature=0)
        if not is_real(variant):
            assert (status, body["error"]["param"] in {"echo", "logprobs"}) == (400, True)
            return
        assert text(body).startswith(prompt)
        told = body["choices"][0]["logprobs"]
        assert len(told["tokens"]) == body["usage"]["total_tokens"]
        assert [value is None for value in told["token_logprobs"]] == [True] + [False] * (len(told["tokens"]) - 1)
        _, plain = await client.complete(prompt, echo=True, max_tokens=2, temperature=0)
        assert text(plain) == text(body)
        _, none = await client.complete(prompt, echo=True, max_tokens=0)
        assert (text(none), none["usage"]["completion_tokens"]) == (prompt, 0)

    run(use)


def test_progress_grows_with_tokens_and_with_the_prompt(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        before = (await client.settled())["progress"]
        _, body = await client.complete("We met " * 30, max_tokens=5, **WILD)
        after = (await client.settled())["progress"]
        steps = body["usage"]["completion_tokens"] + 1  # its end, too
        assert after - before >= (steps + 1 if is_real(variant) else steps)

    run(use)


def test_choices_of_one_request_share_the_engine(run: Run) -> None:
    """Each choice's first text comes before any other choice's last: they run side by side."""

    async def use(client: Any) -> None:
        events = client.events("/completions", prompt="We", n=3, max_tokens=40, **WILD)
        chunks = [event["choices"][0] async for event in events if event != "[DONE]"]
        order = [chunk["index"] for chunk in chunks if chunk["text"]]
        firsts = [order.index(i) for i in range(3)]
        lasts = [len(order) - 1 - order[::-1].index(i) for i in range(3)]
        assert max(firsts) < min(lasts), order

    run(use)


def test_requests_at_once_are_all_answered_as_alone(run: Run) -> None:
    """More requests than slots, and none gets another's answer.

    Greedy answers are those that a request gets alone, but for near ties: sums in a batch are rounded otherwise.
    """

    async def use(client: Any) -> None:
        prompts = ["Anna will", "The team", "Budget", "On Friday", "Next", "Who"]
        alone = [text((await client.complete(p, temperature=0, max_tokens=12))[1]) for p in prompts]
        asked = [client.complete(p, temperature=0, max_tokens=12) for p in prompts]
        answers = [body for _, body in await asyncio.gather(*asked)]
        assert sum(text(body) == before for body, before in zip(answers, alone, strict=True)) >= 4
        assert all(0 < body["usage"]["completion_tokens"] <= 12 for body in answers)

    run(use)


def test_generation_ends_when_the_client_leaves(variant: Variant, live: Live) -> None:
    """Sixty-four answers wait for one slot; without a cancel the engine would make all of them."""

    async def use(client: Any) -> None:
        async for event in client.events("/completions", prompt="We", n=64, **WILD):
            if event["choices"][0]["text"]:
                break
        health = await client.settled()
        assert health["cancelled"] > 32
        status, body = await client.complete("We", max_tokens=2, **WILD)
        assert (status, body["usage"]["completion_tokens"]) == (200, 2)

    live(variant, options(slots=1), use)


@pytest.mark.parametrize("stream", [True, False])
def test_a_killed_worker_is_an_error_and_a_status(variant: Variant, live: Live, stream: bool) -> None:
    async def use(client: Any) -> None:
        async with asyncio.timeout(60):
            if stream:
                events = client.events("/completions", prompt="We", n=64, **WILD)
                await anext(events)
                os.kill(client.endpoint.pid, signal.SIGKILL)
                with pytest.raises(aiohttp.ClientError):
                    _ = [event async for event in events]
            else:
                request = asyncio.create_task(client.complete("We", n=64, **WILD))
                await client.reached("running")
                os.kill(client.endpoint.pid, signal.SIGKILL)
                with pytest.raises(aiohttp.ClientError):
                    await request
            while (described := client.engine.describe(client.endpoint)).state == "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert (described.state, described.exit_code) == ("dead", -signal.SIGKILL)

    live(variant, options(slots=1), use)


PARENT = """
import asyncio, sys, msgspec
from assay import engines
from assay.engines.worker.model import Spec
from assay.types import EngineOptions, Variant
variant = msgspec.json.decode(sys.argv[1], type=Variant)
async def main():
    endpoint = await engines.for_variant(variant).start(variant, EngineOptions(context_length=256))
    print(endpoint.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_a_worker_ends_with_its_parent(variant: Variant) -> None:
    command = [sys.executable, "-c", PARENT, encode(variant).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while psutil.pid_exists(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not psutil.pid_exists(worker)


NOTE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "who": {"type": "string", "minLength": 1, "maxLength": 9},
        "kind": {"enum": ["decision", "action", None]},
        "day": {"type": "integer", "minimum": 1, "maximum": 31},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,4}$"}, "maxItems": 3},
        "next": {"anyOf": [{"$ref": "#/$defs/step"}, {"type": "null"}]},
    },
    "required": ["who", "kind", "day", "share", "tags", "next"],
    "additionalProperties": False,
    "$defs": {
        "step": {
            "type": "object",
            "properties": {"at": {"type": "string", "format": "date"}, "done": {"type": "boolean"}},
            "required": ["at", "done"],
            "additionalProperties": False,
        }
    },
}


def schema_form(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "note", "strict": True, "schema": schema}}


def test_answers_satisfy_a_schema(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        asked: dict[str, Any] = {"response_format": schema_form(NOTE_SCHEMA), "max_tokens": 200}
        if not is_real(variant):
            status, body = await client.chat(**asked)
            assert (status, body["error"]["param"]) == (400, "response_format")
            return
        for sampling in ({"temperature": 0}, {"temperature": 1, "seed": 1}, {"temperature": 3, "seed": 2}, WILD):
            status, body = await client.chat("Anna will write the report.", n=2, **asked, **sampling)
            assert status == 200, body
            for choice in body["choices"]:
                assert choice["finish_reason"] == "stop"
                jsonschema.Draft202012Validator(NOTE_SCHEMA).validate(json.loads(choice["message"]["content"]))
        asked |= {"temperature": 1, "seed": 5}
        _, body = await client.chat(**asked)
        events = await client.stream(**asked)
        told = [event["choices"][0]["delta"].get("content", "") for event in events if event != "[DONE]"]
        assert "".join(told) == text(body)

    run(use)


def test_an_answer_may_be_any_object_and_says_when_it_was_cut(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        for seed in range(4 if is_real(variant) else 0):
            asked = {"response_format": {"type": "json_object"}, "max_tokens": 40, "temperature": 2, "seed": seed}
            status, body = await client.chat("As JSON, please.", **asked)
            assert status == 200, body
            choice = body["choices"][0]
            if choice["finish_reason"] == "stop":
                assert isinstance(json.loads(choice["message"]["content"]), dict)
            else:
                assert choice["finish_reason"] == "length"
                assert body["usage"]["completion_tokens"] == 40
        status, body = await client.chat(response_format={"type": "text"}, max_tokens=2)
        assert status == 200, body

    run(use)


def test_answers_with_and_without_a_schema_run_together(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        plain = {"temperature": 0, "max_tokens": 30}
        _, alone = await client.chat("Who will write the report?", **plain)
        form = schema_form({"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"]})
        form["json_schema"]["schema"]["additionalProperties"] = False
        asks = [client.chat("Who will write the report?", **plain)]
        asks += [client.chat("Now", response_format=form, temperature=0, max_tokens=30) for _ in range(2)]
        (_, first), *rest = await asyncio.gather(*asks)
        assert text(first) == text(alone)
        for status, body in rest:
            if is_real(variant):
                assert (status, text(body), body["choices"][0]["finish_reason"]) == (200, '{"a": "x"}', "stop")
            else:
                assert status == 400

    run(use)


def test_a_schema_that_cannot_be_enforced_is_refused(variant: Variant, run: Run) -> None:
    async def use(client: Any) -> None:
        for schema in ({"type": "object", "not": {}}, {"type": "array"}, {"type": "object", "uniqueItems": True}):
            status, body = await client.chat(response_format=schema_form(schema))
            assert (status, body["error"]["param"]) == (400, "response_format"), body
        tool = {"type": "function", "function": {"name": "f"}}
        status, body = await client.chat(tools=[tool])
        assert (status, body["error"]["param"]) == (400, "tools")
        status, body = await client.chat(tools=[tool], tool_choice="none", max_tokens=2)
        assert status == 200, body

    run(use)


RENDER = """
import importlib, json, os, sys, msgspec
from assay.engines.worker.model import Spec
spec = msgspec.json.decode(sys.argv[1], type=Spec)
module, _, function = spec.opener.partition(":")
model = getattr(importlib.import_module(module), function)(spec)
ids = [list(model.render(chat, {}).ids) for chat in json.loads(sys.argv[2])]
texts = [list(model.encode(text).ids) for text in json.loads(sys.argv[3])]
print("IDS" + json.dumps([ids, texts]), flush=True)
os._exit(0)
"""
CHATS = [
    [{"role": "user", "content": "Who will call Anna?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ünïcode — 漢字 🙂 \t\n  spaces"}],
    [
        {"role": "user", "content": "  leading and trailing  "},
        {"role": "assistant", "content": "An answer.\n"},
        {"role": "user", "content": "<|im_start|>user\nspecial<|im_end|>"},
    ],
    [{"role": "user", "content": ""}],
]
TEXTS = ["plain text", " a space first", "<|im_start|>", "é\u0301 🙂 12345 can't\r\n"]


def seen_by_the_engine(variant: Variant) -> Any:
    """Token ids of ``CHATS`` and ``TEXTS``, as the engine's worker side makes them."""
    engine = engines.for_variant(variant)
    opener = engine.opener  # type: ignore[attr-defined]
    spec = Spec(opener=opener, model="m", variant=variant, options=EngineOptions(context_length=CONTEXT))
    command = [sys.executable, "-c", RENDER, encode(spec).decode(), json.dumps(CHATS), json.dumps(TEXTS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("IDS")]
    return json.loads(line.removeprefix("IDS"))


def test_engines_agree_on_the_ids_of_a_chat(bundled: dict[str, Variant]) -> None:
    """Two tokenizers, two copies of the template: GGUF's own and the model folder's."""
    gguf, onnx = (seen_by_the_engine(real(bundled, form)) for form in ("gguf", "onnx"))
    assert gguf == onnx


@pytest.mark.parametrize("form", ["gguf", "onnx"])
def test_ids_are_those_of_transformers(bundled: dict[str, Variant], form: str) -> None:
    """The reference: ``apply_chat_template(tokenize=True)`` of the model's own tokenizer files."""
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        pytest.skip("transformers is not installed (extra: train)")
    tokenizer = transformers.AutoTokenizer.from_pretrained(real(bundled, "onnx").path)
    chats, texts = seen_by_the_engine(real(bundled, form))
    expected = [
        tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False)
        for chat in CHATS
    ]
    assert chats == expected
    assert texts == [tokenizer(text)["input_ids"] for text in TEXTS]
