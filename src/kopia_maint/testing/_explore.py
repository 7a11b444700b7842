"""Which states can be reached at all, and does every law hold in each of them? The whole graph, for a small scope."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import combinations, product

from attrs import frozen

from .._errors import InvalidValue
from .._model import CronJobState, SourceRef, SourceRequest
from .._policy import FIRST_WINS, Policy
from .._resolver import reconcile as _reconcile
from .._resolver import resolve as _resolve
from .._schedule import Schedule
from ._history import (
    EPOCH,
    NAMESPACES,
    SCHEDULES,
    Edited,
    HandedOver,
    Reconcile,
    Reconciled,
    Resolve,
    Step,
    Subject,
    Submitted,
    Transition,
    Withdrawn,
)
from ._laws import REPOSITORY, Violation, prolonged, requests_of

_MOST = 8


@frozen
class Exploration:
    """
    What :func:`explore` has seen: how many states and transitions, and the shortest history that breaks a law, or None.

    States that differ only in times, or in the names of the sources of one namespace, are counted once.
    """

    states: int
    transitions: int
    violation: Violation | None

    def __str__(self) -> str:
        found = "every law holds" if self.violation is None else f"a law does not hold\n\n{self.violation}"
        return f"{self.states} states, {self.transitions} transitions: {found}"


def explore(
    policy: Policy = FIRST_WINS,
    *,
    namespaces: int = 2,
    sources_per_namespace: int = 2,
    schedules: int = 2,
    resolve: Resolve = _resolve,
    reconcile: Reconcile | None = _reconcile,
) -> Exploration:
    """
    Walk the whole graph of reachable states, times abstracted, and check every law on every state and transition.

    Args:
        policy: The policy; first-wins by default.
        namespaces: How many namespaces there are.
        sources_per_namespace: How many sources each has.
        schedules: How many schedules are asked for; no preference, and with it the default, comes on top.
        resolve: The implementation to check against the laws.
        reconcile: The same, for the whole list; None: there is none.

    Raises:
        InvalidValue: A number is not from 1 to 8.
    """
    for number in (namespaces, sources_per_namespace, schedules):
        if not 1 <= number <= _MOST:
            raise InvalidValue(f"explore takes numbers from 1 to {_MOST}, not {number}")
    sources = sources_of(NAMESPACES[:namespaces], sources_per_namespace)
    asked = [Schedule.parse(text) for text in SCHEDULES[1:][:schedules]]
    return search(Subject(policy, resolve, reconcile), sources, asked)


def sources_of(namespaces: Sequence[str], each: int) -> tuple[SourceRef, ...]:
    """Return as many sources of each namespace."""
    return tuple(SourceRef(name, f"source-{letter}") for name in namespaces for letter in "abcdefgh"[:each])


def search(subject: Subject, sources: Sequence[SourceRef], schedules: Sequence[Schedule]) -> Exploration:
    """Go through the states breadth first, so that the first violation has the shortest history."""
    seen: set[object] = {None}
    queue: deque[tuple[Transition, ...]] = deque([()])
    transitions = 0
    while queue:
        history = queue.popleft()
        state = history[-1].after if history else None
        for step in filter(subject.answers, steps(state, sources, schedules)):
            transitions += 1
            longer, violation = prolonged(subject, history, step)
            reached = _undated(longer[-1].after)
            if reached not in seen:
                seen.add(reached)
                queue.append(longer)
            if violation is not None:
                return Exploration(len(seen), transitions, violation)
    return Exploration(len(seen), transitions, None)


def steps(state: CronJobState | None, sources: Sequence[SourceRef], schedules: Sequence[Schedule]) -> Iterator[Step]:
    """
    Yield whatever can happen next: each request alone, each as an edit of the whole list, each hand-over.

    Where there is no CronJob, two new sources at once, too: which of them is the first?
    """
    known = requests_of(state)
    preferences = (None, *schedules)
    for source in sources:
        others = tuple(request for request in known.values() if request.source != source)
        asked = [SourceRequest(source, REPOSITORY, wanted) for wanted in preferences]
        for request in (*asked, SourceRequest(source, REPOSITORY, enabled=False)):
            yield Submitted(request)
            yield Reconciled((*others, request))
        yield Reconciled(others, frozenset({source}))
        if source in known:
            yield Reconciled(others)
            yield Withdrawn(source)
    if state is None:
        for (one, two), wanted, other in product(combinations(sources, 2), preferences, preferences):
            for born in (None, EPOCH):
                undated = SourceRequest(one, REPOSITORY, wanted)
                yield Reconciled((undated, SourceRequest(two, REPOSITORY, other, created_at=born)))
    yield Reconciled(())
    for namespace in sorted({source.namespace for source in sources}):
        yield HandedOver(namespace)
        yield Edited(owner=namespace)
    for schedule in schedules:
        yield Edited(schedule=schedule)


def _undated(state: CronJobState | None) -> object:
    """Return the same for two states that differ only in times, or in the names of the sources of one namespace."""
    if state is None:
        return None
    claims = sorted(
        (it.namespace, claim.schedule and claim.schedule.canonical or "", claim.rejected)
        for it, claim in state.claims.items()
    )
    return state.schedule.canonical, state.owner, tuple(claims)
