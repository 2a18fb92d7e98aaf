"""Keys of servers elsewhere: named in a file, read from the environment or the keyring, shown nowhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from assay.app.asking import run_model
from assay.app.benchmark import bench
from assay.app.upstream_keys import upstream_headers
from assay.errors import BadConfig, MissingExtra, NothingMeasured
from assay.types import Variant

SECRET = "sk-secret"


def remote(key: str | None) -> Variant:
    return Variant(id="far", alias="far", format="remote", source="http://127.0.0.1:9/v1", key=key)


def test_from_the_environment() -> None:
    assert upstream_headers(remote("env:FAR"), {"FAR": f" {SECRET}\n"}) == {"Authorization": f"Bearer {SECRET}"}
    assert upstream_headers(remote(None), {"FAR": SECRET, "OPENAI_API_KEY": SECRET}) == {}
    for environment in ({"OTHER": SECRET}, {"FAR": " \n"}):
        with pytest.raises(BadConfig, match="without its key") as caught:
            upstream_headers(remote("env:FAR"), environment)
        assert (caught.value.why, caught.value.remedy) == ("the variable FAR is empty or not set", "export FAR=...")


@pytest.mark.parametrize("kept", ["two\nlines", "sk-\u00e9", "a\x00b"])
def test_what_is_no_key_is_told_and_not_sent(kept: str) -> None:
    with pytest.raises(BadConfig, match="without its key") as caught:
        upstream_headers(remote("env:FAR"), {"FAR": kept})
    assert kept not in str(caught.value)


class Listening(BaseHTTPRequestHandler):
    """Notes the key that it is sent, and refuses."""

    sent: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.sent.append(self.headers["Authorization"])
        self.send_error(401)

    def log_message(self, *_: object) -> None: ...


def test_a_command_sends_the_key_that_the_list_names_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another")
    monkeypatch.setenv("FAR", SECRET)
    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        far = {"alias": "far", "endpoint": f"http://127.0.0.1:{server.server_port}/v1", "key": "env:FAR"}
        (tmp_path / "models.json").write_text(json.dumps([far]))
        with pytest.raises(NothingMeasured) as caught:
            run_model("far", "Hello", home=tmp_path)
        assert Listening.sent == [f"Bearer {SECRET}"]
        with pytest.raises(NothingMeasured):
            bench(["far"], rounds=1, warmup=0, home=tmp_path)
        server.shutdown()
    assert {*Listening.sent} == {f"Bearer {SECRET}"}
    assert len(Listening.sent) > 1
    assert SECRET not in str(caught.value)
    written = [path.read_text() for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert written
    assert SECRET not in "".join(written)


def test_without_the_keyring_package() -> None:
    if importlib.util.find_spec("keyring") is not None:
        pytest.skip("the package keyring is installed here")
    with pytest.raises(MissingExtra) as caught:
        upstream_headers(remote("keyring:assay/far"))
    assert caught.value.remedy == "pip install 'assay[keyring]'"


KEYRING = """
import os
class errors:
    class KeyringError(Exception): pass
def get_password(service, user):
    if service == "locked": raise errors.KeyringError("it is locked")
    return os.environ["THE_KEY"] if (service, user) == ("assay", "far/eu") else None
"""
ASKING = """
import sys
from assay.app.upstream_keys import upstream_headers
from assay.errors import AssayError
from assay.types import Variant
try:
    print(upstream_headers(Variant(id="far", alias="far", format="remote", source="http://h/v1", key=sys.argv[1])))
except AssayError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("keyring:assay/far/eu", "{'Authorization': 'Bearer sk-secret'}"),
        ("keyring:assay/none", "the keyring has no key assay/none"),
        ("keyring:locked/far", "it is locked"),
    ],
)
def test_from_a_keyring(tmp_path: Path, key: str, told: str) -> None:
    (tmp_path / "keyring.py").write_text(KEYRING)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "THE_KEY": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", ASKING, key], capture_output=True, text=True, check=True, env=environment
    )
    assert told in done.stdout
