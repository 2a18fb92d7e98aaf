"""``python -m assay_markov text.txt weights.json``: train on a text file."""

import json
import sys
from pathlib import Path

from assay_markov.model import train

source, target = map(Path, sys.argv[1:3])
target.write_text(json.dumps(train(source.read_text(encoding="utf-8")), indent=1, ensure_ascii=False) + "\n")
