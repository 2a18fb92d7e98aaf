"""Settings on the command line: listed with their sources, set with checks, reset; secrets are not shown."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from assay.settings import SETTINGS
from tests.cli.conftest import Command, Told


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, in a home of its own; it is not there yet."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "config.toml"


def listed(call: Command) -> dict[str, Any]:
    told = call("config", "list", "-o", "json")
    assert told.code == 0, told.err
    return {value["key"]: value for value in json.loads(told.out)}


def refused(told: Told, *said: str) -> None:
    assert told.code == 2
    assert told.out == ""
    assert "  try: " in told.err
    for part in said:
        assert part in told.err


def test_every_setting_is_listed_with_where_it_comes_from(
    call: Command, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.parent.mkdir()
    file.write_text('[serve]\nttl = 60\nhost = "::1"\n', encoding="utf-8")
    (tmp_path / "assay.toml").write_text("[serve]\nttl = 30\n", encoding="utf-8")
    monkeypatch.setenv("ASSAY_SERVE_PORT", "5300")
    values = listed(call)
    assert set(values) == {"home", *(setting.key for setting in SETTINGS)}
    assert (values["serve.port"]["value"], values["serve.port"]["source"]) == ("5300", "ASSAY_SERVE_PORT")
    assert (values["serve.ttl"]["value"], values["serve.ttl"]["source"]) == ("30.0", str(tmp_path / "assay.toml"))
    assert (values["serve.host"]["value"], values["serve.host"]["source"]) == ("::1", str(file))
    assert (values["serve.queue"]["value"], values["serve.queue"]["source"]) == ("512", "default")
    text = call("config", "list").out
    assert "ASSAY_SERVE_PORT" in next(line for line in text.splitlines() if line.startswith("serve.port"))


@pytest.mark.parametrize(
    ("key", "text", "kept", "shown"),
    [
        ("serve.port", "5300", 5300, "5300"),
        ("serve.ttl", "never", "never", "never"),
        ("serve.ttl", "90", 90.0, "90.0"),
        ("serve.memory", "8GB", "8GB", "8000000000"),
        ("serve.host", "0.0.0.0", "0.0.0.0", "0.0.0.0"),
        ("serve.preload", "notes-4m, notes-1.5m", ["notes-4m", "notes-1.5m"], "notes-4m,notes-1.5m"),
        ("serve.routes", "fast=a,b;big=c", ["fast=a,b", "big=c"], "fast=a,b;big=c"),
        ("bench.stream", "off", False, "false"),
        ("bench.concurrency", "1,4", [1, 4], "1,4"),
        ("hub.address", "https://hub.example/", "https://hub.example/", "https://hub.example"),
    ],
)
def test_a_value_is_kept_as_the_file_has_it_and_reads_back(
    call: Command, file: Path, key: str, text: str, kept: object, shown: str
) -> None:
    told = call("config", "set", key, text)
    assert told.code == 0, told.err
    assert shown in told.out
    head, _, name = key.partition(".")
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {head: {name: kept}}
    assert listed(call)[key]["value"] == shown
    assert listed(call)[key]["source"] == str(file)


def test_a_path_starts_from_where_it_was_typed(call: Command, file: Path, tmp_path: Path) -> None:
    assert call("config", "set", "serve.tls_cert", "cert.pem").code == 0
    assert call("config", "set", "models.look_in", "shelf").code == 0
    assert listed(call)["serve.tls_cert"]["value"] == str(tmp_path / "cert.pem")
    assert listed(call)["models.look_in"]["value"] == str(tmp_path / "shelf")


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("serve.prot", "5300", "did you mean serve.port?"),
        ("port", "5300", "did you mean serve.port?"),
        ("xyzzy", "1", "assay config list"),
        ("serve.port", "many", "a port from 1 to 65535"),
        ("serve.port", "70000", "a port from 1 to 65535"),
        ("serve.port", "-1", "a port from 1 to 65535"),
        ("serve.ttl", "0", "or never"),
        ("serve.ttl", "inf", "or never"),
        ("serve.memory", "0", "8GB"),
        ("serve.memory", "lots", "8GB"),
        ("serve.routes", "fast", "fast=model-a,model-b"),
        ("serve.routes", "a=b;a=c", "fast=model-a,model-b"),
        ("serve.host", "", "without spaces"),
        ("models.folder", "", "give a path"),
        ("models.look_in", "", "give a path"),
        ("serve.tls_cert", " ", "give a path"),
        ("serve.queue", "0", "1 or more"),
        ("bench.stream", "perhaps", "true or false"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    call: Command, file: Path, key: str, text: str, said: str
) -> None:
    refused(call("config", "set", key, text), key, said)
    assert not file.exists()


def test_a_setting_is_mended_where_the_file_is_wrong(call: Command, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# mine\n[serve]\nport = 99999\n", encoding="utf-8")
    refused(call("config", "list"), "serve.port", str(file))
    assert call("config", "set", "serve.port", "5300").code == 0
    assert file.read_text(encoding="utf-8") == "# mine\n[serve]\nport = 5300\n"


def test_a_file_that_is_no_toml_is_left_alone(call: Command, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("[serve\n", encoding="utf-8")
    refused(call("config", "set", "serve.port", "5300"), "cannot be written", str(file))
    refused(call("config", "reset", "serve.port"), str(file))
    assert file.read_text(encoding="utf-8") == "[serve\n"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_linked_to_stays_linked_to_and_as_closed_as_it_was(
    call: Command, file: Path, tmp_path: Path, there: bool
) -> None:
    real = tmp_path / "dotfiles" / "real.toml"
    file.parent.mkdir()
    file.symlink_to(Path("..") / "dotfiles" / "real.toml")
    if there:
        real.parent.mkdir()
        real.write_text("# mine\n[serve]\nport = 5300\n", encoding="utf-8")
        real.chmod(0o600)
    told = call("config", "set", "serve.queue", "5")
    assert (told.code, told.out) == (0, f"serve.queue is 5 from now on, in {file}\n")
    assert file.is_symlink()
    assert list(real.parent.iterdir()) == [real]
    before = "# mine\n[serve]\nport = 5300\n" if there else "[serve]\n"
    assert real.read_text(encoding="utf-8") == f"{before}queue = 5\n"
    assert not there or real.stat().st_mode & 0o777 == 0o600
    assert call("config", "reset", "--all").code == 0
    assert file.is_symlink()
    assert "queue" not in real.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["serve = 5\n", "[[serve]]\nttl = 5\n", "[serve]\nprot = 5300\n"])
def test_a_file_of_the_wrong_shape_is_refused_in_the_words_of_the_list(call: Command, file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    told = call("config", "set", "serve.ttl", "5")
    refused(told, str(file), "is no setting")
    assert told.err == call("config", "list").err
    assert file.read_text(encoding="utf-8") == text


def test_what_comes_before_the_file_is_told(call: Command, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_SERVE_PORT", "6000")
    told = call("config", "set", "serve.port", "5300")
    assert told.code == 0
    assert "ASSAY_SERVE_PORT comes before it" in told.err
    assert json.loads(call("config", "set", "serve.port", "5301", "-o", "json").out) == {
        "file": str(file),
        "key": "serve.port",
        "value": "6000",
        "source": "ASSAY_SERVE_PORT",
    }


def test_reset_takes_out_what_was_set_and_nothing_else(call: Command, file: Path) -> None:
    for key, value in (("serve.port", "5300"), ("serve.ttl", "60"), ("bench.rounds", "5")):
        assert call("config", "set", key, value).code == 0
    assert "serve.port" in call("config", "reset", "serve.port").out
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {"serve": {"ttl": 60.0}, "bench": {"rounds": 5}}
    assert "sets nothing" in call("config", "reset", "serve.port").out
    assert json.loads(call("config", "reset", "--all", "-o", "json").out)["reset"] == ["bench.rounds", "serve.ttl"]
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {}


def test_reset_wants_to_know_what(call: Command, file: Path) -> None:
    refused(call("config", "reset"), "--all")
    refused(call("config", "reset", "serve.port", "--all"), "--all and single settings exclude each other")
    refused(call("config", "reset", "serve.prot"), "did you mean serve.port?")
    assert call("config", "reset", "--all").code == 0
    assert not file.exists()


def test_a_password_in_an_address_is_not_shown(call: Command, file: Path) -> None:
    told = call("config", "set", "hub.address", "https://me:hunter2@hub.example")
    assert told.code == 0
    for text in (told.out, told.err, call("config", "list").out, call("config", "list", "-o", "json").out):
        assert "hunter2" not in text
    assert "hunter2" in file.read_text(encoding="utf-8")


def test_other_peoples_words_are_understood(call: Command, file: Path) -> None:
    refused(call("config", "get", "serve.port"), "assay config list")
    refused(call("settings"), "assay config list")
