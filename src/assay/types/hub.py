"""What a model hub tells: repositories and their files."""

from __future__ import annotations

from msgspec import Struct

from assay.types.variant import File


class Repo(Struct, frozen=True, kw_only=True):
    """One model repository as the hub describes it; what it does not tell is None or empty.

    ``id`` is ``owner/name``, ``revision`` the commit that the rest belongs to. ``files`` are None where only a listing
    was asked. Times are ISO 8601 in UTC. ``parameters`` counts the weights of the checkpoint (safetensors or GGUF
    metadata); ``base_models`` are what its card names, ``relation`` how it was made from them (``quantized``,
    ``finetune``, ``adapter``, ``merge``). ``gated`` says that terms must be agreed to before a download.
    """

    id: str
    revision: str | None = None
    files: tuple[File, ...] | None = None
    created: str | None = None
    downloads: int | None = None
    trending: float | None = None
    tags: tuple[str, ...] = ()
    task: str | None = None
    library: str | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    gated: bool | None = None
    parameters: int | None = None
    context_length: int | None = None
    architecture: str | None = None
    chat_template: bool | None = None
    base_models: tuple[str, ...] = ()
    relation: str | None = None

    @property
    def owner(self) -> str:
        return self.id.partition("/")[0]


class RemoteFile(Struct, frozen=True, kw_only=True):
    """One file of a repository: ``repo`` is ``owner/name``, ``revision`` the commit, ``path`` counts from the top.

    ``file`` is the same file as the variant names it, with what is known of its size and content.
    """

    repo: str
    revision: str
    path: str
    file: File


class Digests(Struct, frozen=True, kw_only=True):
    """What the bytes of a file on this machine are: SHA-256, name as a git blob (None: not reckoned), and how many."""

    sha256: str
    git_sha1: str | None
    size: int
