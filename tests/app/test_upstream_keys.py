"""Keys of servers elsewhere: named in a file, read from the environment or the keyring, shown nowhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.app.upstream_keys import upstream_headers
from assay.errors import BadConfig, MissingExtra
from assay.types import Variant

SECRET = "sk-secret"


def remote(key: str | None) -> Variant:
    return Variant(id="far", alias="far", format="remote", source="http://127.0.0.1:9/v1", key=key)


def test_from_the_environment() -> None:
    assert upstream_headers(remote("env:FAR"), {"FAR": f" {SECRET}\n"}) == {"Authorization": f"Bearer {SECRET}"}
    assert upstream_headers(remote(None), {"FAR": SECRET, "OPENAI_API_KEY": SECRET}) == {}
    with pytest.raises(BadConfig, match="without its key") as caught:
        upstream_headers(remote("env:FAR"), {"OTHER": SECRET})
    assert (caught.value.why, caught.value.remedy) == ("the variable FAR is not set", "export FAR=...")


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
