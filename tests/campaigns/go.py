"""Does Go say today what the tests have on record? Tests that need Go: ``make go`` passes them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from ..conformance import generate
from ..core import robfig
from .schedules import compare_schedules


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program that asks robfig/cron."""
    return robfig.build(tmp_path_factory.mktemp("robfig"))


def test_the_record_is_what_robfig_cron_answers(program: Path) -> None:
    """The real parser still gives the recorded answers."""
    requests, answers = zip(*robfig.recorded("schedules.jsonl"))
    assert robfig.ask(program, requests) == list(answers)


def test_fresh_schedules_are_read_as_robfig_cron_reads_them(program: Path) -> None:
    """The campaign in small: generated schedules, the same wherever and whenever they are compared."""
    assert list(compare_schedules(program, 3000, Random(1), Counter())) == []


def test_the_identities_are_gos() -> None:
    """The recorded hashes are what encoding/json leads to."""
    recorded = generate.IDENTITIES.read_text("ascii").splitlines()
    assert generate.record_identities().splitlines()[1:] == recorded[1:]
