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
