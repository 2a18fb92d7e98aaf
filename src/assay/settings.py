"""What the user has set, resolved once and passed down: flag > environment > project file > user file > default.

In: flags, the environment, the working folder. Out: one frozen ``Settings`` and, for each value, where it came from.
Every setting is one row of ``SETTINGS``: its key in the files, the environment variables that set it, its parser.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.amounts import parse_amount
from assay.disk import expanded, write_whole
from assay.errors import BadConfig

PROJECT_FILE = "assay.toml"
USER_FILE = "config.toml"
DEFAULT_HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Settings:
    """Every value that shapes a command and does not come from its own flags alone."""

    home: Path
    models: tuple[str, ...] = ()
    prompts: Path | None = None
    prompt: str | None = None
    rounds: int = 3
    warmup: int = 1
    concurrency: tuple[int, ...] = (1,)
    max_tokens: int = 256
    temperature: float = 0.0
    stream: bool = True
    seed: int = 0
    timeout_s: float = 120.0
    retries: int = 0
    endpoint: str | None = None
    policy: Path | None = None
    threads: int | None = None
    context_length: int | None = None
    registry: Path | None = None
    models_folder: Path | None = None
    look_in: tuple[Path, ...] = ()
    parallel: int = 4
    hub: str = DEFAULT_HUB
    offline: bool = False
    stall_s: float = 30.0
    serve_host: str = "127.0.0.1"
    serve_port: int = 5273
    serve_ttl_s: float | None = 1800.0
    serve_keep_warm_s: float | None = None
    serve_memory: int | None = None
    serve_slots: int | None = None
    serve_preload: tuple[str, ...] = ()
    serve_routes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    serve_allow_hosts: tuple[str, ...] = ()
    serve_allow_origins: tuple[str, ...] = ()
    serve_tls_cert: Path | None = None
    serve_tls_key: Path | None = None
    serve_stall_s: float = 120.0
    serve_queue: int = 512
    sources: tuple[tuple[str, str], ...] = ()
    """Where each value that is not a default came from."""

    def source(self, field: str) -> str:
        """Where the value of ``field`` came from: a flag, a variable, a file; ``default`` where nobody has set it."""
        return dict(self.sources).get(field, "default")

    def by_project(self, field: str) -> bool:
        """Whether a project's file set it, which may have come from elsewhere."""
        return Path(self.source(field)).name == PROJECT_FILE

    @property
    def runs(self) -> Path:
        """Folder that holds one folder per run."""
        return self.home / "runs"

    @property
    def models_home(self) -> Path:
        """Folder of the models and of what Assay keeps about them, such as the cache of file hashes."""
        return self.models_folder or self.home / "models"


def _count(least: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool):
            raise ValueError
        number = int(str(value).strip())
        if number < least:
            raise ValueError
        return number

    parse.__doc__ = f"a whole number, {least} or more"
    return parse


def _seconds(value: Any) -> float:
    """a number of seconds above 0"""
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError
    return number


def _temperature(value: Any) -> float:
    """a number from 0 to 2"""
    number = float(value)
    if not 0 <= number <= 2:
        raise ValueError
    return number


def _switch(value: Any) -> bool:
    """true or false (1, 0, yes, no, on, off)"""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError


def _words(value: Any) -> tuple[str, ...]:
    """a list of names, or names with commas between them"""
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(part.strip() for part in map(str, parts) if part.strip())


def _levels(value: Any) -> tuple[int, ...]:
    """a number of requests at once, or several with commas between them, each 1 or more"""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    levels = tuple(dict.fromkeys(_count(1)(part) for part in parts))
    if not levels:
        raise ValueError
    return levels


def _port(value: Any) -> int:
    """a port from 1 to 65535, or 0 for any that is free"""
    number = _count(0)(value)
    if number > 65535:
        raise ValueError
    return number


def _seconds_or_never(value: Any) -> float | None:
    """a number of seconds above 0, or never"""
    return None if str(value).strip().lower() == "never" else _seconds(value)


def _memory(value: Any) -> int:
    """an amount of memory above 0, such as 8GB"""
    if isinstance(value, bool):
        raise ValueError
    amount = parse_amount(value, "GB")
    if amount == 0:
        raise ValueError
    return amount


def _routes(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """routes like fast=model-a,model-b, in a list or with ; between them"""
    if isinstance(value, dict):
        pairs = [(name, _words(models)) for name, models in value.items()]
    else:
        texts = value.split(";") if isinstance(value, str) else [str(part) for part in value]
        halves = [text.partition("=") for text in texts if text.strip()]
        pairs = [(name.strip(), _words(models)) for name, _, models in halves]
    if not all(name and models for name, models in pairs) or len({name.lower() for name, _ in pairs}) != len(pairs):
        raise ValueError
    return tuple(pairs)


def _paths(value: Any) -> tuple[Path, ...]:
    """a path or a list of paths"""
    return tuple(map(_path, [value] if isinstance(value, str | Path) else value))


def _address(value: Any) -> str:
    """an address that begins with https:// or http://"""
    address = str(value).strip().rstrip("/")
    if not address.lower().startswith(("https://", "http://")):
        raise ValueError
    return address


def _path(value: Any) -> Path:
    """a path"""
    text = str(value)
    if not text.strip():
        raise ValueError
    return expanded(text)


def _text(value: Any) -> str:
    """a text in UTF-8"""
    return str(value).encode().decode()


def _name(value: Any) -> str:
    """a name or an address without spaces"""
    text = str(value).strip()
    if not text or len(text.split()) > 1:
        raise ValueError
    return text


@dataclass(frozen=True)
class Setting:
    """One setting: its field, the table and key in the files, its environment variables, how a value is read."""

    field: str
    key: str
    env: tuple[str, ...]
    parse: Callable[[Any], Any]

    def read(self, value: Any, source: str) -> Any:
        """The field's value. Raise ``BadConfig`` with ``source``, where it stands, for what is none."""
        try:
            return self.parse(value)
        except (TypeError, ValueError) as error:
            shown = json.dumps(value, default=str)
            raise BadConfig(
                f"{self.key} cannot be {shown}", why=f"set by {source}", remedy=f"give {self.parse.__doc__}"
            ) from error


_SPELLED = {
    "timeout_s": "--timeout", "context_length": "--ctx", "registry": "--config", "serve_ttl_s": "--ttl",
    "serve_keep_warm_s": "--keep-warm", "serve_slots": "--parallel", "serve_preload": "MODEL",
    "serve_routes": "--route", "serve_allow_hosts": "--allow-host", "serve_allow_origins": "--allow-origin",
    "serve_stall_s": "--stall",
}  # fmt: skip


def flag(field: str) -> str:
    """How people type the flag of a field: ``--max-tokens``."""
    return _SPELLED.get(field, "--" + field.removeprefix("serve_").replace("_", "-"))


SETTINGS: tuple[Setting, ...] = (
    Setting("models", "bench.models", ("BENCH_MODELS",), _words),
    Setting("prompts", "bench.prompts", (), _path),
    Setting("prompt", "bench.prompt", ("BENCH_PROMPT",), _text),
    Setting("rounds", "bench.rounds", ("BENCH_ROUNDS",), _count(1)),
    Setting("warmup", "bench.warmup", (), _count(0)),
    Setting("concurrency", "bench.concurrency", (), _levels),
    Setting("max_tokens", "bench.max_tokens", ("BENCH_MAX_TOKENS",), _count(1)),
    Setting("temperature", "bench.temperature", ("BENCH_TEMPERATURE",), _temperature),
    Setting("stream", "bench.stream", ("BENCH_STREAM",), _switch),
    Setting("seed", "bench.seed", (), _count(0)),
    Setting("timeout_s", "bench.timeout", (), _seconds),
    Setting("retries", "bench.retries", (), _count(0)),
    Setting("endpoint", "bench.endpoint", ("FOUNDRY_LOCAL_ENDPOINT", "OPENAI_BASE_URL"), _text),
    Setting("policy", "choose.policy", (), _path),
    Setting("threads", "engine.threads", (), _count(1)),
    Setting("context_length", "engine.context_length", (), _count(1)),
    Setting("registry", "models.registry", (), _path),
    Setting("models_folder", "models.folder", ("ASSAY_MODELS",), _path),
    Setting("look_in", "models.look_in", (), _paths),
    Setting("parallel", "hub.parallel", (), _count(1)),
    Setting("hub", "hub.address", ("HF_ENDPOINT",), _address),
    Setting("offline", "hub.offline", ("HF_HUB_OFFLINE",), _switch),
    Setting("stall_s", "hub.stall", (), _seconds),
    Setting("serve_host", "serve.host", ("ASSAY_SERVE_HOST",), _name),
    Setting("serve_port", "serve.port", ("ASSAY_SERVE_PORT",), _port),
    Setting("serve_ttl_s", "serve.ttl", (), _seconds_or_never),
    Setting("serve_keep_warm_s", "serve.keep_warm", (), _seconds_or_never),
    Setting("serve_memory", "serve.memory", ("ASSAY_SERVE_MEMORY",), _memory),
    Setting("serve_slots", "serve.parallel", (), _count(1)),
    Setting("serve_preload", "serve.preload", (), _words),
    Setting("serve_routes", "serve.routes", (), _routes),
    Setting("serve_allow_hosts", "serve.allow_hosts", (), _words),
    Setting("serve_allow_origins", "serve.allow_origins", (), _words),
    Setting("serve_tls_cert", "serve.tls_cert", (), _path),
    Setting("serve_tls_key", "serve.tls_key", (), _path),
    Setting("serve_stall_s", "serve.stall", (), _seconds),
    Setting("serve_queue", "serve.queue", (), _count(1)),
)


def home_of(flags: Mapping[str, Any], env: Mapping[str, str]) -> Path:
    """Where everything lies, whatever is wrong with the files."""
    return _home(flags, env)[0]


def resolve(flags: Mapping[str, Any], env: Mapping[str, str], folder: Path) -> Settings:
    """Settings from ``flags`` (fields of ``Settings``; None: not given), ``env`` and the files around ``folder``.

    Raises:
        BadConfig: a value that cannot be used, naming where it stands and what would do.
    """
    user_home, home_source = _home(flags, env)
    project = _find_project(folder)
    files = [(path, _read(path)) for path in (project, user_home / USER_FILE) if path is not None and path.is_file()]
    for path, table in files:
        _refuse_unknown(path, table)
    values: dict[str, Any] = {}
    sources: list[tuple[str, str]] = [("home", home_source)]
    for setting in SETTINGS:
        for value, source, base in _candidates(setting, flags, env, files):
            parsed = setting.read(value, source)
            if base is not None:
                parsed = _below(base, parsed)
            values[setting.field] = parsed
            sources.append((setting.field, source))
            break
    return Settings(home=user_home, sources=tuple(sources), **values)


def keep(home: Path, key: str, value: Any) -> Path:
    """Write one setting (a TOML value) into the user's file, which keeps its order and its remarks; gives the file.

    Raises:
        BadConfig: the file cannot be read or written, or sets what is no setting.
    """
    head, _, name = key.partition(".")

    def put(document: dict[str, Any]) -> None:
        _refuse_unknown(home / USER_FILE, document)
        document.setdefault(head, {})[name] = value

    return _rewrite(home, key, put)


def forget(home: Path, keys: Collection[str]) -> list[str]:
    """Take settings out of the user's file, which keeps everything else; gives those that were there.

    Raises:
        BadConfig: the file cannot be read or written.
    """

    dropped: list[str] = []

    def drop(document: dict[str, Any]) -> None:
        for key in keys:
            head, _, name = key.partition(".")
            table = document.get(head)
            if not isinstance(table, dict) or name not in table:
                continue
            del table[name]
            dropped.append(key)
            if not table:
                del document[head]

    if (home / USER_FILE).is_file():
        _rewrite(home, ", ".join(keys), drop)
    return dropped


def _rewrite(home: Path, what: str, change: Callable[[dict[str, Any]], None]) -> Path:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = home / USER_FILE
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig")) if path.is_file() else tomlkit.document()
        change(document)
        # People keep their settings elsewhere and link to them, and may have closed them to others.
        target = Path(os.path.realpath(path))
        mode = stat.S_IMODE(target.stat().st_mode) if target.is_file() else 0o666
        write_whole(target, tomlkit.dumps(document).encode(), mode=mode)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise BadConfig(f"{what} cannot be written to {path}", why=str(error), remedy=f"mend {path}") from error
    return path


def _below(base: Path, value: Any) -> Any:
    """Paths of a settings file start from its folder."""
    if isinstance(value, Path):
        return base / value
    if isinstance(value, tuple) and any(isinstance(part, Path) for part in value):
        return tuple(base / part for part in value)
    return value


def api_key(env: Mapping[str, str]) -> str | None:
    """The key for ``--endpoint``, from the environment only, so that it is in no process list and no file."""
    return env.get("OPENAI_API_KEY") or env.get("API_KEY") or None


def hub_token(env: Mapping[str, str]) -> str | None:
    """The hub's token, from the environment: in no process list and no file of ours."""
    return env.get("HF_TOKEN") or env.get("HUGGING_FACE_HUB_TOKEN") or None


def saved_hub_token(env: Mapping[str, str]) -> str | None:
    """The token that ``hf auth login`` keeps for huggingface.co; None where there is none that can be read."""
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    place = expanded(env.get("HF_TOKEN_PATH") or str(Path(env.get("HF_HOME") or cache) / "token"))
    try:
        return place.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def default_home(env: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The platform's data folder for Assay."""
    if platform == "win32":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "assay"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "assay"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "assay"


def _home(flags: Mapping[str, Any], env: Mapping[str, str]) -> tuple[Path, str]:
    home = Setting("home", "home", ("ASSAY_HOME",), _path)
    for value, source, _ in _candidates(home, flags, env, []):
        return home.read(value, source).absolute(), source
    return default_home(env), "default"


def _find_project(folder: Path) -> Path | None:
    return next((at / PROJECT_FILE for at in (folder, *folder.parents) if (at / PROJECT_FILE).is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"{path} cannot be read", why=str(error), remedy="mend the file's rights or encoding"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(
            f"{path} is not valid TOML", why=str(error), remedy=f"mend the line it names in {path}"
        ) from error


def _refuse_unknown(path: Path, table: Mapping[str, Any]) -> None:
    known = {setting.key for setting in SETTINGS}
    for head, body in table.items():
        keys = [f"{head}.{key}" for key in body] if isinstance(body, dict) else [head]
        for key in keys:
            if key not in known:
                raise BadConfig(
                    f"{path} sets {key}, which is no setting", remedy="use one of " + ", ".join(sorted(known))
                )


def _candidates(
    setting: Setting, flags: Mapping[str, Any], env: Mapping[str, str], files: list[tuple[Path, dict[str, Any]]]
) -> list[tuple[Any, str, Path | None]]:
    found: list[tuple[Any, str, Path | None]] = []
    if flags.get(setting.field) is not None:
        found.append((flags[setting.field], flag(setting.field), None))
    found += [(env[name], name, None) for name in setting.env if env.get(name)]
    head, _, key = setting.key.partition(".")
    found += [(table[head][key], str(path), path.parent) for path, table in files if key in table.get(head, {})]
    return found
