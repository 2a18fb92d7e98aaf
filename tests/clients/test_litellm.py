"""LiteLLM with an OpenAI-compatible server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.conftest import Running
from tests.clients.tour import MESSAGES, SCHEMA, WEATHER, WORDS, check_call, check_schema

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its price list is not to be fetched
        return pytest.importorskip("litellm", reason="the package litellm is not installed")


def asked(running: Running, model: str) -> Any:
    return {"model": f"openai/{model}", "api_base": running.url, "api_key": "none", "max_tokens": 120, "num_retries": 0}


def test_chat_whole_and_streamed(litellm: Any, running: Running) -> None:
    more = asked(running, running.chat)
    whole = litellm.completion(messages=MESSAGES, temperature=0, **more)
    stream = litellm.completion(messages=MESSAGES, temperature=0, stream=True, **more)
    assert "".join(c.choices[0].delta.content or "" for c in stream) == whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0


def test_json_schema(litellm: Any, running: Running) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "item", "schema": SCHEMA, "strict": True}}
    answer = litellm.completion(messages=MESSAGES, response_format=form, **asked(running, running.chat))
    check_schema(answer.choices[0].message.content)


def test_tools(litellm: Any, running: Running) -> None:
    more = asked(running, running.tools)
    answer = litellm.completion(messages=MESSAGES, tools=[WEATHER], tool_choice="required", **more)
    call = answer.choices[0].message.tool_calls[0].function
    check_call(call.name, json.loads(call.arguments))


def test_embeddings(litellm: Any, running: Running) -> None:
    more = asked(running, running.embeddings)
    del more["max_tokens"]
    answer = litellm.embedding(input=[WORDS, "other words"], encoding_format="float", **more)
    assert len(answer.data) == 2


def test_errors(litellm: Any, running: Running) -> None:
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(messages=MESSAGES, **asked(running, "no-such-model"))
