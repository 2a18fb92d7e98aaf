from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import BadInput
from assay.serve.hosts import (
    Authority,
    hosts_of,
    is_loopback,
    judge_host,
    judge_opening,
    judge_origin,
    parse_authority,
    parse_origins,
)
from assay.serve.refusal import Refusal

LOOPBACK = hosts_of("127.0.0.1", own=["Desk"], allowed=[])
NETWORK = hosts_of("0.0.0.0", own=["Desk.Example.org"], allowed=["models.example.com"])
HERE = Authority("127.0.0.1", 5273)


def refused(verdict: object) -> tuple[int, str]:
    assert isinstance(verdict, Refusal)
    return verdict.status, verdict.code


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    for tls in (True, False):
        assert judge_opening(host, keys=False, no_key=False, tls=tls).keys == "if_any"
        assert judge_opening(host, keys=True, no_key=False, tls=tls).keys == "always"
        assert judge_opening(host, keys=True, no_key=True, tls=tls).keys == "never"
        assert judge_opening(host, keys=False, no_key=False, tls=tls).warnings == ()


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.7", "desk", "localhost.example.org", "::ffff:10.0.0.1"]
)
def test_another_address_wants_a_key_or_no_key_in_so_many_words(host: str) -> None:
    with pytest.raises(BadInput) as told:
        judge_opening(host, keys=False, no_key=False, tls=True)
    assert "assay service keys add" in str(told.value.remedy)
    assert "--no-key" in str(told.value.remedy)
    assert judge_opening(host, keys=True, no_key=False, tls=True).keys == "always"
    assert judge_opening(host, keys=True, no_key=False, tls=True).warnings == ()
    (plain,) = judge_opening(host, keys=True, no_key=False, tls=False).warnings
    assert "unencrypted" in plain
    opened = judge_opening(host, keys=False, no_key=True, tls=False)
    assert opened.keys == "never"
    assert len(opened.warnings) == 2


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("localhost", Authority("localhost")),
        ("LocalHost:5273", Authority("localhost", 5273)),
        ("example.org.:80", Authority("example.org", 80)),
        ("127.0.0.1:0", Authority("127.0.0.1", 0)),
        ("[::1]:65535", Authority("::1", 65535)),
        ("[0:0::1]", Authority("::1")),
        ("my_host", Authority("my_host")),
        ("host:", Authority("host")),
    ],
)
def test_a_host_header_is_read(text: str, authority: Authority) -> None:
    assert parse_authority(text) == authority


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ":80", "a b", "a/b", "user@host", "host:port", "host:99999", "host:-1", "host:+1", "::1",
        "host:\N{FULLWIDTH DIGIT ONE}",
        "[::1", "[::1]x", "[fe80::1%25eth0]", "[v1.x]", "a..b", ".a", "-a", "127.1", "127.0.0.256", "2130706433",
        "host#", "host?x", "h%6fst", "hóst", "host\r\nx", "a" * 254, "*", "..",
    ],
)  # fmt: skip
def test_a_host_header_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_authority(text)
    assert refused(judge_host(NETWORK, [text])) == (400, "bad_host")


@given(st.text(max_size=60))
def test_any_text_is_an_authority_or_a_value_error(text: str) -> None:
    try:
        authority = parse_authority(text)
    except ValueError:
        return
    assert authority.name == authority.name.lower()
    assert authority.name.isascii()
    assert not set(authority.name) & set("/@#? %[]\\")


@given(st.ip_addresses(), st.none() | st.integers(0, 65535))
def test_every_address_is_read(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None) -> None:
    text = (f"[{address}]" if address.version == 6 else str(address)) + ("" if port is None else f":{port}")
    assert parse_authority(text) == Authority(str(address), port)
    assert parse_authority(text).address == address


@pytest.mark.parametrize("text", ["localhost", "localhost:9", "127.0.0.1:5273", "[::1]", "127.0.0.53"])
def test_loopback_answers_to_its_own_names(text: str) -> None:
    assert judge_host(LOOPBACK, [text]) == parse_authority(text)


@pytest.mark.parametrize(
    "text", ["evil.example", "desk", "localhost.evil.example", "192.168.1.7", "0.0.0.0", "127.0.0.1.nip.io"]
)
def test_loopback_answers_to_no_other_name(text: str) -> None:
    assert refused(judge_host(LOOPBACK, [text])) == (403, "host_not_allowed")


def test_the_refusal_names_the_flag_that_helps_and_the_flag_helps() -> None:
    refusal = judge_host(LOOPBACK, ["models.example.com"])
    assert isinstance(refusal, Refusal)
    assert "--allow-host models.example.com" in refusal.message
    allowing = hosts_of("127.0.0.1", own=[], allowed=["models.example.com"])
    assert judge_host(allowing, ["Models.Example.com:443"]) == Authority("models.example.com", 443)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.9:5273", "[2001:db8::1]", "desk", "desk.local", "desk.example.org", "models.example.com", "localhost"],
)
def test_a_network_service_answers_to_addresses_and_its_own_names(text: str) -> None:
    assert judge_host(NETWORK, [text]) == parse_authority(text)


@pytest.mark.parametrize("text", ["evil.example", "models.example.com.evil.example", "desk.evil.example"])
def test_a_network_service_answers_to_no_name_of_others(text: str) -> None:
    assert refused(judge_host(NETWORK, [text])) == (403, "host_not_allowed")


def test_listening_on_a_name_answers_to_it() -> None:
    assert judge_host(hosts_of("box.lan", own=[], allowed=[]), ["box.lan:5273"]) == Authority("box.lan", 5273)


@pytest.mark.parametrize("headers", [[], ["localhost", "localhost"], ["localhost", "evil.example"]])
def test_no_host_and_several_are_refused(headers: list[str]) -> None:
    assert refused(judge_host(LOOPBACK, headers)) == (400, "bad_host")


@pytest.mark.parametrize("text", ["", "*", "http://x", "a b"])
def test_an_allowed_host_that_is_none_is_told(text: str) -> None:
    with pytest.raises(BadInput, match="--allow-host"):
        hosts_of("127.0.0.1", own=[], allowed=[text])


def test_origins_are_written_as_browsers_write_them() -> None:
    given_as = [
        "https://App.Example:443/",
        "http://127.0.0.1:3000",
        "*",
        "http://[::1]:80",
        "chrome-extension://abcdef",
    ]
    written = {"https://app.example", "http://127.0.0.1:3000", "*", "http://[::1]", "chrome-extension://abcdef"}
    assert parse_origins(given_as) == written


@pytest.mark.parametrize(
    "text", ["", "app.example", "https://", "https://a/b", "https://u@a", "null", "**", "https://*"]
)
def test_an_allowed_origin_that_is_none_is_told(text: str) -> None:
    with pytest.raises(BadInput, match="--allow-origin"):
        parse_origins([text])


def test_a_program_that_is_no_browser_needs_no_listing() -> None:
    for method in ("GET", "POST", "DELETE"):
        assert judge_origin(frozenset(), HERE, method, origin=None, site=None) is None


@pytest.mark.parametrize("origin", ["http://127.0.0.1:5273", "https://127.0.0.1:5273"])
def test_the_services_own_page_may_post_and_needs_no_header(origin: str) -> None:
    assert judge_origin(frozenset(), HERE, "POST", origin=origin, site="same-origin") is None


def test_a_default_port_is_the_port_that_is_not_written() -> None:
    assert judge_origin(frozenset(), Authority("desk"), "POST", origin="https://desk", site=None) is None
    assert judge_origin(frozenset(), Authority("desk", 443), "POST", origin="https://desk", site=None) is None
    assert refused(judge_origin(frozenset(), Authority("desk", 80), "POST", origin="https://desk", site=None))[0] == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://127.0.0.1", "http://127.0.0.1:5274", "http://localhost:5273", "null", "",
        "file://", "garbage", "http://127.0.0.1:5273.evil.example", "http://127.0.0.1:5273@evil.example",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_another_page_may_not_post(origin: str, method: str) -> None:
    assert refused(judge_origin(frozenset(), HERE, method, origin=origin, site=None)) == (403, "origin_not_allowed")


def test_another_pages_get_is_answered_without_letting_it_read() -> None:
    assert judge_origin(frozenset(), HERE, "GET", origin="https://evil.example", site="cross-site") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_hides_its_origin_is_still_told_by_sec_fetch_site(site: str) -> None:
    assert refused(judge_origin(frozenset(), HERE, "POST", origin=None, site=site)) == (403, "origin_not_allowed")
    assert judge_origin(frozenset(), HERE, "POST", origin=None, site="same-origin") is None
    assert judge_origin(frozenset(), HERE, "GET", origin=None, site=site) is None


def test_a_listed_page_may_read_and_its_neighbours_may_not() -> None:
    origins = parse_origins(["https://app.example"])
    assert judge_origin(origins, HERE, "POST", origin="https://app.example", site="cross-site") == "https://app.example"
    for other in ("http://app.example", "https://app.example:444", "https://x.app.example", "https://app.example.evil"):
        assert refused(judge_origin(origins, HERE, "POST", origin=other, site=None))[0] == 403


@given(st.text(max_size=40))
def test_no_origin_but_its_own_and_the_listed_may_post(origin: str) -> None:
    verdict = judge_origin(frozenset({"https://app.example"}), HERE, "POST", origin=origin, site=None)
    own = origin.lower() in {"http://127.0.0.1:5273", "https://127.0.0.1:5273"}
    assert isinstance(verdict, Refusal) or own or verdict == origin


def test_every_page_where_that_was_asked_for() -> None:
    for origin in ("https://evil.example", "null"):
        assert judge_origin(frozenset({"*"}), HERE, "POST", origin=origin, site="cross-site") == "*"
    assert judge_origin(frozenset({"*"}), HERE, "POST", origin=None, site="cross-site") is None
