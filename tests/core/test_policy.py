"""Policies: what each permits, as examples."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kopia_maint import (
    Bounded,
    Consensus,
    Decision,
    FirstWins,
    Policy,
    Schedule,
    Verdict,
    hand_over,
    reconcile,
    resolve,
)
from kopia_maint._policy import POLICIES

from ..helpers import LATER, NOW, ask

HOURLY = Bounded(shortest=timedelta(hours=1), longest=timedelta(days=31))


@pytest.mark.parametrize(
    ("policy", "schedule", "verdict"),
    [
        (HOURLY, "0 * * * *", Verdict.ESTABLISHED),
        (HOURLY, "0,59 * * * *", Verdict.REJECTED),
        (HOURLY, "* * * * *", Verdict.REJECTED),
        (HOURLY, "0 0 1 * *", Verdict.ESTABLISHED),
        (HOURLY, "0 0 31 * *", Verdict.REJECTED),
        (HOURLY, "0 0 29 2 *", Verdict.REJECTED),
        (HOURLY, "@every 1h", Verdict.ESTABLISHED),
        (HOURLY, "@every 3599s", Verdict.REJECTED),
        (Bounded(shortest=timedelta(hours=1)), "0 0 29 2 *", Verdict.ESTABLISHED),
        (Bounded(longest=timedelta(days=31)), "* * * * *", Verdict.ESTABLISHED),
        (Bounded(longest=timedelta(days=2921)), "0 0 29 2 *", Verdict.ESTABLISHED),
        (Bounded(longest=timedelta(days=2920)), "0 0 29 2 *", Verdict.REJECTED),
    ],
)
def test_bounds_hold_for_the_first_request_too(policy: Bounded, schedule: str, verdict: Verdict) -> None:
    """The policy is asked about every schedule that a request would establish; the default is nobody's request."""
    answer = resolve(None, ask("team-a/a", schedule), now=NOW, policy=policy)
    assert answer.verdict is verdict
    assert answer.desired is not None
    assert (answer.desired.schedule == ask("team-a/a", schedule).schedule) is (verdict is Verdict.ESTABLISHED)
    assert answer.desired.policy == (None if verdict is Verdict.ESTABLISHED else "bounded-first-wins")


def test_bounds_do_not_permit_what_the_inner_policy_does_not() -> None:
    """Another namespace stays rejected; `hand_over` asks too."""
    state = resolve(None, ask("team-a/a", "0 3 * * *"), now=NOW, policy=HOURLY).desired
    assert state is not None
    state = resolve(state, ask("team-b/b", "0 4 * * *"), now=NOW, policy=HOURLY).desired
    assert state is not None
    assert [conflict.policy for conflict in state.conflicts] == ["bounded-first-wins"]
    state = resolve(state, ask("team-b/greedy", "* * * * *"), now=LATER, policy=HOURLY).desired
    assert state is not None
    handed: Decision = hand_over(state, "team-b", policy=HOURLY)
    assert handed.desired is not None
    assert str(handed.desired.schedule) == "0 4 * * *"


def test_what_is_established_already_is_not_checked() -> None:
    """By adoption or an administrator's edit: only a request is."""
    state = resolve(None, ask("team-a/a", "* * * * *"), now=NOW).desired
    again = reconcile(state, [ask("team-a/a", "* * * * *")], now=LATER, policy=HOURLY)
    assert not again.changed
    for text in ("* * * * *", "0 0 30 2 *"):
        assert not HOURLY.allows(Schedule.parse(text))


def test_under_consensus_the_first_is_alone_and_sources_that_come_together_must_agree() -> None:
    """`reconcile` records every claim before it asks about any."""
    requests = [ask("team-a/a", "0 3 * * *"), ask("team-b/b", "0 4 * * *")]
    alone = resolve(None, requests[0], now=NOW, policy=Consensus()).desired
    assert alone is not None
    assert str(alone.schedule) == "0 3 * * *"
    together = reconcile(None, requests, now=NOW, policy=Consensus())
    assert together.desired is not None
    assert (str(together.desired.schedule), together.desired.owner) == ("0 2 * * *", "team-a")
    assert set(together.verdicts.values()) == {Verdict.REJECTED}
    # What is established is owned by who asked for it.
    moved = resolve(resolve(None, ask("team-a/a"), now=NOW).desired, requests[1], now=LATER, policy=Consensus())
    assert moved.desired is not None
    assert (moved.verdict, moved.desired.owner) == (Verdict.ESTABLISHED, "team-b")
    agreed = reconcile(together.desired, [ask("team-a/a", "0 4 * * *"), requests[1]], now=LATER, policy=Consensus())
    assert agreed.desired is not None
    assert (str(agreed.desired.schedule), agreed.desired.conflicts) == ("0 4 * * *", ())
    assert len(agreed.closed) == 2


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (FirstWins(), "first-wins"),
        (Consensus(), "consensus"),
        (HOURLY, "bounded-first-wins"),
        (Bounded(Consensus(), longest=timedelta(1)), "bounded-consensus"),
    ],
)
def test_names_are_what_records_say(policy: Policy, name: str) -> None:
    """Those that need no parameter are known by their names."""
    assert policy.name == name
    assert POLICIES.keys() == {"first-wins", "consensus"}
