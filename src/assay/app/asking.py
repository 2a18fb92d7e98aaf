"""A name and a prompt in, an answer out: the best variant of the name is found, fetched if need be, and asked.

In: names and flags. Out: an ``Answer``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.app import loop
from assay.app.answer import Answer, answered
from assay.app.talker import Talker
from assay.app.talking import Talkers, Wishes
from assay.measure.wire import messages_of, parameters_of
from assay.types import Decoding, Prompt, Reporter, Silent, Transfers


def run_model(
    name: str,
    prompt: str,
    *,
    system: str | None = None,
    max_tokens: int | str | None = None,
    temperature: float | str | None = None,
    engine: str | None = None,
    threads: int | str | None = None,
    context_length: int | str | None = None,
    slots: int | None = None,
    timeout_s: float | str | None = None,
    config: str | Path | None = None,
    token: str | None = None,
    home: str | Path | None = None,
    ttl: float | None = None,
    retain: bool = False,
    heard: Callable[[str], None] | None = None,
    reporter: Reporter | None = None,
    transfers: Transfers | None = None,
) -> Answer:
    """Ask the best variant of ``name`` once, fetching it where it is not here; ``heard`` gets the text as it comes.

    The service of this home is asked where one is running and can do what is wanted, else a process of its own is
    started and ended. ``retain`` leaves the model loaded in the service, ``ttl`` for so many seconds.

    Raises:
        UnknownModel: nothing of that name that runs. HubError, StoreError: it cannot be fetched. EngineError: it does
        not come up. NothingMeasured: it gave no answer. BadInput: ``retain`` or ``ttl`` without a service.
    """
    wishes = Wishes(
        engine=engine, threads=threads, context_length=context_length, slots=slots, config=config, token=token,
        home=home, timeout_s=timeout_s, max_tokens=max_tokens, temperature=temperature, ttl=ttl, retain=retain,
    )  # fmt: skip
    talkers = Talkers(wishes, reporter or Silent(), transfers or Silent())
    settings = talkers.settings
    decoding = Decoding(max_tokens=settings.max_tokens, temperature=settings.temperature)
    talker = talkers.talker(name)
    question = Prompt(id="prompt", prompt=prompt, system=system)
    return loop.run(lambda: ask_once(talker, question, decoding, heard, settings.timeout_s))


async def ask_once(
    talker: Talker, prompt: Prompt, decoding: Decoding, heard: Callable[[str], None] | None, timeout_s: float
) -> Answer:
    """Open ``talker``, ask it and let go of it. Raise as ``run_model``."""
    try:
        await talker.open()
        sample = await talker.answer(messages_of(prompt), parameters_of(decoding), heard, timeout_s=timeout_s)
    finally:
        await talker.close()
    return answered(talker.place, sample)
