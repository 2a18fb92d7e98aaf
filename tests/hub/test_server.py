"""The server speaks the protocol: huggingface_hub, unpatched, finds its way with it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.hub.conftest import TOKEN, Place
from tests.hub.running import Server

CLIENT = """
import sys
from pathlib import Path
from huggingface_hub import HfApi, snapshot_download
repo, cache = sys.argv[1:]
api = HfApi()
listed = api.list_models(author=repo.split("/")[0], filter="gguf", sort="created_at", expand=["createdAt"])
print([model.id for model in listed])
info = api.model_info(repo, files_metadata=True)
print(info.sha, info.card_data.license, sorted((s.rfilename, s.size, s.lfs and s.lfs.sha256) for s in info.siblings))
print(sorted(f.path for f in api.list_repo_tree(repo, recursive=True)))
print(api.get_hf_file_metadata(url=f"{api.endpoint}/{repo}/resolve/main/model.gguf").etag)
folder = Path(snapshot_download(repo, cache_dir=cache, revision=info.sha))
print(sorted((p.relative_to(folder).as_posix(), p.stat().st_size) for p in folder.rglob("*") if p.is_file()))
"""


def client(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, "-c", CLIENT, *arguments], env=environment, capture_output=True, text=True, check=True
    )


def test_huggingface_hub_unpatched(server: Server, place: Place, tmp_path: Path) -> None:
    files = {"model.gguf": os.urandom(3000), "config.json": b"{}", "sub/notes.txt": b"hello"}
    repo = place(files, tags=["gguf"], card={"license": "mit"}, created="2026-01-01T00:00:00.000Z")
    server.fault("cut", f"{repo}/model.gguf", at=1000)
    server.fault("redirect", "notes.txt", times=None)
    listed, info, tree, etag, here = client(server, repo, str(tmp_path)).stdout.splitlines()
    assert listed == str([repo])
    assert info.split()[1] == "mit"
    assert etag in info
    assert tree == str(["config.json", "model.gguf", "sub", "sub/notes.txt"])
    assert here == str([("config.json", 2), ("model.gguf", 3000), ("sub/notes.txt", 5)])
    downloaded = next(tmp_path.rglob("model.gguf")).read_bytes()
    assert downloaded == files["model.gguf"]
    assert [e["fault"] for e in server.log("model.gguf", method="GET")] == ["cut", None]
    assert [e["host"] for e in server.log("*/notes.txt", method="GET")] == ["hub", "cdn"]


def test_pages(server: Server, place: Place, tmp_path: Path) -> None:
    owner = place({f"{i}.txt": b"" for i in range(3)}).split("/")[0]
    ids = [place({}, owner=owner, name=f"m{i}", trending=i) for i in range(5)]
    url: str | None = f"{server.url}/api/models?author={owner}&limit=2"
    seen = []
    while url:
        with urllib.request.urlopen(url) as answer:
            seen.append(answer.read())
            link = answer.headers["Link"]
        url = link[1 : link.index(">")] if link else None
    assert len(seen) == 3
    assert [repo for repo in ids if repo.encode() in seen[0]] == ids[-2:]


def test_gated_and_private(server: Server, place: Place) -> None:
    gated, private = place({"a.txt": b"a"}, gated="auto"), place({"a.txt": b"a"}, private=True)
    for repo, status in ((gated, {401, 403}), (private, {401, 404})):
        url = f"{server.url}/{repo}/resolve/main/a.txt"
        found = set()
        for token in (None, "Bearer other"):
            request = urllib.request.Request(url, headers={"Authorization": token} if token else {})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request)
            found.add(refused.value.code)
            refused.value.close()
        assert found == status
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == b"a"


def test_ends_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hub.server", "--root", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        assert one.stdout.readline()
        one.stdin.close()
        assert one.wait(timeout=20) == 0
