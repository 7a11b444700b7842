"""What happened, step by step? Histories of an implementation, and how they are told."""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Union

from attrs import Factory, evolve, field, frozen

from .._cron import MAX_LENGTH
from .._decision import Decision, Reconciliation, Resolution, Verdict
from .._manifest import manifest_from_state, state_from_manifest
from .._model import Conflict, CronJobState, SourceRef, SourceRequest, by_name
from .._policy import Policy
from .._resolver import hand_over as _hand_over
from .._resolver import reconcile as _reconcile
from .._resolver import resolve as _resolve
from .._resolver import withdraw as _withdraw
from .._schedule import Schedule

NAMESPACES = tuple(f"team-{letter}" for letter in "abcdefgh")
SCHEDULES = (
    *("0 2 * * *", "0 4 * * *", "@hourly", "@every 90m", "0 3 * * 1-5", "0 0 1,15 * 1"),
    *("@daily", "0 0 * * *", "*/15 * * * *"),
)
"""What is tried first: the default, and others of every kind; two of them are one."""

EPOCH = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
"""When histories begin."""
_GAPS = (61, 0, 3599, -1800, 1.5, 86_400, 60)


def moment(number: int) -> datetime:
    """Return when a step happens, counted from 0: at odd seconds, at the instant of the last one, or before it."""
    rounds, rest = divmod(number, len(_GAPS))
    return EPOCH + timedelta(seconds=rounds * sum(_GAPS) + sum(_GAPS[:rest]))


Resolve = Callable[..., Resolution]
Reconcile = Callable[..., Reconciliation]
Decide = Callable[..., Decision]


@frozen
class Submitted:
    """One request goes to ``resolve``."""

    request: SourceRequest

    def __str__(self) -> str:
        return _asks(self.request)


@frozen
class Reconciled:
    """The whole list goes to ``reconcile``."""

    requests: tuple[SourceRequest, ...]
    unreadable: frozenset[SourceRef] = frozenset()

    def __str__(self) -> str:
        listed = [_asks(request) for request in self.requests]
        listed += [f"{source} cannot be read" for source in sorted(self.unreadable)]
        return "reconcile: " + ("; ".join(listed) or "no source is left")


@frozen
class HandedOver:
    """An administrator makes a namespace the owner, with ``hand_over``."""

    namespace: str

    def __str__(self) -> str:
        return f"an administrator hands over to {self.namespace}"


@frozen
class Withdrawn:
    """The claim of a source that was deleted or has moved goes to ``withdraw``."""

    source: SourceRef

    def __str__(self) -> str:
        return f"the claim of {self.source} is withdrawn"


@frozen
class Edited:
    """An administrator edits the CronJob: its owner, its schedule, or both. No decision is made."""

    owner: str | None = None
    schedule: Schedule | None = None

    def __str__(self) -> str:
        edits = [f"owner {self.owner}"] * (self.owner is not None)
        edits += [f"schedule '{self.schedule}'"] * (self.schedule is not None)
        return f"an administrator edits the CronJob: {', '.join(edits)}"


Step = Union[Submitted, Reconciled, HandedOver, Withdrawn, Edited]


class Raised(Exception):
    """A step, or a question to the policy, has raised instead of giving a result."""

    def __init__(self, step: object, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.step = step


@frozen
class Subject:
    """What is being tested: an implementation of the decisions, and a policy with a copy that nobody uses."""

    policy: Policy
    resolve: Resolve = _resolve
    reconcile: Reconcile | None = _reconcile
    hand_over: Decide | None = _hand_over
    withdraw: Decide | None = _withdraw
    unused: Policy = Factory(lambda self: deepcopy(self.policy), takes_self=True)

    @property
    def name(self) -> str:
        """What the policy is called, even if it has no name."""
        return str(getattr(self.policy, "name", type(self.policy).__name__))

    def restarted(self) -> "Subject":
        """Return the same with a policy that was not used before, as after a restart of the operator."""
        return evolve(self, policy=deepcopy(self.unused))

    def answers(self, step: Step) -> bool:
        """Whether the implementation has the function that this step needs."""
        needed: dict[type, object] = {Reconciled: self.reconcile, HandedOver: self.hand_over, Withdrawn: self.withdraw}
        return needed.get(type(step), self.resolve) is not None

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Ask the policy."""
        try:
            return self.policy.permits(state, challenger)
        except Exception as error:
            raise Raised(f"the policy is asked about {challenger}", error) from error

    def take(self, before: CronJobState | None, step: Step, now: datetime) -> "Transition":
        """Take one step from a state."""
        try:
            return self._take(before, step, now)
        except Exception as error:
            raise Raised(step, error) from error

    def _take(self, before: CronJobState | None, step: Step, now: datetime) -> "Transition":
        if isinstance(step, Submitted):
            one = self.resolve(before, step.request, now=now, policy=self.policy)
            conflicts = {} if one.conflict is None else {step.request.source: one.conflict}
            return Transition(before, step, now, one.desired, {step.request.source: one.verdict}, conflicts)
        if isinstance(step, Reconciled) and self.reconcile:
            all_ = self.reconcile(before, step.requests, now=now, policy=self.policy, unreadable=step.unreadable)
            return Transition(before, step, now, all_.desired, all_.verdicts, all_.conflicts)
        after = before
        if before and isinstance(step, HandedOver) and self.hand_over:
            after = self.hand_over(before, step.namespace, policy=self.policy).desired
        elif before and isinstance(step, Withdrawn) and self.withdraw:
            after = self.withdraw(before, step.source, policy=self.policy).desired
        elif before and isinstance(step, Edited):
            after = evolve(before, owner=step.owner or before.owner, schedule=step.schedule or before.schedule)
        return Transition(before, step, now, after)


@frozen
class Transition:
    """One step, and its result: the state after it, what became of each request, or what was raised instead."""

    before: CronJobState | None
    step: Step
    now: datetime
    after: CronJobState | None
    verdicts: Mapping[SourceRef, Verdict] = field(factory=dict)
    conflicts: Mapping[SourceRef, Conflict] = field(factory=dict)
    raised: str = ""

    @property
    def result(self) -> tuple[object, ...]:
        """What is compared of two transitions."""
        return self.after, dict(self.verdicts), dict(self.conflicts)

    def __str__(self) -> str:
        verdicts = ", ".join(verdict.value for verdict in self.verdicts.values())
        result = self.raised or f"{verdicts + '; ' if verdicts else ''}{told(self.after)}"
        return f"{self.now:%H:%M:%S} {self.step}\n   -> {result}"


@lru_cache(maxsize=16)
def read_back(state: CronJobState) -> CronJobState | None:
    """Return a state as it is read from the manifest that is written for it."""
    return state_from_manifest(manifest_from_state(state, {}))


@lru_cache(maxsize=16)
def disguised(state: CronJobState) -> CronJobState:
    """Return an equal state that looks different: other spellings, and the claims in another order."""
    claims = {
        it: evolve(claim, schedule=claim.schedule and respelt(claim.schedule, "0"))
        for it, claim in [*state.claims.items()][::-1]
    }
    return evolve(state, schedule=respelt(state.schedule, "0"), claims=claims)


def in_other_words(step: Step) -> Step:
    """Return the same step with its schedules in another spelling, which is not that of a disguised state either."""
    if isinstance(step, Submitted):
        return Submitted(_in_other_words(step.request))
    if isinstance(step, Reconciled):
        return evolve(step, requests=tuple(map(_in_other_words, step.requests)))
    return step


def _in_other_words(request: SourceRequest) -> SourceRequest:
    return evolve(request, schedule=request.schedule and respelt(request.schedule, "00"))


def respelt(schedule: Schedule, zeros: str) -> Schedule:
    """Return the same schedule in another spelling: lists turned around, and zeros in front of numbers."""
    turned = " ".join(",".join(it.split(",")[::-1]) for it in schedule.canonical.replace("*", "?").split())
    other = re.sub(r"\d+", rf"{zeros}\g<0>", turned)
    other = other if len(other) <= MAX_LENGTH else turned
    return Schedule.parse(other if other != schedule.text else schedule.canonical)


def told(state: CronJobState | None) -> str:
    """Tell a state in one line."""
    if state is None:
        return "no CronJob"
    claims = []
    for source in sorted(state.claims, key=by_name):
        claim = state.claims[source]
        wanted = "no preference" if claim.schedule is None else f"'{claim.schedule}'"
        marked = f", rejected by {state.policy}" if claim.rejected else ""
        claims.append(f"{source}: {wanted} since {claim.since:%H:%M:%S}{marked}")
    return f"schedule '{state.schedule}', owner {state.owner}, claims: {'; '.join(claims) or 'none'}"


def _asks(request: SourceRequest) -> str:
    if not request.enabled:
        return f"{request.source} is disabled"
    wanted = "no particular schedule" if request.schedule is None else f"'{request.schedule}'"
    return f"{request.source} asks for {wanted}"
