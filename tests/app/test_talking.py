"""Somebody to talk to, by the address of a server alone."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from assay.app.asking import run_model
from assay.errors import BadInput, NothingMeasured


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


def test_a_server_is_asked_for_the_only_model_that_it_lists(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Listing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        Listing.models[:] = ["org/only"]
        with pytest.raises(NothingMeasured):
            run_model(address, "Hello", home=tmp_path)
        assert {*Listing.asked} == {"org/only"}
        Listing.models.append("org/another")
        with pytest.raises(BadInput, match="serves 2 models") as caught:
            run_model(address, "Hello", home=tmp_path)
        server.shutdown()
    assert caught.value.remedy == f"name one: {address}#org/only"
