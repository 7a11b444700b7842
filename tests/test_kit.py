"""The testing kit itself: it passes what is right, and catches what is wrong within four steps."""

from __future__ import annotations

import re

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from kopia_maint import (
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    CustomCA,
    FirstWins,
    Policy,
    Reconciliation,
    Repository,
    Resolution,
    Schedule,
    SourceRef,
    SourceRequest,
)
from kopia_maint.testing import (
    LAWS,
    HandedOver,
    Reconciled,
    Restarted,
    Submitted,
    check_policy,
    check_resolver,
    explore,
    strategies,
)
from kopia_maint.testing._history import EPOCH, MINUTE, Step, Subject

from .reference import WRONG_POLICIES, WRONG_RESOLVERS, Reference

STEPS = re.compile(r"^(\d+)\. ", re.MULTILINE)


class Everybody:
    """A right policy of somebody else's: everybody may, so that whoever spoke last decides."""

    name = "everybody"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return True


class Majority:
    """Another: more than half of those with a preference."""

    name = "majority"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        wanted = state.claims[challenger].schedule
        return wanted is not None and 2 * state.preferences[wanted] > sum(state.preferences.values())


@pytest.mark.parametrize("policy", [Everybody(), Majority()], ids=lambda policy: policy.name)
def test_right_policies_pass(policy: Policy) -> None:
    """Whatever they permit, the universal laws hold by construction."""
    check_policy(policy, max_examples=30)


def test_a_right_implementation_passes() -> None:
    """The slow and plain one."""
    right = Reference()
    check_resolver(right.resolve, right.reconcile, hand_over=right.hand_over, max_examples=50)


@pytest.mark.parametrize("wrong", WRONG_RESOLVERS, ids=lambda wrong: wrong.__name__)
def test_wrong_implementations_are_caught(wrong: type[Reference]) -> None:
    """Each with a story of at most four steps that names the law."""
    subject = wrong()
    with pytest.raises(AssertionError) as caught:
        check_resolver(subject.resolve, subject.reconcile, hand_over=subject.hand_over)
    tells_a_story(str(caught.value))


@pytest.mark.parametrize("wrong", WRONG_POLICIES, ids=lambda wrong: wrong.__name__)
def test_wrong_policies_are_caught(wrong: type) -> None:
    """Those with a memory, those that raise, those whose name no record can hold."""
    with pytest.raises(AssertionError) as caught:
        check_policy(wrong())
    tells_a_story(str(caught.value))


def tells_a_story(story: str) -> None:
    """Check that a counterexample has the law, at most four numbered steps, and what was expected."""
    assert story.startswith(tuple(f"Law {law.number}, {law.name}: {law.sentence}" for law in LAWS))
    assert [int(number) for number in STEPS.findall(story)] in ([1], [1, 2], [1, 2, 3], [1, 2, 3, 4])
    assert "Expected: " in story or "memory" in story


def test_a_resolver_alone_can_be_checked() -> None:
    """Who has no reconcile and no hand-over is asked about neither."""
    check_resolver(Reference().resolve, max_examples=20)


@pytest.mark.parametrize("policy", [FirstWins(), Consensus()], ids=lambda policy: policy.name)
@settings(max_examples=200, deadline=None)
@given(history=strategies.histories())
def test_the_library_agrees_with_the_plain_reference(policy: Policy, history: tuple[Step, ...]) -> None:
    """Two implementations that share no line come to the same states, verdicts and records."""
    plain = Reference()
    ours, theirs = Subject(policy), Subject(policy, plain.resolve, plain.reconcile, plain.hand_over)
    state, now = None, EPOCH
    for step in history:
        mine, other = ours.take(state, step, now), theirs.take(state, step, now)
        assert mine.after == other.after
        assert dict(mine.verdicts) == dict(other.verdicts)
        assert mine.conflicts == other.conflicts
        state, now = mine.after, now + MINUTE


@pytest.mark.parametrize(
    "kind",
    [
        Schedule,
        CustomCA,
        Repository,
        SourceRef,
        SourceRequest,
        Claim,
        Conflict,
        CronJobState,
        Resolution,
        Reconciliation,
    ],
)
def test_hypothesis_knows_every_public_value(kind: type) -> None:
    """Through its entry point, once the package is installed."""
    found = find(st.from_type(kind), lambda _: True, settings=settings(phases=[Phase.generate], deadline=None))
    assert isinstance(found, kind)


def test_strategies_shrink_to_readable_cases() -> None:
    """What a failing test shows first."""
    smallest = find(strategies.requests(), lambda request: request.schedule is not None)
    assert str(smallest.source) == "team-a/source-a"
    assert str(smallest.schedule) == "0 2 * * *"
    assert smallest.repository.secret_name == "shared-repo-secret"
    assert smallest.enabled


def test_histories_look_like_life() -> None:
    """Every kind of step occurs, in short histories too."""
    kinds = {type(step) for step in find(strategies.histories(), lambda h: len({*map(type, h)}) == 4)}
    assert kinds == {Submitted, Reconciled, HandedOver, Restarted}


def test_explore_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    """States and transitions are counted and printed; without a terminal there is no progress."""
    exploration = explore(namespaces=1, sources_per_namespace=1, schedules=1)
    printed = capsys.readouterr()
    assert exploration.violation is None
    assert printed.out == f"{exploration.states} states, {exploration.transitions} transitions: every law holds\n"
    assert printed.err == ""


def test_explore_gives_the_shortest_counterexample() -> None:
    """The fork's takeover shows as soon as two namespaces share a repository."""
    subject = WRONG_RESOLVERS[0]()
    exploration = explore(resolve=subject.resolve, reconcile=subject.reconcile)
    assert exploration.violation is not None
    assert len(exploration.violation.history) == 1
    assert "owner team-b" in str(exploration.violation)


def test_a_larger_scope_has_more_states() -> None:
    """And symmetric ones are visited once: the number grows far less than the names do."""
    small = explore(namespaces=1, sources_per_namespace=1, schedules=2)
    large = explore(namespaces=1, sources_per_namespace=2, schedules=2)
    assert small.states < large.states < small.states**2


@pytest.mark.parametrize("scope", [{"namespaces": 0}, {"schedules": 9}])
def test_a_scope_out_of_bounds_is_refused(scope: dict[str, int]) -> None:
    """From one to eight of each."""
    with pytest.raises(ValueError, match="from 1 to 8"):
        explore(**scope)  # type: ignore[arg-type]
