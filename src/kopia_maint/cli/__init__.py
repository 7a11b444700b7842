"""Where does the command ``kopia-maint`` begin? Here, also where its optional dependencies are missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line, and exit with its status."""
    if not all(find_spec(name) for name in ("click", "cron_descriptor", "yaml")):
        sys.stderr.write("kopia-maint: the command line needs its extra: pip install 'kopia-maint[cli]'\n")
        sys.exit(2)
    try:
        from ._main import run
    except KeyboardInterrupt:  # later, it is run's to take
        sys.exit(130)
    sys.exit(run())
