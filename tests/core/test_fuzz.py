"""The fuzz targets, with inputs from hypothesis; what a campaign finds becomes an example here."""

from __future__ import annotations

import pytest

pytest.importorskip("click")

from hypothesis import given, settings
from hypothesis import strategies as st

from ..campaigns.fuzz.targets import TARGETS, run


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=400))
def test_only_our_own_errors_come_out(target: str, data: bytes) -> None:
    """Whatever is given; and what is read keeps its laws."""
    run(target, data)
