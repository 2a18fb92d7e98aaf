"""What is here and what can be asked: the settings, the store, the catalog, the hub; opened once for a command.

In: flags, the environment, the working folder. Out: a ``Here`` that the app's functions pass on.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import structs

from assay import catalog as catalogs
from assay import disk
from assay import hub as hubs
from assay import store as stores
from assay.errors import BadRegistry
from assay.settings import DEFAULT_HUB, Settings, hub_token, resolve, saved_hub_token
from assay.types import File, Variant

OBSERVED = "observed.jsonl"
REGISTRY = "models.json"


@dataclass(frozen=True)
class Here:
    """One installation, as one command sees it. ``token`` is the hub's; it is shown nowhere."""

    settings: Settings
    token: str | None = None

    def __repr__(self) -> str:
        return f"Here({self.settings.home})"

    @cached_property
    def store(self) -> stores.Store:
        """The models that were fetched, imported or compiled."""
        return stores.Store(self.settings.models_home)

    @property
    def observations(self) -> Path:
        """The file of what loads really took."""
        return self.settings.models_home / OBSERVED

    @cached_property
    def observed(self) -> stores.Observations:
        """What loads really took."""
        return stores.Observations(self.observations)

    @property
    def hashes(self) -> Path:
        """The file that remembers hashes of people's own model files."""
        return self.settings.models_home / "hashes.json"

    @cached_property
    def registry(self) -> catalogs.Registry | None:
        """The registry that was asked for by name; None where none was.

        Raises:
            BadRegistry: it cannot be read.
        """
        return catalogs.read_registry(self.settings.registry) if self.settings.registry is not None else None

    @cached_property
    def catalog(self) -> catalogs.Catalog:
        """Every model that can be named."""
        registries, _ = self._lists
        return catalogs.Catalog(
            registries=registries,
            stored=tuple(structs.replace(one, variant=self.store.placed(one)) for one in self.store.list()),
            bundled=catalogs.bundled_variants(),
            curated=catalogs.curated(),
        )

    @property
    def lists(self) -> tuple[Path, ...]:
        """Where lists of models may lie: the one that was asked for, the project's, the user's; there or not."""
        named = [self.settings.registry] if self.settings.registry is not None else []
        own = [folder / REGISTRY for folder in (*_working_folder(), self.settings.home)]
        return tuple(dict.fromkeys(path.absolute() for path in (*named, *own)))

    @property
    def looked_at(self) -> dict[Path, disk.Stamp | None]:
        """The files and folders that the lists name by path, there or not, each as it was before it was read first."""
        entries = [entry for one in self._lists[0] for entry in one.entries]
        return {place: stamp for entry in reversed(entries) for place, stamp in entry.looked_at.items()}

    @property
    def broken(self) -> tuple[str, ...]:
        """Why lists that nobody asked for by name cannot be read."""
        return self._lists[1]

    @property
    def unread(self) -> tuple[str, ...]:
        """What of the lists is not read, and why: whole files that cannot be, and keys that mean nothing here."""
        registries, broken = self._lists
        return (*broken, *(f"{one.path}: {what}" for one in registries for what in one.unread))

    @cached_property
    def _lists(self) -> tuple[tuple[catalogs.Registry, ...], tuple[str, ...]]:
        """The registries in their order, and what is wrong with those that cannot be read and were not asked for."""
        found, broken = [self.registry] if self.registry else [], []
        for path in self.lists[len(found) :]:
            try:
                found += [catalogs.read_registry(path)] if path.is_file() else []
            except BadRegistry as error:
                broken.append(error.sentence)
        # A folder that came from elsewhere must not have keys of yours sent to where it says.
        named = [] if self.settings.by_project("registry") else [self.settings.registry]
        yours = {self.settings.home.absolute() / REGISTRY, *named}
        return tuple(one if one.path in yours else _without_keys(one) for one in found), tuple(broken)

    @cached_property
    def hub(self) -> hubs.Hub:
        """The model hub. A hub that a project's file names is asked, but not told who you are."""
        settings = self.settings
        return hubs.Hub(
            endpoint=settings.hub,
            token=None if settings.by_project("hub") else self.token,
            offline=settings.offline,
            stall_s=settings.stall_s,
        )

    @cached_property
    def elsewhere(self) -> Callable[[File], Path | None]:
        """Looks for a file in the caches of other programs, and in the folders that the settings name."""
        return stores.elsewhere(stores.places(os.environ, Path.home()), self.settings.look_in, store=self.store.folder)

    def hold(
        self, variant: Variant, cancelled: threading.Event | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Mark a variant of the store as used; nothing for one that lies elsewhere, or where nothing can be written.

        Another process that changes it is waited for until ``cancelled`` is set.
        """
        stored = self.store.find(variant.id)
        if stored is None or variant.path is None or self.store.placed(stored).path != variant.path:
            return contextlib.nullcontext()
        if not os.access(self.store.folder, os.W_OK):
            return contextlib.nullcontext()
        return self.store.hold(variant.id, cancelled)


def open_here(flags: Mapping[str, Any], *, token: str | None = None) -> Here:
    """The installation by ``flags`` (fields of ``Settings``; None: not given), the environment and the files around."""
    settings = resolve(flags, os.environ, Path.cwd())
    saved = saved_hub_token(os.environ) if settings.hub == DEFAULT_HUB else None
    return Here(settings, token or hub_token(os.environ) or saved)


def _without_keys(registry: catalogs.Registry) -> catalogs.Registry:
    """A project's list, less the servers that it wants a key sent to."""
    problem, remedy = (
        "it names a key, which a project's list may not",
        f"--config {registry.path} says that it is yours",
    )
    entries = (
        structs.replace(entry, variants=(), problem=problem, remedy=remedy)
        if any(one.key for one in entry.variants)
        else entry
        for entry in registry.entries
    )
    return structs.replace(registry, entries=tuple(entries))


def _working_folder() -> list[Path]:
    """The folder that this process is in, unless it was removed meanwhile: a service runs for weeks."""
    try:
        return [Path.cwd()]
    except OSError:
        return []
