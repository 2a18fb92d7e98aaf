"""The service in a process of its own: ``python -m assay.app.detached HOME`` with what was asked for on stdin.

What it says until its log is open, and what breaks it, goes to its stdout and stderr, which its starter keeps.
"""

from __future__ import annotations

import sys

import msgspec

from assay.app.serve_options import Asked, options_for
from assay.app.serving import serve
from assay.errors import AssayError


def main() -> int:
    """Serve until told to stop; an exit code as the command line has them."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    try:
        serve(options_for(asked))
    except AssayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
