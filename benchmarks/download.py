"""Bringing one large file from a Hub server on loopback, hashing included, beside plain ``hf download``.

    python benchmarks/download.py [--pairs 5] [--megabytes 1000] [--folder DIR] [--json]

Both run as processes of their own, start-up included, in alternating pairs, each into a fresh folder. Assay's lists the
repository, brings the file, and hashes it on the way; ``hf download`` checks its length only. Bar: the median ratio of
their rates is at least 0.8.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.hub.running import running  # noqa: E402 - the tests are no package of their own

BAR = 0.8
REPOSITORY = "benchmark/large"
BRING = """
import sys
from pathlib import Path
from assay.hub import Hub
from assay.types import RemoteFile

url, name, part = sys.argv[1:]
hub = Hub(url)
repo = hub.repo(name)
file = repo.files[0]
source = RemoteFile(repo=repo.id, revision=repo.revision, path=file.path, file=file)
digests = hub.fetch(source, Path(part), lambda done, total: None, print)
sys.exit(digests.sha256 != file.sha256)
"""


def make_file(folder: Path, megabytes: int) -> None:
    """Random bytes in the repository's only file."""
    repository = folder / REPOSITORY
    repository.mkdir(parents=True)
    with (repository / "model.safetensors").open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(10**6))


def with_assay(url: str, target: Path) -> list[str]:
    return [sys.executable, "-c", BRING, url, REPOSITORY, str(target / "part")]


def with_hf(_: str, target: Path) -> list[str]:
    command = shutil.which("hf", path=str(Path(sys.executable).parent))
    assert command is not None, "huggingface_hub's command is not beside this Python"
    return [command, "download", REPOSITORY, "--cache-dir", str(target)]


CLIENTS: dict[str, Callable[[str, Path], list[str]]] = {"assay": with_assay, "hf download": with_hf}


def once(command: list[str], url: str, target: Path) -> float:
    """Wall seconds of one whole process, with nothing of the one before still on its way to the disk."""
    os.sync()
    quiet = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK")
    environment = {**os.environ, "HF_ENDPOINT": url, **dict.fromkeys(quiet, "1")}
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    seconds = time.perf_counter() - start
    shutil.rmtree(target)
    return seconds


def compare(folder: Path, pairs: int) -> dict[str, list[float]]:
    """Seconds of each run by client; each pair begins with the other one."""
    seconds: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with running(folder / "served") as server:
        for pair in range(-1, pairs):
            order = list(CLIENTS.items())
            for name, client in order if pair % 2 else reversed(order):
                target = folder / "target"
                target.mkdir()
                took = once(client(server.url, target), server.url, target)
                if pair >= 0:
                    seconds[name].append(took)
    return seconds


def main() -> int:
    """Run the pairs and print rates and ratio; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="where the files lie; twice their size is needed")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        make_file(Path(folder) / "served", args.megabytes)
        seconds = compare(Path(folder), args.pairs)
    ratios = [hf / ours for ours, hf in zip(seconds["assay"], seconds["hf download"], strict=True)]
    ratio = median(ratios)
    result = {
        "megabytes": args.megabytes,
        "median_s": {name: round(median(took), 2) for name, took in seconds.items()},
        "mb_per_s": {name: round(args.megabytes / median(took)) for name, took in seconds.items()},
        "ratios": [round(one, 2) for one in ratios],
        "ratio": round(ratio, 2),
        "bar": BAR,
        "met": ratio >= BAR,
    }
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print("| client | median s | MB/s |\n| --- | --- | --- |")
        for name, took in seconds.items():
            print(f"| {name} | {median(took):.2f} | {args.megabytes / median(took):.0f} |")
        print(f"\nrate of assay / hf download: {ratio:.2f} (each pair: {result['ratios']}); bar {BAR}")
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
