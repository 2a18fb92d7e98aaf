"""LangChain's ChatOpenAI and OpenAIEmbeddings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import Running
from tests.clients.tour import SCHEMA, WEATHER, WORDS, check_call

langchain = pytest.importorskip("langchain_openai", reason="the package langchain-openai is not installed")
pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]


def chat(running: Running, model: str, **more: Any) -> Any:
    return langchain.ChatOpenAI(
        base_url=running.url, api_key="none", model=model, temperature=0, max_tokens=120, max_retries=0, **more
    )


def test_invoke_stream_and_batch(running: Running) -> None:
    model = chat(running, running.chat)
    whole = model.invoke(WORDS)
    assert whole.content
    assert whole.usage_metadata["output_tokens"] > 0
    assert "".join(piece.content for piece in model.stream(WORDS)) == whole.content
    assert len(model.batch([WORDS, WORDS, "Notes: nothing."])) == 3


def test_structured_output(running: Running) -> None:
    model = chat(running, running.chat).with_structured_output({"title": "item", **SCHEMA}, method="json_schema")
    made = model.invoke(WORDS)
    assert set(made) == {"who", "urgent"}


def test_tools(running: Running) -> None:
    answer = chat(running, running.tools).bind_tools([WEATHER], tool_choice="weather").invoke(WORDS)
    (call,) = answer.tool_calls
    check_call(call["name"], call["args"])


def test_embeddings(running: Running) -> None:
    made = langchain.OpenAIEmbeddings(
        base_url=running.url, api_key="none", model=running.embeddings, check_embedding_ctx_length=False
    )
    first, second = made.embed_documents([WORDS, "other words"])
    assert len(first) == len(second) == len(made.embed_query(WORDS))
