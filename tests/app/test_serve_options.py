"""What a service is started with: kept for a restart, spelt for a unit, checked before anything starts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.app.serve_options import Asked, options_for, wanted_service
from assay.cli import service_flags
from assay.errors import BadConfig, BadInput

NAMES = st.from_regex(r"[a-z][a-z0-9.:-]{0,10}", fullmatch=True)
FLAGS: dict[str, st.SearchStrategy[Any]] = {
    "serve_host": NAMES,
    "serve_port": st.integers(0, 65535).map(str),
    "serve_ttl_s": st.sampled_from(["60", "never"]),
    "serve_memory": st.sampled_from(["8GB", "512 MiB"]),
    "serve_slots": st.integers(1, 64).map(str),
    "context_length": st.integers(1, 9999).map(str),
    "serve_routes": st.lists(NAMES.map(lambda name: f"x-{name}=a,b"), min_size=1, max_size=3),
    "serve_allow_hosts": st.lists(NAMES, min_size=1, max_size=3),
    "serve_queue": st.integers(1, 999).map(str),
    "serve_preload": st.lists(NAMES, min_size=1, max_size=3),
}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quiet_environment: None) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@given(flags=st.fixed_dictionaries({}, optional=FLAGS), no_key=st.booleans(), log_prompts=st.booleans())
def test_the_command_line_of_a_unit_asks_for_the_same(flags: dict[str, Any], no_key: bool, log_prompts: bool) -> None:
    asked = Asked(home="/srv/h", folder=str(Path.cwd()), flags=flags, no_key=no_key, log_prompts=log_prompts)
    parser = argparse.ArgumentParser()
    service_flags.serving(parser)
    parser.add_argument("--home")
    assert service_flags.asked(parser.parse_args(list(asked.words()))) == asked


def test_it_is_kept_as_json_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    asked = wanted_service(
        home="here",
        flags={"serve_preload": ["notes-4m", "./model.gguf"], "serve_tls_cert": Path("c.pem"), "serve_port": None},
    )
    assert asked.home == str(tmp_path / "here")
    assert asked.flags == {
        "serve_preload": ["notes-4m", str(tmp_path / "model.gguf")],
        "serve_tls_cert": str(tmp_path / "c.pem"),
    }
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(asked)), Asked) == asked


def test_a_home_is_whole_whoever_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", "near")
    assert wanted_service(home=None, flags={}).home == str(tmp_path / "near")
    monkeypatch.delenv("ASSAY_HOME")
    assert wanted_service(home=None, flags={}).home is None
    with pytest.raises(BadConfig, match="home cannot be"):
        wanted_service(home="", flags={})


def test_flags_come_before_settings_and_settings_before_defaults(tmp_path: Path) -> None:
    (tmp_path / "assay.toml").write_text("[serve]\nttl = 30\nqueue = 4\npreload = ['notes-4m']\n", encoding="utf-8")
    options = options_for(wanted_service(home=None, flags={"serve_ttl_s": "never", "serve_routes": ["f=a,b"]}))
    settings = options.settings
    assert settings.home == tmp_path / "home"
    assert settings.serve_ttl_s is None
    assert settings.serve_queue == 4
    assert settings.serve_port == 5273
    assert settings.serve_host == "127.0.0.1"
    assert settings.serve_preload == ("notes-4m",)
    assert settings.serve_routes == (("f", ("a", "b")),)
    assert not options.asked.no_key
    assert not options.asked.log_prompts


def test_the_folder_of_the_start_counts_wherever_a_restart_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assay.toml").write_text("[serve]\nqueue = 4\n", encoding="utf-8")
    asked = wanted_service(home=None, flags={})
    monkeypatch.chdir("/")
    assert options_for(asked).settings.serve_queue == 4


@pytest.mark.parametrize(("key", "flag"), [("allow_hosts", "--allow-host"), ("allow_origins", "--allow-origin")])
def test_who_comes_in_is_not_for_a_projects_file_to_say(tmp_path: Path, key: str, flag: str) -> None:
    text = f"[serve]\n{key} = ['https://evil.example']\n"
    (tmp_path / "assay.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadConfig) as caught:
        options_for(wanted_service(home=None, flags={}))
    assert flag in (caught.value.remedy or "")
    (tmp_path / "assay.toml").unlink()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(text, encoding="utf-8")
    settings = options_for(wanted_service(home=None, flags={})).settings
    assert ("https://evil.example",) in {settings.serve_allow_hosts, settings.serve_allow_origins}


@pytest.mark.parametrize("one", ["serve_tls_cert", "serve_tls_key"])
def test_tls_takes_two_files(one: str) -> None:
    with pytest.raises(BadInput, match="two files"):
        options_for(wanted_service(home=None, flags={one: "x.pem"}))
