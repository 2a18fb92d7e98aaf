"""Every error that Assay raises on purpose, in one tree.

AssayError                    exit 2
├── BadInput                  a file, a flag or a value that cannot be used
│   ├── BadPrompts            prompts.json
│   ├── BadRegistry           models.json
│   ├── BadPolicy             policy.toml
│   ├── BadConfig             assay.toml, config.toml, an environment variable
│   ├── BadRatings            a filled ratings file
│   └── UnknownModel          no such alias, path or variant
├── EngineError               exit 3
│   ├── EngineUnavailable     not installed, or cannot run here
│   └── EngineStartFailed     the process did not become ready
├── HubError                  exit 3
│   ├── HubUnreachable        no network, offline mode, or the server is down
│   ├── HubRefused            a token is missing, or terms were not agreed to
│   ├── HubBusy               it asks to come back later
│   └── DownloadFailed        a file did not arrive whole, or is not what was promised
├── StoreError                exit 2
│   ├── NoRoom                too little disk or memory for what was asked
│   └── VariantInUse          a process of this machine is using it
├── CompileError              exit 3; the conversion failed
├── ServiceError              exit 2; the service here cannot do what was asked of it
│   ├── ServiceRunning        one is running already
│   ├── ServiceNotRunning     exit 1; none is
│   └── PortTaken             another program listens there
├── NothingMeasured           exit 3; every candidate failed
├── SelfTestFailed            exit 1; the instrument is worse than it may be
├── MissingExtra              exit 2; an optional dependency is not installed
└── RunError                  exit 2
    ├── RunNotFound
    ├── RunDamaged
    ├── RunTooNew             written by a newer Assay
    ├── RunInUse              another process writes it
    └── RunsUnlike            unlike machines or workloads
"""

from __future__ import annotations


class AssayError(Exception):
    """What happened, why where that is known, and the command or change that helps."""

    exit_code = 2

    def __init__(self, message: str, *, why: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.remedy = remedy

    @property
    def sentence(self) -> str:
        """What happened and why, on a line: for where nobody is to do anything about it."""
        return f"{self.message}: {self.why}" if self.why else self.message

    @property
    def clause(self) -> str:
        """The same for the middle of a line."""
        return f"{self.message} ({self.why})" if self.why else self.message

    def __str__(self) -> str:
        parts = [self.message]
        if self.why:
            parts.append(f"  why: {self.why}")
        if self.remedy:
            parts.append(f"  try: {self.remedy}")
        return "\n".join(parts)


class BadInput(AssayError):
    """A file, a flag or a value that cannot be used."""


class BadPrompts(BadInput):
    """A prompt set that cannot be read."""


class BadRegistry(BadInput):
    """A models.json that cannot be read."""


class BadPolicy(BadInput):
    """A policy.toml that cannot be read."""


class BadConfig(BadInput):
    """A setting that cannot be used."""


class BadRatings(BadInput):
    """A ratings file that cannot be read back."""


class UnknownModel(BadInput):
    """No such alias, path or variant."""


class EngineError(AssayError):
    """An engine could not do its work."""

    exit_code = 3


class EngineUnavailable(EngineError):
    """The engine is not installed or cannot run here."""


class EngineStartFailed(EngineError):
    """The engine's process did not become ready."""


class EngineStartKilled(EngineStartFailed):
    """Somebody ended the engine's process before it was ready: the next try may well succeed."""


class HubError(AssayError):
    """The model hub could not give what was asked of it."""

    exit_code = 3


class HubUnreachable(HubError):
    """No network, offline mode, or the server is down."""


class HubRefused(HubError):
    """A token is missing or has no rights, or the model's terms were not agreed to."""


class HubBusy(HubError):
    """It asks to come back later, and did so after every retry."""


class DownloadFailed(HubError):
    """A file did not arrive whole, or is not what the hub promised."""


class StoreError(AssayError):
    """The models on this machine cannot be used as asked."""


class NoRoom(StoreError):
    """Too little disk or memory for what was asked."""


class VariantInUse(StoreError):
    """A process of this machine is using the variant."""


class CompileError(AssayError):
    """A conversion failed."""

    exit_code = 3


class ServiceError(AssayError):
    """The service on this machine cannot do what was asked of it."""


class ServiceRunning(ServiceError):
    """One is running already for this home."""


class ServiceNotRunning(ServiceError):
    """None is running for this home."""

    exit_code = 1


class PortTaken(ServiceError):
    """Another program listens on the port."""


class NothingMeasured(AssayError):
    """Every candidate failed."""

    exit_code = 3


class SelfTestFailed(AssayError):
    """The instrument's own error is larger than it may be."""

    exit_code = 1


class MissingExtra(AssayError):
    """An optional dependency is not installed; the remedy names the extra."""


class RunError(AssayError):
    """A run on disk cannot be used as asked."""


class RunNotFound(RunError):
    """No run of that name or id."""


class RunDamaged(RunError):
    """A run's files cannot be read."""


class RunTooNew(RunError):
    """Written by a newer Assay than this one."""


class RunInUse(RunError):
    """Another process is writing this run."""


class RunsUnlike(RunError):
    """Runs on unlike machines or workloads were asked to be compared."""
