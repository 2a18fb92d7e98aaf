"""The command line as a person and as a script meet it: exit codes, stdout for results alone, errors that help."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from assay import __version__
from assay.cli import COMMANDS
from tests.cli.conftest import PROMPT, Command, Shell, Told

HEAVY = (
    "aiohttp", "altair", "cpuinfo", "jinja2", "jsonschema", "msgspec", "numpy", "onnxruntime_genai", "pandas", "psutil",
    "pynvml", "rich", "uvloop", "vl_convert", "xllamacpp", "asyncio", "assay.app", "assay.report",
)  # fmt: skip
DEAD = "http://127.0.0.1:9"
Cases = dict[str, tuple[list[str], *tuple[str, ...]]]
"""What is wrong -> the command line, and parts of what is said of it."""


def helps(told: Told, code: int, *said: str) -> None:
    """The error says what happened and what to do, is on stderr alone, and has no traceback."""
    assert told.code == code, told
    assert told.out == ""
    assert "Traceback" not in told.err
    lines = told.err.rstrip("\n").splitlines()
    what = next(n for n, line in enumerate(lines) if line.startswith("assay"))
    assert lines[-1].startswith("  try: "), told.err
    assert all(line.startswith("  why: ") for line in lines[what + 1 : -1]), told.err
    for part in said:
        assert part in told.err


# Help and version


def test_without_a_command_it_shows_what_there_is(command: Command) -> None:
    told = command()
    assert told.code == 2
    assert all(name in told.out for name in COMMANDS)
    assert command("--help").code == 0
    assert command("--help").out == told.out
    assert command("--version") == (0, f"assay {__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal(command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = command(name, "--help")
    assert told.code == 0
    assert told.err == ""
    assert max(map(len, told.out.splitlines())) <= 80
    assert "-o {text,json}" in told.out


@pytest.mark.parametrize("words", ["run", "model", "cache", "config", "service", "service keys"])
def test_help_tells_what_each_action_does(command: Command, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = command(*words.split(), "--help").out.splitlines()
    actions = lines[lines.index("  ACTION") + 1 :]
    for line in actions[: actions.index("")]:
        name, told = line.split(maxsplit=1)
        assert told.endswith("."), line
        assert told in " ".join(command(*words.split(), name, "--help").out.split())


@pytest.mark.parametrize("words", ["--help", "--version", ""])
def test_nothing_heavy_is_imported_for_help_and_version(shell: Shell, words: str) -> None:
    program = (
        f"import sys; from assay.cli import main; sys.argv[1:] = {words.split()}\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    told = shell(f"{sys.executable} - <<'END'\n{program}\nEND")
    assert told.returncode == 0, told.stderr
    imported = set(told.stderr.decode().split())
    assert "assay.cli" in imported
    assert not imported & set(HEAVY)


# Errors

USAGE: Cases = {
    "no such command": (["bogus"], "bogus", "--help"),
    "a command misspelt": (["benhc"], "assay bench"),
    "a flag before the command": (["-o", "json", "run", "list"], "after it"),
    "an unknown flag": (["bench", "a", "--frobnicate"], "--frobnicate"),
    "a flag misspelt": (["bench", "a", "--round", "3"], "did you mean --rounds?"),
    "a sub-command's flag misspelt": (["service", "start", "--hst"], "assay service start:", "did you mean --host?"),
    "a flag without its value": (["bench", "a", "--rounds"], "--rounds"),
    "no number": (["bench", "a", "--top-p", "x"], "--top-p"),
    "an unknown choice": (["report", "--format", "pdf"], "pdf"),
    "no action": (["run"], "list, show"),
    "no action within an action": (["service", "keys", "-o", "json"], "assay service keys:", "add, list, revoke"),
    "an unknown action": (["run", "remove"], "remove", "list, show"),
    "an action misspelt": (["service", "keys", "revok"], "try: assay service keys revoke"),
    "bytes that are no text": (["bench", "\udcff"], "UTF-8"),
}
BAD_INPUT: Cases = {
    "no model": (["bench"], "no model was named", "quickstart"),
    "no such model": (["bench", "nonsense"], "nonsense", "notes-4m"),
    "an empty name": (["bench", ""], "''"),
    "control characters": (["bench", "a\nb\x1b[31m\u202e"], r"\x1b"),
    "neither run nor model": (["choose", "nonsense"], "no model 'nonsense'", "no run 'nonsense'"),
    "rounds of none": (["bench", "notes-0.5m", "--rounds", "0"], "set by --rounds"),
    "no level": (["bench", "notes-0.5m", "--concurrency", ","], "--concurrency"),
    "time that ends at once": (["bench", "notes-0.5m", "--timeout", "0"], "set by --timeout"),
    "a context of words": (["bench", "notes-0.5m", "--ctx", "much"], "set by --ctx"),
    "a share above 1": (["bench", "notes-0.5m", "--top-p", "7"], "top-p"),
    "none of the likeliest": (["bench", "notes-0.5m", "--top-k", "0"], "top-k"),
    "no prompts file": (["bench", "notes-0.5m", "--prompts", "none.json"], "none.json"),
    "a folder for prompts": (["bench", "notes-0.5m", "--prompts", "."], "cannot be read"),
    "an empty prompt": (["bench", "notes-0.5m", "--prompt", " "], "empty"),
    "two kinds of prompt": (["bench", "notes-0.5m", "--prompt", "a", "--prompts", "b"], "both"),
    "no registry": (["bench", "--config", "none.json"], "none.json"),
    "no registry to choose from": (["choose", "--config", "none.json"], "none.json"),
    "no such engine": (["bench", "notes-0.5m", "--engine", "vroom"], "vroom", "llamacpp"),
    "an engine that cannot read it": (["bench", "notes-0.5m", "--engine", "onnxruntime_genai"], "gguf"),
    "weights of nothing": (["bench", "--weights", "w.json"], "--adapter"),
    "no address": (["bench", "x", "--endpoint", "not a url"], "http://"),
    "a policy that is not there": (["bench", "notes-0.5m", "--policy", "none.toml"], "none.toml"),
    "a policy for quickstart": (["quickstart", "--policy", "none.toml"], "none.toml"),
    "a form that there is not": (["bench", "notes-0.5m", "--report", "x.pdf"], "x.pdf", ".html"),
    "a page that there is not": (["quickstart", "--report", "x.pdf"], "x.pdf"),
    "a suffix that there is not": (["report", "second", "--out", "x.pdf"], "x.pdf"),
    "two results on stdout": (["report", "second", "--format", "csv", "-o", "json"], "stdout"),
    "warmth in what holds still": (["bench", "a", "--deterministic", "d", "--temperature", "1"], "--temperature"),
    "flags that a resumed run ignores": (["bench", "--resume", "second", "--rounds", "3"], "--rounds", "--resume"),
    "flags that a measured run ignores": (["choose", "second", "--rounds", "3"], "--rounds"),
    "a task without a list": (["choose", "second", "--task", "chat"], "--task"),
    "no run to show": (["run", "show", "nonsense"], "nonsense", "assay run list"),
    "no run to report": (["report", "../../etc"], "../../etc"),
    "no run to compare": (["compare", "nonsense"], "nonsense"),
    "no run to score": (["score", "nonsense"], "nonsense"),
    "no run to resume": (["bench", "--resume", "nonsense"], "nonsense"),
    "no ratings": (["score", "second", "--ratings", "none.csv"], "none.csv"),
    "a sheet of another kind": (["score", "second", "--sheet", "x.xlsx"], "x.xlsx"),
    "somebody without ratings": (["score", "second", "--who", "Ines"], "--ratings"),
    "less than no time": (["selftest", "--seconds", "-1"], "-1"),
    "no number of seconds": (["selftest", "--seconds", "nan"], "nan"),
}
NOTHING: Cases = {
    "a server that is not there": (["bench", "x", "--endpoint", DEAD, "--prompt", "a", "--rounds", "1"], "connection"),
    "nothing to list": (["bench", "--endpoint", DEAD, "--prompt", "a"], "does not answer"),
    "an adapter that is not there": (["bench", "--adapter", "nowhere:Nothing", "--prompt", "a"], "nowhere"),
    "nothing to draw": (["report", "nobody", "--charts", "charts"], "nothing to draw"),
}


@pytest.mark.parametrize("case", USAGE)
def test_bad_usage_is_told_in_three_lines(command: Command, case: str) -> None:
    words, *said = USAGE[case]
    told = command(*words)
    helps(told, 2, *said)
    assert len(told.err.splitlines()) <= 3


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_found_before_anything_is_measured(command: Command, home: Path, case: str) -> None:
    before = set((home / "runs").iterdir())
    words, *said = BAD_INPUT[case]
    told = command(*words)
    helps(told, 2, *said)
    assert "checking the instrument" not in told.err
    assert set((home / "runs").iterdir()) == before


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_measured_ends_with_3(command: Command, tmp_path: Path, case: str) -> None:
    words, *said = NOTHING[case]
    home = [] if words[0] == "report" else ["--home", str(tmp_path / "other")]
    helps(command(*words, *home), 3, *said)


def test_a_choice_of_none_ends_with_1(command: Command, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[require]\ne2e_p50 = "1ns"\n', encoding="utf-8")
    told = command("choose", "second", "--policy", str(policy))
    assert told.code == 1
    assert "e2e_p50" in told.out
    (tmp_path / "models.json").write_text('[{"name": "giant", "task": "chat", "min_ram_gb": 90000}]', encoding="utf-8")
    told = command("choose", "--config", "models.json")
    assert told.code == 1
    assert told.out.startswith("giant: does not fit")
    helps(command("choose", "--config", "models.json", "--task", "sing"), 2, "sing", "chat")
    helps(command("choose", "--config", "models.json", "--rounds", "2"), 2, "--rounds")


def test_debug_shows_where_and_only_debug_does(shell: Shell) -> None:
    plain, debug = (shell(f"assay run show nonsense {flag}") for flag in ("", "--debug"))
    assert b"Traceback" not in plain.stderr
    assert b"Traceback" in debug.stderr
    assert b"RunNotFound" in debug.stderr


def test_places_that_cannot_be_written_are_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    helps(command("report", "second", "--out", "file/report.html"), 2, "file/report.html")
    helps(command("report", "second", "--charts", "file/charts"), 2, "file/charts")
    helps(command("score", "second", "--sheet", "file/sheet.csv"), 2, "file/sheet.csv")
    told = command("bench", "x", "--endpoint", DEAD, "--prompt", "a", "--home", "file")
    assert told.code == 2
    assert "file/runs" in told.err
    assert "try:" in told.err


def test_settings_that_are_wrong_are_named(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assay.toml").write_text("[bench]\nrounds = 'many'\n", encoding="utf-8")
    helps(command("bench", "notes-0.5m"), 2, "bench.rounds", "assay.toml")
    (tmp_path / "assay.toml").unlink()
    monkeypatch.setenv("BENCH_ROUNDS", "0")
    helps(command("bench", "notes-0.5m"), 2, "BENCH_ROUNDS")
    monkeypatch.delenv("BENCH_ROUNDS")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.com/v1")
    helps(command("bench", "notes-0.5m"), 2, "OPENAI_BASE_URL", "--endpoint https://example.com/v1")


# Results


JSON = {
    "doctor": (["doctor"], {"machine", "engines", "selftest", "places"}),
    "selftest": (["selftest", "--seconds", "0.1"], {"lags", "loop"}),
    "run show": (["run", "show", "second"], {"run", "choice", "models", "candidates"}),
    "choose": (["choose", "second"], {"run", "choice", "models"}),
    "choose between runs": (["choose", "first", "second"], {"winner", "verdicts", "runs"}),
    "report": (["report", "second"], {"run", "choice", "models"}),
    "report in JSON": (["report", "second", "--format", "json"], {"run", "choice", "models"}),
    "report in a file": (["report", "second", "--out", "report.html"], {"run", "written"}),
    "charts": (["report", "second", "--charts", "charts"], {"run", "written"}),
    "compare": (["compare", "first", "second"], {"a", "b", "pairs"}),
    "score": (["score", "second"], {"run", "choice", "models"}),
    "sheet": (["score", "second", "--sheet", "sheet.json"], {"run", "sheet", "rows"}),
}


@pytest.mark.parametrize("case", JSON)
def test_stdout_is_one_json_document(command: Command, case: str) -> None:
    words, keys = JSON[case]
    told = command(*words, "-o", "json")
    assert told.code in {0, 1}, told.err
    assert keys <= json.loads(told.out).keys()


def test_bench_prints_its_document_alone(command: Command, server: str, tmp_path: Path) -> None:
    told = command(
        "bench", "echo", "--endpoint", server, "--prompt", PROMPT, "--rounds", "1", "-o", "json", "--report", "r.md",
        "--deterministic", "kept", "--home", str(tmp_path / "own"),
    )  # fmt: skip
    assert told.code == 0
    assert json.loads(told.out)["models"][0]["alias"] == "echo"
    assert "checking the instrument" in told.err
    assert (tmp_path / "r.md").is_file()
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"results.json", "timings.json"}


@pytest.mark.parametrize("words", [["list", "-o", "json"], ["-o", "json", "list"]])
def test_flags_of_all_commands_may_stand_anywhere_after_the_command(command: Command, words: list[str]) -> None:
    rows = json.loads(command("run", *words).out)
    assert [row["name"] for row in rows] == ["second", "first", "nobody"]
    assert [row["status"] for row in rows] == ["complete", "complete", "failed"]


def test_a_run_keeps_the_command_that_began_it(command: Command, server: str, tmp_path: Path) -> None:
    home = tmp_path / "kept home"
    for name in ("bench", "choose"):
        words = [name, "echo", "--endpoint", server, "--prompt", "It's so?", "--rounds", "1", "--home", str(home)]
        assert command(*words).code == 0
        record = json.loads(max((home / "runs").glob("*/run.json"), key=os.path.getmtime).read_text("utf-8"))
        assert shlex.split(record["command"]) == ["assay", *words]


def test_models_may_stand_on_both_sides_of_flags(command: Command, server: str, tmp_path: Path) -> None:
    told = command(
        "bench", "one", "--endpoint", server, "two", "--prompt", PROMPT, "--rounds", "1", "three", "-o", "json",
        "--home", str(tmp_path / "own"),
    )  # fmt: skip
    assert [model["alias"] for model in json.loads(told.out)["models"]] == ["one", "two", "three"]


def test_an_unmeasured_choice_says_so(command: Command, tmp_path: Path) -> None:
    models = [{"name": "giant", "min_ram_gb": 90000}, {"name": "notes-4m", "min_ram_gb": 0.1}, {"name": "riddle"}]
    (tmp_path / "models.json").write_text(json.dumps(models), encoding="utf-8")
    told = command("choose", "--config", "models.json", "-o", "json")
    found = json.loads(told.out)
    assert (told.code, found["measured"], found["choice"]) == (0, False, "notes-4m")
    assert [entry["fits"] for entry in found["entries"]] == [False, True, None]
    assert "Nothing was measured" in command("choose", "--config", "models.json").out


def test_a_home_without_runs_is_no_error(command: Command, tmp_path: Path) -> None:
    told = command("run", "list", "--home", str(tmp_path / "new"))
    assert told == (0, "no runs yet; assay quickstart makes the first\n", "")
    assert json.loads(command("run", "list", "--home", str(tmp_path / "new"), "-o", "json").out) == []
    helps(command("run", "show", "--home", str(tmp_path / "new")), 2, "no runs in")


def test_a_run_that_cannot_be_read_is_listed_with_its_problem(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "own" / "runs" / "20260101-000000-0000"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{", encoding="utf-8")
    told = command("run", "list", "--home", str(tmp_path / "own"))
    assert told.code == 0
    assert "damaged" in told.out
    (broken / "run.json").write_text('{"schema": 99}', encoding="utf-8")
    told = command("run", "show", "--home", str(tmp_path / "own"))
    assert told.code == 2
    assert "99" in told.err


# Terminals, pipes, encodings


@pytest.mark.parametrize(
    "line",
    ["assay run list", "assay run show second", "assay run show second -o json", "assay report second --format html"],
)
def test_a_reader_that_goes_away_is_no_error(shell: Shell, line: str) -> None:
    told = shell(f"({line}; echo $? >&2) | head -c 0")
    assert told.stderr.decode().split() == ["0"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("line", ["assay --version", "assay run list", "assay report second --format html"])
def test_a_full_disk_is_told_of(shell: Shell, line: str) -> None:
    told = shell(f"{line} > /dev/full")
    assert told.returncode == 2
    assert told.stderr.decode().splitlines()[0] == "assay: the output cannot be read or written"
    assert b"Traceback" not in told.stderr
    assert b"ignored" not in told.stderr


@pytest.mark.parametrize("line", ["assay", "assay --help", "assay bench --help"])
def test_help_into_a_closed_pipe_says_nothing(shell: Shell, line: str) -> None:
    assert b"Broken" not in shell(f"({line}; true) | head -c 0").stderr
    assert b"Broken" not in shell(f"(sleep 0.5; {line}) | true").stderr


def test_without_a_terminal_lines_are_80_wide_and_plain(shell: Shell) -> None:
    told = shell("assay run show second", COLUMNS="80", TERM="dumb")
    assert told.returncode == 0
    assert b"\x1b" not in told.stdout
    assert max(map(len, told.stdout.decode().splitlines())) <= 80


@pytest.mark.parametrize("settings", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}])
def test_pipes_get_utf8_whatever_the_machine_speaks(shell: Shell, settings: dict[str, str]) -> None:
    told = shell("assay run show second && assay run show second -o json", **settings)
    assert told.returncode == 0, told.stderr
    assert "†" in told.stdout.decode()


def test_names_in_any_script_come_through(command: Command, server: str, tmp_path: Path) -> None:
    own = ["--home", str(tmp_path / "ünï")]
    told = command(
        "bench", "モデル", "--endpoint", server, "--prompt", "Grüße, 世界! 🌍", "--rounds", "1", *own, "-o", "json"
    )
    assert told.code == 0, told.err
    assert json.loads(told.out)["models"][0]["alias"] == "モデル"
    assert "モデル" in command("run", "list", *own).out
