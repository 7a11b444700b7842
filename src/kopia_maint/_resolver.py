"""
Whose schedule stands, and what is recorded of the rest? The decision.

Theory of operation. A *claim* is what a source last asked for. A request is
*news* when its source has no claim, or one that asks for something else; an
enabled request records its claim when it is news, and only then does time enter
(``since``). Which rule applies depends on the state, the request, whether it was
news, and on one question to the policy; ``RULES`` lists them all. Asking again
for what was asked before is not news and changes nothing, so a controller can
re-submit every source for ever.

``resolve`` applies one request. ``reconcile`` drops the claims of those who are
gone and applies the rest in canonical order. ``plan`` does that for every
repository. The latest conflict is derived anew by every decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple, cast

from attrs import evolve

from ._errors import InvalidValue, RepositoryMismatch, shown
from ._model import (
    Claim,
    Claims,
    Conflict,
    CronJobState,
    FrozenMapping,
    Reconciliation,
    Repository,
    Resolution,
    SourceRef,
    SourceRequest,
    Verdict,
    check_name,
    count_preferences,
    utc_seconds,
)
from ._policy import FirstWins, Policy
from ._schedule import DEFAULT_SCHEDULE, Schedule

_FIRST_WINS = FirstWins()


class Rule(NamedTuple):
    """
    One row of the table that ``resolve`` follows.

    Attributes:
        current: The CronJob that stands.
        request: What the request asks for.
        verdict: What becomes of it.
        takes_schedule: Whether its schedule is established (the default, where it has none).
        takes_ownership: Whether its namespace becomes the owner.
    """

    current: str
    request: str
    verdict: Verdict
    takes_schedule: bool
    takes_ownership: bool


# Every enabled request records its claim first, if it is news; a disabled one drops it.
# fmt: off
#                    current          request                                       verdict              schedule owner
CREATES      = Rule("none",          "enabled",                                    Verdict.ESTABLISHED, True,    True)
STAYS_AWAY   = Rule("none",          "disabled",                                   Verdict.DISABLED,    False,   False)
WITHDRAWS    = Rule("any",           "disabled",                                   Verdict.DISABLED,    False,   False)
TAKES_OVER   = Rule("owner unknown", "something else than what stands",            Verdict.ESTABLISHED, True,    True)
TAKES_UP     = Rule("owner unknown", "no preference, or what stands",              Verdict.AGREED,      False,   True)
AGREES       = Rule("owner known",   "no preference, or what stands",              Verdict.AGREED,      False,   False)
REPLACES     = Rule("owner known",   "something else, news, the policy permits",   Verdict.ESTABLISHED, True,    True)
ASKED_BEFORE = Rule("owner known",   "something else, no news, the policy would",  Verdict.SUPERSEDED,  False,   False)
REFUSED      = Rule("owner known",   "something else, the policy does not permit", Verdict.REJECTED,    False,   False)
# fmt: on

RULES = (CREATES, STAYS_AWAY, WITHDRAWS, TAKES_OVER, TAKES_UP, AGREES, REPLACES, ASKED_BEFORE, REFUSED)


def resolve(
    current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy = _FIRST_WINS
) -> Resolution:
    """
    Decide one incoming request.

    Args:
        current: The state of the repository's CronJob; None: there is none.
        request: What a source asks for. A source that was deleted or moved away is
            submitted once more, as disabled, unless you use :func:`reconcile`.
        now: The time of the decision, aware. It is read only where a claim is news.
        policy: Who may replace the established schedule.

    Raises:
        RepositoryMismatch: The request is about another repository than *current*.
        InvalidValue: *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now)
    _check_policy(policy)
    _check(current, request)
    draft = _Draft(current, policy)
    rule = draft.submit(request, now)
    desired, conflict = draft.state(), None
    if desired is not None:
        desired = _settled(desired, _rejected(desired, policy), policy, _inherited(current))
        if rule is REFUSED:
            conflict = _conflict(desired, request.source, policy)
    return Resolution(request=request, current=current, desired=desired, verdict=rule.verdict, conflict=conflict)


def reconcile(
    current: CronJobState | None,
    requests: Iterable[SourceRequest],
    *,
    now: datetime,
    policy: Policy = _FIRST_WINS,
    unreadable: Collection[SourceRef] = (),
) -> Reconciliation:
    """
    Decide for every source of one repository that still exists, whatever the order of the list.

    Args:
        current: The state of the repository's CronJob; None: there is none.
        requests: What every source of this repository asks for.
        now: The time of the decision, aware.
        policy: Who may replace the established schedule.
        unreadable: Sources whose manifest cannot be read. Their claims stand as they
            are, they keep the CronJob alive, and they create nothing.

    Raises:
        RepositoryMismatch: The requests and *current* are not all about one repository.
        InvalidValue: A source is listed twice, *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now)
    _check_policy(policy)
    asked = list(requests)
    for request in asked:
        _check(current, request)
        if request.repository.hash != asked[0].repository.hash:
            names = f"{asked[0].repository.secret_name} and {request.repository.secret_name}"
            raise RepositoryMismatch(f"the requests are about two repositories, {names}", source=request.source)
    unread = frozenset(unreadable)
    _check_sources([request.source for request in asked], unread)
    asked.sort(key=_canonical_order)
    enabled = [request for request in asked if request.enabled]

    desired = None
    verdicts = {request.source: Verdict.DISABLED for request in asked if not request.enabled}
    conflicts: tuple[Conflict, ...] = ()
    draft = _Draft(current, policy)
    draft.keep(unread.union(request.source for request in enabled))
    for request in enabled:
        draft.submit(request, now)
    state = draft.state()
    if state is not None and (enabled or unread):
        rejected = frozenset(_rejected(state, policy))
        desired = _settled(state, rejected, policy)
        verdicts.update((source, _standing(source, desired, rejected)) for source in desired.claims)
        conflicts = tuple(_conflict(desired, source, policy) for source in sorted(rejected, key=_by_name))
    return Reconciliation(
        current=current,
        desired=desired,
        verdicts={source: verdicts[source] for source in sorted(verdicts, key=_by_name)},
        conflicts=conflicts,
        before=_conflicts_before(current, policy),
    )


def plan(
    states: Iterable[CronJobState],
    requests: Iterable[SourceRequest],
    *,
    now: datetime,
    policy: Policy = _FIRST_WINS,
    unreadable: Collection[SourceRef] = (),
) -> Mapping[str, Reconciliation]:
    """
    Reconcile every repository of a cluster, those included that nobody asks for any more.

    Args:
        states: The state of each maintenance CronJob.
        requests: What every source of the cluster asks for.
        now: The time of the decision, aware.
        policy: Who may replace the established schedule.
        unreadable: Sources whose manifest cannot be read. Each counts for the
            repositories where it has a claim; without any, for every CronJob that has
            no claims at all, since it might be that one's.

    Returns:
        The reconciliation of each repository by its hash, sorted.

    Raises:
        InvalidValue: A source or a CronJob is listed twice, *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now)
    by_hash: dict[str, CronJobState] = {}
    for state in states:
        if not isinstance(state, CronJobState):
            raise InvalidValue(f"a state must be a CronJobState, not {shown(state)}")
        if state.repository_hash in by_hash:
            raise InvalidValue(f"the CronJob {state.cron_job_name} is listed twice")
        by_hash[state.repository_hash] = state
    asked: dict[str, list[SourceRequest]] = {}
    sources = []
    for request in requests:
        _check(None, request)
        asked.setdefault(request.repository.hash, []).append(request)
        sources.append(request.source)
    unread = frozenset(unreadable)
    _check_sources(sources, unread)

    claimed = {h: [source for source in state.claims if source in unread] for h, state in by_hash.items()}
    stray = unread.difference(*claimed.values())
    return FrozenMapping(
        {
            h: reconcile(
                by_hash.get(h),
                asked.get(h, ()),
                now=now,
                policy=policy,
                unreadable=stray if h in by_hash and not by_hash[h].claims else claimed.get(h, ()),
            )
            for h in sorted(by_hash.keys() | asked.keys())
        }
    )


def hand_over(current: CronJobState, namespace: str, *, policy: Policy = _FIRST_WINS) -> CronJobState:
    """
    Make *namespace* the owner, and establish the latest schedule it has asked for, if any.

    An administrator's act; for the present owner it does nothing. Conflicts that
    begin or end with it are in the state, and no news to the next :func:`reconcile`.

    Raises:
        InvalidValue: *namespace* is not a namespace's name, or an argument is of the wrong type.
    """
    check_name(namespace, "namespace", "namespace")
    _check_policy(policy)
    if not isinstance(current, CronJobState):
        raise InvalidValue(f"current must be a CronJobState, not {shown(current)}")
    if current.owner == namespace:
        return current
    wanted = {
        source: claim.schedule
        for source, claim in current.claims.items()
        if source.namespace == namespace and claim.schedule is not None
    }
    schedule = wanted[_latest(current, wanted)] if wanted else current.schedule
    state = evolve(current, owner=namespace, schedule=schedule, latest_conflict=None)
    return _settled(state, _rejected(state, policy), policy, _inherited(current))


class _Draft:
    """A state while requests are applied to it: claims are copied once, at the first change, not for each request."""

    __slots__ = ("claims", "counts", "current", "owner", "policy", "repository", "schedule")

    def __init__(self, current: CronJobState | None, policy: Policy) -> None:
        self.current = current
        self.policy = policy
        self.counts: FrozenMapping[Schedule, int] | None = None
        self.repository: Repository | None = None  # known once there is news
        if current is None:
            self.schedule, self.owner = None, None
            self.claims: Mapping[SourceRef, Claim] = Claims()
        else:
            self.schedule, self.owner, self.claims = current.schedule, current.owner, current.claims

    def keep(self, sources: AbstractSet[SourceRef]) -> None:
        """Drop the claims of all but *sources*."""
        if not self.claims.keys() <= sources:
            self.claims = Claims({source: self.claims[source] for source in self.claims if source in sources})

    def submit(self, request: SourceRequest, now: datetime) -> Rule:
        """Apply one request, and return the rule that it fell under."""
        known = self.claims.get(request.source)
        news = request.enabled and (known is None or not _same(known.schedule, request.schedule))
        if news:
            self._change(request.source, Claim(request.schedule, now))
            self.repository = request.repository
        elif known is not None and not request.enabled:
            self._change(request.source, None)
        rule = self._rule(request, news)
        if rule.takes_schedule:
            self.schedule = request.schedule or DEFAULT_SCHEDULE
        if rule.takes_ownership:
            self.owner = request.source.namespace
        return rule

    def _rule(self, request: SourceRequest, news: bool) -> Rule:
        if not request.enabled:
            return STAYS_AWAY if self.schedule is None else WITHDRAWS
        if self.schedule is None:
            return CREATES
        agrees = request.schedule is None or _same(request.schedule, self.schedule)
        if self.owner is None:
            return TAKES_UP if agrees else TAKES_OVER
        if agrees:
            return AGREES
        if not self._permits(request.source):
            return REFUSED
        return REPLACES if news else ASKED_BEFORE

    def _permits(self, challenger: SourceRef) -> bool:
        if self.counts is None:
            self.counts = FrozenMapping(count_preferences(self.claims.values()))
        state = self._build()
        object.__setattr__(state, "preferences", self.counts)
        return self.policy.permits(state, challenger)

    def _change(self, source: SourceRef, claim: Claim | None) -> None:
        """Record or drop a claim, here and in the counts, so that the next question costs no more than this one."""
        if self.current is not None and self.claims is self.current.claims:
            self.claims = Claims(self.claims)
        # The copy and the counts are this draft's own until it is finished.
        claims, counts = cast("dict[SourceRef, Claim]", self.claims), self.counts
        before = claims.get(source)
        if claim is None:
            dict.__delitem__(claims, source)
        else:
            dict.__setitem__(claims, source, claim)
        if counts is None:
            return
        for changed, by in ((before, -1), (claim, 1)):
            if changed is not None and changed.schedule is not None:
                count = counts.get(changed.schedule, 0) + by
                dict.__setitem__(counts, changed.schedule, count)
                if not count:
                    dict.__delitem__(counts, changed.schedule)

    def _build(self) -> CronJobState:
        assert self.schedule is not None
        name: str | None
        if self.repository is not None:
            identity, name = self.repository.hash, self.repository.secret_name
        else:
            assert self.current is not None
            identity, name = self.current.repository_hash, self.current.repository_name
        return CronJobState(identity, self.schedule, self.owner, self.claims, repository_name=name)

    def state(self) -> CronJobState | None:
        """Return what became of the state, its latest conflict still to be settled; the current one if nothing did."""
        current = self.current
        if self.schedule is None:
            return None
        if (
            current is None
            or self.claims is not current.claims
            or self.schedule is not current.schedule
            or self.owner is not current.owner
        ):
            return self._build()
        return current


# --- what follows from a state -----------------------------------------------


def _same(one: Schedule | None, other: Schedule | None) -> bool:
    """Return whether two schedules mean the same; most are one object, as parsed ones are kept."""
    return one is other or one == other


def _rejected(state: CronJobState, policy: Policy) -> list[SourceRef]:
    """Return the sources whose claim differs from what stands, and may not replace it."""
    established = state.schedule
    rejected = []
    for source, claim in state.claims.items():
        wanted = claim.schedule
        if wanted is None or wanted is established or wanted == established:
            continue
        if not policy.permits(state, source):
            rejected.append(source)
    return rejected


def _settled(
    state: CronJobState, rejected: Collection[SourceRef], policy: Policy, inherited: Conflict | None = None
) -> CronJobState:
    """Return *state* with its latest conflict: that of the rejected claims, or else the inherited one if it stands."""
    conflict = None
    if rejected:
        conflict = _conflict(state, _latest(state, rejected), policy)
    elif (
        inherited is not None
        and inherited.schedule != state.schedule
        and inherited.namespace != state.owner
        and inherited.namespace not in state.namespaces
    ):
        conflict = inherited
    return state if conflict == state.latest_conflict else evolve(state, latest_conflict=conflict)


def _latest(state: CronJobState, sources: Iterable[SourceRef]) -> SourceRef:
    """Return the source whose claim is the latest; of those of one instant, the last by name."""
    return max(sources, key=lambda source: (state.claims[source].since, _by_name(source)))


def _inherited(current: CronJobState | None) -> Conflict | None:
    """Return the conflict that only an annotation tells of: of an adopted CronJob, about no claim that we know."""
    if current is None or current.latest_conflict is None or current.latest_conflict.name is not None:
        return None
    return current.latest_conflict


def _conflict(state: CronJobState, source: SourceRef, policy: Policy) -> Conflict:
    claim = state.claims[source]
    assert claim.schedule is not None
    return Conflict(
        namespace=source.namespace, name=source.name, schedule=claim.schedule, since=claim.since, policy=policy.name
    )


def _conflicts_before(current: CronJobState | None, policy: Policy) -> tuple[Conflict, ...]:
    if current is None:
        return ()
    inherited = _inherited(current)
    known = [_conflict(current, source, policy) for source in sorted(_rejected(current, policy), key=_by_name)]
    return (*known, inherited) if inherited is not None else tuple(known)


def _standing(source: SourceRef, state: CronJobState, rejected: Collection[SourceRef]) -> Verdict:
    wanted = state.claims[source].schedule
    if wanted is None or wanted == state.schedule:
        return Verdict.AGREED
    return Verdict.REJECTED if source in rejected else Verdict.SUPERSEDED


# --- what is asked of the arguments ------------------------------------------


def _check_policy(policy: Policy) -> None:
    if policy is not _FIRST_WINS and (isinstance(policy, type) or not callable(getattr(policy, "permits", None))):
        raise InvalidValue(
            f"a policy must have a method permits, {shown(policy)} has not (a class in place of its value?)"
        )


def _check(current: CronJobState | None, request: SourceRequest) -> None:
    if not isinstance(request, SourceRequest):
        raise InvalidValue(f"a request must be a SourceRequest, not {shown(request)}")
    if current is None:
        return
    if not isinstance(current, CronJobState):
        raise InvalidValue(f"current must be a CronJobState or None, not {shown(current)}")
    if request.repository.hash != current.repository_hash:
        raise RepositoryMismatch(
            f"the request is about repository {request.repository.hash} ({request.repository.secret_name}),"
            f" the CronJob about {current.repository_hash}",
            source=request.source,
        )


def _check_sources(sources: Iterable[SourceRef], unreadable: Collection[SourceRef]) -> None:
    seen = set(unreadable)
    for source in seen:
        if not isinstance(source, SourceRef):
            raise InvalidValue(f"unreadable must hold SourceRefs, not {shown(source)}")
    for source in sources:
        if source in seen:
            raise InvalidValue(f"the source {source} is listed twice", source=source)
        seen.add(source)


def _canonical_order(request: SourceRequest) -> tuple[bool, datetime | None, tuple[str, str]]:
    """Sort by creation time, unknown last, then by namespace and name."""
    return request.created_at is None, request.created_at, _by_name(request.source)


def _by_name(source: SourceRef) -> tuple[str, str]:
    """Sort as sources do, without the cost of comparing objects."""
    return source.namespace, source.name
