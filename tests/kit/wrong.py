"""
Which mistakes must the kit find? Implementations and policies, each wrong in one plausible way.

An implementation here is the library with one step before or after it: what is asked,
which policy is asked, or what is answered.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from attrs import evolve

import kopia_maint
from kopia_maint import (
    DEFAULT_SCHEDULE,
    Claim,
    CronJobState,
    Decision,
    FirstWins,
    Policy,
    Reconciliation,
    Resolution,
    Schedule,
    SourceRef,
    SourceRequest,
    Verdict,
)

D = TypeVar("D", Decision, Resolution, Reconciliation)
MINUTE = timedelta(minutes=1)


class Always:
    """A policy that always gives one answer, under another's name."""

    def __init__(self, answer: bool, name: str) -> None:
        self.answer = answer
        self.name = name

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return self.answer


class Right:
    """The library, with the places where a mistake is made."""

    def asks(self, request: SourceRequest) -> SourceRequest:
        return request

    def policy(self, policy: Policy, current: CronJobState | None, now: datetime) -> Policy:
        return policy

    def answer(self, decision: D) -> D:
        return decision

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        policy = self.policy(policy, current, now)
        return self.answer(kopia_maint.resolve(current, self.asks(request), now=now, policy=policy))

    def reconcile(
        self,
        current: CronJobState | None,
        requests: Iterable[SourceRequest],
        *,
        now: datetime,
        policy: Policy,
        unreadable: frozenset[SourceRef] = frozenset(),
    ) -> Reconciliation:
        asked = [self.asks(request) for request in requests]
        policy = self.policy(policy, current, now)
        return self.answer(kopia_maint.reconcile(current, asked, now=now, policy=policy, unreadable=unreadable))

    def hand_over(self, current: CronJobState, namespace: str, *, policy: Policy) -> Decision:
        return self.answer(kopia_maint.hand_over(current, namespace, policy=policy))

    def withdraw(self, current: CronJobState, source: SourceRef, *, policy: Policy) -> Decision:
        return self.answer(kopia_maint.withdraw(current, source, policy=policy))


def marked(state: CronJobState, sources: Iterable[SourceRef], policy: str) -> CronJobState:
    """Return a state whose marked claims are these."""
    claims = {it: evolve(claim, rejected=it in sources) for it, claim in state.claims.items()}
    return evolve(state, claims=claims, policy=policy if any(claim.rejected for claim in claims.values()) else None)


class ForkTakesTheLabel(Right):
    """The fork: a tenant that was rejected becomes the owner all the same."""

    def answer(self, decision: D) -> D:
        if not isinstance(decision, Resolution) or decision.desired is None or not decision.request.enabled:
            return decision
        return evolve(decision, desired=evolve(decision.desired, owner=decision.request.source.namespace))


class LastWriterOwns(Right):
    """A tenant that agrees becomes the owner."""

    def answer(self, decision: D) -> D:
        if isinstance(decision, Resolution) and decision.verdict is Verdict.AGREED and decision.desired is not None:
            return evolve(decision, desired=evolve(decision.desired, owner=decision.request.source.namespace))
        return decision


class ComparesText(Right):
    """`@daily` is another schedule than `0 0 * * *`."""

    def answer(self, decision: D) -> D:
        if isinstance(decision, Resolution) and decision.verdict is Verdict.AGREED and decision.desired is not None:
            wanted = decision.request.schedule or decision.desired.schedule
            if wanted.text != decision.desired.schedule.text:
                return evolve(decision, verdict=Verdict.SUPERSEDED)
        return decision


class OddSecondsWin(Right):
    """Every request wins that comes at an odd second."""

    def policy(self, policy: Policy, current: CronJobState | None, now: datetime) -> Policy:
        return Always(True, policy.name) if now.second % 2 else policy


class NeverReplaces(Right):
    """The schedule stays, whatever the policy says."""

    def policy(self, policy: Policy, current: CronJobState | None, now: datetime) -> Policy:
        return Always(False, policy.name)


class AsksNobodyFirst(Right):
    """The schedule of the first request is established, whatever the policy says."""

    def policy(self, policy: Policy, current: CronJobState | None, now: datetime) -> Policy:
        return Always(True, policy.name) if current is None else policy


class RecordsOneByOne(Right):
    """`reconcile` asks the policy about each source before the next one's claim is recorded."""

    def reconcile(
        self,
        current: CronJobState | None,
        requests: Iterable[SourceRequest],
        *,
        now: datetime,
        policy: Policy,
        unreadable: frozenset[SourceRef] = frozenset(),
    ) -> Reconciliation:
        state, listed = current, list(requests)
        for request in sorted(listed, key=lambda it: (it.created_at is None, it.created_at, it.source)):
            state = kopia_maint.resolve(state, request, now=now, policy=policy).desired
        decision = kopia_maint.reconcile(state, listed, now=now, policy=policy, unreadable=unreadable)
        return evolve(decision, current=current)


class TakesTurns(Right):
    """Every request is news: two sources of one namespace that differ flip the schedule at every reconcile."""

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        bare = current and kopia_maint.withdraw(current, request.source, policy=policy).desired
        claim = current.claims.get(request.source) if current else None
        same = claim is not None and claim.schedule == request.schedule
        decision = super().resolve(bare, request, now=claim.since if claim and same else now, policy=policy)
        return evolve(decision, current=current)


class RefreshesTimes(Right):
    """Each submission is dated anew."""

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        decision = super().resolve(current, request, now=now, policy=policy)
        if decision.desired is None or request.source not in decision.desired.claims:
            return decision
        claim = evolve(decision.desired.claims[request.source], since=now)
        claims = {**decision.desired.claims, request.source: claim}
        return evolve(decision, desired=evolve(decision.desired, claims=claims))


class Antedates(Right):
    """A claim is dated when the next minute begins."""

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        return super().resolve(current, request, now=now + MINUTE, policy=policy)


class LosesClaims(Right):
    """A rejected claim is not recorded."""

    def answer(self, decision: D) -> D:
        if isinstance(decision, Resolution) and decision.verdict is Verdict.REJECTED and decision.desired is not None:
            claims = {it: claim for it, claim in decision.desired.claims.items() if not claim.rejected}
            return evolve(decision, desired=evolve(decision.desired, claims=claims, policy=None))
        return decision


class CountsDisabled(Right):
    """`enabled: false` is overlooked."""

    def asks(self, request: SourceRequest) -> SourceRequest:
        return evolve(request, enabled=True)


class NoPreferenceIsTheDefault(Right):
    """A source without a preference is taken to ask for 02:00."""

    def asks(self, request: SourceRequest) -> SourceRequest:
        return evolve(request, schedule=request.schedule or DEFAULT_SCHEDULE)


class DefaultsToThree(Right):
    """Another default."""

    def answer(self, decision: D) -> D:
        if decision.current is None and decision.desired is not None and not decision.desired.preferences:
            return evolve(decision, desired=evolve(decision.desired, schedule=Schedule.parse("0 3 * * *")))
        return decision


class RejectsSilently(Right):
    """There is a verdict, and no record."""

    def answer(self, decision: D) -> D:
        return evolve(decision, conflict=None) if isinstance(decision, Resolution) else decision


class MisdatesTheRecord(Right):
    """A conflict is dated when it is reported, not when it began."""

    def answer(self, decision: D) -> D:
        if not isinstance(decision, Resolution) or decision.conflict is None:
            return decision
        return evolve(decision, conflict=evolve(decision.conflict, since=decision.conflict.since + MINUTE))


class SaysAgreed(Right):
    """Establishes, and says that it agreed."""

    def answer(self, decision: D) -> D:
        said = isinstance(decision, Resolution) and decision.verdict is Verdict.ESTABLISHED
        return evolve(decision, verdict=Verdict.AGREED) if said else decision


class NeverClears(Right):
    """A mark stays as long as its claim."""

    def answer(self, decision: D) -> D:
        before, after = decision.current, decision.desired
        if before is None or after is None or before.policy is None:
            return decision
        kept = {it for it in before.claims.rejected if before.claims[it].schedule == after.claims.get(it, NO).schedule}
        return evolve(decision, desired=marked(after, kept | after.claims.rejected, before.policy))


NO = Claim(None, datetime.fromisoformat("2024-01-15T10:30:00+00:00"))


class WithdrawsOneMark(Right):
    """`withdraw` leaves the other claims as they are marked."""

    def withdraw(self, current: CronJobState, source: SourceRef, *, policy: Policy) -> Decision:
        desired = kopia_maint.withdraw(current, source, policy=policy).desired
        assert desired is not None
        return Decision(current=current, desired=marked(desired, current.claims.rejected, policy.name))


class RejectsTheOwner(Right):
    """A superseded claim is taken for a conflict."""

    def answer(self, decision: D) -> D:
        if isinstance(decision, Resolution) and decision.verdict is Verdict.SUPERSEDED and decision.desired is not None:
            source = decision.request.source
            state = marked(decision.desired, {source, *decision.desired.claims.rejected}, "first-wins")
            return evolve(decision, desired=state, verdict=Verdict.REJECTED, conflict=state.conflict_of(source))
        return decision


class ForgetsTheOwner(Right):
    """When the owner's last claim goes, the next namespace becomes the owner."""

    def answer(self, decision: D) -> D:
        state = decision.desired
        if state is None or not state.orphaned or not state.claims:
            return decision
        return evolve(decision, desired=evolve(state, owner=min(state.namespaces)))


class DropsTheSchedule(Right):
    """When the owner's last claim goes, the default is back."""

    def answer(self, decision: D) -> D:
        state = decision.desired
        return evolve(decision, desired=evolve(state, schedule=DEFAULT_SCHEDULE)) if state and state.orphaned else decision


class UndoesEdits(Right):
    """The schedule is worked out anew from the owner's latest claim."""

    def answer(self, decision: D) -> D:
        state = decision.desired
        own = [] if state is None else [it for it, c in state.claims.items() if it.namespace == state.owner and c.schedule]
        if state is None or len(own) != 1 or not isinstance(decision, Resolution) or decision.request.schedule:
            return decision
        return evolve(decision, desired=evolve(state, schedule=state.claims[own[0]].schedule))


class HandOverForgets(Right):
    """The claim that a hand-over establishes is taken for settled, and dropped."""

    def hand_over(self, current: CronJobState, namespace: str, *, policy: Policy) -> Decision:
        decision = kopia_maint.hand_over(current, namespace, policy=policy)
        state = decision.desired
        assert state is not None
        claims = {source: claim for source, claim in state.claims.items() if source.namespace != namespace}
        return evolve(decision, desired=evolve(state, claims=claims, policy=None)) if decision.changed else decision


class HandsOverTheEarliest(Right):
    """Of the new owner's claims, the earliest counts."""

    def hand_over(self, current: CronJobState, namespace: str, *, policy: Policy) -> Decision:
        decision = kopia_maint.hand_over(current, namespace, policy=policy)
        own = sorted((it for it, c in current.claims.items() if it.namespace == namespace and c.schedule), key=current.latest)
        if not own or decision.desired is None or not decision.changed:
            return decision
        return evolve(decision, desired=evolve(decision.desired, schedule=current.claims[own[0]].schedule))


class HandsOverUnasked(Right):
    """A hand-over establishes whatever the new owner asks for last, and asks no policy."""

    def hand_over(self, current: CronJobState, namespace: str, *, policy: Policy) -> Decision:
        return kopia_maint.hand_over(current, namespace, policy=Always(True, policy.name))


class DeletesWithTheOwner(Right):
    """The CronJob goes when its owner goes."""

    def answer(self, decision: D) -> D:
        gone = isinstance(decision, Reconciliation) and decision.desired is not None and decision.desired.orphaned
        return evolve(decision, desired=None) if gone else decision


class NeverDeletes(Right):
    """The CronJob stays when no source is left."""

    def answer(self, decision: D) -> D:
        if decision.current is None or decision.desired is not None:
            return decision
        return evolve(decision, desired=evolve(decision.current, claims={}, policy=None))


class UnreadableIsGone(Right):
    """A typo deletes a claim."""

    def reconcile(
        self,
        current: CronJobState | None,
        requests: Iterable[SourceRequest],
        *,
        now: datetime,
        policy: Policy,
        unreadable: frozenset[SourceRef] = frozenset(),
    ) -> Reconciliation:
        return super().reconcile(current, requests, now=now, policy=policy)


class ListOrderDecides(Right):
    """The first of the list is the first."""

    def reconcile(
        self,
        current: CronJobState | None,
        requests: Iterable[SourceRequest],
        *,
        now: datetime,
        policy: Policy,
        unreadable: frozenset[SourceRef] = frozenset(),
    ) -> Reconciliation:
        listed = [evolve(request, created_at=now + number * MINUTE) for number, request in enumerate(requests)]
        return super().reconcile(current, listed, now=now, policy=policy, unreadable=unreadable)


class IgnoresCreation(Right):
    """The oldest source has no precedence."""

    def asks(self, request: SourceRequest) -> SourceRequest:
        return evolve(request, created_at=None)


class HashesTheNamespace(Right):
    """Each namespace has a CronJob of its own."""

    def answer(self, decision: D) -> D:
        state = decision.desired
        return evolve(decision, desired=evolve(state, repository_hash="0" * 16)) if state else decision


class LosesTheSecret(Right):
    """The Secret's name is not written down."""

    def answer(self, decision: D) -> D:
        return evolve(decision, desired=evolve(decision.desired, secret_name=None)) if decision.desired else decision


class MarksItsArgument(Right):
    """Writes into the state that it was given."""

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        if current is not None:
            object.__setattr__(current, "secret_name", f"{current.secret_name}x")
        return super().resolve(current, request, now=now, policy=policy)


class RemembersTheFirst(Right):
    """A memory of its own: the first namespace that it ever saw is the owner, restart or not."""

    first: str | None = None

    def answer(self, decision: D) -> D:
        if not isinstance(decision, Resolution) or decision.desired is None:
            return decision
        self.first = self.first or decision.request.source.namespace
        return evolve(decision, desired=evolve(decision.desired, owner=self.first))


class NeedsFiveFields(Right):
    """Takes `@every` and the other short forms for no preference."""

    def asks(self, request: SourceRequest) -> SourceRequest:
        short = request.schedule is not None and request.schedule.text.startswith("@")
        return evolve(request, schedule=None) if short else request


RESOLVERS: dict[type[Right], str] = {
    MarksItsArgument: "Pure",
    ComparesText: "Pure",
    NeedsFiveFields: "Pure",
    ForkTakesTheLabel: "Quiet",
    LastWriterOwns: "Quiet",
    RemembersTheFirst: "Permitted",
    OddSecondsWin: "First wins",
    NeverReplaces: "Permitted",
    AsksNobodyFirst: "Permitted",
    RecordsOneByOne: "Permitted",
    DefaultsToThree: "Permitted",
    HandsOverTheEarliest: "Permitted",
    HandsOverUnasked: "Visible",
    IgnoresCreation: "Permitted",
    TakesTurns: "Persistence",
    RefreshesTimes: "Quiet",
    ForgetsTheOwner: "Permitted",
    DropsTheSchedule: "First wins",
    UndoesEdits: "First wins",
    CountsDisabled: "Neutrality",
    RejectsSilently: "Visible",
    MisdatesTheRecord: "Visible",
    SaysAgreed: "Visible",
    NeverClears: "Visible",
    WithdrawsOneMark: "Visible",
    RejectsTheOwner: "Visible",
    LosesClaims: "Quiet",
    NoPreferenceIsTheDefault: "Nothing lost",
    Antedates: "Nothing lost",
    HandOverForgets: "Nothing lost",
    ListOrderDecides: "Order-free",
    DeletesWithTheOwner: "Quiet",
    NeverDeletes: "Deleted exactly",
    UnreadableIsGone: "Visible",
    HashesTheNamespace: "Identity",
    LosesTheSecret: "Identity",
}
"""Each wrong implementation, and the law that the shortest history breaks first."""


# --- policies ------------------------------------------------------------------


class Remembers:
    """A memory: the first namespace that it was ever asked about may."""

    name = "remembers"
    first: str | None = None

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        self.first = self.first or challenger.namespace
        return challenger.namespace == self.first


class Toggles:
    """A memory that changes with each question."""

    name = "toggles"
    asked = 0

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        self.asked += 1
        return self.asked % 2 == 0


class ReadsTheClock:
    """Permits everything in the odd milliseconds."""

    name = "reads-the-clock"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return time.time_ns() // 1_000_000 % 2 == 1


class LooksAtTheFirstPreference:
    """Depends on the order of the preferences."""

    name = "first-preference"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return next(iter(state.preferences)) == state.claims[challenger].schedule


class LooksAtTheFirstClaim:
    """Depends on the order of the claims."""

    name = "first-claim"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return next(iter(state.claims)).namespace == challenger.namespace


class LooksAtTheSpelling:
    """Refuses the short forms, however they are meant."""

    name = "spelling"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return not str(state.claims[challenger].schedule).startswith("@")


class Raises:
    """Has not thought of a schedule that no claim of the owner asks for."""

    name = "raises"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return next(it for it, c in state.claims.items() if it.namespace == state.owner and c.schedule) < challenger


class SaysNo:
    """Its "no" is true."""

    name = "says-no"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return "no"  # type: ignore[return-value]


class IsAsync:
    """Nobody awaits its answer."""

    name = "is-async"

    async def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return True


class Nameless:
    """No record can name it."""

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return True


class Misnamed(FirstWins):
    """No record can hold its name."""

    @property
    def name(self) -> str:
        return "My Policy"


POLICIES: tuple[type, ...] = (
    Remembers,
    Toggles,
    ReadsTheClock,
    LooksAtTheFirstPreference,
    LooksAtTheFirstClaim,
    LooksAtTheSpelling,
    Raises,
    SaysNo,
    IsAsync,
    Nameless,
    Misnamed,
)


class KnowsTwo:
    """Raises for a namespace that it does not know."""

    name = "knows-two"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return {"platform": True, "team-a": False, "team-b": False, "team-c": False}[challenger.namespace]
