"""What every test's child processes start from: signals as a terminal gives them, whoever started the tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell has Ctrl-C ignored in what it runs in the background, and ``nohup`` a hang-up; children inherit that."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
