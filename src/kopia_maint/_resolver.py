"""
Which schedule wins, and how is every request that lost recorded? The decision.

Theory of operation. A *claim* is what a source last asked for. A request is
*news* when its source has no claim, or one that asks for something else. A
decision is a fold over values. ``_record`` records the claims of all requests.
``_apply`` looks up one row of ``RULES`` for each request that is news, in order,
which may change the schedule. ``_mark`` holds every claim against the outcome: the
row that would apply to it, were it submitted once more, says how its source stands,
and whether the claim is marked as rejected.

Asking again for what was asked before is not news and changes nothing, so a
controller can submit every source again and again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from attrs import evolve

from ._decision import Decision, Reconciliation, Resolution, Standing, Verdict, standing_of
from ._errors import InvalidValue, RepositoryMismatch, expect, expect_all
from ._model import (
    CRON_JOB_PREFIX,
    Claim,
    Claims,
    CronJobState,
    FrozenMapping,
    SourceRef,
    SourceRequest,
    by_name,
    check_name,
    utc_seconds,
)
from ._objects import attempt
from ._policy import FIRST_WINS, Policy, ask_policy, expect_policy
from ._schedule import DEFAULT_SCHEDULE, Schedule


class Rule(NamedTuple):
    """
    One row of the table that every decision looks up.

    Attributes:
        another: Whether the claim asks for another schedule than the established one.
        permits: What the policy answers; None: it is not asked.
        news: Whether the request is news; None: either.
        verdict: What becomes of the request. One that is AGREED and created the CronJob is called ESTABLISHED.
        takes: Whether schedule and owner become the request's.
    """

    another: bool
    permits: bool | None
    news: bool | None
    verdict: Verdict
    takes: bool


# fmt: off
RULES = (
    #    another  permits  news   verdict              takes
    Rule(False,   None,    None,  Verdict.AGREED,      False),
    Rule(True,    True,    True,  Verdict.ESTABLISHED, True),
    Rule(True,    True,    False, Verdict.SUPERSEDED,  False),
    Rule(True,    False,   None,  Verdict.REJECTED,    False),
)
# fmt: on
_ROWS = {
    (rule.another, rule.permits, news): rule
    for rule in RULES
    for news in ((True, False) if rule.news is None else (rule.news,))
}
_IN_CONFLICT = Verdict.REJECTED, Verdict.UNREADABLE  # or not, where it is unreadable


def resolve(
    current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy = FIRST_WINS
) -> Resolution:
    """
    Decide one incoming request.

    Args:
        current: The state of the repository's CronJob; None: there is none.
        request: What a source asks for. A source that was deleted, or that moved to
            another repository, is withdrawn: see :func:`withdraw`.
        now: The time of the decision, aware. It is read only where the request is news.
        policy: Who may replace the established schedule.

    Raises:
        RepositoryMismatch: The request is about another repository than *current*.
        InvalidValue: *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now, "now")
    expect_policy(policy)
    _check_state(current)
    _check_request(request, current.repository_hash if current else None)
    source = request.source
    if not request.enabled:
        desired = current and _drop(current, source, policy)
        return Resolution(current=current, desired=desired, request=request, verdict=Verdict.DISABLED)
    state, news = _record(current and current.unmarked, [request], now)
    state, became = _apply(state, news, policy)
    desired, stands = _mark(current, state, policy)
    verdict = became.get(source) or stands.get(source, Verdict.AGREED)
    if current is None and verdict is Verdict.AGREED:
        verdict = Verdict.ESTABLISHED
    conflict = desired.conflict_of(source)
    return Resolution(current=current, desired=desired, request=request, verdict=verdict, conflict=conflict)


def reconcile(
    current: CronJobState | None,
    requests: Iterable[SourceRequest],
    *,
    now: datetime,
    policy: Policy = FIRST_WINS,
    unreadable: Collection[SourceRef] = (),
) -> Reconciliation:
    """
    Decide for every source of one repository that still exists, whatever the order of the list.

    Args:
        current: The state of the repository's CronJob; None: there is none.
        requests: What every source of this repository asks for.
        now: The time of the decision, aware.
        policy: Who may replace the established schedule.
        unreadable: Sources that cannot be read. Their claims stay and are marked like any
            other; they keep the CronJob alive, and create nothing.

    Raises:
        RepositoryMismatch: The requests and *current* are not all about one repository.
        InvalidValue: A source is listed twice, *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now, "now")
    expect_policy(policy)
    _check_state(current)
    asked = expect_all(requests, SourceRequest, "requests")
    repository_hash = current.repository_hash if current else asked[0].repository.hash if asked else None
    for request in asked:
        _check_request(request, repository_hash)
    names = unreadable.keys() if isinstance(unreadable, Mapping) else unreadable  # a plan has a mapping of them
    unread = expect_all(names, SourceRef, "unreadable")
    _check_once([*unread, *(request.source for request in asked)])
    return _decide(current, asked, now=now, policy=policy, unreadable=frozenset(unread))


def reconcile_all(
    states: Iterable[CronJobState],
    requests: Iterable[SourceRequest],
    *,
    now: datetime,
    policy: Policy = FIRST_WINS,
    unreadable: Mapping[SourceRef, str | None] = FrozenMapping(),
    complete: bool,
) -> Mapping[str, Reconciliation]:
    """
    Reconcile every repository of a cluster, those included that nobody asks for any more.

    Args:
        states: The state of each maintenance CronJob.
        requests: What every source of the cluster asks for.
        now: The time of the decision, aware.
        policy: Who may replace the established schedule.
        unreadable: Sources that cannot be read, each with the name of the Secret that it
            names, where that can be read. A source counts for the repositories where it
            has a claim, and for every CronJob of that Secret or of an unknown one.
        complete: Whether these are all sources there are. If not, nothing is deleted,
            and the claim of a source that is not listed stays.

    Returns:
        The reconciliation of each repository by the name of its CronJob, sorted.

    Raises:
        InvalidValue: A source or a CronJob is listed twice, *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now, "now")
    expect_policy(policy)
    expect(complete, bool, "complete")
    expect(unreadable, Mapping, "unreadable", "pass a mapping from SourceRef to the name of a Secret, or None")  # type: ignore[type-abstract]
    by_hash: dict[str, CronJobState] = {}
    for state in expect_all(states, CronJobState, "states"):
        if state.repository_hash in by_hash:
            raise InvalidValue(f"the CronJob {state.cron_job_name} is listed twice")
        by_hash[state.repository_hash] = state
    asked = expect_all(requests, SourceRequest, "requests")
    unread = expect_all(unreadable.keys(), SourceRef, "unreadable")
    listed = _check_once([*unread, *(request.source for request in asked)])
    secrets = {
        source: () if name is None else (expect(name, str, f"the name of the Secret of {source}"),)
        for source, name in unreadable.items()
    }
    return reconcile_each(
        by_hash, asked, now=now, policy=policy, unreadable=secrets, listed=None if complete else listed
    )


def reconcile_each(
    states: Mapping[str, CronJobState],
    requests: Iterable[SourceRequest],
    *,
    now: datetime,
    policy: Policy,
    unreadable: Mapping[SourceRef, Collection[str]],
    listed: AbstractSet[SourceRef] | None,
) -> Mapping[str, Reconciliation]:
    """
    Do what :func:`reconcile_all` does, for arguments that have been checked.

    *states* are by repository hash; each source of *unreadable* comes with all Secrets that it may name;
    *listed* are the sources that were listed where there may be others, None where these are all.
    """
    by_repository: dict[str, list[SourceRequest]] = {}
    for request in requests:
        by_repository.setdefault(request.repository.hash, []).append(request)
    of_secret: dict[str | None, set[SourceRef]] = {None: set()}  # None: a CronJob that does not say its Secret
    for source, names in unreadable.items():
        for name in names:
            if attempt(check_name, name, "name") is not None:
                of_secret.setdefault(name, set()).add(source)
                of_secret[None].add(source)
    decisions = {}
    for repository_hash in sorted(states.keys() | by_repository.keys()):
        current, asked = states.get(repository_hash), by_repository.get(repository_hash, [])
        claims: AbstractSet[SourceRef] = current.claims.keys() if current else frozenset()
        unread = (claims & unreadable.keys()) | (of_secret.get(current.secret_name, set()) if current else set())
        others = None if listed is None else claims - listed
        decisions[CRON_JOB_PREFIX + repository_hash] = _decide(
            current, asked, now=now, policy=policy, unreadable=unread, others=others
        )
    return FrozenMapping(decisions)


def hand_over(current: CronJobState, namespace: str, *, policy: Policy = FIRST_WINS) -> Decision:
    """
    Make *namespace* the owner, and establish the latest of its claims that the policy then permits.

    An administrator's act; for the present owner it does nothing.

    Raises:
        InvalidValue: *namespace* is not a namespace's name, or an argument is of the wrong type.
    """
    expect(current, CronJobState, "current")
    expect_policy(policy)
    namespace = check_name(namespace, "namespace")
    if current.owner == namespace:
        return Decision(current=current, desired=current)
    state = evolve(current.unmarked, owner=namespace)
    wanted = [it for it, claim in state.claims.items() if it.namespace == namespace and claim.schedule is not None]
    for source in sorted(wanted, key=state.asking_order, reverse=True):
        rule = _rule(state, source, policy, news=True)  # as if it asked now
        if rule.takes:
            state = _establish(state, source)
        if rule.takes or not rule.another:
            break
    return Decision(current=current, desired=_mark(current, state, policy)[0])


def withdraw(current: CronJobState, source: SourceRef, *, policy: Policy = FIRST_WINS) -> Decision:
    """
    Drop the claim of a source that was deleted, or that moved to another repository.

    For controllers that only ever call :func:`resolve`. When no claim is left, such a
    controller lists the sources and calls :func:`reconcile`: only that can delete.

    Raises:
        InvalidValue: An argument is of the wrong type.
    """
    expect(current, CronJobState, "current")
    expect(source, SourceRef, "source")
    expect_policy(policy)
    return Decision(current=current, desired=_drop(current, source, policy))


# --- the fold ------------------------------------------------------------------


def _decide(
    current: CronJobState | None,
    requests: Sequence[SourceRequest],
    *,
    now: datetime,
    policy: Policy,
    unreadable: AbstractSet[SourceRef],
    others: AbstractSet[SourceRef] | None = None,
) -> Reconciliation:
    """Decide for all sources of one repository; *others*: claims that stay too, None: there are no other sources."""
    enabled = sorted((request for request in requests if request.enabled), key=_canonical_order)
    desired, stands = None, dict[SourceRef, Verdict]()
    if enabled or (current and (unreadable or others is not None)):
        stay = {*unreadable, *(others or ()), *(request.source for request in enabled)}
        state, news = _record(current and _keep(current, stay), enabled, now)
        state, _ = _apply(state, news, policy)
        desired, stands = _mark(current, state, policy)
    asked: Iterator[tuple[SourceRef, Schedule | None, Verdict]] = chain(
        ((source, None, Verdict.UNREADABLE) for source in unreadable),
        ((it.source, it.schedule, stands.get(it.source, Verdict.AGREED)) for it in enabled),
        ((it.source, None, Verdict.DISABLED) for it in requests if not it.enabled),
    )
    standings, alike = dict[SourceRef, Standing](), dict[object, Standing]()
    for source, wanted, verdict in asked:
        conflict = desired.conflict_of(source) if desired and verdict in _IN_CONFLICT else None
        kind = verdict, wanted.text if wanted else None
        if conflict:
            standings[source] = standing_of(verdict, wanted, desired, conflict)
        else:  # most sources stand as many others do
            standings[source] = alike.get(kind) or alike.setdefault(kind, standing_of(verdict, wanted, desired))
    repository = requests[0].repository if requests else None
    return Reconciliation(current=current, desired=desired, repository=repository, standings=standings)


def _record(
    state: CronJobState | None, requests: Sequence[SourceRequest], now: datetime
) -> tuple[CronJobState, list[SourceRequest]]:
    """Take steps 1 to 3 for enabled requests of one repository: return the state, and the requests that are news."""
    if not requests:
        assert state is not None  # nobody decides about nothing
        return state, []
    claims: Mapping[SourceRef, Claim] = {} if state is None else state.claims
    news = [request for request in requests if _is_news(request, claims.get(request.source))]
    recorded = Claims({**claims, **{it.source: Claim(it.schedule, now) for it in news}}) if news else claims
    owner, repository = requests[0].source.namespace, requests[0].repository
    if state is None:
        return CronJobState(repository.hash, DEFAULT_SCHEDULE, owner, recorded, None, repository.secret_name), news
    owner = state.owner or owner
    if not news and owner == state.owner and repository.secret_name == state.secret_name:
        return state, news
    return evolve(state, owner=owner, claims=recorded, secret_name=repository.secret_name), news


def _is_news(request: SourceRequest, claim: Claim | None) -> bool:
    if claim is None:
        return True
    return claim.schedule is not request.schedule and claim.schedule != request.schedule


def _apply(
    state: CronJobState, news: Iterable[SourceRequest], policy: Policy
) -> tuple[CronJobState, dict[SourceRef, Verdict]]:
    """Take step 4 for requests that are news: return the state, and what becomes of each."""
    became = {}
    for request in news:
        rule = _rule(state, request.source, policy, news=True)
        became[request.source] = rule.verdict
        if rule.takes:
            state = _establish(state, request.source)
    return state, became


def _mark(
    current: CronJobState | None, state: CronJobState, policy: Policy
) -> tuple[CronJobState, dict[SourceRef, Verdict]]:
    """
    Mark the claims of a state that has no marks: return it, and how each stands that asks for another schedule.

    Where the outcome is what *current* has, that is returned itself.
    """
    stands, schedule = {}, state.schedule
    if state.owner is not None:
        dissenters = [it for it, claim in state.claims.items() if _another(claim.schedule, schedule)]
        stands = {source: _rule(state, source, policy, news=False).verdict for source in dissenters}
    marked = frozenset(source for source, verdict in stands.items() if verdict is Verdict.REJECTED)
    name = policy.name if marked else None
    if current is not None and state is current.unmarked and (current.rejected, current.policy) == (marked, name):
        return current, stands
    if not marked:
        return state, stands
    marks = {source: Claim(state.claims[source].schedule, state.claims[source].since, True) for source in marked}
    return evolve(state, claims=Claims({**state.claims, **marks}), policy=name), stands


def _rule(state: CronJobState, source: SourceRef, policy: Policy, *, news: bool) -> Rule:
    """Look up which row applies to the recorded claim of *source*."""
    another = _another(state.claims[source].schedule, state.schedule)
    return _ROWS[another, ask_policy(policy, state, source) if another else None, news]


def _another(wanted: Schedule | None, schedule: Schedule) -> bool:
    return wanted is not None and wanted is not schedule and wanted != schedule


def _establish(state: CronJobState, source: SourceRef) -> CronJobState:
    """Return *state* with the schedule that *source* asks for, and its namespace as the owner."""
    schedule = state.claims[source].schedule
    assert schedule is not None  # a row that takes a schedule is of a claim with a preference
    return evolve(state, schedule=schedule, owner=source.namespace)


def _drop(current: CronJobState, source: SourceRef, policy: Policy) -> CronJobState:
    if source not in current.claims:
        return current
    return _mark(current, _keep(current, current.claims.keys() - {source}), policy)[0]


def _keep(current: CronJobState, sources: AbstractSet[SourceRef]) -> CronJobState:
    """Return *current* without marks, and with the claims of these sources only."""
    state = current.unmarked
    if state.claims.keys() <= sources:
        return state
    return evolve(state, claims=Claims({it: claim for it, claim in state.claims.items() if it in sources}))


# --- what is asked of the arguments ----------------------------------------------


def _check_state(current: CronJobState | None) -> None:
    if current is not None:
        expect(current, CronJobState, "current", "pass a CronJobState, or None where there is no CronJob")


def _check_request(request: SourceRequest, repository_hash: str | None) -> None:
    expect(request, SourceRequest, "request")
    repository = request.repository
    if repository_hash not in (None, repository.hash):
        message = f"the request is about repository {repository.hash} ({repository.secret_name}), not {repository_hash}"
        raise RepositoryMismatch(message, source=request.source)


def _check_once(sources: Iterable[SourceRef]) -> AbstractSet[SourceRef]:
    seen: set[SourceRef] = set()
    for source in sources:
        if source in seen:
            raise InvalidValue(f"the source {source} is listed twice", source=source)
        seen.add(source)
    return seen


def _canonical_order(request: SourceRequest) -> tuple[bool, datetime | None, tuple[str, str]]:
    """Sort by creation time, unknown last, then by namespace and name."""
    return request.created_at is None, request.created_at, by_name(request.source)
