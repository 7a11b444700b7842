"""
Is a policy, or an implementation of the decision, right? A kit to find out.

``check_policy`` and ``check_resolver`` look for the shortest history that breaks
one of the laws, ``explore`` walks every state that can be reached in a small
scope, and ``strategies`` has what property tests of your own need.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from .._policy import FirstWins, Policy
from . import strategies
from ._explore import Exploration, explore, search
from ._history import (
    EPOCH,
    HandedOver,
    HandOver,
    Reconcile,
    Reconciled,
    Resolve,
    Restarted,
    Step,
    Subject,
    Submitted,
    Transition,
)
from ._laws import LAWS, Law, Violation, tell

__all__ = [
    "LAWS",
    "Exploration",
    "HandedOver",
    "Law",
    "Reconciled",
    "Restarted",
    "Step",
    "Submitted",
    "Transition",
    "Violation",
    "check_policy",
    "check_resolver",
    "explore",
    "strategies",
]


def check_policy(policy: Policy, *, max_examples: int = 200) -> None:
    """
    Hold a policy against the laws.

    Args:
        policy: The policy.
        max_examples: How many random histories to try, after every short one of a small scope.

    Raises:
        AssertionError: With the shortest history found that breaks a law, told as a story.
    """
    _check(Subject(policy), max_examples)


def check_resolver(
    resolve: Resolve,
    reconcile: Reconcile | None = None,
    *,
    hand_over: HandOver | None = None,
    max_examples: int = 200,
) -> None:
    """
    Hold another implementation of the decision against the laws, under first-wins.

    Args:
        resolve: Stands in for :func:`kopia_maint.resolve`.
        reconcile: Stands in for :func:`kopia_maint.reconcile`; None: there is none.
        hand_over: Stands in for :func:`kopia_maint.hand_over`; None: there is none.
        max_examples: How many random histories to try, after every short one of a small scope.

    Raises:
        AssertionError: With the shortest history found that breaks a law, told as a story.
    """
    _check(Subject(FirstWins(), resolve, reconcile, hand_over), max_examples)


def _check(subject: Subject, max_examples: int) -> None:
    violation = search(subject, namespaces=2, sources_per_namespace=2, schedules=2).violation
    if violation is not None:
        raise AssertionError(str(violation))

    @settings(max_examples=max_examples, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategies.histories())
    def every_history(history: tuple[Step, ...]) -> None:
        violation = tell(subject, history, None, EPOCH)
        if violation is not None:
            raise AssertionError(str(violation))

    every_history()
