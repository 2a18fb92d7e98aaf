from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assay.serve import keys
from assay.serve.rate import Rate
from tests.cli.conftest import Command


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``ASSAY_HOME``."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "fresh"))
    return tmp_path / "fresh"


def test_a_key_is_shown_once_alone_on_stdout_and_works(call: Command, fresh: Path) -> None:
    told = call("service", "keys", "add", "laptop", "--rate", "60/min", "--at-once", "4", "--expires", "30d")
    assert told.code == 0
    (secret,) = told.out.splitlines()
    assert "shown this once" in told.err
    assert secret not in told.err
    now = datetime.now(UTC)
    found = keys.match(keys.read(keys.keys_file(fresh)), secret, now)
    assert found is not None
    assert (found.name, found.rate, found.at_once) == ("laptop", Rate(60, 60.0), 4)
    assert found.expires is not None
    assert timedelta(days=29) < found.expires - now < timedelta(days=31)
    assert secret not in call("service", "keys", "list").out


def test_keys_are_listed_with_their_limits_and_state(call: Command, fresh: Path) -> None:
    assert "no keys" in call("service", "keys", "list").out
    call("service", "keys", "add", "phone", "--rate", "5/s")
    call("service", "keys", "add", "laptop", "--expires", "2099-01-31")
    call("service", "keys", "revoke", "phone")
    head, laptop, phone = call("service", "keys", "list").out.splitlines()
    assert head.split() == ["Name", "State", "Created", "Expires", "Rate", "At", "once"]
    assert laptop.split()[:2] == ["laptop", "valid"]
    assert "2099-01-31" in laptop
    assert phone.split()[:2] == ["phone", "revoked"]
    assert "5/s" in phone


def test_a_script_gets_json(call: Command, fresh: Path) -> None:
    made = json.loads(call("service", "keys", "add", "ci", "-o", "json").out)
    assert set(made) == {"name", "key", "expires"}
    (listed,) = json.loads(call("service", "keys", "list", "-o", "json").out)
    assert (listed["name"], listed["state"]) == ("ci", "valid")
    assert made["key"] not in json.dumps(listed)
    revoked = json.loads(call("service", "keys", "revoke", "ci", "-o", "json").out)
    assert (revoked["name"], revoked["left"]) == ("ci", 0)


def test_revoking_the_last_key_says_what_that_means(call: Command, fresh: Path) -> None:
    for name in ("laptop", "phone"):
        call("service", "keys", "add", name)
    assert call("service", "keys", "revoke", "laptop") == (0, "revoked laptop\n", "")
    last = call("service", "keys", "revoke", "phone")
    assert last.code == 0
    assert "no key is left" in last.err
    assert "--no-key" in last.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("add", "127.0.0.1"), "cannot be called"),
        (("add", "laptop", "--rate", "many"), "--rate cannot be 'many'"),
        (("add", "laptop", "--at-once", "0"), "at once"),
        (("add", "laptop", "--expires", "soon"), "--expires cannot be 'soon'"),
        (("add", "laptop", "--expires", "2001-01-01"), "expired already"),
        (("add", "laptop", "--expires", "999999w"), "--expires cannot be"),
        (("revoke", "nobody"), "no key 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(
    call: Command, fresh: Path, words: tuple[str, ...], problem: str
) -> None:
    told = call("service", "keys", *words)
    assert (told.code, told.out) == (2, "")
    assert problem in told.err
    assert keys.read(keys.keys_file(fresh)) == ()


def test_a_damaged_file_is_told_with_what_to_do(call: Command, fresh: Path) -> None:
    path = keys.keys_file(fresh)
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    for words in (("list",), ("add", "laptop"), ("revoke", "laptop")):
        told = call("service", "keys", *words)
        assert told.code == 2
        assert str(path) in told.err
        assert "nobody is let in" in told.err
    assert path.read_text(encoding="utf-8") == "{"


def test_a_service_that_others_reach_does_not_start_without_a_valid_key(call: Command, fresh: Path) -> None:
    far = ("serve", "--host", "0.0.0.0", "--port", "0")
    call("service", "keys", "add", "laptop")
    call("service", "keys", "revoke", "laptop")
    for home in (fresh, fresh / "empty"):
        told = call(*far, "--home", str(home))
        assert (told.code, told.out) == (2, "")
        assert "does not listen on 0.0.0.0 without keys" in told.err
        assert "assay service keys add NAME" in told.err
        assert "--no-key" in told.err


def test_a_service_does_not_start_with_damaged_keys(call: Command, fresh: Path) -> None:
    path = keys.keys_file(fresh)
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    told = call("serve", "--port", "0")
    assert (told.code, told.out) == (2, "")
    assert f"the keys in {path} cannot be read" in told.err


def test_a_name_is_taken_until_it_is_revoked(call: Command, fresh: Path) -> None:
    assert call("service", "keys", "add", "laptop").code == 0
    again = call("service", "keys", "add", "laptop")
    assert again.code == 2
    assert "assay service keys revoke laptop" in again.err
    assert call("service", "keys", "revoke", "laptop").code == 0
    assert call("service", "keys", "add", "laptop").code == 0
