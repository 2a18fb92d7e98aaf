"""How much of this machine's time its host gave to others meanwhile: figures of such a while say less."""

from __future__ import annotations

import psutil


class Taken:
    """From ``with`` to its end; ``share`` is of the processors' time, None where the system does not tell."""

    share: float | None = None

    def __enter__(self) -> Taken:
        self._before = psutil.cpu_times()
        return self

    def __exit__(self, *_: object) -> None:
        before, after = self._before, psutil.cpu_times()
        if hasattr(after, "steal"):
            # Of the ten figures the last two, those of guests, are counted in others already.
            self.share = (after.steal - before.steal) / (sum(after[:8]) - sum(before[:8]))

    def __str__(self) -> str:
        return "unknown" if self.share is None else f"{self.share:.1%}"
