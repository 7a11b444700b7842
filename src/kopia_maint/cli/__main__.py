"""How does ``python -m kopia_maint.cli`` run? As ``kopia-maint`` does."""

from __future__ import annotations

from . import main

main()
