"""``assay model run`` at a real terminal: a chat with a real worker process behind it."""

from __future__ import annotations

import json
import os
import shutil
import signal as signals
import stat
from pathlib import Path

import psutil
import pytest

pytest.importorskip("pty", reason="this system has no pseudo-terminals")

from tests.cli.terminal import ALT_ENTER, CTRL_C, CTRL_D, PROMPT, UP, AtTerminal

pytestmark = pytest.mark.engines

TESTS = Path(__file__).parents[1]
NOTE = "Emma is going to buy the short mirror by next Monday. We asked Max to finish the online charter by mid May."


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the engine ``talking`` as an installed distribution."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(TESTS / "engines" / "scripted_engine.py", folder)
    shutil.copy(TESTS / "cli" / "talking_engine.py", folder)
    info = folder / "talking_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: talking-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[assay.engines]\ntalking = talking_engine:TalkingEngine\n")
    return folder


@pytest.fixture
def environment(tmp_path: Path, site: Path) -> dict[str, str]:
    source = TESTS.parent / "src"
    return {
        "ASSAY_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path / "user"),
        "PYTHONPATH": os.pathsep.join([str(source), str(site)]),
    }


def chat(environment: dict[str, str], tmp_path: Path, *words: str, **more: str) -> AtTerminal:
    """A chat with the engine that answers by what it is asked."""
    run = ["-m", "assay", "model", "run", "notes-4m", "--engine", "talking", *words]
    return AtTerminal(run, {**environment, **more}, tmp_path)


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not alive


def test_a_chat_remembers_and_leaves_nothing_behind(environment: dict[str, str], tmp_path: Path) -> None:
    with chat(environment, tmp_path) as terminal:
        terminal.wait("notes-4m:q8_0 on talking")
        terminal.ask("hello")
        terminal.wait("question 1 was hello")
        assert "\x1b[1mhello\x1b[0m" in terminal.raw, "Markdown is shown"
        assert "**" not in terminal.text
        terminal.ask("again")
        terminal.wait("question 2 was again")
        workers = terminal.children()
        assert workers
        terminal.wait(PROMPT)
        terminal.type("half a line")
        terminal.wait("half a line")
        terminal.type(CTRL_C + CTRL_C)
        terminal.wait("Ctrl-D or /exit leaves the chat")
        terminal.ask("whole")
        terminal.wait("question 3 was whole")
        terminal.wait(PROMPT)
        terminal.type(CTRL_D)
        assert terminal.ended() == 0
    assert gone(workers)


def test_ctrl_c_stops_the_answer_and_not_the_chat(environment: dict[str, str], tmp_path: Path) -> None:
    with chat(environment, tmp_path) as terminal:
        terminal.ask("count")
        terminal.wait("number 3 ")
        workers = terminal.children()
        terminal.type(CTRL_C)
        terminal.wait("stopped; what had come is kept")
        terminal.ask("/save cut")
        terminal.wait("1 turn in ")
        terminal.ask("next")
        terminal.wait("question 2 was next")
        assert terminal.children() == workers, "the same worker goes on"
        terminal.ask("/load cut")
        terminal.wait("(cut: stopped)")
        terminal.ask("/bye")
        assert terminal.ended() == 0
    assert gone(workers)


def test_what_is_typed_during_an_answer_is_whole_at_the_next_prompt(
    environment: dict[str, str], tmp_path: Path
) -> None:
    long = "né " * 2000 + "end"
    with chat(environment, tmp_path) as terminal:
        terminal.ask("count")
        terminal.wait("number 3 ")
        terminal.type(f"{long}\rtwo{ALT_ENTER}lines\r/clear\r{CTRL_C}")
        terminal.wait("stopped; what had come is kept")
        terminal.wait("forgotten; ")
        terminal.ask("count")
        terminal.wait("number 3 ")
        terminal.type(CTRL_D + CTRL_C)
        assert terminal.ended() == 0
    history = (tmp_path / "home" / "chat" / "history").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in history] == ["count", long, "two\nlines", "/clear", "count"]


def test_a_worker_that_dies_while_it_answers_or_afterwards_is_restarted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with chat(environment, tmp_path) as terminal:
        terminal.ask("die")
        terminal.wait("some words")
        terminal.wait("died while it answered: the process was ended by signal 9")
        terminal.ask("well?")
        terminal.wait("question 2 was well?")
        terminal.wait(PROMPT)
        before = terminal.children()
        for worker in before:
            worker.kill()
        assert gone(before)
        terminal.type("and now?\r")
        terminal.wait("question 3 was and now?")
        workers = terminal.children()
        terminal.ask("/exit")
        assert terminal.ended() == 0
    assert gone(workers)


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGHUP"])
def test_no_worker_outlives_the_chat_however_that_ends(
    environment: dict[str, str], tmp_path: Path, signal: str
) -> None:
    with chat(environment, tmp_path) as terminal:
        terminal.ask("count")
        terminal.wait("number 1 ")
        workers = terminal.children()
        psutil.Process(terminal.process.pid).send_signal(getattr(signals, signal))
        terminal.ended()
    assert gone(workers)


def test_lines_slashes_and_plain_text_without_history(environment: dict[str, str], tmp_path: Path) -> None:
    typed = {
        '"""one\rtwo"""\r': "question 1 was **one\ntwo**",
        f"three{ALT_ENTER}four\r": "question 2 was **three\nfour**",
        "five\\\rsix\r": "question 3 was **five\nsix**",
        "//etc/passwd\r": "question 4 was **/etc/passwd**",
    }
    with chat(environment, tmp_path, "--no-history", NO_COLOR="1") as terminal:
        for keys, answered in typed.items():
            terminal.wait(PROMPT)
            terminal.type(keys)
            terminal.wait(answered)
        terminal.ask("/exit")
        assert terminal.ended() == 0
    assert not (tmp_path / "home" / "chat").exists()


def test_a_dumb_terminal_gets_plain_text(environment: dict[str, str], tmp_path: Path) -> None:
    with chat(environment, tmp_path, TERM="dumb") as terminal:
        terminal.ask("hello")
        terminal.wait("question 1 was **hello**")
        terminal.ask("/exit")
        assert terminal.ended() == 0
    assert "\x1b[1m" not in terminal.raw


def test_a_chat_is_saved_for_its_owner_and_loaded_with_its_model(environment: dict[str, str], tmp_path: Path) -> None:
    with chat(environment, tmp_path, "--system", "Be brief.") as terminal:
        terminal.ask("/set seed 7")
        terminal.ask("hello")
        terminal.wait("question 1 was hello")
        terminal.ask("/save ../../one")
        terminal.wait("a chat cannot be named '../../one'")
        terminal.ask("/save one")
        terminal.wait("1 turn in ")
        terminal.ask("/save one")
        terminal.wait("there is a chat 'one' already")
        terminal.ask("/clear")
        terminal.ask("anew")
        terminal.wait("question 1 was anew")
        terminal.ask("/load one")
        terminal.wait("one: 1 turn")
        terminal.ask("/set seed")
        terminal.wait("7 ")
        terminal.ask("/system")
        terminal.wait("system message: Be brief.")
        terminal.ask("more")
        terminal.wait("question 2 was more")
        terminal.ask("/exit")
        assert terminal.ended() == 0
    kept = tmp_path / "home" / "chats" / "one.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert not (tmp_path / "one.json").exists()


def test_typed_lines_come_back_and_are_private(environment: dict[str, str], tmp_path: Path) -> None:
    for turn in (1, 2):
        with chat(environment, tmp_path) as terminal:
            terminal.wait(PROMPT)
            terminal.type("remember me\r" if turn == 1 else UP + "\r")
            terminal.wait("question 1 was remember me")
            terminal.ask("/exit" if turn == 1 else "/bye")
            assert terminal.ended() == 0
            if turn == 1:  # the newest line is what Up brings first
                history = tmp_path / "home" / "chat" / "history"
                lines = history.read_text(encoding="utf-8").splitlines()
                assert lines == ['"remember me"', '"/exit"']
                assert stat.S_IMODE(history.stat().st_mode) == 0o600
                history.write_text(lines[0] + "\n", encoding="utf-8")


def test_what_is_wrong_is_said_and_the_chat_goes_on(environment: dict[str, str], tmp_path: Path) -> None:
    told = {
        "/sats": "did you mean /stats;",
        "/stats": "nothing was answered yet",
        "/set temprature 1": "/set temperature",
        "/set temperature hot": "give a number from 0 to 2, or default",
        "/load nothing": "there is no chat 'nothing'",
        "/model nosuch": "there is no model 'nosuch'",
        "/drop x": "'x' is no number of turns",
        "/?": "/system [TEXT|none]",
    }
    with chat(environment, tmp_path) as terminal:
        for line, answer in told.items():
            terminal.ask(line)
            terminal.wait(answer)
        terminal.ask("still here")
        terminal.wait("question 1 was still here")
        terminal.ask("forget")
        terminal.wait("the conversation is longer than the model's context, and nothing was sent")
        terminal.ask("/set full drop")
        terminal.ask("forget")
        terminal.wait("1 oldest turn left out from here on")
        terminal.wait("question 1 was forget")
        terminal.ask("/quit")
        assert terminal.ended() == 0


def test_the_bundled_models_take_turns_in_one_conversation(environment: dict[str, str], tmp_path: Path) -> None:
    run = ["-m", "assay", "model", "run", "notes-4m", "--verbose"]
    with AtTerminal(run, environment, tmp_path) as terminal:
        terminal.wait("in a process of its own (no service is running); found in ")
        terminal.ask(f"{NOTE} Write the action items as a list.")
        terminal.wait("Max: finish the online charter")
        terminal.wait("of 2,048")
        terminal.ask("/model notes-1.5m")
        terminal.wait("notes-1.5m:q8_0 on llamacpp")
        (worker,) = [one for one in terminal.children() if not one.children()]
        terminal.ask("Who is going to buy the mirror?")
        shown = terminal.wait("of 2,048")
        assert "ttft " in shown
        terminal.ask("/exit")
        assert terminal.ended() == 0
    assert gone([worker])


def test_a_chat_needs_a_terminal_for_what_it_says(environment: dict[str, str], tmp_path: Path) -> None:
    run = ["-m", "assay", "model", "run", "notes-4m", "-o", "json"]
    with AtTerminal(run, environment, tmp_path) as terminal:
        assert terminal.ended() == 2
    assert "-o json is for one answer" in terminal.text


def test_retain_needs_a_service(environment: dict[str, str], tmp_path: Path) -> None:
    run = ["-m", "assay", "model", "run", "notes-4m", "--retain"]
    with AtTerminal(run, environment, tmp_path) as terminal:
        assert terminal.ended() == 2
    assert "--retain needs the service to keep notes-4m:q8_0 loaded" in terminal.text
    assert "assay service start" in terminal.text
