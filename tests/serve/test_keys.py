from __future__ import annotations

import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.serve import keys
from assay.serve.keys import Key, KeyFile, Ring, judge_key, presented
from assay.serve.rate import Rate
from assay.serve.refusal import Refusal

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=31)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return keys.keys_file(tmp_path)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_found_by_its_text_alone_with_its_limits(path: Path) -> None:
    added = keys.add(path, "laptop", now=NOW, rate=Rate(60, 60), at_once=4)
    keys.add(path, "phone", now=NOW)
    found = keys.match(keys.read(path), added.secret, NOW)
    assert found == Key(name="laptop", sha256=added.key.sha256, created=NOW, rate=Rate(60, 60.0), at_once=4)
    assert keys.match(keys.read(path), added.secret[:-1], NOW) is None
    assert keys.match(keys.read(path), added.key.sha256, NOW) is None


def test_the_text_is_256_random_bits_and_is_written_nowhere(path: Path) -> None:
    one, two = keys.add(path, "one", now=NOW), keys.add(path, "two", now=NOW)
    assert one.secret.startswith("assay-")
    assert len(one.secret) == len("assay-") + 43
    assert one.secret != two.secret
    assert one.secret.removeprefix("assay-") not in path.read_text(encoding="utf-8")
    assert one.secret not in repr(one)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_its_owners_alone(path: Path) -> None:
    keys.add(path, "laptop", now=NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys.revoke(path, "laptop", now=NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_revoked_and_an_expired_key_open_nothing(path: Path) -> None:
    revoked = keys.add(path, "revoked", now=NOW)
    short = keys.add(path, "short", now=NOW, expires=NOW + timedelta(days=30))
    keys.revoke(path, "revoked", now=NOW)
    held = keys.read(path)
    assert keys.match(held, revoked.secret, NOW) is None
    assert keys.match(held, short.secret, NOW) is not None
    assert keys.match(held, short.secret, LATER) is None
    assert {key.name: key.state(LATER) for key in held} == {"revoked": "revoked", "short": "expired"}


def test_a_name_is_one_valid_key_and_is_free_again_after_that(path: Path) -> None:
    first = keys.add(path, "laptop", now=NOW)
    with pytest.raises(BadInput, match="already"):
        keys.add(path, "laptop", now=NOW)
    keys.revoke(path, "laptop", now=NOW)
    second = keys.add(path, "laptop", now=NOW)
    assert [key.name for key in keys.read(path)] == ["laptop"]
    assert keys.match(keys.read(path), second.secret, NOW) is not None
    assert keys.match(keys.read(path), first.secret, NOW) is None


def test_revoking_again_keeps_the_first_time_and_an_unknown_name_is_told(path: Path) -> None:
    keys.add(path, "laptop", now=NOW)
    keys.revoke(path, "laptop", now=NOW)
    assert keys.revoke(path, "laptop", now=LATER).revoked == NOW
    with pytest.raises(BadInput, match="no key 'phone'"):
        keys.revoke(path, "phone", now=NOW)


@pytest.mark.parametrize(
    "name", ["", "127.0.0.1", "::1", "a b", "a/b", "../x", "é", "-x", "x" * 65, "x\n", "(this user)"]
)
def test_a_name_that_could_be_something_else_is_refused(path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be called"):
        keys.add(path, name, now=NOW)
    assert not path.exists()


def test_limits_that_are_none_are_refused(path: Path) -> None:
    with pytest.raises(BadInput, match="at once"):
        keys.add(path, "laptop", now=NOW, at_once=0)
    with pytest.raises(BadInput, match="expired already"):
        keys.add(path, "laptop", now=NOW, expires=NOW)
    assert not path.exists()


GOOD = {"name": "laptop", "sha256": "0" * 64, "created": "2026-06-01T00:00:00Z"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"keys": []}',
        msgspec.json.encode({"version": 2, "keys": []}),
        msgspec.json.encode({"version": 1, "keys": [GOOD, GOOD]}),
        msgspec.json.encode({"version": 1, "keys": [{**GOOD, "only_from": "10.0.0.1"}]}),
        msgspec.json.encode({"version": 1, "keys": [{**GOOD, "sha256": "abc"}]}),
        msgspec.json.encode({"version": 1, "keys": [{**GOOD, "name": "127.0.0.1"}]}),
        msgspec.json.encode({"version": 1, "keys": [{**GOOD, "created": "2026-06-01T00:00:00"}]}),
        msgspec.json.encode({"version": 1, "keys": [{**GOOD, "at_once": 0}]}),
        msgspec.json.encode({"version": 1, "keys": [{**GOOD, "rate": {"count": 0, "seconds": 60}}]}),
    ],
)
def test_a_damaged_file_lets_nobody_in_and_is_never_written_over(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for change in (
        lambda: keys.read(path),
        lambda: keys.add(path, "new", now=NOW),
        lambda: keys.revoke(path, "new", now=NOW),
    ):
        with pytest.raises(BadInput, match="cannot be read"):
            change()
    assert path.read_bytes() == content
    ring = KeyFile(path).ring()
    assert ring.problem is not None
    for rule in ("always", "if_any"):
        for sent in (None, "assay-anything"):
            refusal = judge_key(ring, rule, sent, NOW)
            assert isinstance(refusal, Refusal)
            assert (refusal.status, refusal.code) == (503, "keys_unreadable")


def test_a_file_that_is_whole_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"version": 1, "keys": [GOOD]}))
    assert [key.name for key in keys.read(path)] == ["laptop"]


def test_a_running_service_sees_a_key_come_and_go_within_a_second(path: Path) -> None:
    clock = Clock()
    file = KeyFile(path, clock=clock)
    assert file.ring() == Ring()
    added = keys.add(path, "laptop", now=NOW)
    clock.now += 1.0
    assert keys.match(file.ring().keys, added.secret, NOW) is not None
    keys.revoke(path, "laptop", now=NOW)
    clock.now += 1.0
    assert keys.match(file.ring().keys, added.secret, NOW) is None


def test_a_file_is_read_again_only_when_it_has_changed(path: Path) -> None:
    clock = Clock()
    keys.add(path, "laptop", now=NOW)
    file = KeyFile(path, clock=clock)
    before = file.ring()
    clock.now += 1.0
    assert file.ring() is before
    keys.add(path, "phone", now=NOW)
    assert file.ring() is before
    clock.now += 1.0
    assert len(file.ring().keys) == 2


def test_damage_is_noticed_and_its_mending_too(path: Path) -> None:
    clock = Clock()
    keys.add(path, "laptop", now=NOW)
    whole = path.read_bytes()
    file = KeyFile(path, clock=clock)
    assert file.ring().problem is None
    path.write_bytes(b"{")
    clock.now += 1.0
    assert file.ring().problem is not None
    path.write_bytes(whole)
    clock.now += 1.0
    assert file.ring().problem is None


def test_a_file_that_cannot_be_read_lets_nobody_in(path: Path) -> None:
    path.mkdir(parents=True)
    assert KeyFile(path).ring().problem is not None


def test_taking_the_file_away_does_not_open_the_door(path: Path) -> None:
    clock = Clock()
    keys.add(path, "laptop", now=NOW)
    file = KeyFile(path, clock=clock)
    file.ring()
    path.unlink()
    clock.now += 1.0
    refusal = judge_key(file.ring(), "if_any", None, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


def test_revoking_the_last_key_does_not_open_the_door(path: Path) -> None:
    keys.add(path, "laptop", now=NOW)
    keys.revoke(path, "laptop", now=NOW)
    assert isinstance(judge_key(KeyFile(path).ring(), "if_any", None, NOW), Refusal)


def test_without_keys_any_key_or_none_will_do_on_loopback() -> None:
    assert judge_key(Ring(), "if_any", None, NOW) is None
    assert judge_key(Ring(), "if_any", "sk-anything", NOW) is None


def test_elsewhere_a_key_is_wanted_even_when_there_is_none_left() -> None:
    for sent in (None, "sk-anything"):
        refusal = judge_key(Ring(), "always", sent, NOW)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.code) == (401, "invalid_api_key")


def test_no_key_lets_everybody_in_and_still_knows_who_shows_one(path: Path) -> None:
    added = keys.add(path, "laptop", now=NOW)
    ring = KeyFile(path).ring()
    assert judge_key(ring, "never", None, NOW) is None
    assert judge_key(ring, "never", "wrong", NOW) is None
    assert judge_key(ring, "never", added.secret, NOW) == added.key
    assert judge_key(Ring(problem="torn", seen=True), "never", None, NOW) is None


def test_a_refusal_does_not_tell_a_wrong_key_from_one_that_was(path: Path) -> None:
    revoked, expired = (
        keys.add(path, "spare", now=NOW),
        keys.add(path, "guest", now=NOW, expires=NOW + timedelta(days=1)),
    )
    keys.revoke(path, "spare", now=NOW)
    ring = KeyFile(path).ring()
    told = {str(judge_key(ring, "always", sent, LATER)) for sent in (revoked.secret, expired.secret, "assay-never", "")}
    assert len(told) == 1
    assert not {"spare", "guest"} & set(told.pop().replace("'", " ").split())


@pytest.mark.parametrize(
    ("authorization", "others", "sent"),
    [
        ("Bearer abc", (), "abc"),
        ("bearer   abc ", (), "abc"),
        ("Bearer abc", ("def",), "abc"),
        (None, (None, "def"), "def"),
        ("Basic YTpi", (None, "def"), "def"),
        ("Basic YTpi", (None, None), None),
        ("Bearer", (), None),
        ("Bearer ", ("",), None),
        ("", (), None),
    ],
)
def test_where_a_key_may_stand(authorization: str | None, others: tuple[str | None, ...], sent: str | None) -> None:
    assert presented(authorization, others) == sent


@given(st.text())
def test_no_text_but_the_key_opens(text: str) -> None:
    held = (Key(name="laptop", sha256="0" * 64, created=NOW),)
    assert keys.match(held, text, NOW) is None


def test_headers_that_are_no_utf8_are_a_wrong_key() -> None:
    assert keys.match((Key(name="laptop", sha256="0" * 64, created=NOW),), "assay-\udcff", NOW) is None


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    threads = [threading.Thread(target=keys.add, args=(path, f"key{n}"), kwargs={"now": NOW}) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in keys.read(path)} == {f"key{n}" for n in range(8)}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "service").write_text("a file", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be changed"):
        keys.add(keys.keys_file(tmp_path), "laptop", now=NOW)


def test_reading_keys_loads_no_http_server() -> None:
    program = "import sys, assay.app.keys; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
