"""What happened, step by step? Histories of an implementation, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Protocol, Union

from attrs import field, frozen

from .._manifest import manifest_from_state, state_from_manifest
from .._model import (
    Claim,
    Conflict,
    CronJobState,
    Reconciliation,
    Repository,
    Resolution,
    SourceRef,
    SourceRequest,
    Verdict,
)
from .._policy import FirstWins, Policy
from .._resolver import hand_over as _hand_over
from .._resolver import reconcile as _reconcile
from .._resolver import resolve as _resolve
from .._schedule import Schedule

EPOCH = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
"""When histories begin; each step comes a minute after the one before."""
MINUTE = timedelta(minutes=1)


class Resolve(Protocol):
    """What an implementation of ``kopia_maint.resolve`` looks like."""

    def __call__(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution: ...


class Reconcile(Protocol):
    """What an implementation of ``kopia_maint.reconcile`` looks like."""

    def __call__(
        self,
        current: CronJobState | None,
        requests: tuple[SourceRequest, ...],
        *,
        now: datetime,
        policy: Policy,
        unreadable: frozenset[SourceRef],
    ) -> Reconciliation: ...


class HandOver(Protocol):
    """What an implementation of ``kopia_maint.hand_over`` looks like."""

    def __call__(self, current: CronJobState, namespace: str, *, policy: Policy) -> CronJobState: ...


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
    """An administrator makes a namespace the owner."""

    namespace: str

    def __str__(self) -> str:
        return f"an administrator hands over to {self.namespace}"


@frozen
class Restarted:
    """The operator restarts: all it knows is what the CronJob says."""

    def __str__(self) -> str:
        return "the operator restarts and reads the CronJob"


Step = Union[Submitted, Reconciled, HandedOver, Restarted]


@frozen
class Subject:
    """What is being tested: an implementation of the decisions, and a policy."""

    policy: Policy = field(factory=FirstWins)
    resolve: Resolve = _resolve
    reconcile: Reconcile | None = _reconcile
    hand_over: HandOver | None = _hand_over

    @property
    def name(self) -> str:
        """What the policy is called, even if it has no name."""
        return str(getattr(self.policy, "name", type(self.policy).__name__))

    def answers(self, step: Step) -> bool:
        """Whether the implementation has the function that this step needs."""
        return not (
            isinstance(step, Reconciled)
            and self.reconcile is None
            or isinstance(step, HandedOver)
            and self.hand_over is None
        )

    def take(self, before: CronJobState | None, step: Step, now: datetime) -> Transition:
        """Take one step from a state."""
        if isinstance(step, Submitted):
            resolution = self.resolve(before, step.request, now=now, policy=self.policy)
            verdicts = {step.request.source: resolution.verdict}
            conflicts = () if resolution.conflict is None else (resolution.conflict,)
            return Transition(before, step, now, resolution.desired, verdicts, conflicts)
        if isinstance(step, Reconciled) and self.reconcile is not None:
            answer = self.reconcile(before, step.requests, now=now, policy=self.policy, unreadable=step.unreadable)
            return Transition(before, step, now, answer.desired, answer.verdicts, answer.conflicts)
        if before is None:
            return Transition(before, step, now, before)
        if isinstance(step, HandedOver) and self.hand_over is not None:
            return Transition(before, step, now, self.hand_over(before, step.namespace, policy=self.policy))
        return Transition(before, step, now, state_from_manifest(manifest_from_state(before, {})))


@frozen
class Transition:
    """
    One step, and what came of it.

    Attributes:
        before: The state before it.
        step: What happened.
        now: When (UTC).
        after: The state after it.
        verdicts: What became of each source's request.
        conflicts: The records of those that were rejected.
    """

    before: CronJobState | None
    step: Step
    now: datetime
    after: CronJobState | None
    verdicts: Mapping[SourceRef, Verdict] = field(factory=dict)
    conflicts: tuple[Conflict, ...] = ()

    def __str__(self) -> str:
        verdicts = ", ".join(verdict.value for verdict in self.verdicts.values())
        return f"{self.step}\n   -> {verdicts + '; ' if verdicts else ''}{told(self.after)}"


def requests_of(state: CronJobState | None, repository: Repository) -> dict[SourceRef, SourceRequest]:
    """Return the requests that a state's claims recorded."""
    claims: Mapping[SourceRef, Claim] = {} if state is None else state.claims
    return {source: SourceRequest(source, repository, claim.schedule) for source, claim in claims.items()}


def asked_for(state: CronJobState | None) -> dict[SourceRef, str | None]:
    """Return what each claim of a state asks for, by meaning."""
    claims: Mapping[SourceRef, Claim] = {} if state is None else state.claims
    return {source: meaning(claim.schedule) for source, claim in claims.items()}


def meaning(schedule: Schedule | None) -> str | None:
    """Return what is compared of a preference."""
    return None if schedule is None else schedule.canonical


def respelt(schedule: Schedule) -> Schedule:
    """Return the same schedule in another spelling."""
    canonical = schedule.canonical
    if canonical.startswith("@every "):
        return Schedule.parse(canonical.replace("@every ", "@every 0h"))
    return Schedule.parse("?" + canonical[1:] if canonical.startswith("*") else "0" + canonical)


def told(state: CronJobState | None) -> str:
    """Tell a state in one line."""
    if state is None:
        return "no CronJob"
    claims = ", ".join(
        f"{source}: {'no preference' if claim.schedule is None else repr(str(claim.schedule))}"
        f" since {claim.since:%H:%M}"
        for source, claim in sorted(state.claims.items())
    )
    conflict = state.latest_conflict
    about = "no conflict" if conflict is None else f"conflict with {conflict.namespace}/{conflict.name}"
    return f"schedule '{state.schedule}', owner {state.owner}, {about}, claims: {claims or 'none'}"


def _asks(request: SourceRequest) -> str:
    if not request.enabled:
        return f"{request.source} is disabled"
    wanted = "no particular schedule" if request.schedule is None else f"'{request.schedule}'"
    return f"{request.source} asks for {wanted}"
