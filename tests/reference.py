"""
The semantics once more, as slowly and plainly as possible: to compare with, and to break on purpose.

Every step is a method of its own, so that a wrong implementation is a subclass
that overrides one of them with a plausible mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve

from kopia_maint import (
    DEFAULT_SCHEDULE,
    Claim,
    Conflict,
    CronJobState,
    FirstWins,
    Policy,
    Reconciliation,
    Resolution,
    Schedule,
    SourceRef,
    SourceRequest,
    Verdict,
)

Claims = dict[SourceRef, Claim]


class Reference:
    """An implementation of `resolve`, `reconcile` and `hand_over` that shares no line with the library's."""

    def resolve(
        self,
        current: CronJobState | None,
        request: SourceRequest,
        *,
        now: datetime,
        policy: Policy,
    ) -> Resolution:
        """Decide one request."""
        if not self.takes_part(request):
            desired = current and self.settle(current, self.without(current, {request.source}), policy)
            verdict = Verdict.DISABLED
            return self.answer(
                Resolution(request=request, current=current, desired=desired, verdict=verdict, conflict=None)
            )
        if current is None:
            wanted = self.preference(request)
            first = {request.source: Claim(wanted, now)}
            hash_, name = request.repository.hash, request.repository.secret_name
            state = CronJobState(hash_, wanted or DEFAULT_SCHEDULE, request.source.namespace, first, None, name)
            verdict = Verdict.ESTABLISHED
            return self.answer(Resolution(request=request, current=None, desired=state, verdict=verdict, conflict=None))

        news = self.is_news(current, request)
        claims = dict(current.claims)
        if news:
            claims[request.source] = Claim(self.preference(request), now)
        asked = self.change(current, claims=claims)
        verdict = self.judge(asked, request, news, policy)
        schedule, owner = current.schedule, self.owner_after(current, request, verdict)
        if verdict is Verdict.ESTABLISHED:
            schedule = self.preference(request) or schedule
        claims = self.claims_after(current, asked, verdict)
        desired = self.settle(current, self.change(current, schedule, owner, claims), policy)
        conflict = self.conflict(desired, request.source, policy) if verdict is Verdict.REJECTED else None
        return self.answer(
            Resolution(request=request, current=current, desired=desired, verdict=verdict, conflict=conflict)
        )

    def judge(self, state: CronJobState, request: SourceRequest, news: bool, policy: Policy) -> Verdict:
        """Return the verdict on an enabled request, whose claim is in the state."""
        if self.agrees(state, request):
            return Verdict.AGREED
        if state.owner is None:
            return Verdict.ESTABLISHED
        if not policy.permits(state, request.source):
            return Verdict.REJECTED
        return Verdict.ESTABLISHED if news else Verdict.SUPERSEDED

    def reconcile(
        self,
        current: CronJobState | None,
        requests: Iterable[SourceRequest],
        *,
        now: datetime,
        policy: Policy,
        unreadable: frozenset[SourceRef] = frozenset(),
    ) -> Reconciliation:
        """Decide the whole list, request by request."""
        listed = list(requests)
        enabled = [request for request in self.in_order(listed) if self.takes_part(request)]
        left = {request.source for request in enabled} | self.standing(unreadable)
        state = current
        if state is not None:
            state = self.change(state, claims={s: c for s, c in state.claims.items() if s in left})
        for request in enabled:
            state = self.resolve(state, request, now=now, policy=policy).desired
        if state is None or self.is_over(state, left):
            verdicts = {request.source: Verdict.DISABLED for request in listed}
            return Reconciliation(current=current, desired=None, verdicts=verdicts, conflicts=())
        desired = self.settle(current, state, policy)
        verdicts = {request.source: Verdict.DISABLED for request in listed if not self.takes_part(request)}
        conflicts = []
        for source, claim in desired.claims.items():
            if claim.schedule is None or claim.schedule == desired.schedule:
                verdicts[source] = Verdict.AGREED
            elif policy.permits(desired, source):
                verdicts[source] = Verdict.SUPERSEDED
            else:
                verdicts[source] = Verdict.REJECTED
                conflicts.append(self.conflict(desired, source, policy))
        ordered = tuple(sorted(conflicts, key=lambda c: (c.namespace, c.name or "")))
        return Reconciliation(current=current, desired=desired, verdicts=verdicts, conflicts=ordered)

    def hand_over(self, current: CronJobState, namespace: str, *, policy: Policy) -> CronJobState:
        """Make a namespace the owner."""
        if current.owner == namespace:
            return current
        latest: tuple[datetime, str, Schedule] | None = None
        for source, claim in current.claims.items():
            if source.namespace == namespace and claim.schedule is not None:
                candidate = (claim.since, source.name, claim.schedule)
                latest = candidate if latest is None or candidate[:2] > latest[:2] else latest
        schedule = current.schedule if latest is None else latest[2]
        handed = self.change(current, schedule, namespace, self.claims_handed_over(current, namespace))
        return self.settle(current, handed, policy)

    # What a plausible mistake would get wrong:

    def takes_part(self, request: SourceRequest) -> bool:
        return request.enabled

    def preference(self, request: SourceRequest) -> Schedule | None:
        return request.schedule

    def is_news(self, state: CronJobState, request: SourceRequest) -> bool:
        claim = state.claims.get(request.source)
        return claim is None or claim.schedule != self.preference(request)

    def agrees(self, state: CronJobState, request: SourceRequest) -> bool:
        return self.preference(request) in (None, state.schedule)

    def owner_after(self, state: CronJobState, request: SourceRequest, verdict: Verdict) -> str | None:
        takes = verdict is Verdict.ESTABLISHED or state.owner is None
        return request.source.namespace if takes else state.owner

    def claims_after(self, before: CronJobState, asked: CronJobState, verdict: Verdict) -> Claims:
        return dict(asked.claims)

    def claims_handed_over(self, state: CronJobState, namespace: str) -> Claims:
        return dict(state.claims)

    def in_order(self, requests: list[SourceRequest]) -> list[SourceRequest]:
        known = sorted((r for r in requests if r.created_at), key=lambda r: (r.created_at, r.source))
        return known + sorted((r for r in requests if not r.created_at), key=lambda r: r.source)

    def standing(self, unreadable: frozenset[SourceRef]) -> set[SourceRef]:
        return set(unreadable)

    def is_over(self, state: CronJobState, left: set[SourceRef]) -> bool:
        return not left

    def answer(self, resolution: Resolution) -> Resolution:
        return resolution

    def settle(self, current: CronJobState | None, state: CronJobState, policy: Policy) -> CronJobState:
        """Derive the latest conflict anew."""
        latest: Conflict | None = None
        for source in sorted(state.claims):
            wanted = state.claims[source].schedule
            if wanted not in (None, state.schedule) and not policy.permits(state, source):
                conflict = self.conflict(state, source, policy)
                latest = conflict if latest is None or conflict.since >= latest.since else latest
        return CronJobState(
            state.repository_hash, state.schedule, state.owner, state.claims, latest, state.repository_name
        )

    @staticmethod
    def conflict(state: CronJobState, source: SourceRef, policy: Policy) -> Conflict:
        claim = state.claims[source]
        assert claim.schedule is not None
        return Conflict(
            namespace=source.namespace, name=source.name, schedule=claim.schedule, since=claim.since, policy=policy.name
        )

    @staticmethod
    def without(state: CronJobState, gone: set[SourceRef]) -> CronJobState:
        return Reference.change(state, claims={s: c for s, c in state.claims.items() if s not in gone})

    @staticmethod
    def change(
        state: CronJobState,
        schedule: Schedule | None = None,
        owner: str | None = None,
        claims: Claims | None = None,
    ) -> CronJobState:
        return CronJobState(
            state.repository_hash,
            schedule or state.schedule,
            owner or state.owner,
            state.claims if claims is None else claims,
            state.latest_conflict,
            state.repository_name,
        )


class ForkTakesTheLabel(Reference):
    """The fork: a tenant that was rejected becomes the owner all the same."""

    def owner_after(self, state: CronJobState, request: SourceRequest, verdict: Verdict) -> str | None:
        return request.source.namespace


class ComparesText(Reference):
    """`@daily` conflicts with `0 0 * * *`."""

    def agrees(self, state: CronJobState, request: SourceRequest) -> bool:
        return request.schedule is None or request.schedule.text == state.schedule.text


class RefreshesTimes(Reference):
    """Each submission is dated anew."""

    def is_news(self, state: CronJobState, request: SourceRequest) -> bool:
        return True

    def judge(self, state: CronJobState, request: SourceRequest, news: bool, policy: Policy) -> Verdict:
        return super().judge(state, request, False, policy)


class LastWriterOwns(Reference):
    """Whoever agrees becomes the owner."""

    def owner_after(self, state: CronJobState, request: SourceRequest, verdict: Verdict) -> str | None:
        return state.owner if verdict is Verdict.REJECTED else request.source.namespace


class CountsDisabled(Reference):
    """`enabled: false` is overlooked."""

    def takes_part(self, request: SourceRequest) -> bool:
        return True


class LosesClaims(Reference):
    """What is rejected is not remembered."""

    def claims_after(self, before: CronJobState, asked: CronJobState, verdict: Verdict) -> Claims:
        return dict(before.claims if verdict is Verdict.REJECTED else asked.claims)


class NeverClears(Reference):
    """A conflict stays on the CronJob for ever."""

    def settle(self, current: CronJobState | None, state: CronJobState, policy: Policy) -> CronJobState:
        settled = super().settle(current, state, policy)
        if settled.latest_conflict is None and current is not None and current.latest_conflict is not None:
            return CronJobState(
                settled.repository_hash, settled.schedule, settled.owner, settled.claims, current.latest_conflict
            )
        return settled


class RejectsSilently(Reference):
    """There is a verdict, and no record."""

    def answer(self, resolution: Resolution) -> Resolution:
        return evolve(resolution, conflict=None)


class DeletesWithTheOwner(Reference):
    """The CronJob goes when its owner goes."""

    def is_over(self, state: CronJobState, left: set[SourceRef]) -> bool:
        return not any(source.namespace == state.owner for source in left)


class UnreadableIsGone(Reference):
    """A typo deletes a claim."""

    def standing(self, unreadable: frozenset[SourceRef]) -> set[SourceRef]:
        return set()


class ListOrderDecides(Reference):
    """Whoever comes first in the list is the first."""

    def in_order(self, requests: list[SourceRequest]) -> list[SourceRequest]:
        return requests


class NoPreferenceIsTheDefault(Reference):
    """Who asks for nothing is taken to ask for 02:00."""

    def preference(self, request: SourceRequest) -> Schedule | None:
        return request.schedule or DEFAULT_SCHEDULE


class TakesTurns(Reference):
    """Two sources of one namespace that differ flip the schedule at every reconcile."""

    def judge(self, state: CronJobState, request: SourceRequest, news: bool, policy: Policy) -> Verdict:
        return super().judge(state, request, True, policy)


class HandOverForgets(Reference):
    """The claim that was established by a hand-over is taken for settled, and dropped."""

    def claims_handed_over(self, state: CronJobState, namespace: str) -> Claims:
        return {source: claim for source, claim in state.claims.items() if source.namespace != namespace}


class StaleIsNews(Reference):
    """A request that differs from what stands is taken for news, whatever it asked before."""

    def is_news(self, state: CronJobState, request: SourceRequest) -> bool:
        return super().is_news(state, request) or self.preference(request) not in (None, state.schedule)


class RemembersTheFirst(Reference):
    """A memory of its own: the first namespace that it ever saw is the owner, restart or not."""

    def __init__(self) -> None:
        self.first: str | None = None

    def owner_after(self, state: CronJobState, request: SourceRequest, verdict: Verdict) -> str | None:
        self.first = self.first or request.source.namespace
        return self.first


class ForgetsTheOwner(Reference):
    """Disabling the owner's last source makes the next namespace the owner."""

    def settle(self, current: CronJobState | None, state: CronJobState, policy: Policy) -> CronJobState:
        settled = super().settle(current, state, policy)
        if settled.orphaned and settled.claims:
            return super().settle(current, self.change(settled, owner=min(settled.namespaces)), policy)
        return settled


class DropsTheSchedule(Reference):
    """When the owner's source is disabled, the default is back."""

    def settle(self, current: CronJobState | None, state: CronJobState, policy: Policy) -> CronJobState:
        settled = super().settle(current, state, policy)
        if settled.orphaned:
            return super().settle(current, self.change(settled, schedule=DEFAULT_SCHEDULE), policy)
        return settled


class DefaultsToThree(Reference):
    """Another default."""

    def answer(self, resolution: Resolution) -> Resolution:
        if resolution.current is None and resolution.request.schedule is None and resolution.desired is not None:
            return evolve(resolution, desired=self.change(resolution.desired, schedule=Schedule.parse("0 3 * * *")))
        return resolution


class SaysAgreed(Reference):
    """Establishes, and says that it agreed."""

    def answer(self, resolution: Resolution) -> Resolution:
        said = resolution.verdict in (Verdict.ESTABLISHED, Verdict.SUPERSEDED)
        return evolve(resolution, verdict=Verdict.AGREED) if said else resolution


class HandsOverTheEarliest(Reference):
    """Of the new owner's claims, the first counts."""

    def hand_over(self, current: CronJobState, namespace: str, *, policy: Policy) -> CronJobState:
        handed = super().hand_over(current, namespace, policy=policy)
        wanted = [(c.since, s.name, c.schedule) for s, c in current.claims.items() if s.namespace == namespace]
        schedules = [schedule for _, _, schedule in sorted(wanted, key=lambda w: w[:2]) if schedule]
        if not schedules or handed is current:
            return handed
        return self.settle(current, self.change(handed, schedule=schedules[0]), policy)


class IgnoresCreation(Reference):
    """The oldest source has no precedence."""

    def in_order(self, requests: list[SourceRequest]) -> list[SourceRequest]:
        return sorted(requests, key=lambda request: request.source)


WRONG_RESOLVERS: tuple[type[Reference], ...] = (
    ForkTakesTheLabel,
    ComparesText,
    RefreshesTimes,
    LastWriterOwns,
    CountsDisabled,
    LosesClaims,
    NeverClears,
    RejectsSilently,
    DeletesWithTheOwner,
    UnreadableIsGone,
    ListOrderDecides,
    NoPreferenceIsTheDefault,
    TakesTurns,
    HandOverForgets,
    StaleIsNews,
    RemembersTheFirst,
    ForgetsTheOwner,
    DropsTheSchedule,
    DefaultsToThree,
    SaysAgreed,
    HandsOverTheEarliest,
    IgnoresCreation,
)


class CountsCalls:
    """A policy that permits every second question."""

    name = "counts-calls"

    def __init__(self) -> None:
        self.calls = 0

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        self.calls += 1
        return self.calls % 2 == 0


class Raises:
    """A policy that has not thought of an owner without claims."""

    name = "raises"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        assert state.owner is not None
        return bool(min(source.name for source in state.claims if source.namespace == state.owner))


class ReadsTheRecord:
    """A policy that looks at what the last decision wrote."""

    name = "reads-the-record"

    def __init__(self) -> None:
        self.seen: set[SourceRef] = set()

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        again = challenger in self.seen
        self.seen.add(challenger)
        return again


class Renamed(FirstWins):
    """A policy whose name no record can hold."""

    @property
    def name(self) -> str:
        return "My Policy"


class SaysNo:
    """A policy whose "no" is true."""

    name = "says-no"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return "no"  # type: ignore[return-value]


class Nameless:
    """A policy that records cannot name."""

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        return True


WRONG_POLICIES: tuple[type, ...] = (CountsCalls, Raises, ReadsTheRecord, Renamed, SaysNo, Nameless)
