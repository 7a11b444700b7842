"""Tests over HTTP. The libraries that they need are the dependency group ``operator``, and want Python 3.11."""

from __future__ import annotations

import pytest

for needed in ("jsonpatch", "kmock", "kopf", "kr8s", "kubernetes", "lightkube"):
    pytest.importorskip(
        needed, reason=f"no {needed}: it is in the dependency group 'operator', for Python 3.11 or newer"
    )
