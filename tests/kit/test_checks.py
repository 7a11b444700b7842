"""Does the kit pass what is right, and find what is wrong, with a short story that names the law?"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import Any

import pytest

from kopia_maint import Bounded, Consensus, CronJobState, FirstWins, InvalidValue, Policy, SourceRef
from kopia_maint.testing import LAWS, check_policy, check_resolver, explore

from . import wrong

SHIPPED: tuple[Policy, ...] = (FirstWins(), Consensus(), Bounded(shortest=timedelta(hours=2), longest=timedelta(days=7)))


class Everybody:
    """A right policy of somebody else's: every claim may."""

    name = "everybody"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return True


class Majority:
    """Another: more than half of those with a preference."""

    name = "majority"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        wanted = state.claims[challenger].schedule
        return wanted is not None and 2 * state.preferences[wanted] > sum(state.preferences.values())


@pytest.mark.parametrize("policy", [*SHIPPED, Everybody(), Majority()], ids=lambda policy: policy.name)
def test_right_policies_pass(policy: Policy) -> None:
    """Whatever they permit, the laws hold by construction."""
    check_policy(policy, max_examples=20)


def test_a_right_implementation_passes() -> None:
    """Functions that are omitted are skipped."""
    check_resolver(wrong.Right().resolve, max_examples=10)


def story(caught: pytest.ExceptionInfo[AssertionError]) -> str:
    """Return a counterexample that has the law, at most four numbered steps, and what was expected."""
    told = str(caught.value)
    assert told.startswith(tuple(f"Law {law.number}, {law.name}: {law.sentence}\n" for law in LAWS))
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \d\d:\d\d:\d\d ", told, re.MULTILINE)]
    assert numbers in ([1], [1, 2], [1, 2, 3], [1, 2, 3, 4])
    assert "Expected: " in told
    return told


@pytest.mark.parametrize("kind", wrong.RESOLVERS, ids=lambda kind: kind.__name__)
def test_wrong_implementations_are_caught(kind: type[wrong.Right]) -> None:
    """Each under the law that its shortest history breaks."""
    subject = kind()
    with pytest.raises(AssertionError) as caught:
        check_resolver(
            subject.resolve, subject.reconcile, hand_over=subject.hand_over, withdraw=subject.withdraw, max_examples=2000
        )
    assert story(caught).startswith(f"Law {[law.name for law in LAWS].index(wrong.RESOLVERS[kind]) + 1}, ")


@pytest.mark.parametrize("kind", wrong.POLICIES, ids=lambda kind: kind.__name__)
def test_wrong_policies_are_caught(kind: type) -> None:
    """A policy cannot break the other laws: what it gets wrong is that it is no function of the state."""
    with pytest.raises(AssertionError) as caught:
        check_policy(kind())
    assert story(caught).startswith("Law 1, Pure: ")


def test_the_story_of_a_policy_that_raises_ends_where_it_raises() -> None:
    """A namespace that a policy does not know is found where the caller names it, and only there."""
    check_policy(wrong.KnowsTwo(), max_examples=1)
    with pytest.raises(AssertionError) as caught:
        check_policy(wrong.KnowsTwo(), namespaces=["platform", "team-a", "team-d"], max_examples=1)
    assert re.search(r"team-d/source-a asks for .*\n   -> KeyError: 'team-d'\n\nExpected: a result\nBut: KeyError", story(caught))


def test_a_policy_is_asked_about_the_callers_schedules() -> None:
    """Here is one that the default schedules do not show to be wrong."""

    class OnceAYear(Everybody):
        asked = 0

        def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
            self.asked += str(state.claims[challenger].schedule).endswith("1 1 *")
            return self.asked % 2 == 0

    check_policy(OnceAYear(), max_examples=1)
    with pytest.raises(AssertionError, match="1 1"):
        check_policy(OnceAYear(), schedules=["0 2 * * *", "0 2 1 1 *"])


def test_what_happens_once_only_breaks_the_first_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory outside of the policy, which no copy of it undoes, found by a random history: it is not repeatable."""
    asked = []

    class Once(Everybody):
        def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
            if len(state.claims) == 4 and not asked:  # noqa: PLR2004
                asked.append(challenger)
                raise OSError("the network is down")
            return True

    with pytest.raises(AssertionError) as caught:
        check_policy(Once(), max_examples=2000)
    assert str(caught.value).startswith("Law 1, Pure: ")
    assert "the network is down" in str(caught.value)


@pytest.mark.parametrize("values", [(), "team-a", None, ["Team A"]])
@pytest.mark.parametrize("argument", ["namespaces", "schedules"])
def test_wrong_arguments_are_refused(argument: str, values: Any) -> None:
    """A string is not a list of names."""
    with pytest.raises(InvalidValue):
        check_policy(FirstWins(), **{argument: values})


@pytest.mark.parametrize("policy", SHIPPED, ids=lambda policy: policy.name)
def test_the_laws_hold_in_every_reachable_state(policy: Policy, capsys: pytest.CaptureFixture[str]) -> None:
    """Two namespaces with two sources each: the whole graph, in silence."""
    exploration = explore(policy, schedules=1)
    assert exploration.violation is None
    assert exploration.states > 50  # noqa: PLR2004
    assert str(exploration) == f"{exploration.states} states, {exploration.transitions} transitions: every law holds"
    assert capsys.readouterr() == ("", "")


def test_explore_gives_the_shortest_counterexample() -> None:
    """The fork's takeover shows as soon as two namespaces share a repository."""
    subject = wrong.ForkTakesTheLabel()
    exploration = explore(resolve=subject.resolve, reconcile=None, sources_per_namespace=1)
    assert exploration.violation is not None
    assert len(exploration.violation.history) == 2  # noqa: PLR2004
    assert "a law does not hold\n\nLaw 2, First wins: " in str(exploration)
    assert "Expected: the owner is team-a\nBut: schedule '0 2 * * *', owner team-b" in str(exploration)


def test_a_larger_scope_has_more_states() -> None:
    """Sources of one namespace that swap their names are the same state."""
    small = explore(namespaces=1, sources_per_namespace=1, schedules=2)
    large = explore(namespaces=1, sources_per_namespace=2, schedules=2)
    assert small.states < large.states < small.states**2


@pytest.mark.parametrize("scope", [{"namespaces": 0}, {"schedules": 9}])
def test_a_scope_out_of_bounds_is_refused(scope: dict[str, Any]) -> None:
    """From one to eight of each."""
    with pytest.raises(InvalidValue, match="from 1 to 8"):
        explore(**scope)


def test_without_hypothesis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package itself needs none."""
    for module in [name for name in sys.modules if name.startswith("kopia_maint.testing")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"kopia-maint\[testing\]"):
        import kopia_maint.testing  # noqa: F401
