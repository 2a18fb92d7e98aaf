"""Foundry Local's own web service over ONNX Runtime GenAI folders of this machine; run by ``foundry.py`` in its venv.

usage: python foundry_service.py PORT CACHE NAME

CACHE/local/NAME holds the model and ``inference_model.json`` with its name and version. The service lists only what a
catalog tells of, so a stand-in for the public one answers on PORT + 1. Prints ``ready`` when it serves.
"""

from __future__ import annotations

import http.server
import json
import sys
import tempfile
import threading
from typing import Any


def entry(name: str) -> dict[str, Any]:
    """What the catalog says of a model that runs on the CPU."""
    asset = f"azureml://registries/local/models/{name}/versions/1"
    cpu = {"modelType": "ONNX", "device": "cpu", "executionProvider": "CPUExecutionProvider", "fileSizeBytes": 1}
    about = {"parents": [{"assetId": asset}], "variantMetadata": cpu}
    limits = {"inputContextWindow": 4096, "maxOutputTokens": 2048}
    tasks = {
        "displayName": name,
        "publisher": "local",
        "inferenceTasks": ["chat-completion"],
        "deploymentOptions": ["Foundry Local on Devices"],
    }
    return {
        **tasks,
        "assetId": asset,
        "entityId": asset,
        "id": f"{name}:1",
        "name": name,
        "version": "1",
        "license": "MIT",
        "modelCapabilities": [],
        "variantInformation": about,
        "variantInfo": about,
        "modelLimits": {
            "supportedInputModalities": ["text"],
            "supportedOutputModalities": ["text"],
            "textLimits": limits,
        },
        "minFLVersion": "0.0.1",
        "createdTime": "2026-01-01T00:00:00Z",
        "properties": {"id": f"{name}:1", "name": name, "version": 1, "variantInfo": about, "minFLVersion": "0.0.1"},
        "annotations": {
            "tags": {"alias": name, "task": "chat-completion"},
            "systemCatalogData": {**tasks, "textContextWindow": 4096, "maxOutputTokens": 2048},
        },
    }


def stand_in(port: int, name: str) -> None:
    """Answer every question about the catalog with the one entry."""
    listed = {"totalCount": 1, "summaries": [entry(name)], "continuationToken": None}
    body = json.dumps(listed).encode()

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """Serve until stdin ends."""
    from foundry_local_sdk import Configuration, FoundryLocalManager, LogLevel

    port, cache, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    stand_in(port + 1, name)
    scratch = tempfile.mkdtemp()
    FoundryLocalManager.initialize(
        Configuration(
            app_name="benchmark",
            app_data_dir=scratch,
            model_cache_dir=cache,
            logs_dir=scratch,
            log_level=LogLevel.WARNING,
            disable_nonessential_telemetry=True,
            catalog_urls=[(f"http://127.0.0.1:{port + 1}/models", None)],
            web=Configuration.WebService(urls=f"http://127.0.0.1:{port}"),
        )
    )
    manager = FoundryLocalManager.instance
    manager.catalog.get_model_variant(f"{name}:1").load()
    manager.start_web_service()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
