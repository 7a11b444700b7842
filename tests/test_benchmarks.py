"""The benchmarks run, compare like with like, and the page says what they recorded. Nothing is asked of the clock."""

from __future__ import annotations

import json
from itertools import product
from math import isfinite
from typing import Any
from xml.etree import ElementTree

import pytest
from attrs import evolve

from kopia_maint import CronJobState, resolve

from .benchmarks import page
from .benchmarks.__main__ import main
from .benchmarks.growth import SIZES, growth, one_more
from .benchmarks.peers import bare
from .benchmarks.rows import ROWS, Row, Target
from .benchmarks.timing import QUICK
from .helpers import LATER, ask


@pytest.fixture
def record() -> dict[str, Any]:
    """Return what docs/performance.json holds."""
    loaded: dict[str, Any] = json.loads(page.RECORD.read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_benchmark_runs(row: Row) -> None:
    """One tiny round of each row measures something, or says which engine is not installed."""
    result = row.run(QUICK)
    assert result["missing"] in ("cedarpy", "regopy") if "missing" in result else isfinite(result["median"])


def test_one_benchmark_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the rows that were asked for, and no other."""
    main(["--quick", "--only", "known", "--only", "parse-seen"])
    shown = capsys.readouterr().out
    assert [name for name in ("known", "conflict", "parse-") if name in shown] == ["known", "parse-"]


def test_a_record_needs_a_complete_run(capsys: pytest.CaptureFixture[str]) -> None:
    """What is published was not measured in one tiny round, and has no row of another run."""
    with pytest.raises(SystemExit):
        main(["--quick", "--record"])
    assert "complete run" in capsys.readouterr().err


def test_how_it_grows_can_be_measured(record: dict[str, Any]) -> None:
    """Curves and costs, of a small scale, are what the record has too, and can be drawn."""
    curves, costs = growth(QUICK), one_more(QUICK)
    assert {name: len(curve) for name, curve in curves.items()} == dict.fromkeys(record["growth"], len(SIZES))
    assert [cost.keys() for cost in costs] == [cost.keys() for cost in record["one_more"]]
    assert ElementTree.fromstring(page.plot({"growth": curves})).tag.endswith("svg")


def test_the_page_says_what_was_recorded(record: dict[str, Any]) -> None:
    """The tables and the plot of docs/performance.md follow from docs/performance.json, figure by figure."""
    text = page.PAGE.read_text("utf-8")
    assert page.renewed(text, record) == text
    assert page.PLOT.read_text("utf-8") == page.plot(record)


def test_the_record_is_complete(record: dict[str, Any]) -> None:
    """Every row is in it as it is measured today, with its target, and with every peer installed."""
    assert [{key: row[key] for key in ROWS[0].heading} for row in record["rows"]] == [row.heading for row in ROWS]
    assert not [row["name"] for row in record["rows"] if "missing" in row]


@pytest.mark.parametrize(
    ("target", "middle", "high", "missed"),
    [
        (Target("times", 12, never=15), 12, 15, False),
        (Target("times", 12, never=15), 12.1, 13, True),
        (Target("times", 12, never=15), 11, 15.1, True),
        (Target("faster", 6), 6, 9, False),
        (Target("faster", 6), 5.9, 9, True),
        (Target("bytes", 320), 321, 321, True),
        (Target("times"), 1000, 1000, False),
    ],
)
def test_what_is_beyond_its_target_is_marked(target: Target, middle: float, high: float, missed: bool) -> None:
    """The median decides, and the upper quartile where there is something never to be exceeded."""
    assert target.missed(middle, high) is missed


@pytest.mark.parametrize("owned", [True, False])
def test_the_bare_function_decides_as_resolve_does(owned: bool) -> None:
    """After any four requests of two namespaces the verdict, the schedule, the owner and the claims are the same."""
    wishes = [("0 2 * * *", True), ("0 4 * * *", True), (None, True), ("0 4 * * *", False)]
    asked = [(who, what, enabled) for who in ("team-a/a", "team-b/b") for what, enabled in wishes]
    for history in product(asked, repeat=4):
        state, simple = None, None
        for who, what, enabled in history:
            namespace, name = who.split("/")
            resolution = resolve(state, ask(who, what, enabled=enabled), now=LATER)
            verdict, simple = bare(simple, {"source": (namespace, name), "schedule": what, "enabled": enabled}, LATER)
            state = resolution.desired
            if state is not None and simple is not None and not owned:
                state, simple = evolve(state, owner=None), {**simple, "owner": None}
            assert (verdict, simple and plain(simple)) == (resolution.verdict.value, state and told(state))


def plain(simple: dict[str, Any]) -> dict[str, Any]:
    """Return what the bare function stores, the record of a conflict aside."""
    return {key: simple[key] for key in ("schedule", "owner", "claims")}


def told(state: CronJobState) -> dict[str, Any]:
    """Return a state as the bare function stores it."""
    claims = {
        (source.namespace, source.name): (claim.schedule and claim.schedule.text, claim.since)
        for source, claim in state.claims.items()
    }
    return {"schedule": state.schedule.text, "owner": state.owner, "claims": claims}
