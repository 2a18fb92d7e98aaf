from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engines.worker.model import Feature, Refused, Sampling
from assay.engines.worker.request import read_chat, read_completion

ALL: frozenset[Feature] = frozenset(get_args(Feature))
USER = [{"role": "user", "content": "hi"}]


def chat(features: frozenset[Feature] = ALL, **body: Any) -> Any:
    return read_chat({"model": "m", "messages": USER, **body}, features)


def complete(**body: Any) -> Any:
    return read_completion({"model": "m", "prompt": "hi", **body}, ALL)


def test_what_is_left_out_has_openai_defaults() -> None:
    ask = chat()
    assert (ask.n, ask.max_tokens, ask.stop, ask.stream, ask.include_usage) == (1, None, (), False, False)
    assert ask.sampling == Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, seed=None)


def test_everything_given_is_read() -> None:
    ask = chat(
        n=2,
        max_completion_tokens=7,
        temperature=0,
        top_p=0.5,
        top_k=-1,
        min_p=0.1,
        seed=-3,
        stop=["a", "b"],
        repetition_penalty=1.1,
        frequency_penalty=-1,
        presence_penalty=2,
        stream=True,
        stream_options={"include_usage": True, "continuous_usage_stats": True},
        chat_template_kwargs={"enable_thinking": False},
        user="somebody",
        an_unknown_field={"x": 1},
    )
    assert (ask.n, ask.max_tokens, ask.stop, ask.stream) == (2, 7, ("a", "b"), True)
    assert ask.include_usage
    assert ask.continuous_usage
    assert ask.template_options == {"enable_thinking": False}
    assert ask.sampling == Sampling(
        temperature=0.0,
        top_p=0.5,
        top_k=0,
        min_p=0.1,
        seed=-3,
        repetition_penalty=1.1,
        frequency_penalty=-1.0,
        presence_penalty=2.0,
    )


def test_a_bound_that_is_not_allowed_itself_is_told() -> None:
    with pytest.raises(Refused, match="top_p is 0, but must be more than 0 and at most 1"):
        chat(top_p=0)
    with pytest.raises(Refused, match="min_p is -1, but must be at least 0 and"):
        chat(min_p=-1)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_either_name_of_max_tokens_counts(name: str) -> None:
    assert chat(ALL, **{name: 5}).max_tokens == 5


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 1.5}, "top_k"),
        ({"top_k": -2}, "top_k"),
        ({"n": 0}, "n"),
        ({"n": "2"}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"seed": "x"}, "seed"),
        ({"stop": 3}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": "x" * 1001}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": 1}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"repetition_penalty": 5e-324}, "repetition_penalty"),
        ({"temperature": 10**400}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"logprobs": 1}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": [5]}, "logit_bias"),
        ({"logit_bias": {"the": 5}}, "logit_bias"),
        ({"logit_bias": {"-1": 5}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": {"5": "1"}}, "logit_bias.5"),
        ({"logit_bias": {"5": None}}, "logit_bias.5"),
        ({"frequency_penalty": 3}, "frequency_penalty"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[0].tool_calls[0]"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "response_format.json_schema.name",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "logprobs": True}, "logprobs"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        chat(**body)
    assert refused.value.param == param
    assert param.split("[", maxsplit=1)[0] in refused.value.message


@pytest.mark.parametrize(
    ("name", "value", "neutral"),
    [
        ("functions", [{"name": "f"}], []),
        ("function_call", {"name": "f"}, "none"),
        ("modalities", ["audio"], ["text"]),
        ("echo", True, False),
        ("suffix", "end", ""),
        ("best_of", 3, 1),
        ("min_tokens", 5, 0),
        ("ignore_eos", True, False),
        ("guided_json", {"type": "object"}, None),
        ("continue_final_message", True, False),
        ("add_generation_prompt", False, True),
        ("repeat_penalty", 1.3, 1.0),
        ("repeat_last_n", 8, 64),
        ("n_predict", 2, -1),
        ("max_new_tokens", 2, None),
        ("allowed_token_ids", [5], None),
        ("truncate_prompt_tokens", 3, -1),
        ("dry_multiplier", 0.8, 0.0),
        ("xtc_probability", 0.5, 0.0),
        ("dynatemp_range", 1, 0.0),
        ("top_n_sigma", 1, -1.0),
        ("samplers", ["top_k"], None),
        ("no_repeat_ngram_size", 2, 0),
        ("length_penalty", 2, 1.0),
        ("logits_processors", ["x"], []),
        ("documents", [{"text": "a"}], []),
        ("guided_decoding", {"json": {}}, None),
        ("add_special_tokens", True, False),
        ("skip_special_tokens", False, True),
        ("stop_sequences", ["M"], []),
        ("t_max_predict_ms", 5, -1),
        ("options", {"num_predict": 2}, {}),
        ("format", "json", ""),
        ("system", "You", ""),
        ("template", "{{ .Prompt }}", ""),
        ("think", False, None),
        ("prompt_logprobs", 0, False),
    ],
)
def test_fields_that_would_change_the_answer_are_refused_unless_neutral(name: str, value: Any, neutral: Any) -> None:
    with pytest.raises(Refused) as refused:
        chat(**{name: value})
    assert (refused.value.param, refused.value.code) == (name, "unsupported_parameter")
    assert chat(**{name: neutral}) == chat()


def test_each_route_has_its_own_neutral_values() -> None:
    assert complete(add_special_tokens=True) == complete()
    with pytest.raises(Refused, match="add_special_tokens"):
        complete(add_special_tokens=False)
    with pytest.raises(Refused, match="response_format"):
        complete(response_format={"type": "json_object"})


def test_fields_that_change_no_answer_are_passed_over() -> None:
    assert chat(cache_prompt=False, id_slot=1, mirostat_tau=3, dry_base=2, guided_decoding_backend="x") == chat()


@pytest.mark.parametrize(
    ("name", "value"),
    [("messages", []), ("tools", []), ("add_generation_prompt", False), ("add_generation_prompt", 1)],
)
def test_what_a_template_gets_from_elsewhere_is_no_option_of_it(name: str, value: Any) -> None:
    with pytest.raises(Refused, match=name) as refused:
        chat(chat_template_kwargs={name: value})
    assert refused.value.param == f"chat_template_kwargs.{name}"
    assert (
        chat(chat_template_kwargs={"add_generation_prompt": True, "documents": []}).template_options["documents"] == []
    )


def test_logprobs_of_a_chat_are_a_flag_and_a_number() -> None:
    assert chat(logprobs=True).top_logprobs == 0
    assert chat(logprobs=True, top_logprobs=20).top_logprobs == 20
    assert chat(logprobs=False, top_logprobs=0).top_logprobs is None
    assert chat(top_logprobs=None).top_logprobs is None


def test_logprobs_of_a_completion_are_a_number() -> None:
    assert complete(logprobs=0).top_logprobs == 0
    assert complete(logprobs=20).top_logprobs == 20
    assert complete(logprobs=None).top_logprobs is None
    assert complete(logprobs=False).top_logprobs is None


def test_an_echo_may_have_no_answer() -> None:
    ask = complete(echo=True, max_tokens=0)
    assert (ask.echo, ask.max_tokens) == (True, 0)
    assert not complete(echo=False).echo


def test_a_bias_is_by_token_id() -> None:
    assert chat(logit_bias={"5": 10, "7": -100, "9": 0}).sampling.logit_bias == {5: 10.0, 7: -100.0}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": -1}, "logprobs"),
        ({"logprobs": 1.5}, "logprobs"),
        ({"logprobs": 1, "top_logprobs": 1}, "top_logprobs"),
        ({"echo": 1}, "echo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"echo": True, "max_tokens": -1}, "max_tokens"),
    ],
)
def test_what_is_wrong_in_a_completion_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused) as refused:
        complete(**body)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("name", "value", "neutral"),
    [
        ("temperature", 0.5, 1),
        ("top_p", 0.5, 1),
        ("top_k", 5, -1),
        ("min_p", 0.1, 0),
        ("seed", 1, None),
        ("repetition_penalty", 1.1, 1),
        ("frequency_penalty", 0.1, 0),
        ("presence_penalty", 0.1, 0),
        ("logit_bias", {"5": 1}, {"5": 0}),
        ("logprobs", True, False),
        ("n", 2, 1),
    ],
)
def test_what_the_engine_has_not_is_refused_unless_neutral(name: str, value: Any, neutral: Any) -> None:
    without = frozenset(feature for feature in ALL if feature != name)
    with pytest.raises(Refused) as refused:
        chat(without, **{name: value})
    assert (refused.value.param, refused.value.code) == (name, "unsupported_parameter")
    assert chat(without, **{name: neutral}) == chat()
    assert chat(ALL, **{name: value}) != chat()


def test_text_parts_are_joined_and_other_fields_of_a_message_kept() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    ask = chat(messages=[{"role": "user", "content": parts, "name": "Ann"}, {"role": "assistant", "content": None}])
    assert ask.messages == (
        {"role": "user", "content": "ab", "name": "Ann"},
        {"role": "assistant", "content": ""},
    )


def test_what_an_assistant_refused_with_is_its_content() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "I will not."}
    answered = {"role": "assistant", "content": "Yes.", "refusal": None}
    assert [m["content"] for m in chat(messages=[refused, answered]).messages] == ["I will not.", "Yes."]
    with pytest.raises(Refused):
        chat(messages=[{**refused, "role": "user"}])


def test_shapes_of_a_prompt() -> None:
    assert complete(prompt="a").texts == ("a",)
    assert complete(prompt=["a", "b"]).texts == ("a", "b")
    assert complete(prompt=[1, 2]).ids == ((1, 2),)
    assert complete(prompt=[[1], [2, 3]]).ids == ((1,), (2, 3))


@pytest.mark.parametrize("prompt", [None, 3, [], [[]], ["a", 1], [True], [-1], [1.5], {"a": 1}])
def test_other_prompts_are_refused(prompt: Any) -> None:
    with pytest.raises(Refused) as refused:
        complete(prompt=prompt)
    assert refused.value.param == "prompt"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "temperature",
    "top_k",
    "n",
    "stop",
    "seed",
    "stream",
    "stream_options",
    "tools",
    "max_tokens",
    "messages",
]


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_whatever_comes_in_is_read_or_refused(body: dict[str, Any]) -> None:
    param = None
    try:
        read_chat({"model": "m", "messages": USER, **body}, ALL)
    except Refused as refused:
        param = refused.param
    assert param is None or param.split(".")[0].split("[")[0] in {*body, "max_tokens"}


COMPLETION = ["prompt", "echo", "logprobs", "top_logprobs", "logit_bias", "max_tokens", "stop", "n", "suffix"]


@given(st.dictionaries(st.sampled_from(COMPLETION), JSON, max_size=4))
def test_whatever_comes_in_for_a_completion_is_read_or_refused(body: dict[str, Any]) -> None:
    param = None
    try:
        read_completion({"model": "m", "prompt": "hi", **body}, ALL)
    except Refused as refused:
        param = refused.param
    assert param is None or param.split(".")[0] in body


@pytest.mark.parametrize(("prompts", "n"), [(2049, 1), (17, 128), (100_000, 128)])
def test_a_request_for_more_answers_than_anybody_reads_is_refused(prompts: int, n: int) -> None:
    with pytest.raises(Refused, match="at most 2048 answers") as refused:
        read_completion({"model": "m", "prompt": ["a"] * prompts, "n": n}, ALL)
    assert refused.value.param == "prompt"
    assert read_completion({"model": "m", "prompt": ["a"] * 16, "n": 128}, ALL).n == 128
