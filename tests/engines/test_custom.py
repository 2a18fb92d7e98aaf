"""Adapters: found by ``module:Class`` and by entry point, and served by a real worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from assay import engines
from assay.engines.custom import find_adapter, plain_prompt
from assay.errors import BadInput, EngineStartFailed
from assay.types import EngineOptions, Variant

EXAMPLE = Path(__file__).parents[2] / "examples" / "markov-adapter"
Live = Callable[..., None]

ADAPTERS = """
import time
from assay.engines import CustomModelAdapter

class Plain(CustomModelAdapter):
    def load(self, weights_path):
        self.weights = weights_path
    def generate(self, prompt, **params):
        given = [f"{name}={params[name]}" for name in sorted(params)]
        yield from [prompt, "|", *given]

class WithChat(Plain):
    version = "7"
    def generate(self, prompt, *, max_tokens=None, seed=None):
        yield "generate"
    def chat(self, messages, *, max_tokens=None, seed=None):
        yield from [f"{m['role']}={m['content']} " for m in messages]
        return "length"

class Short(Plain):
    context_length = 3
    def count_tokens(self, text):
        return len(text.split())

class Endless(Plain):
    closed = False
    def generate(self, prompt, **params):
        if prompt == "closed?":
            yield str(Endless.closed)
            return
        try:
            while True:
                yield "x "
                time.sleep(0.001)
        finally:
            Endless.closed = True

class Failing(Plain):
    def generate(self, prompt, **params):
        yield "one"
        raise ValueError("a wrong turn")

class NoText(Plain):
    def generate(self, prompt, **params):
        yield 5

class Torn(Plain):
    def load(self, weights_path):
        raise OSError("the weights are torn")

class NoLimit(Plain):
    def generate(self, prompt):
        yield "x"

class NoGenerate(CustomModelAdapter):
    def load(self, weights_path):
        pass
"""


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the moment, with a module of adapters in it."""
    (tmp_path / "own_adapters.py").write_text(ADAPTERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def variant(name: str, **fields: Any) -> Variant:
    return Variant(id="own", alias="own", format="adapter", source="test", adapter=f"own_adapters:{name}", **fields)


def text(body: dict[str, Any]) -> str:
    choice = body["choices"][0]
    return str(choice["text"] if "text" in choice else choice["message"]["content"])


def test_an_iterator_of_text_is_enough(adapters: Path, live: Live) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat("hello", max_tokens=5, temperature=0, seed=3)
        assert text(body) == "User: hello\nAssistant:|max_tokens=5seed=3temperature=0.0"
        assert body["usage"] is None
        events = await client.stream("x", stream_options={"include_usage": True})
        assert events[-2]["usage"] is None
        _, body = await client.complete("bare", stop=["|"])
        assert (text(body), body["choices"][0]["finish_reason"]) == ("bare", "stop")
        assert (await client.complete([1, 2]))[0] == 400

    live(variant("Plain"), EngineOptions(), use)


def test_chat_goes_to_the_adapter_that_has_it(adapters: Path, live: Live) -> None:
    async def use(client: Any) -> None:
        assert client.endpoint.engine_version == "7"
        _, body = await client.chat("hello")
        assert (text(body), body["choices"][0]["finish_reason"]) == ("user=hello ", "length")
        status, body = await client.chat("hello", temperature=0.5)
        assert (status, body["error"]["param"]) == (400, "temperature")
        assert text((await client.complete("x", seed=1))[1]) == "generate"

    live(variant("WithChat"), EngineOptions(), use)


def test_a_context_is_kept_where_the_adapter_can_count(adapters: Path, live: Live) -> None:
    async def use(client: Any) -> None:
        status, body = await client.complete("one two three four")
        assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
        _, body = await client.complete("one two")
        assert text(body) == "one two|max_tokens=1"
        assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}

    live(variant("Short"), EngineOptions(), use)


def test_the_iterator_is_closed_when_the_client_leaves(adapters: Path, live: Live) -> None:
    async def use(client: Any) -> None:
        async for _ in client.events("/completions", prompt="go"):
            break
        await client.settled()
        _, body = await client.complete("closed?")
        assert text(body) == "True"

    live(variant("Endless"), EngineOptions(), use)


@pytest.mark.parametrize(
    ("name", "message"), [("Failing", "ValueError: a wrong turn"), ("NoText", "generate must yield text, not int")]
)
def test_errors_of_generate_reach_the_client(adapters: Path, live: Live, name: str, message: str) -> None:
    async def use(client: Any) -> None:
        status, body = await client.complete("x")
        assert (status, body["error"]["message"]) == (500, message)
        events = [event async for event in client.events("/completions", prompt="x")]
        assert events[-1]["error"]["message"] == message
        assert (await client.health())["status"] == "ok"

    live(variant(name), EngineOptions(), use)


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ("own_adapters:Torn", "OSError: the weights are torn"),
        ("own_adapters:NoLimit", "must take max_tokens"),
        ("own_adapters:NoGenerate", "has no method generate"),
        ("own_adapters:Missing", "cannot be imported"),
        ("no_such_module:Plain", "cannot be imported"),
        ("not-installed", "no adapter named 'not-installed'"),
    ],
)
def test_an_adapter_that_cannot_be_used_says_why(adapters: Path, adapter: str, words: str) -> None:
    broken = Variant(id="own", alias="own", format="adapter", source="test", adapter=adapter)
    with pytest.raises(EngineStartFailed, match=words):
        asyncio.run(engines.for_variant(broken).start(broken, EngineOptions()))


def test_a_variant_without_an_adapter_is_refused() -> None:
    nameless = Variant(id="own", alias="own", format="adapter", source="test")
    with pytest.raises(BadInput, match="names no adapter"):
        asyncio.run(engines.for_variant(nameless).start(nameless, EngineOptions()))


def test_find_adapter_gives_the_class(adapters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(adapters))
    assert find_adapter("own_adapters:Plain").__name__ == "Plain"
    assert issubclass(find_adapter("own_adapters:Plain"), engines.CustomModelAdapter)


def test_the_plain_rendering() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    assert plain_prompt(messages) == "System: Be brief.\nUser: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"


@pytest.fixture(scope="session")
def installed_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package as pip installs it."""
    if find_spec("pip") is None:
        pytest.skip("pip is not installed in this environment")
    site = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(EXAMPLE)]
    subprocess.run(command, check=True, timeout=240)
    return site


def test_the_example_works_as_installed(
    installed_example: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, live: Live
) -> None:
    async def use(client: Any) -> None:
        _, first = await client.chat("the", max_tokens=12, seed=4)
        _, again = await client.chat("the", max_tokens=12, seed=4)
        assert text(first) == text(again) != ""
        words = len(text(first).split())
        assert first["usage"] == {"prompt_tokens": 3, "completion_tokens": words, "total_tokens": 3 + words}
        events = await client.stream("the", max_tokens=12, seed=4)
        streamed = [event["choices"][0]["delta"].get("content", "") for event in events[:-1]]
        assert ("".join(streamed), len([part for part in streamed if part])) == (text(first), words)
        _, cut = await client.complete("snow", max_tokens=2, temperature=0)
        assert (text(cut), cut["choices"][0]["finish_reason"]) == ("lies on", "length")
        _, stopped = await client.complete("snow", temperature=0, stop=[" on"])
        assert (text(stopped), stopped["choices"][0]["finish_reason"]) == ("lies", "stop")
        status, body = await client.complete("snow", top_k=3)
        assert (status, body["error"]["param"]) == (400, "top_k")
        assert client.endpoint.slots == 3

    monkeypatch.syspath_prepend(str(installed_example))
    monkeypatch.setenv("PYTHONPATH", f"{installed_example}{os.pathsep}{Path(engines.__file__).parents[2]}")
    monkeypatch.chdir(tmp_path)
    weights = str(EXAMPLE / "weights" / "weather.json")
    weather = Variant(id="weather", alias="weather", format="adapter", source="test", adapter="markov", path=weights)
    live(weather, EngineOptions(slots=3), use)


def test_the_example_trains(installed_example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "text.txt", tmp_path / "weights.json"
    source.write_text("a b\na c\n")
    monkeypatch.setenv("PYTHONPATH", f"{installed_example}{os.pathsep}{Path(engines.__file__).parents[2]}")
    subprocess.run([sys.executable, "-m", "assay_markov", str(source), str(target)], check=True, timeout=60)
    assert json.loads(target.read_text()) == {"": {"a": 2}, "a": {"b": 1, "c": 1}, "b": {"": 1}, "c": {"": 1}}
