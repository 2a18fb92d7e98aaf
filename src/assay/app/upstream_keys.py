"""The keys of servers elsewhere, read at the moment of use from where a person keeps them; kept nowhere by us."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping

from assay import measure
from assay.errors import BadConfig, MissingExtra
from assay.types import Variant


def upstream_headers(variant: Variant, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The headers that a request to the server behind ``variant`` needs; none where no key is named.

    Raises:
        BadConfig: there is no key where ``variant.key`` points. MissingExtra: the keyring's package is not installed.
    """
    kind, _, name = (variant.key or "").partition(":")
    if kind == "env":
        return _bearer(environment.get(name), variant, f"the variable {name} is empty or not set", f"export {name}=...")
    if kind == "keyring":
        service, _, user = name.partition("/")
        remedy = f"keyring set {service} {user}"
        return _bearer(_of_keyring(service, user), variant, f"the keyring has no key {name}", remedy)
    return {}


def sent_with(variant: Variant, api_key: str | None) -> dict[str, str]:
    """The headers for the server behind ``variant`` in a command: the key that its list names and no other, else
    ``api_key``. Raise as ``upstream_headers`` does.
    """
    return upstream_headers(variant) if variant.key is not None else measure.bearer(api_key)


def _bearer(key: str | None, variant: Variant, why: str, remedy: str) -> dict[str, str]:
    key = (key or "").strip()
    if not key:
        raise BadConfig(f"the server of {variant.id} cannot be asked without its key", why=why, remedy=remedy)
    if not key.isascii() or not key.isprintable():
        raise BadConfig(
            f"the server of {variant.id} cannot be asked without its key",
            why="what is kept is no line of ASCII",
            remedy=remedy,
        )
    return {"Authorization": f"Bearer {key}"}


def _of_keyring(service: str, user: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise MissingExtra(
            "the operating system's keyring cannot be read",
            why="the package keyring is not installed",
            remedy="pip install 'assay[keyring]'",
        ) from error
    try:
        found: str | None = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise BadConfig(
            "the operating system's keyring cannot be read",
            why=str(error) or type(error).__name__,
            remedy="unlock it, or keep the key in a variable: env:NAME",
        ) from error
    return found
