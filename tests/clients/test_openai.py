"""OpenAI's own client for Python, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.conftest import Running
from tests.clients.tour import MESSAGES, SCHEMA, WEATHER, WORDS, check_call, check_schema

openai = pytest.importorskip("openai", reason="the package openai is not installed")
pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]
FORMAT = {"type": "json_schema", "json_schema": {"name": "item", "schema": SCHEMA, "strict": True}}
MORE: Any = {"max_tokens": 120, "temperature": 0}


@pytest.fixture
def client(running: Running) -> Any:
    with openai.OpenAI(base_url=running.url, api_key="none", max_retries=0) as made:
        yield made


def test_models_are_listed(client: Any, running: Running) -> None:
    names = {model.id for model in client.models.list()}
    assert {running.chat, running.tools, running.embeddings, "notes-4m:q8_0"} <= names
    assert client.models.retrieve("notes-4m:q8_0").id == "notes-4m:q8_0"
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        client.models.retrieve("no-such-model")


def test_chat_whole_and_streamed_say_the_same(client: Any, running: Running) -> None:
    whole = client.chat.completions.create(model=running.chat, messages=MESSAGES, **MORE)
    assert whole.choices[0].finish_reason == "stop"
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model=running.chat, messages=MESSAGES, stream=True, stream_options=options, **MORE
    )
    pieces, usage = [], None
    for chunk in stream:
        usage = chunk.usage or usage
        pieces += [choice.delta.content or "" for choice in chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 3
    assert usage == whole.usage


def test_completions(client: Any, running: Running) -> None:
    answer = client.completions.create(model=running.chat, prompt=[WORDS, "Notes:"], n=2, seed=1, max_tokens=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    scored = client.completions.create(model=running.chat, prompt=WORDS, max_tokens=4, temperature=0, logprobs=2)
    assert len(scored.choices[0].logprobs.tokens) == len(scored.choices[0].logprobs.token_logprobs) > 0


def test_logprobs(client: Any, running: Running) -> None:
    answer = client.chat.completions.create(
        model=running.chat, messages=MESSAGES, logprobs=True, top_logprobs=3, **MORE
    )
    content = answer.choices[0].logprobs.content
    assert "".join(one.token for one in content) == answer.choices[0].message.content
    assert all(len(one.top_logprobs) == 3 and one.logprob <= 0 for one in content)
    assert all(one.top_logprobs[0].token == one.token for one in content)  # greedy


@pytest.mark.parametrize("stream", [False, True])
def test_json_schema(client: Any, running: Running, stream: bool) -> None:
    for model in (running.chat, running.tools):
        answer = client.chat.completions.create(
            model=model, messages=MESSAGES, response_format=FORMAT, stream=stream, **MORE
        )
        if stream:
            text = "".join(c.choices[0].delta.content or "" for c in answer if c.choices)
        else:
            text = answer.choices[0].message.content
        check_schema(text)


def test_tools_whole_streamed_and_answered(client: Any, running: Running) -> None:
    asked = {"model": running.tools, "tools": [WEATHER], "tool_choice": "required", **MORE}
    whole = client.chat.completions.create(messages=MESSAGES, **asked)
    (call,) = whole.choices[0].message.tool_calls[:1]
    assert whole.choices[0].finish_reason == "tool_calls"
    check_call(call.function.name, call.function.arguments)
    name = arguments = ""
    for chunk in client.chat.completions.create(messages=MESSAGES, stream=True, **asked):
        for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            if delta.index == 0:
                name += delta.function.name or ""
                arguments += delta.function.arguments or ""
    check_call(name, arguments)
    told = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages = [*MESSAGES, whole.choices[0].message.model_dump(exclude_none=True), told]
    after = client.chat.completions.create(model=running.tools, messages=messages, tools=[WEATHER], **MORE)
    assert after.choices[0].finish_reason in {"stop", "length", "tool_calls"}


def test_embeddings(client: Any, running: Running) -> None:
    answer = client.embeddings.create(model=running.embeddings, input=[WORDS, "other words", WORDS])
    first, other, again = (one.embedding for one in answer.data)
    assert len(first) == len(other)
    assert first == pytest.approx(again, abs=1e-5)
    assert first != pytest.approx(other, abs=1e-3)
    assert sum(x * x for x in first) == pytest.approx(1, abs=1e-3)
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=running.chat, input=WORDS)


def test_errors_are_the_clients_own_kinds(client: Any, running: Running) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="no-such-model", messages=MESSAGES)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=running.chat, messages=MESSAGES, temperature=-1)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model=running.chat, messages=[{"role": "user", "content": "word " * 4000}])
    assert long.value.code == "context_length_exceeded"


def test_asynchronous_and_many_at_once(running: Running) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=running.url, api_key="none", max_retries=0) as client:

            async def one(i: int) -> str:
                create = client.chat.completions.create
                if i % 2:
                    whole = await create(model=running.chat, messages=MESSAGES, **MORE)
                    return str(whole.choices[0].message.content)
                stream = await create(model=running.chat, messages=MESSAGES, stream=True, **MORE)
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

            return await asyncio.gather(*(one(i) for i in range(12)))

    answers = asyncio.run(ask())
    assert all(answers)
