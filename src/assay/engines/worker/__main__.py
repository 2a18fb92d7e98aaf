"""``python -m assay.engines.worker``: a worker process; ``run`` is its life."""

from __future__ import annotations

import sys

from assay.engines.worker.child import die_with_parent

die_with_parent()  # before the imports that take long: a parent that is killed meanwhile takes this process along

from assay.engines.worker.run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
