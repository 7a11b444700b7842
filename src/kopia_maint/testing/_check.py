"""Does a policy, or an implementation, break a law? Short histories first, every one of them; then random ones."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import product

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

from .._errors import InvalidValue, iterated
from .._model import SourceRequest
from .._policy import Bounded, Consensus, FirstWins, Policy
from .._schedule import Schedule
from . import strategies
from ._explore import search, sources_of
from ._history import NAMESPACES, SCHEDULES, Decide, Reconcile, Resolve, Step, Subject, Submitted
from ._laws import REPOSITORY, Violation, pure, tell

_NAMESPACES = NAMESPACES[:3]
_SCHEDULES = SCHEDULES[:6]
_BOUNDED = Bounded(shortest=timedelta(hours=2), longest=timedelta(days=7))


def check_policy(
    policy: Policy,
    *,
    namespaces: Iterable[str] = _NAMESPACES,
    schedules: Iterable[str] = _SCHEDULES,
    max_examples: int = 200,
) -> None:
    """
    Check a policy against the laws.

    Args:
        policy: The policy. A copy of it is made before it is asked, to compare with: a policy keeps no memory.
        namespaces: The namespaces that it is asked about: give those that it names.
        schedules: The schedules that it is asked about: give some on both sides of its limits.
        max_examples: How many random histories to try, after every short one of a small scope.

    Raises:
        AssertionError: With the shortest history found that breaks a law, told as a story.
        InvalidValue: A namespace or a schedule is wrong, or there is none.
    """
    _check([Subject(policy)], _several(namespaces, "namespaces"), _several(schedules, "schedules"), max_examples)


def check_resolver(
    resolve: Resolve,
    reconcile: Reconcile | None = None,
    *,
    hand_over: Decide | None = None,
    withdraw: Decide | None = None,
    max_examples: int = 200,
) -> None:
    """
    Check another implementation of the decision against the laws, under first-wins, consensus and a bounded policy.

    Functions that you omit are skipped.

    Args:
        resolve: Replaces :func:`kopia_maint.resolve`.
        reconcile: Replaces :func:`kopia_maint.reconcile`.
        hand_over: Replaces :func:`kopia_maint.hand_over`.
        withdraw: Replaces :func:`kopia_maint.withdraw`.
        max_examples: How many random histories to try for each policy, after every short one of a small scope.

    Raises:
        AssertionError: With the shortest history found that breaks a law, told as a story.
    """
    policies: tuple[Policy, ...] = (FirstWins(), Consensus(), _BOUNDED)
    subjects = [Subject(policy, resolve, reconcile, hand_over, withdraw) for policy in policies]
    _check(subjects, _NAMESPACES, _SCHEDULES, max_examples)


def _several(values: Iterable[str], argument: str) -> list[str]:
    listed = list(iterated(values, argument, "strings"))
    if not listed:
        raise InvalidValue(f"{argument} must not be empty")
    return listed


def _check(subjects: list[Subject], namespaces: Sequence[str], texts: Sequence[str], max_examples: int) -> None:
    schedules = [Schedule.parse(text) for text in texts]
    asked = [
        Submitted(SourceRequest(source, REPOSITORY, schedule))
        for source, schedule in product(sources_of(namespaces, 1), schedules)
    ]
    for subject in subjects:
        _fail_if(search(subject, sources_of(namespaces[:2], 1), schedules[:2]).violation)
        for pair in product(asked, repeat=2):
            _fail_if(tell(subject.restarted(), pair))
    for subject in subjects:
        _at_random(subject, strategies.histories(namespaces=namespaces, schedules=schedules), max_examples)


def _at_random(subject: Subject, histories: SearchStrategy[tuple[Step, ...]], max_examples: int) -> None:
    found: list[Violation] = []

    @settings(max_examples=max_examples, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(histories)
    def every_history(history: tuple[Step, ...]) -> None:
        if violation := tell(subject.restarted(), history):
            found.append(violation)
            _fail_if(violation)

    try:
        every_history()
    except Flaky:  # it was shown once, and not when it was played again
        _fail_if(evolve(found[-1], law=pure))


def _fail_if(violation: Violation | None) -> None:
    if violation is not None:
        raise AssertionError(str(violation))
