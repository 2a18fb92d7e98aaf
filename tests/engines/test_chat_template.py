from __future__ import annotations

from typing import Any

import pytest

from assay.engines.chat_template import ChatTemplate
from assay.engines.worker.model import Refused

USER = [{"role": "user", "content": "Hi <b> é"}]


def render(source: str, messages: Any = USER, **options: Any) -> str:
    return ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"}).render(messages, options)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m.content }}{{ eos_token }}{% endfor %}",
         "<s>user: Hi <b> é</s>"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "Hi <b> é"}]'),
        ("{{ {'b': 1, 'a': [1]} | tojson(indent=1) }}", '{\n "b": 1,\n "a": [\n  1\n ]\n}'),
        ("{% if add_generation_prompt %}go{% endif %}", "go"),
        ("{% if tools is none and documents is none %}bare{% endif %}", "bare"),
        ("  {% if true %}\n  x\n  {% endif %}\n", "  x\n"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("a{% generation %}b{% endgeneration %}c", "abc"),
        ("{% set n = namespace(x=1) %}{% set n.x = 2 %}{{ n.x }}", "2"),
        ("{{ thinking }}", "off"),
        ("{{ strftime_now('%%') }}", "%"),
        ("{{ 'x' * 3 }}{{ messages[0].content.split(' ')[0] }}", "xxxHi"),
    ],
)  # fmt: skip
def test_templates_render_as_hugging_face_renders_them(source: str, expected: str) -> None:
    assert render(source, thinking="off") == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[3].content }}", "refuses"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ 1 + 'x' }}", "unsupported operand"),
    ],
)
def test_what_a_template_objects_to_reaches_the_client(source: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        render(source)
    assert refused.value.param == "messages"


def test_the_callers_messages_stay_as_they_are() -> None:
    messages = [{"role": "user", "content": "a"}]
    render("{{ messages[0].update({'content': 'b'}) if false }}", messages)
    assert messages == [{"role": "user", "content": "a"}]


HERMES = (
    "{% for m in messages %}{% if m.role in ('user', 'assistant') or (m.role == 'system' and loop.first) %}"
    "<{{ m.role }}>{{ m.content | trim }}{% elif m.role == 'tool' %}<tool_response>{{ m.content }}{% endif %}"
    "{% endfor %}"
)


def said(role: str, content: str = "be brief") -> dict[str, str]:
    return {"role": role, "content": content}


def test_a_developer_is_the_system_to_a_template_that_knows_no_other() -> None:
    assert render(HERMES, [said("developer"), *USER]) == "<system>be brief<user>Hi <b> é"
    knows = HERMES + "{% for m in messages if m.role == 'developer' %}<developer>{{ m.content }}{% endfor %}"
    assert render(knows, [said("developer"), *USER]) == "<user>Hi <b> é<developer>be brief"


def test_a_message_reaches_the_prompt_whatever_is_in_it() -> None:
    assert render(HERMES, [*USER, said("tool", ""), said("tool", " 4 ")]).endswith("<tool_response><tool_response> 4 ")
    strict = (
        HERMES
        + "{% for m in messages if m.role == 'tool' and m.content != '4' %}{{ raise_exception('4') }}{% endfor %}"
    )
    assert render(strict, [*USER, said("tool", "4")]).endswith("<tool_response>4")


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ([*USER, said("function")], 1),
        ([said("system"), *USER, said("developer")], 2),
        ([said("tool"), *USER, said("function"), said("tool")], 2),
    ],
)
def test_a_message_that_the_template_leaves_out_is_refused(messages: Any, place: int) -> None:
    with pytest.raises(Refused, match=f"leaves out this message of the role {messages[place]['role']}") as refused:
        render(HERMES, messages)
    assert (refused.value.param, refused.value.code) == (f"messages[{place}].role", "unsupported_parameter")
