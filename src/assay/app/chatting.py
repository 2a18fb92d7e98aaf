"""Opens a chat by a model's name, and keeps what belongs to it below the home.

In: a name and flags. Out: a ``Chat`` whose model is loaded, as a context that leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from assay.app.chat import Chat
from assay.app.conversation import Conversation
from assay.app.saved_chats import SavedChats, TypedLines
from assay.app.service_client import need_service
from assay.app.talking import Talkers, Wishes
from assay.app.tuning import Tuning
from assay.measure.loop import fastest_loop
from assay.settings import Settings, home_of
from assay.types import Reporter, Transfers

CHATS = "chats"
TYPED = Path("chat", "history")


@contextlib.contextmanager
def open_chat(
    name: str, wishes: Wishes, *, system: str | None = None, reporter: Reporter, transfers: Transfers
) -> Iterator[Chat]:
    """A chat with the best variant of ``name``, fetched where it is not here.

    Raises:
        UnknownModel: nothing of that name that runs. HubError, StoreError: it cannot be fetched. EngineError,
        ServiceError: it does not come up. BadInput: a flag.
    """
    talkers = Talkers(wishes, reporter, transfers)
    conversation = Conversation(model=name, system=system, tuning=_tuning(talkers.settings))
    saved = SavedChats(talkers.settings.home / CHATS)
    with (
        asyncio.Runner(loop_factory=fastest_loop()[1]) as runner,
        Chat(conversation, talkers, saved, runner) as chat,
    ):
        yield chat


def typed_lines(home: str | Path | None = None) -> TypedLines:
    """The lines that were typed in earlier chats of this home."""
    return TypedLines(home_of({"home": home}, os.environ) / TYPED)


def load_in_service(name: str, *, ttl: float | None = None, home: str | Path | None = None) -> dict[str, object]:
    """Have the service load a model; what it says of it. Raise ``ServiceNotRunning`` or ``ServiceError``."""
    return need_service(home).load(name, ttl=ttl)


def unload_in_service(name: str, *, force: bool = False, home: str | Path | None = None) -> list[str]:
    """Have the service take a model down; the ids of those that go. Raise as ``load_in_service``."""
    return need_service(home).unload(name, force=force)


def _tuning(settings: Settings) -> Tuning:
    """What flags and settings say of answers; a limit on tokens only where somebody has set one."""
    unlimited = settings.source("max_tokens") == "default"
    return Tuning(temperature=settings.temperature, max_tokens=None if unlimited else settings.max_tokens)
