"""Where a value comes from: flag > environment > project file > user file > default, for every setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.app.here import open_here
from assay.errors import BadConfig
from assay.settings import (
    SETTINGS,
    Setting,
    Settings,
    api_key,
    default_home,
    flag,
    forget,
    hub_token,
    keep,
    resolve,
    saved_hub_token,
)

VALUES: dict[str, tuple[Any, ...]] = {
    "models": ("a", "b", "c", "d"),
    "prompts": ("/1.json", "/2.json", "/3.json", "/4.json"),
    "prompt": ("one", "two", "three", "four"),
    "rounds": (11, 12, 13, 14),
    "warmup": (11, 12, 13, 14),
    "concurrency": (11, 12, 13, 14),
    "max_tokens": (11, 12, 13, 14),
    "temperature": (0.1, 0.2, 0.3, 0.4),
    "stream": (False, True, False, True),
    "seed": (11, 12, 13, 14),
    "timeout_s": (11.0, 12.0, 13.0, 14.0),
    "retries": (11, 12, 13, 14),
    "endpoint": ("http://a/v1", "http://b/v1", "http://c/v1", "http://d/v1"),
    "policy": ("/1.toml", "/2.toml", "/3.toml", "/4.toml"),
    "threads": (11, 12, 13, 14),
    "context_length": (11, 12, 13, 14),
    "registry": ("/1.json", "/2.json", "/3.json", "/4.json"),
    "models_folder": ("/1", "/2", "/3", "/4"),
    "look_in": ("/1", "/2", "/3", "/4"),
    "parallel": (11, 12, 13, 14),
    "hub": ("https://a", "https://b", "https://c", "https://d"),
    "offline": (True, True, True, True),
    "stall_s": (11.0, 12.0, 13.0, 14.0),
    "serve_host": ("::1", "0.0.0.0", "box", "127.0.0.2"),
    "serve_port": (11, 12, 13, 14),
    "serve_ttl_s": (11.0, 12.0, 13.0, 14.0),
    "serve_keep_warm_s": (11.0, 12.0, 13.0, 14.0),
    "serve_memory": ("11GB", "12GB", "13GB", "14GB"),
    "serve_slots": (11, 12, 13, 14),
    "serve_preload": ("a", "b", "c", "d"),
    "serve_routes": ("x=a", "x=b", "x=c", "x=d"),
    "serve_allow_hosts": ("a", "b", "c", "d"),
    "serve_allow_origins": ("https://a", "https://b", "https://c", "https://d"),
    "serve_tls_cert": ("/1.pem", "/2.pem", "/3.pem", "/4.pem"),
    "serve_tls_key": ("/1.pem", "/2.pem", "/3.pem", "/4.pem"),
    "serve_stall_s": (11.0, 12.0, 13.0, 14.0),
    "serve_queue": (11, 12, 13, 14),
}
"""For each field, a value by flag, by environment, by project and by user."""
WRONG: dict[str, Any] = {
    "rounds": 0,
    "warmup": -1,
    "concurrency": "2,0",
    "max_tokens": "many",
    "temperature": 2.5,
    "stream": "perhaps",
    "seed": 1.5,
    "timeout_s": 0,
    "retries": "x",
    "threads": 0,
    "context_length": True,
    "parallel": 0,
    "hub": "example.org",
    "offline": "perhaps",
    "stall_s": 0,
    "serve_host": "a b",
    "serve_port": 65536,
    "serve_ttl_s": 0,
    "serve_keep_warm_s": "always",
    "serve_memory": "0 GB",
    "serve_slots": 0,
    "serve_routes": "a=",
    "serve_stall_s": "inf",
    "serve_queue": 0,
}
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.field)


def _toml(setting: Setting, value: Any) -> str:
    head, _, key = setting.key.partition(".")
    return f"[{head}]\n{key} = {json.dumps(value)}\n"


def _as_field(setting: Setting, value: Any) -> Any:
    if setting.field in {"prompts", "policy", "registry", "models_folder", "serve_tls_cert", "serve_tls_key"}:
        return Path(value)
    if setting.field == "look_in":
        return (Path(value),)
    if setting.field == "serve_routes":
        return (("x", (value[2:],)),)
    if setting.field == "serve_memory":
        return int(value[:2]) * 10**9
    several = {"models", "concurrency", "serve_preload", "serve_allow_hosts", "serve_allow_origins"}
    return (value,) if setting.field in several else value


class Place:
    """A project folder, one below it to work in, and a home; what stands in them is written as a test goes on."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "project" / "deep" / "deeper"
        self.folder.mkdir(parents=True)
        self.project = root / "project" / "assay.toml"
        self.user = root / "home" / "config.toml"
        self.user.parent.mkdir()

    def resolve(self, flags: dict[str, Any] | None = None, env: dict[str, str] | None = None) -> Settings:
        return resolve(flags or {}, {"ASSAY_HOME": str(self.user.parent), **(env or {})}, self.folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_every_setting_is_tried_here() -> None:
    assert set(VALUES) == {setting.field for setting in SETTINGS}
    fields = set(Settings.__dataclass_fields__) - {"home", "sources"}
    assert fields == set(VALUES)


@each_setting
def test_the_nearest_to_the_command_wins_and_says_so(place: Place, setting: Setting) -> None:
    by_flag, by_env, by_project, by_user = VALUES[setting.field]
    flags = {setting.field: by_flag}
    env = {name: str(by_env) for name in setting.env[:1]}
    default = getattr(Settings(home=Path()), setting.field)
    assert getattr(place.resolve(), setting.field) == default
    assert setting.field not in dict(place.resolve().sources)
    for path, value in ((place.user, by_user), (place.project, by_project)):
        path.write_text(_toml(setting, value), encoding="utf-8")
        settings = place.resolve()
        assert getattr(settings, setting.field) == _as_field(setting, value)
        assert dict(settings.sources)[setting.field] == str(path)
    if env:
        settings = place.resolve(env=env)
        assert getattr(settings, setting.field) == _as_field(setting, by_env)
        assert dict(settings.sources)[setting.field] == setting.env[0]
    settings = place.resolve(flags, env)
    assert getattr(settings, setting.field) == _as_field(setting, by_flag)
    assert dict(settings.sources)[setting.field] == flag(setting.field)


@each_setting
def test_a_flag_that_was_not_given_and_an_empty_variable_say_nothing(place: Place, setting: Setting) -> None:
    settings = place.resolve({setting.field: None}, dict.fromkeys(setting.env, ""))
    assert settings == place.resolve()


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_value_is_named_with_the_place_where_it_stands(place: Place, field: str) -> None:
    setting = next(one for one in SETTINGS if one.field == field)
    with pytest.raises(BadConfig) as caught:
        place.resolve({field: WRONG[field]})
    assert setting.key in caught.value.message
    assert caught.value.why == f"set by {flag(field)}"
    assert (caught.value.remedy or "").startswith("give ")
    for path in (place.user, place.project):
        path.write_text(_toml(setting, WRONG[field]), encoding="utf-8")
        with pytest.raises(BadConfig) as caught:
            place.resolve()
        assert caught.value.why == f"set by {path}"
    for name in setting.env:
        with pytest.raises(BadConfig) as caught:
            place.resolve(env={name: str(WRONG[field])})
        assert caught.value.why == f"set by {name}"


def test_the_first_of_two_variables_wins(place: Place) -> None:
    env = {"FOUNDRY_LOCAL_ENDPOINT": "http://a", "OPENAI_BASE_URL": "http://b"}
    assert place.resolve(env=env).endpoint == "http://a"
    assert place.resolve(env={"OPENAI_BASE_URL": "http://b"}).endpoint == "http://b"


@pytest.mark.parametrize(
    "field", ["prompts", "policy", "registry", "models_folder", "look_in", "serve_tls_cert", "serve_tls_key"]
)
def test_an_empty_path_is_not_the_folder_one_stands_in(place: Place, field: str) -> None:
    setting = next(one for one in SETTINGS if one.field == field)
    with pytest.raises(BadConfig, match=setting.key):
        place.resolve({field: ""})
    place.user.write_text(_toml(setting, ""), encoding="utf-8")
    with pytest.raises(BadConfig, match=setting.key):
        place.resolve()


def test_paths_in_a_file_start_from_the_file_and_those_of_flags_from_where_one_stands(place: Place) -> None:
    place.project.write_text('[bench]\nprompts = "sets/p.json"\n', encoding="utf-8")
    place.user.write_text('[choose]\npolicy = "~/policy.toml"\n', encoding="utf-8")
    settings = place.resolve()
    assert settings.prompts == place.project.parent / "sets" / "p.json"
    assert settings.policy == Path.home() / "policy.toml"
    assert place.resolve({"prompts": "p.json"}).prompts == Path("p.json")


def test_the_nearest_project_file_is_read(place: Place) -> None:
    place.project.write_text("[bench]\nrounds = 4\nseed = 3\n", encoding="utf-8")
    (place.folder / "assay.toml").write_text("[bench]\nrounds = 5\n", encoding="utf-8")
    settings = place.resolve()
    assert (settings.rounds, settings.seed) == (5, 0)


@pytest.mark.parametrize(
    "text", ["[bench]\nround = 3\n", "rounds = 3\n", "[benhc]\nrounds = 3\n", "[bench.rounds]\nx=1\n"]
)
def test_a_key_that_is_no_setting_is_refused(place: Place, text: str) -> None:
    place.project.write_text(text, encoding="utf-8")
    with pytest.raises(BadConfig) as caught:
        place.resolve()
    assert str(place.project) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[bench\n", "not valid TOML"),
        (b"[bench]\nprompt = '\xff'\n", "cannot be read"),
        (b"bench = 3\n", "no setting"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(place: Place, content: bytes, said: str) -> None:
    place.user.write_bytes(content)
    with pytest.raises(BadConfig) as caught:
        place.resolve()
    assert str(place.user) in caught.value.message
    assert said in caught.value.message
    assert caught.value.remedy


def test_a_byte_order_mark_is_no_part_of_a_file(place: Place) -> None:
    place.user.write_text("\ufeff[bench]\nrounds = 4\n", encoding="utf-8")
    assert place.resolve().rounds == 4


def test_home_is_by_flag_then_environment_then_the_platform(tmp_path: Path) -> None:
    env = {"ASSAY_HOME": str(tmp_path / "env"), "XDG_DATA_HOME": str(tmp_path / "data")}
    assert resolve({"home": tmp_path / "flag"}, env, tmp_path).home == tmp_path / "flag"
    assert resolve({}, env, tmp_path).home == tmp_path / "env"
    assert resolve({}, {**env, "ASSAY_HOME": ""}, tmp_path).source("home") == "default"
    with pytest.raises(BadConfig, match="home cannot be"):
        resolve({"home": ""}, env, tmp_path)
    assert default_home(env, "linux") == tmp_path / "data" / "assay"
    assert default_home({}, "linux") == Path.home() / ".local" / "share" / "assay"
    assert default_home({"LOCALAPPDATA": "C:/Data"}, "win32") == Path("C:/Data") / "assay"
    assert default_home({}, "darwin").parts[-3:] == ("Library", "Application Support", "assay")


def test_the_key_comes_from_the_environment_alone() -> None:
    assert api_key({"OPENAI_API_KEY": "a", "API_KEY": "b"}) == "a"
    assert api_key({"API_KEY": "b"}) == "b"
    assert api_key({"OPENAI_API_KEY": ""}) is None


@given(st.text())
def test_any_text_in_the_environment_is_a_value_or_a_named_error(text: str) -> None:
    for name in (name for setting in SETTINGS for name in setting.env):
        try:
            said = None if resolve({"home": "/nowhere"}, {name: text}, Path("/nowhere")) else "nothing"
        except BadConfig as error:
            said = str(error)
        assert said is None or name in said


@given(st.lists(st.integers(1, 64), min_size=1))
def test_levels_keep_their_order_and_come_once(levels: list[int]) -> None:
    read = resolve({"home": "/nowhere", "concurrency": ",".join(map(str, levels))}, {}, Path("/nowhere")).concurrency
    assert read == tuple(dict.fromkeys(levels))


@given(st.lists(st.text(st.characters(exclude_characters=",", codec="utf-8"), min_size=1)))
def test_names_are_split_at_commas_and_trimmed(names: list[str]) -> None:
    read = resolve({"home": "/nowhere"}, {"BENCH_MODELS": ",".join(names)}, Path("/nowhere")).models
    assert read == tuple(name.strip() for name in names if name.strip())


def test_a_setting_is_kept_beside_what_the_file_holds(tmp_path: Path) -> None:
    keep(tmp_path / "home", "models.folder", "/data/models")
    file = tmp_path / "home" / "config.toml"
    assert resolve({"home": tmp_path / "home"}, {}, tmp_path).models_home == Path("/data/models")
    file.write_text("# mine\n[bench]\nrounds = 5 # few\n", encoding="utf-8")
    keep(tmp_path / "home", "models.folder", "/elsewhere")
    assert file.read_text(encoding="utf-8").startswith("# mine\n[bench]\nrounds = 5 # few\n")
    settings = resolve({"home": tmp_path / "home"}, {}, tmp_path)
    assert (settings.rounds, settings.models_home) == (5, Path("/elsewhere"))


def test_a_file_that_is_no_toml_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("not = = toml", encoding="utf-8")
    with pytest.raises(BadConfig, match=r"models\.folder cannot be written"):
        keep(tmp_path, "models.folder", "/x")
    assert (tmp_path / "config.toml").read_text(encoding="utf-8") == "not = = toml"


def test_a_token_comes_from_the_environment_or_from_where_the_hubs_own_tool_keeps_it(tmp_path: Path) -> None:
    assert hub_token({"HF_TOKEN": "a", "HUGGING_FACE_HUB_TOKEN": "b"}) == "a"
    assert hub_token({}) is None
    env = {"HF_HOME": str(tmp_path)}
    assert saved_hub_token(env) is None
    (tmp_path / "token").write_text("hf_kept\n", encoding="utf-8")
    assert saved_hub_token(env) == "hf_kept"
    (tmp_path / "other").write_bytes(b"\xff\xfe")
    assert saved_hub_token({**env, "HF_TOKEN_PATH": str(tmp_path / "other")}) is None


def test_a_kept_token_is_for_its_own_hub_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hf_kept", encoding="utf-8")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert open_here({"home": tmp_path}).token == "hf_kept"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    assert open_here({"home": tmp_path}).token is None


@pytest.mark.parametrize(
    "toml",
    ['routes = ["fast=a, b", "big=c"]', 'routes = "fast=a,b;big=c;"', '[serve.routes]\nfast = ["a", "b"]\nbig = "c"'],
)
def test_routes_are_written_in_several_ways(place: Place, toml: str) -> None:
    place.user.write_text(f"[serve]\n{toml}\n", encoding="utf-8")
    assert place.resolve().serve_routes == (("fast", ("a", "b")), ("big", ("c",)))


@pytest.mark.parametrize("routes", ["fast", "=a", "fast=", "a=b;a=c", "a=b;A=c", {"": ["a"]}, 7])
def test_a_route_without_a_name_or_models_is_refused(place: Place, routes: Any) -> None:
    with pytest.raises(BadConfig, match=r"serve\.routes"):
        place.resolve({"serve_routes": routes})


def test_an_idle_model_may_stay_for_ever(place: Place) -> None:
    assert place.resolve({"serve_ttl_s": " Never "}).serve_ttl_s is None
    assert place.resolve().serve_ttl_s == 1800


def test_what_is_forgotten_is_gone_and_the_rest_is_as_it_was(place: Place) -> None:
    home = place.user.parent
    assert forget(home, ["serve.port"]) == []
    assert not place.user.exists()
    text = "# mine\n[bench]\nrounds = 4 # so many\n\n[serve]\nport = 5300\n"
    place.user.write_text(text, encoding="utf-8")
    assert forget(home, ["serve.port", "serve.ttl", "hub.stall"]) == ["serve.port"]
    assert place.user.read_text(encoding="utf-8").strip() == text.partition("[serve]")[0].strip()
    assert place.resolve().rounds == 4
