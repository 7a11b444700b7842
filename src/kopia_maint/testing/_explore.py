"""Which states can be reached at all, and does every law hold in each of them? The whole graph, for a small scope."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from itertools import combinations, permutations, product

from attrs import evolve, frozen

from .._model import Claim, CronJobState, SourceRef, SourceRequest
from .._policy import FirstWins, Policy
from .._resolver import reconcile as _reconcile
from .._resolver import resolve as _resolve
from .._schedule import Schedule
from ._history import (
    EPOCH,
    MINUTE,
    HandedOver,
    Reconcile,
    Reconciled,
    Resolve,
    Step,
    Subject,
    Submitted,
    Transition,
    requests_of,
)
from ._laws import PURE, REPOSITORY, Violation, attempt, tell

_FIRST_WINS = FirstWins()
_LETTERS = "abcdefgh"
_MOST = len(_LETTERS)


@frozen
class Exploration:
    """
    What :func:`explore` has seen.

    Attributes:
        states: How many states there are, symmetric ones and those that differ in times only counted once.
        transitions: How many transitions were taken and checked.
        violation: The shortest history that breaks a law, or None.
    """

    states: int
    transitions: int
    violation: Violation | None

    def __str__(self) -> str:
        found = "every law holds" if self.violation is None else f"a law does not hold\n\n{self.violation}"
        return f"{self.states} states, {self.transitions} transitions: {found}"


@frozen
class _Scope:
    """The names and schedules that there are."""

    namespaces: tuple[str, ...]
    sources: tuple[SourceRef, ...]
    schedules: tuple[Schedule, ...]

    @classmethod
    def of(cls, namespaces: int, sources_per_namespace: int, schedules: int) -> _Scope:
        names = tuple(f"team-{letter}" for letter in _LETTERS[:namespaces])
        sources = tuple(
            SourceRef(name, f"source-{letter}") for name in names for letter in _LETTERS[:sources_per_namespace]
        )
        return cls(names, sources, tuple(Schedule.parse(f"0 {2 * n} * * *") for n in range(2, 2 + schedules)))

    def steps(self, state: CronJobState | None) -> Iterator[Step]:
        """
        Yield whatever can happen next: each request alone, each as an edit of the whole list, each hand-over.

        Where there is no CronJob, two new sources at once, too: which of them is the first?
        """
        known = requests_of(state, REPOSITORY)
        for source in self.sources:
            others = tuple(request for request in known.values() if request.source != source)
            for wanted in (None, *self.schedules):
                request = SourceRequest(source, REPOSITORY, wanted)
                yield Submitted(request)
                yield Reconciled((*others, request))
            disabled = SourceRequest(source, REPOSITORY, enabled=False)
            yield Submitted(disabled)
            yield Reconciled((*others, disabled))
            if source in known:
                yield Reconciled(others)
            yield Reconciled(others, frozenset({source}))
        if state is None:
            for one, two in combinations(self.sources, 2):
                for wanted, other in product((None, *self.schedules), repeat=2):
                    first = SourceRequest(one, REPOSITORY, wanted)
                    for born in (None, EPOCH):
                        yield Reconciled((first, SourceRequest(two, REPOSITORY, other, created_at=born)))
        yield Reconciled(())
        for namespace in self.namespaces:
            yield HandedOver(namespace)

    def symmetric(self, state: CronJobState | None) -> object:
        """Return the same for two states that differ only in the names of namespaces, sources and schedules."""
        if state is None:
            return None
        return min(self._renamed(state, names) for names in permutations(self.schedules))

    def _renamed(self, state: CronJobState, schedules: tuple[Schedule, ...]) -> tuple[object, ...]:
        letters = dict(zip(schedules, _LETTERS))
        by_namespace = {}
        for namespace in self.namespaces:
            wanted = [_spelt(c.schedule, letters) for s, c in state.claims.items() if s.namespace == namespace]
            by_namespace[namespace] = tuple(sorted(wanted)), namespace == state.owner
        return state.latest_conflict is None, _spelt(state.schedule, letters), tuple(sorted(by_namespace.values()))


def _spelt(schedule: Schedule | None, letters: dict[Schedule, str]) -> str:
    """Return what stands for a preference: a letter, which can be renamed, or the schedule as it is."""
    return "" if schedule is None else letters.get(schedule, schedule.canonical)


def explore(
    policy: Policy = _FIRST_WINS,
    *,
    namespaces: int = 2,
    sources_per_namespace: int = 2,
    schedules: int = 2,
    resolve: Resolve = _resolve,
    reconcile: Reconcile | None = _reconcile,
) -> Exploration:
    """
    Walk the whole graph of reachable states, times abstracted, and check every law on every state and transition.

    It prints what it has seen, and its progress where standard error is a terminal.

    Args:
        policy: The policy; first-wins by default.
        namespaces: How many namespaces there are.
        sources_per_namespace: How many sources each has.
        schedules: How many schedules are asked for; no preference, and with it the default, comes on top.
        resolve: The implementation to hold against the laws.
        reconcile: The same, for the whole list; None: there is none.

    Raises:
        ValueError: A number is not from 1 to 8.
    """
    exploration = search(
        Subject(policy, resolve, reconcile),
        namespaces=namespaces,
        sources_per_namespace=sources_per_namespace,
        schedules=schedules,
        watched=sys.stderr.isatty(),
    )
    print(exploration)  # noqa: T201 - the result is for people as much as for programs
    return exploration


def search(
    subject: Subject, *, namespaces: int, sources_per_namespace: int, schedules: int, watched: bool = False
) -> Exploration:
    """Go through the states breadth first, so that the first violation has the shortest history."""
    for number in (namespaces, sources_per_namespace, schedules):
        if not 1 <= number <= _MOST:
            raise ValueError(f"explore takes numbers from 1 to {_MOST}, not {number}")
    scope = _Scope.of(namespaces, sources_per_namespace, schedules)
    came_from: dict[object, tuple[object, Step] | None] = {None: None}
    queue: deque[tuple[object, CronJobState | None]] = deque([(None, None)])
    transitions = 0
    while queue:
        key, state = queue.popleft()
        for step in scope.steps(state):
            if not subject.answers(step):
                continue
            transitions += 1
            transition, found = attempt(subject, state, step, EPOCH + MINUTE, states=False)
            reached = scope.symmetric(transition.after) if found is None else None
            if found is None and reached in came_from:
                continue
            if found is None:
                transition, found = attempt(subject, state, step, EPOCH + MINUTE)
            if found is not None:
                return Exploration(len(came_from), transitions, _shortest(subject, came_from, key, step))
            assert transition.after is not None  # to have none is where it all began
            came_from[reached] = key, step
            queue.append((reached, _undated(subject, transition.after)))
        if watched:
            _progress(len(came_from), len(queue))
    return Exploration(len(came_from), transitions, None)


def _undated(subject: Subject, state: CronJobState) -> CronJobState:
    """Return a state with every time moved to the beginning, and the latest conflict that it then has."""
    claims = {source: Claim(claim.schedule, EPOCH) for source, claim in state.claims.items()}
    bare = evolve(state, claims=claims, latest_conflict=None)
    again = (subject.take(bare, Submitted(request), EPOCH) for request in requests_of(state, REPOSITORY).values())
    conflicts = [conflict for transition in again for conflict in transition.conflicts]
    return evolve(bare, latest_conflict=max(conflicts, key=lambda c: (c.namespace, c.name), default=None))


def _shortest(
    subject: Subject, came_from: dict[object, tuple[object, Step] | None], key: object, last: Step
) -> Violation:
    """Play the way to the violation again, now with real times."""
    steps = [last]
    while (origin := came_from[key]) is not None:
        key, step = origin
        steps.append(step)
    history = tuple(reversed(steps))
    violation = tell(subject, history, None, EPOCH)
    if violation is None:  # it held the second time
        transitions = [Transition(None, step, EPOCH, None) for step in history]
        fault = "A law was broken here once, and is not any more: there is a memory somewhere."
        violation = Violation(PURE, tuple(transitions), fault, subject.name)
    return violation


def _progress(seen: int, left: int) -> None:
    sys.stderr.write(f"\r{seen} states seen, {left} to do\033[K" + ("" if left else "\n"))
