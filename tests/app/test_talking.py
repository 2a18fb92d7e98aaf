"""Somebody to talk to, by the address of a server alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec import structs

from assay.app.asking import run_model
from assay.app.talking import Talkers, Wishes
from assay.errors import BadInput, NothingMeasured
from assay.types import Silent


class Listing(BaseHTTPRequestHandler):
    """Lists models, notes for which it is asked, and answers nothing."""

    models: ClassVar[list[str]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": model} for model in self.models]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"])
        self.send_error(500)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    """Where one model is served."""
    Listing.models[:], Listing.asked[:] = ["org/only"], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Listing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_a_server_is_asked_for_the_only_model_that_it_lists(address: str, tmp_path: Path) -> None:
    with pytest.raises(NothingMeasured):
        run_model(address, "Hello", home=tmp_path)
    assert {*Listing.asked} == {"org/only"}
    Listing.models.append("org/another")
    with pytest.raises(BadInput, match="serves 2 models") as caught:
        run_model(address, "Hello", home=tmp_path)
    assert caught.value.remedy == f"name one: {address}#org/only"


def test_a_server_is_where_its_model_answers(address: str, tmp_path: Path) -> None:
    place = Talkers(Wishes(home=tmp_path), Silent(), Silent()).talker(address).place
    assert place.where == f"the server at {address.removesuffix('/v1')}"
    assert place.why_there == "it is a server already"


@pytest.mark.parametrize(
    ("wishes", "context", "named", "remedy"),
    [
        (Wishes(engine="llamacpp", threads=2), None, "--engine, --threads", "leave it out"),
        (Wishes(slots=2, context_length=512), None, "--parallel, --ctx", "leave it out"),
        (Wishes(), 512, "/set ctx", "/set ctx default"),
    ],
)
def test_a_server_is_not_told_how_to_load(
    wishes: Wishes, context: int | None, named: str, remedy: str, address: str, tmp_path: Path
) -> None:
    talkers = Talkers(structs.replace(wishes, home=tmp_path), Silent(), Silent())
    with pytest.raises(BadInput, match=f"^{named} cannot be had of ") as caught:
        talkers.talker(address, context)
    assert caught.value.remedy == remedy
