"""A real service of the bundled models for other people's clients: ``assay serve`` as anybody would start it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from assay.catalog import bundled_folder

TOOL_TEMPLATE = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}\n"
    'Answer with <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>\n{% endif %}'
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content or '' }}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Running(NamedTuple):
    """A service that answers. ``url`` ends in ``/v1``; the models are names that it serves."""

    url: str
    pid: int
    chat: str = "notes-4m"
    tools: str = "tooled"
    embeddings: str = "embedder"


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service; it is stopped in good order, which is checked."""
    home = tmp_path_factory.mktemp("home")
    bundled = bundled_folder()
    tooled = home / "tooled"
    shutil.copytree(bundled / "notes-4m" / "notes-4m-onnx-int4", tooled)
    (tooled / "chat_template.jinja").write_text(TOOL_TEMPLATE)
    small = bundled / "notes-0.5m" / "notes-0.5m-q8_0.gguf"
    entries = [
        {"alias": "tooled", "path": str(tooled)},
        {"alias": "embedder", "path": str(small), "task": "embeddings"},
    ]
    (home / "models.json").write_text(json.dumps(entries))
    command = [sys.executable, "-m", "assay", "serve", "--port", "0", "--home", str(home), "-o", "json"]
    with (home / "serve.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=home)
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], 60)
        line = os.read(process.stdout.fileno(), 65536) if readable else b""
        assert line, (home / "serve.log").read_text()
        told = json.loads(line)
        yield Running(f"{told['address']}/v1", told["pid"])
    finally:
        process.terminate()
        code = process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
    assert code == 0, (home / "serve.log").read_text()[-3000:]
