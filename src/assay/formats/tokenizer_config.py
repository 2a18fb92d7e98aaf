"""What lies beside a checkpoint's weights about its tokenizer, in the layout of Hugging Face."""

from __future__ import annotations

from pathlib import Path

from assay.formats.json_object import read_json_object


def has_chat_template(folder: Path) -> bool:
    """Whether the folder brings a chat template; raise ``BadInput`` where its tokenizer's settings are broken."""
    if (folder / "chat_template.jinja").is_file():
        return True
    config = folder / "tokenizer_config.json"
    return config.is_file() and bool(read_json_object(config).get("chat_template"))
