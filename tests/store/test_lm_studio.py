from __future__ import annotations

import json
from pathlib import Path

from assay.store import lm_studio
from tests.formats.gguf_bytes import write_gguf


def test_the_usual_folders_are_looked_into(tmp_path: Path) -> None:
    assert lm_studio.folders(tmp_path) == [
        tmp_path / ".lmstudio" / "models",
        tmp_path / ".cache" / "lm-studio" / "models",
    ]


def test_a_pointer_and_a_setting_come_first(tmp_path: Path) -> None:
    elsewhere = tmp_path / "data"
    elsewhere.mkdir()
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{elsewhere}\n", encoding="utf-8")
    (elsewhere / "settings.json").write_text(json.dumps({"downloadsFolder": "/mnt/models"}), encoding="utf-8")
    assert lm_studio.folders(tmp_path)[:2] == [Path("/mnt/models"), elsewhere / "models"]


def test_settings_that_cannot_be_read_are_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".lmstudio").mkdir()
    for content in (b"{", b"[]", b'{"downloadsFolder": 3}', b"\xff"):
        (tmp_path / ".lmstudio" / "settings.json").write_bytes(content)
        (tmp_path / ".lmstudio-home-pointer").write_bytes(b"\xff" if content == b"\xff" else b"")
        assert lm_studio.folders(tmp_path)[0] == tmp_path / ".lmstudio" / "models"


def test_models_are_named_by_publisher_repository_and_file(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "org" / "Tiny-GGUF" / "tiny-Q8_0.gguf")
    write_gguf(tmp_path / "org" / "Tiny-GGUF" / "mmproj-tiny.gguf")
    write_gguf(tmp_path / "loose.gguf")
    assert lm_studio.models(tmp_path) == [("org/Tiny-GGUF/tiny-Q8_0.gguf", (path, "gguf", path.stat().st_size))]
