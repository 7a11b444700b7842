"""Does the kit pass what is right, and find what is wrong, with a short story that names the law?"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from kopia_maint import Bounded, Consensus, CronJobState, FirstWins, InvalidValue, Policy, SourceRef, resolve
from kopia_maint.testing import LAWS, Submitted, _laws, check_policy, check_resolver, explore
from kopia_maint.testing._history import Subject

from ..helpers import NOW, ask
from .mistakes import IMPLEMENTATIONS, POLICIES, Implementation, made

SHIPPED: tuple[Policy, ...] = (
    FirstWins(),
    Consensus(),
    Bounded(shortest=timedelta(hours=2), longest=timedelta(days=7)),
)


def wanted(state: CronJobState, challenger: SourceRef) -> Any:
    return state.claims[challenger].schedule


OTHERS = (
    made(lambda *_: True, "everybody"),
    made(lambda state, it: 2 * state.preferences[wanted(state, it)] > sum(state.preferences.values()), "majority"),
)


@pytest.mark.parametrize("policy", [*SHIPPED, *OTHERS], ids=lambda policy: policy.name)
def test_right_policies_pass(policy: Policy) -> None:
    """Whatever they permit, the laws hold by construction."""
    check_policy(policy, max_examples=20)


def test_a_right_implementation_passes() -> None:
    """Functions that are omitted are skipped."""
    check_resolver(resolve, max_examples=10)


def story(caught: pytest.ExceptionInfo[AssertionError]) -> str:
    """Return a counterexample that has the law, at most four numbered steps, and what was expected."""
    told = str(caught.value)
    assert told.startswith(tuple(f"Law {law.number}, {law.name}: {law.sentence}\n" for law in LAWS))
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \d\d:\d\d:\d\d ", told, re.MULTILINE)]
    assert numbers in ([1], [1, 2], [1, 2, 3], [1, 2, 3, 4])
    assert "Expected: " in told
    return told


@pytest.mark.parametrize("wrong", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def test_wrong_implementations_are_caught(wrong: Implementation) -> None:
    """Each under the law that its shortest history breaks."""
    with pytest.raises(AssertionError) as caught:
        check_resolver(
            wrong.resolve, wrong.reconcile, hand_over=wrong.hand_over, withdraw=wrong.withdraw, max_examples=2000
        )
    assert f", {wrong.law}: " in story(caught).splitlines()[0]


@pytest.mark.parametrize("wrong", POLICIES.values(), ids=POLICIES)
def test_wrong_policies_are_caught(wrong: Policy) -> None:
    """A policy cannot break the other laws: what it gets wrong is that it is no function of the state."""
    with pytest.raises(AssertionError) as caught:
        check_policy(wrong)
    assert story(caught).startswith("Law 1, Pure: ")


@pytest.mark.parametrize(
    ("function", "wrong", "law", "fault"),
    [
        ("read_back", lambda state: evolve(state, owner=None), "Round trip", "the manifest is read back as"),
        ("patch_from_state", lambda state, manifest: None, "Round trip", "the patched manifest is read as"),
        (
            "patch_from_state",
            lambda state, manifest: {"metadata": {"finalizers": None}},
            "Nothing lost",
            "what is not ours survives",
        ),
    ],
)
def test_a_wrong_reader_or_writer_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch, function: str, wrong: Callable[..., Any], law: str, fault: str
) -> None:
    """These laws are about manifests, so it is our own functions that they would find."""
    monkeypatch.setattr(_laws, function, wrong)
    check = next(each.check for each in LAWS if each.name == law)
    steps = (Submitted(ask("team-a/a", "0 4 * * *")), Submitted(ask("team-b/b", "0 6 * * *")))
    first = Subject(FirstWins()).take(None, steps[0], NOW)
    second = Subject(FirstWins()).take(first.after, steps[1], NOW)
    _laws._patched.cache_clear()
    assert fault in (check(Subject(FirstWins()), second) or "")
    _laws._patched.cache_clear()


def test_a_policy_is_asked_about_the_callers_namespaces() -> None:
    """One that a policy does not know is found only there; the story ends where the policy raises."""
    known = made(lambda _, challenger: {"team-a": True, "team-b": False, "team-c": False}[challenger.namespace])
    check_policy(known, max_examples=1)
    with pytest.raises(AssertionError) as caught:
        check_policy(known, namespaces=["team-a", "team-b", "platform"], max_examples=1)
    assert re.search(r" platform/source-a asks .*\n   -> KeyError: 'platform'\n\nExpected: a result\n", story(caught))


def test_a_policy_is_asked_about_the_callers_schedules() -> None:
    """The default schedules do not show every fault."""
    short = made(lambda state, challenger: wanted(state, challenger).text != "0 2 1 1 *")
    check_policy(short, max_examples=1)
    with pytest.raises(AssertionError, match="0 2 1 1"):
        check_policy(short, schedules=["0 2 * * *", "0 2 1 1 *"], max_examples=1)


def test_what_happens_once_only_breaks_the_first_law() -> None:
    """A fault outside of the policy, found by a random history, and not when that is played again."""
    failures = [OSError("the network is down")]

    def permits(state: CronJobState, _: SourceRef) -> bool:
        if len(state.claims) > 3 and failures:
            raise failures.pop()
        return True

    with pytest.raises(AssertionError) as caught:
        check_policy(made(permits), max_examples=2000)
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
    assert exploration.states > 50
    assert str(exploration) == f"{exploration.states} states, {exploration.transitions} transitions: every law holds"
    assert capsys.readouterr() == ("", "")


def test_explore_gives_the_shortest_counterexample() -> None:
    """The fork's takeover shows as soon as two namespaces share a repository."""
    fork = IMPLEMENTATIONS["makes everybody the owner, as the fork does"]
    exploration = explore(resolve=fork.resolve, reconcile=None, sources_per_namespace=1)
    assert exploration.violation is not None
    assert len(exploration.violation.history) == 2
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
        importlib.import_module("kopia_maint.testing")
