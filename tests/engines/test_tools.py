"""Functions that a model may call: checked, rendered, called, and told, streamed and whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec import structs

from assay.engines.chat_template import ChatTemplate, template_uses
from assay.engines.worker.model import Refused
from assay.engines.worker.tools import read_calls, read_tools
from assay.types import EngineOptions, Variant

TEMPLATE = (
    "{% if tools %}<tool_call> </tool_call>{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}{{ m.role ~ m.content }}"
    "{% for c in m.tool_calls %}{{ c.function.arguments.city }}{% endfor %}{% endfor %}A:"
)
SHORT = (
    "{% if tools %}<|tool_call|><|/tool_call|>{{ tools }}{% endif %}"
    "{% for m in messages %}{{ m.role ~ m.content ~ (m.tool_calls or '') }}\n{% endfor %}A:"
)
CITY = {"type": "string", "minLength": 1, "maxLength": 12}
PARAMETERS = {
    "type": "object",
    "properties": {"city": CITY, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo", "unit": "C"}}\n</tool_call>'
Use = Callable[[Any], Awaitable[None]]
Run = Callable[[Use], None]


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


WEATHER = named("weather", parameters=PARAMETERS)
CLOCK = named("clock")
TOOLS = [WEATHER, CLOCK]


def test_tools_are_read() -> None:
    tools = read_tools({"tools": TOOLS})
    assert tools is not None
    assert ([f.name for f in tools.functions], tools.choice, tools.parallel) == (["weather", "clock"], "auto", True)
    assert read_tools({"tools": TOOLS, "tool_choice": "none"}) is None
    assert read_tools({"tools": []}) is None
    assert read_tools({"tool_choice": "auto"}) is None
    one = read_tools({"tools": TOOLS, "tool_choice": named("clock")})
    assert one is not None
    assert ([f.name for f in one.functions], one.choice, one.parallel) == (["clock"], "required", False)
    assert list(one.given) == TOOLS
    alone = read_tools({"tools": TOOLS, "parallel_tool_calls": False})
    assert alone is not None
    assert not alone.parallel


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": "weather"}, "tools"),
        ({"tools": ["weather"]}, "tools[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [named("a b")]}, "tools[0].function.name"),
        ({"tools": [named("a"), named("a")]}, "tools"),
        ({"tools": [named(f"f{i}") for i in range(129)]}, "tools"),
        ({"tools": [named("a", parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [named("a", strict=1)]}, "tools[0].function.strict"),
        ({"tools": [named("a", description=1)]}, "tools[0].function.description"),
        ({"tools": TOOLS, "tool_choice": "must"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": named("mail")}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_bad_tools_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        read_tools(body)
    assert refused.value.param == param


def call(arguments: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}


def test_arguments_reach_templates_as_objects() -> None:
    message = read_calls({"role": "assistant", "content": "", "tool_calls": [call('{"city": "Oslo"}')]}, "messages[0]")
    assert message["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert "Oslo" in ChatTemplate(TEMPLATE, {}).render([message], {})
    assert "tool_calls" not in read_calls({"role": "assistant", "tool_calls": []}, "messages[0]")
    assert "tool_calls" not in read_calls({"role": "user", "tool_calls": None}, "messages[0]")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "tool_calls": [call("{}")]}, "tool_calls"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": ["x"]}, "tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [call("{")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call("[1]")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call(3)]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}, "tool_calls[0].function.name"),
        ({"role": "assistant", "function_call": {"name": "weather"}}, "function_call"),
        ({"role": "tool", "content": "12 degrees"}, "tool_call_id"),
    ],
)
def test_bad_calls_in_messages_are_refused(message: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        read_calls(message, "messages[4]")
    assert refused.value.param == f"messages[4].{param}"


def test_a_template_says_whether_it_takes_tools() -> None:
    assert template_uses(TEMPLATE, "tools")
    assert template_uses("{% if not tools is defined %}{% set tools = none %}{% endif %}{{ tools }}", "tools")
    assert not template_uses("{{ 'You have tools' }} tools", "tools")
    assert not template_uses("{% if %}", "tools")


def pieces(answer: str, size: int = 3) -> list[list[Any]]:
    data = answer.encode()
    return [[data[i : i + size].hex(), 1] for i in range(0, len(data), size)]


def streamed(events: Sequence[Any]) -> tuple[str, list[dict[str, Any]], str | None]:
    """Text, calls and finish of one choice, put together as a client does."""
    text, calls, finish = "", {}, None
    for event in events:
        if event == "[DONE]" or not event["choices"]:
            continue
        entry = event["choices"][0]
        text += entry["delta"].get("content") or ""
        finish = entry["finish_reason"] or finish
        for part in entry["delta"].get("tool_calls", ()):
            if "id" in part:
                assert part["type"] == "function"
                calls[part["index"]] = {"name": part["function"]["name"], "arguments": ""}
            calls[part["index"]]["arguments"] += part["function"]["arguments"]
    return text, list(calls.values()), finish


def test_a_call_is_told_whole_and_streamed(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        status, body = await client.chat(tools=TOOLS)
        assert status == 200, body
        choice = body["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] == "One moment."
        (made,) = choice["message"]["tool_calls"]
        assert made["type"] == "function"
        assert made["function"] == {"name": "weather", "arguments": '{"city": "Oslo", "unit": "C"}'}
        text, calls, finish = streamed(await client.stream(tools=TOOLS))
        assert (text, calls, finish) == ("One moment.", [made["function"]], "tool_calls")
        assert body["usage"]["completion_tokens"] == len(pieces("One moment.\n" + CALL))

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces("One moment.\n" + CALL))


def test_content_is_null_where_there_is_only_a_call(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat(tools=TOOLS, n=2)
        for choice in body["choices"]:
            assert choice["message"]["content"] is None
            assert len(choice["message"]["tool_calls"]) == 2
        ids = [made["id"] for choice in body["choices"] for made in choice["message"]["tool_calls"]]
        assert len(set(ids)) == 4

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(f"{CALL}\n{CALL}"))


def test_an_answer_without_a_call_is_text(with_script: Callable[..., None]) -> None:
    answer = "a <tool_ca b <tool_call>{} c"

    async def use(client: Any) -> None:
        _, body = await client.chat(tools=TOOLS)
        assert body["choices"][0]["message"] == {"role": "assistant", "content": answer}
        assert body["choices"][0]["finish_reason"] == "stop"
        assert streamed(await client.stream(tools=TOOLS)) == (answer, [], "stop")
        _, body = await client.chat(tools=TOOLS, tool_choice="none")
        assert body["choices"][0]["message"]["content"] == answer

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(answer))


def test_without_tools_marks_are_text(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        for more in ({}, {"tools": TOOLS, "tool_choice": "none"}):
            _, body = await client.chat(**more)
            assert body["choices"][0]["message"] == {"role": "assistant", "content": CALL}

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(CALL))


def test_a_call_that_a_strict_function_would_not_take_is_text(with_script: Callable[..., None]) -> None:
    strict = named("weather", parameters=PARAMETERS, strict=True)
    answer = CALL.replace('"C"', '"K"')

    async def use(client: Any) -> None:
        _, body = await client.chat(tools=[strict])
        assert body["choices"][0]["message"]["content"] == answer
        _, body = await client.chat(tools=[WEATHER])
        assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"
        unenforced = named("f", strict=True, parameters={"type": "object", "not": {}})
        status, body = await client.chat(tools=[unenforced])
        assert (status, body["error"]["param"]) == (400, "tools[0].function.parameters")

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(answer))


def test_a_call_that_was_cut_is_text_and_the_finish_says_so(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat(tools=TOOLS, max_tokens=5)
        choice = body["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (CALL[:15], "length")

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(CALL))


def test_a_stop_string_cuts_before_calls_are_looked_for(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat(tools=TOOLS, stop="Oslo")
        choice = body["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (CALL[: CALL.index("Oslo")], "stop")

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(CALL))


def test_a_forced_call_that_does_not_come_is_an_error(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        for choice in ("required", named("weather")):
            status, body = await client.chat(tools=TOOLS, tool_choice=choice)
            assert (status, body["error"]["code"]) == (500, "engine_error")
        _, body = await client.chat(tools=TOOLS, tool_choice="required", max_tokens=2)
        assert body["choices"][0]["finish_reason"] == "length"
        _, body = await client.chat(tools=TOOLS, tool_choice="required", stop="call")
        assert body["choices"][0]["finish_reason"] == "stop"

    with_script(use, context=2048, template=TEMPLATE, features=["grammar"], pieces=pieces("I call nobody."))


FORCED = {"tools": TOOLS, "tool_choice": "required"}


def test_a_stop_string_within_a_forced_call_makes_it_no_call(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat(**FORCED, stop="slo")
        choice = body["choices"][0]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": "O'
        assert streamed(await client.stream(**FORCED, stop="slo"))[2] == "stop"
        _, body = await client.chat(**FORCED, stop="</tool_call>")
        assert body["choices"][0]["finish_reason"] == "tool_calls"
        assert len(body["choices"][0]["message"]["tool_calls"]) == 1

    with_script(use, context=2048, template=TEMPLATE, features=["grammar"], pieces=pieces(f"{CALL}\n{CALL}"))


def test_a_stop_string_within_the_last_of_several_calls_is_a_stop(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        for stop, count in (("ergen", 2), ("lock", 1)):
            _, body = await client.chat(**FORCED, stop=stop)
            choice = body["choices"][0]
            assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", None)
            assert len(choice["message"]["tool_calls"]) == count

    answer = f"{CALL}\n{CALL.replace('Oslo', 'Bergen').replace('weather', 'clock')}"
    with_script(use, context=2048, template=TEMPLATE, features=["grammar"], pieces=pieces(answer))


def test_a_forced_call_that_the_limit_cuts_is_no_text(with_script: Callable[..., None]) -> None:
    answer = pieces(f"{CALL}\n{CALL}")

    async def use(client: Any) -> None:
        for tokens in range(1, len(answer)):
            _, body = await client.chat(**FORCED, max_tokens=tokens)
            choice = body["choices"][0]
            assert (choice["message"]["content"], choice["finish_reason"]) == (None, "length")
        assert streamed(await client.stream(**FORCED, max_tokens=4)) == ("", [], "length")

    with_script(use, context=2048, template=TEMPLATE, features=["grammar"], pieces=answer)


def test_one_call_is_told_where_one_is_wanted(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        _, body = await client.chat(tools=TOOLS, parallel_tool_calls=False)
        assert len(body["choices"][0]["message"]["tool_calls"]) == 1
        _, calls, finish = streamed(await client.stream(tools=TOOLS, parallel_tool_calls=False))
        assert (len(calls), finish) == (1, "tool_calls")

    with_script(use, context=2048, template=TEMPLATE, pieces=pieces(f"{CALL}\n{CALL} and"))


def test_what_this_model_cannot_do_names_the_field(with_script: Callable[..., None]) -> None:
    async def use(client: Any) -> None:
        asked: list[tuple[dict[str, Any], str]] = [
            ({"tools": TOOLS, "tool_choice": "required"}, "tool_choice"),
            ({"tools": TOOLS, "tool_choice": named("weather")}, "tool_choice"),
            ({"tools": TOOLS, "logprobs": True}, "logprobs"),
            ({"response_format": {"type": "json_object"}}, "response_format"),
            ({"functions": [{"name": "weather"}]}, "functions"),
            ({"function_call": {"name": "weather"}}, "function_call"),
        ]
        for body, param in asked:
            status, answer = await client.chat(**body)
            assert (status, answer["error"]["param"]) == (400, param), answer

    with_script(use, context=2048, template=TEMPLATE)


@pytest.mark.parametrize("template", [None, "{{ messages }}", "{{ messages }}{{ tools }}"])
def test_a_template_without_a_known_form_of_calls_takes_none(
    with_script: Callable[..., None], template: str | None
) -> None:
    async def use(client: Any) -> None:
        status, body = await client.chat(tools=TOOLS)
        assert (status, body["error"]["param"]) == (400, "tools")
        status, body = await client.chat(tools=TOOLS, tool_choice="none")
        assert status == 200, body
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [call("{}")]},
        ]
        status, body = await client.post("/chat/completions", messages=messages)
        assert (status, body["error"]["param"]) == (400, "messages[1].tool_calls")

    with_script(use, context=2048, **({"template": template} if template else {}))


@pytest.mark.parametrize("answer", ["no JSON", '{"a": "x"}', '{"a": 1} ', '{"a": 1}'])
def test_an_engine_that_leaves_the_form_is_not_believed(with_script: Callable[..., None], answer: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    async def use(client: Any) -> None:
        status, body = await client.chat(response_format=form)
        events = await client.stream(response_format=form)
        if answer.startswith('{"a": 1}'):
            assert (status, body["choices"][0]["message"]["content"]) == (200, answer)
            assert events[-1] == "[DONE]"
        else:
            assert (status, body["error"]["code"]) == (500, "engine_error")
            assert "the form it was to have" in events[-1]["error"]["message"]
        _, body = await client.chat(response_format=form, max_tokens=1)
        assert body["choices"][0]["finish_reason"] == "length"
        _, body = await client.chat(response_format=form, stop=answer[2:4])
        assert body["choices"][0]["message"]["content"] == answer[:2]

    with_script(use, features=["json_schema"], pieces=pieces(answer))


@pytest.fixture(scope="module", params=["gguf", "onnx"])
def run(
    request: pytest.FixtureRequest, bundled: Mapping[str, Variant], kept: Any, tmp_path_factory: Any
) -> Iterator[Run]:
    """A bundled model with a template that takes tools, and with a special token that begins calls."""
    found = [v for v in bundled.values() if v.format == request.param and v.alias == "notes-4m"]
    if not found:
        pytest.skip(f"no bundled {request.param} model in this checkout")
    source, place = Path(found[0].path or ""), tmp_path_factory.mktemp("tools") / "model"
    make = with_template_gguf if request.param == "gguf" else with_template_onnx
    variant = structs.replace(found[0], path=str(make(source, place)), files=())
    with kept(variant, EngineOptions(context_length=1024, slots=3)) as run:
        yield run


def with_template_gguf(source: Path, place: Path) -> Path:
    """A copy with both strings replaced by ones of the same length."""
    data = source.read_bytes()
    start = data.index(b"{% for message in messages %}")
    end = data.index(b"{% endif %}", start) + len(b"{% endif %}")
    padding = end - start - len(SHORT) - len("{##}")
    assert padding >= 0
    data = data[:start] + f"{{#{' ' * padding}#}}{SHORT}".encode() + data[end:]
    place = place.with_suffix(".gguf")
    place.write_bytes(data.replace(b"<|endoftext|>", b"<|tool_call|>"))
    return place


def with_template_onnx(source: Path, place: Path) -> Path:
    shutil.copytree(source, place)
    (place / "chat_template.jinja").write_text(SHORT)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = place / name
        path.write_text(path.read_text().replace("<|endoftext|>", "<|tool_call|>"))
    return place


def check(made: Mapping[str, Any]) -> None:
    assert made["name"] in ("weather", "clock")
    arguments = json.loads(made["arguments"])
    jsonschema.validate(arguments, PARAMETERS if made["name"] == "weather" else {"maxProperties": 0})


@pytest.mark.engines
def test_calls_can_be_forced(run: Run) -> None:
    async def use(client: Any) -> None:
        choices: list[Any] = ["required", named("weather"), named("clock")]
        for choice in choices:
            for seed in range(3):
                asked = {"tools": TOOLS, "tool_choice": choice, "max_tokens": 300, "seed": seed, "temperature": 1.5}
                status, body = await client.chat(n=2, **asked)
                assert status == 200, body
                for entry in body["choices"]:
                    assert entry["finish_reason"] == "tool_calls"
                    assert entry["message"]["content"] is None
                    for made in entry["message"]["tool_calls"]:
                        check(made["function"])
                    if choice != "required":
                        (made,) = entry["message"]["tool_calls"]
                        assert made["function"]["name"] == choice["function"]["name"]

    run(use)


@pytest.mark.engines
def test_forced_calls_stream_as_they_are_told_whole(run: Run) -> None:
    async def use(client: Any) -> None:
        asked = {
            "tools": [WEATHER],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "seed": 3,
            "max_tokens": 200,
        }
        _, body = await client.chat(**asked)
        (made,) = body["choices"][0]["message"]["tool_calls"]
        check(made["function"])
        events = await client.stream(**asked)
        assert streamed(events) == ("", [made["function"]], "tool_calls")
        parts = [e for e in events if e != "[DONE]" and e["choices"][0]["delta"].get("tool_calls")]
        assert len(parts) > 3

    run(use)


@pytest.mark.engines
def test_a_forced_call_that_is_cut_says_so(run: Run) -> None:
    async def use(client: Any) -> None:
        for limit in (1, 4, 12):
            _, body = await client.chat(tools=TOOLS, tool_choice="required", max_tokens=limit)
            assert body["choices"][0]["finish_reason"] == "length"

    run(use)


@pytest.mark.engines
def test_a_special_token_that_begins_calls_is_seen_when_tools_are_in_play(run: Run) -> None:
    async def use(client: Any) -> None:
        bias = {"logit_bias": {"1021": 100}, "max_tokens": 1, "temperature": 0}
        _, body = await client.chat(tools=TOOLS, **bias)
        assert body["choices"][0]["message"]["content"] == "<|tool_call|>"
        _, body = await client.chat(**bias)
        assert body["choices"][0]["message"]["content"] == ""

    run(use)


@pytest.mark.engines
def test_a_schema_and_tools_give_either(run: Run) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    async def use(client: Any) -> None:
        for seed in range(6):
            _, body = await client.chat(tools=TOOLS, response_format=form, max_tokens=300, temperature=3, seed=seed)
            choice = body["choices"][0]
            if choice["finish_reason"] == "tool_calls":
                for made in choice["message"]["tool_calls"]:
                    check(made["function"])
            elif choice["finish_reason"] == "stop":
                jsonschema.validate(json.loads(choice["message"]["content"]), schema)
            else:
                assert choice["finish_reason"] == "length"

    run(use)


@pytest.mark.engines
def test_calls_and_their_results_reach_the_prompt(run: Run) -> None:
    messages = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [call('{"city": "Oslo"}')]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"},
    ]

    async def use(client: Any) -> None:
        lengths = []
        for count in (1, 2, 3):
            status, body = await client.post("/chat/completions", messages=messages[:count], max_tokens=1)
            assert status == 200, body
            lengths.append(body["usage"]["prompt_tokens"])
        _, body = await client.post("/chat/completions", messages=messages, tools=TOOLS, max_tokens=1)
        lengths.append(body["usage"]["prompt_tokens"])
        assert lengths == sorted(set(lengths))

    run(use)
