"""Who may be spoken to and from where: the address to listen on, the Host header, the Origin header. All of it pure.

A page in somebody's browser can reach a service on loopback. It is kept away twice: by the names that the service
answers to (a name that was made to point here, "DNS rebinding", is not among them) and by where the page is from.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from assay.errors import BadInput
from assay.serve.refusal import INVALID, Refusal

LABELS = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
PORT = re.compile(r"[0-9]{1,5}")
ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#@\s]+)")
DEFAULT_PORTS = {"http": 80, "https": 443}
ANY = "*"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change and cost nothing here."""

KeyRule = Literal["always", "if_any", "never"]
"""When a request needs a key: always; once there is a file of keys; never."""


class Opening(Struct, frozen=True, kw_only=True):
    """How the service may be opened: when it asks for keys, and what to warn of."""

    keys: KeyRule
    warnings: tuple[str, ...] = ()


class Authority(Struct, frozen=True):
    """A Host header: a name in lower case or an address without brackets, and a port where it has one."""

    name: str
    port: int | None = None

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The name as an address; None where it is none."""
        return _address(self.name)


class Hosts(Struct, frozen=True, kw_only=True):
    """The names that the service answers to. ``loopback``: it listens there alone."""

    loopback: bool
    names: frozenset[str] = frozenset()


def is_loopback(host: str) -> bool:
    """Whether listening on ``host`` reaches nobody but this machine. A name other than localhost may be anything."""
    address = _address(host.strip("[]"))
    return address.is_loopback if address else host.lower().rstrip(".") == "localhost"


def judge_opening(host: str, *, keys: bool, no_key: bool, tls: bool) -> Opening:
    """Whether the service may listen on ``host``. ``keys``: a valid one is there.

    Raises:
        BadInput: others could reach it, and it would ask nobody for a key.
    """
    if is_loopback(host):
        return Opening(keys="never" if no_key else "always" if keys else "if_any")
    if not keys and not no_key:
        raise BadInput(
            f"the service does not listen on {host} without keys",
            why="everybody who reaches that address could use this machine",
            remedy="assay service keys add NAME, or --no-key to let everybody in",
        )
    warnings = []
    if no_key:
        warnings.append(f"everybody who reaches {host} can use this machine: no key is asked for")
    if not tls:
        what = "prompts and answers" if no_key else "keys, prompts and answers"
        warnings.append(f"{what} cross the network unencrypted; --tls-cert and --tls-key help")
    return Opening(keys="never" if no_key else "always", warnings=tuple(warnings))


def hosts_of(host: str, *, own: Iterable[str], allowed: Iterable[str]) -> Hosts:
    """The names for a service that listens on ``host``: ``own`` are the machine's, ``allowed`` those of the flag.

    Raises:
        BadInput: an allowed one is no name.
    """
    given = set()
    for text in allowed:
        try:
            given.add(parse_authority(text).name)
        except ValueError as error:
            raise BadInput(
                f"--allow-host cannot be {text!r}", why=str(error), remedy="give a name such as models.example.org"
            ) from error
    if is_loopback(host):
        return Hosts(loopback=True, names=frozenset({"localhost", *given}))
    # A short name is often reached with a domain after it, and by mDNS as NAME.local.
    known = {name.lower().rstrip(".") for name in (*own, host)}
    short = {name.partition(".")[0] for name in known if name and _address(name) is None}
    names = {"localhost", *known, *short, *(f"{name}.local" for name in short), *given}
    return Hosts(loopback=False, names=frozenset(names - {""}))


@lru_cache(maxsize=256)
def parse_authority(text: str) -> Authority:
    """``name``, ``name:port``, ``127.0.0.1:80`` or ``[::1]:80``; ``ValueError`` for anything else."""
    if text.startswith("["):
        inside, closed, rest = text[1:].partition("]")
        if not closed or "%" in inside:
            raise ValueError("it is no IPv6 address in brackets")
        name = str(ipaddress.IPv6Address(inside))
    else:
        name, colon, port = text.partition(":")
        rest = colon + port
        name = name.lower().removesuffix(".")
        if not LABELS.fullmatch(name) or (name.rpartition(".")[2].isdigit() and _address(name) is None):
            raise ValueError("it is no host's name")
    if rest in {"", ":"}:
        return Authority(name)
    if not rest.startswith(":") or not PORT.fullmatch(rest[1:]) or int(rest[1:]) > 65535:
        raise ValueError("its port is none")
    return Authority(name, int(rest[1:]))


def judge_host(hosts: Hosts, headers: Collection[str]) -> Refusal | Authority:
    """The authority of a request from its Host headers, or why it is refused (400, 403).

    An address as such is trusted where the service has it: a page from there was served by this machine.
    """
    if len(headers) != 1:
        message = "a request must have one Host header" + (", and this has several" if headers else "")
        return Refusal(status=400, code="bad_host", kind=INVALID, message=message)
    (text,) = headers
    try:
        authority = parse_authority(text)
    except ValueError:
        message = "the Host header is not a host's name or address"
        return Refusal(status=400, code="bad_host", kind=INVALID, message=message)
    address = authority.address
    trusted = address is not None and (address.is_loopback or not hosts.loopback)
    if trusted or authority.name in hosts.names:
        return authority
    message = (
        f"this service does not answer to {authority.name!r}; start it with --allow-host {authority.name} if it is to"
    )
    return Refusal(status=403, code="host_not_allowed", kind="permission_error", message=message)


def parse_origins(texts: Iterable[str]) -> frozenset[str]:
    """The origins of ``--allow-origin`` as browsers write them; ``*`` for every page there is.

    Raises:
        BadInput: one is not ``scheme://host`` with at most a port.
    """
    origins = set()
    for text in texts:
        origin = text if text == ANY else _origin(text.rstrip("/"))
        if origin is None:
            raise BadInput(f"--allow-origin cannot be {text!r}", remedy="give https://app.example, or * for every page")
        origins.add(origin)
    return frozenset(origins)


def judge_origin(
    origins: frozenset[str], authority: Authority, method: str, *, origin: str | None, site: str | None
) -> Refusal | str | None:
    """What a page may do: the value for ``Access-Control-Allow-Origin``, None for no such header, or a refusal (403).

    ``origin`` and ``site`` are the request's Origin and Sec-Fetch-Site; a browser sends the first with every POST and
    pages cannot forge either. The service's own pages and programs that are no browser need no listing.
    """
    if origin is None:
        crossed = site in {"cross-site", "same-site"} and method not in SAFE
        return _from_elsewhere("another page") if crossed and ANY not in origins else None
    written = _origin(origin)
    if written is not None and written in origins:
        return origin
    if ANY in origins:
        return ANY
    if written is not None and _is_own(written, authority):
        return None
    # The page may send a GET, and without a header that lets it, it cannot read the answer.
    return None if method in {"GET", "HEAD"} else _from_elsewhere(repr(origin[:200]))


def _from_elsewhere(who: str) -> Refusal:
    message = f"pages from {who} may not use this service; start it with --allow-origin and their origin if they may"
    return Refusal(status=403, code="origin_not_allowed", kind="permission_error", message=message)


def _is_own(origin: str, authority: Authority) -> bool:
    """Whether the page came from the very host and port that it speaks to; a proxy in front may do the TLS."""
    scheme, _, rest = origin.partition("://")
    default = DEFAULT_PORTS.get(scheme)
    own = parse_authority(rest)
    return default is not None and own.name == authority.name and (own.port or default) == (authority.port or default)


def _origin(text: str) -> str | None:
    """The origin in the one way in which browsers write it; None where it is none."""
    match = ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    try:
        authority = parse_authority(match["authority"])
    except ValueError:
        return None
    name = f"[{authority.name}]" if ":" in authority.name else authority.name
    port = authority.port if authority.port != DEFAULT_PORTS.get(match["scheme"]) else None
    return f"{match['scheme']}://{name}" + (f":{port}" if port is not None else "")


@lru_cache(maxsize=256)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
