"""What a model is asked where there is a prompt and something on standard input."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell opens streams like this on Unix")

TOLD = b"assay: --prompt is asked without standard input"


class Asked(BaseHTTPRequestHandler):
    """Notes the last question of each request, and answers nothing."""

    questions: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.questions.append(body["messages"][-1]["content"])
        self.send_error(500)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def model() -> Iterator[str]:
    Asked.questions[:] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1#m"
        server.shutdown()


@pytest.mark.parametrize(
    ("line", "questions", "told"),
    [
        ("echo 'a text' > file; assay model run $MODEL --prompt 'Sum up:' < file", ["Sum up:\n\na text"], False),
        ("> file; assay model run $MODEL --prompt whole < file", ["whole"], False),
        ("assay model run $MODEL --prompt whole < /dev/null", ["whole"], False),
        ("assay model run $MODEL --prompt whole <&-", ["whole"], False),
        ("echo 'a text' | assay model run $MODEL --prompt 'Sum up:'", ["Sum up:\n\na text"], False),
        ("(sleep 1; echo one; sleep 1; echo two) | assay model run $MODEL --prompt All:", ["All:\n\none\ntwo"], False),
        (": | assay model run $MODEL --prompt whole", ["whole"], False),
        ("mkfifo open; exec 3<>open; assay model run $MODEL --prompt whole <&3", ["whole"], True),
        (
            "printf 'one\ntwo\n' > list; while read -r line; do assay model run $MODEL --prompt $line; done < list",
            ["one", "two"],
            True,
        ),
    ],
)
def test_what_is_piped_in_follows_the_prompt_and_what_may_never_come_is_left_alone(
    shell: Shell, model: str, line: str, questions: list[str], told: bool
) -> None:
    done = shell(line, MODEL=model)
    assert list(dict.fromkeys(Asked.questions)) == questions, done.stderr
    assert (TOLD in done.stderr) == told


def test_a_file_that_is_no_text_is_asked_of_nobody(shell: Shell, model: str) -> None:
    done = shell(r"printf '\xff' > file; assay model run $MODEL --prompt 'Sum up:' < file", MODEL=model)
    assert done.returncode == 2
    assert b"standard input is not UTF-8" in done.stderr
    assert Asked.questions == []
