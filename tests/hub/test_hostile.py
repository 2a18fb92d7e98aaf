"""A hub that answers without end, or with what nobody expects: it ends in a description or in our own error."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from assay.errors import AssayError, HubUnreachable
from assay.hub import Hub

COMMIT = "c" * 40
PIECE = b" " * (1 << 16)
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[Hub]:
    """A hub at a server that answers every GET as ``answer`` does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_port}", sleep=lambda _: None)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body)

    return answer


def without_end(status: int) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.end_headers()
        while True:
            to.wfile.write(PIECE)

    return answer


def repository(files: Any, **told: Any) -> Answer:
    """One whose description is ``told`` and whose tree has the entries ``files``."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        says(json.dumps(files if "/tree/" in to.path else {"id": "a/b", "sha": COMMIT, **told}).encode())(to)

    return answer


@pytest.mark.parametrize("body", [b"[1]", b'"no"', b"[" * 100_000, b'{"error": {"a": 1}}', b"\xff", b""])
@pytest.mark.parametrize("status", [200, 400, 404, 503])
def test_any_body_ends_in_our_own_error(status: int, body: bytes) -> None:
    with answering(says(body, status)) as hub, pytest.raises(AssayError):
        hub.repo("a/b")


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_answer_without_end_is_left(status: int) -> None:
    with answering(without_end(status)) as hub, pytest.raises(AssayError):
        hub.repo("a/b")


@pytest.mark.parametrize("link", ['<http://[>; rel="next"', '<>; rel="next"', "nonsense", '<?>; rel="next"'])
def test_a_link_that_leads_nowhere(link: str) -> None:
    with answering(says(b"[]", Link=link)) as hub:
        assert list(hub.search()) == []


def test_a_tree_of_ever_more_pages_is_left() -> None:
    numbers = itertools.count(1)

    def answer(to: BaseHTTPRequestHandler) -> None:
        if "/tree/" not in to.path:
            repository([])(to)
        else:
            says(b"[]", Link=f'<?cursor={next(numbers)}>; rel="next"')(to)

    with answering(answer) as hub, pytest.raises(HubUnreachable, match="more pages"):
        hub.repo("a/b")


@pytest.mark.parametrize("sha", [None, "", "main", 7, "C" * 40 + "/.."])
def test_without_a_commit_nothing_is_believed(sha: object) -> None:
    """Files asked for by a branch could change between two of them."""
    with answering(repository([], sha=sha)) as hub, pytest.raises(HubUnreachable, match="commit"):
        hub.repo("a/b")


def test_what_cannot_be_a_name_or_a_word_is_left_out() -> None:
    names: list[object] = [None, 7, "\ud800", "a.gguf"]
    files = [{"type": "file"}, *({"type": "file", "path": name} for name in names)]
    told = {
        "id": "a/b'); exit()",
        "tags": ["good", "\x1b[2J", "\ud800"],
        "pipeline_tag": "text\x07",
        "library_name": "gguf",
    }
    with answering(repository(files, **told)) as hub:
        repo = hub.repo("a/b")
    assert [file.path for file in repo.files or ()] == ["a.gguf"]
    assert (repo.id, repo.tags, repo.task, repo.library) == ("a/b", ("good",), None, "gguf")


def test_an_entry_of_a_listing_without_a_name_is_passed_over() -> None:
    with answering(says(b'[{"downloads": 7}, {"id": "a/b"}]')) as hub:
        assert [repo.id for repo in hub.search()] == ["a/b"]
