"""
Which schedule wins, and how is every request that lost recorded? The decision.

Theory of operation. A *claim* is what a source last asked for. A request is
*news* when its source has no claim, or one that asks for something else. A
decision is a fold over values: the claims of all requests are recorded first
(``_recorded``); then one row of ``RULES`` applies to each request that is news, in
order, and may change the schedule; at last every claim is held against the
outcome (``_settled``): the row that applies to it, were it submitted once more,
says how its source stands, and whether the claim is marked as rejected.

Asking again for what was asked before is not news and changes nothing, so a
controller can submit every source again and again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple, TypeVar

from attrs import evolve

from ._decision import Decision, Reconciliation, Resolution, Standing, Verdict, standing_of
from ._errors import InvalidValue, RepositoryMismatch, expect, given
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
from ._policy import FirstWins, Policy, check_policy, permitted
from ._schedule import DEFAULT_SCHEDULE, Schedule

T = TypeVar("T")

FIRST_WINS = FirstWins()


class Rule(NamedTuple):
    """
    One row of the table that every decision looks up.

    Attributes:
        another: Whether the claim asks for another schedule than the established one.
        permits: What the policy answers; None: it is not asked.
        news: Whether the request is news; None: either.
        verdict: What becomes of the request.
        creating: The verdict where the request created the CronJob.
        takes: Whether schedule and owner become the request's.
    """

    another: bool
    permits: bool | None
    news: bool | None
    verdict: Verdict
    creating: Verdict
    takes: bool


# fmt: off
RULES = (
    #    another  permits  news   verdict              creating             takes
    Rule(False,   None,    None,  Verdict.AGREED,      Verdict.ESTABLISHED, False),
    Rule(True,    True,    True,  Verdict.ESTABLISHED, Verdict.ESTABLISHED, True),
    Rule(True,    True,    False, Verdict.SUPERSEDED,  Verdict.SUPERSEDED,  False),
    Rule(True,    False,   None,  Verdict.REJECTED,    Verdict.REJECTED,    False),
)
# fmt: on
_ROWS = {
    (rule.another, rule.permits, news): rule
    for rule in RULES
    for news in ((True, False) if rule.news is None else (rule.news,))
}
_AGREED = _ROWS[False, None, False]
_UNREADABLE = standing_of(Verdict.UNREADABLE, None, None)


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
    check_policy(policy)
    _check_state(current)
    _check_request(request, current.repository_hash if current else None)
    source = request.source
    if not request.enabled:
        desired = current and _without(current, source, policy)
        return Resolution(current=current, desired=desired, request=request, verdict=Verdict.DISABLED)
    state, news = _recorded(current and current.unmarked, [request], now)
    state, rules = _applied(state, news, policy)
    desired, standing = _settled(current, state, policy)
    rule = rules.get(source) or standing.get(source, _AGREED)
    verdict, conflict = rule.creating if current is None else rule.verdict, desired.conflict_of(source)
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
        unreadable: Sources that cannot be read. Their claims stay as they are, they
            keep the CronJob alive, and they create nothing.

    Raises:
        RepositoryMismatch: The requests and *current* are not all about one repository.
        InvalidValue: A source is listed twice, *now* is naive, or an argument is of the wrong type.
    """
    now = utc_seconds(now, "now")
    check_policy(policy)
    _check_state(current)
    asked = _listed(requests, "requests", SourceRequest)
    first = current.repository_hash if current else asked[0].repository.hash if asked else None
    for request in asked:
        _check_request(request, first)
    unread = _listed(unreadable.keys() if isinstance(unreadable, Mapping) else unreadable, "unreadable", SourceRef)
    _check_once([*unread, *(request.source for request in asked)])
    return _reconciled(current, asked, now=now, policy=policy, unreadable=frozenset(unread))


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
    check_policy(policy)
    expect(complete, bool, "complete")
    expect(unreadable, Mapping, "unreadable", "pass a mapping from SourceRef to the name of a Secret, or None")  # type: ignore[type-abstract]
    by_hash: dict[str, CronJobState] = {}
    for state in _listed(states, "states", CronJobState):
        if state.repository_hash in by_hash:
            raise InvalidValue(f"the CronJob {state.cron_job_name} is listed twice")
        by_hash[state.repository_hash] = state
    asked = _listed(requests, "requests", SourceRequest)
    listed = _check_once([*_listed(unreadable.keys(), "unreadable", SourceRef), *(request.source for request in asked)])
    secrets = {
        source: () if name is None else (expect(name, str, f"the name of the Secret of {source}"),)
        for source, name in unreadable.items()
    }
    return reconcile_listed(
        by_hash, asked, now=now, policy=policy, unreadable=secrets, listed=None if complete else listed
    )


def reconcile_listed(
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
            if attempt(check_name, name, "name", "") is not None:
                of_secret.setdefault(name, set()).add(source)
                of_secret[None].add(source)
    decisions = {}
    for repository_hash in sorted(states.keys() | by_repository.keys()):
        current, asked = states.get(repository_hash), by_repository.get(repository_hash, [])
        unread: AbstractSet[SourceRef] = frozenset()
        others: AbstractSet[SourceRef] = frozenset()
        if current is not None:
            unread = of_secret.get(current.secret_name, set()) | (current.claims.keys() & unreadable.keys())
            others = others if listed is None else current.claims.keys() - listed
        decisions[CRON_JOB_PREFIX + repository_hash] = _reconciled(
            current, asked, now=now, policy=policy, unreadable=unread, others=others, keep=listed is not None
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
    check_policy(policy)
    namespace = check_name(namespace, "namespace", "namespace")
    if current.owner == namespace:
        return Decision(current=current, desired=current)
    state = evolve(current.unmarked, owner=namespace)
    wanted = [it for it, claim in state.claims.items() if it.namespace == namespace and claim.schedule is not None]
    for source in sorted(wanted, key=state.latest, reverse=True):
        rule = _rule(state, source, policy, news=True)
        if rule.takes:
            state = _established(state, source)
        if rule.takes or not rule.another:
            break
    return Decision(current=current, desired=_settled(current, state, policy)[0])


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
    check_policy(policy)
    return Decision(current=current, desired=_without(current, source, policy))


# --- the fold ------------------------------------------------------------------


def _reconciled(
    current: CronJobState | None,
    requests: Sequence[SourceRequest],
    *,
    now: datetime,
    policy: Policy,
    unreadable: AbstractSet[SourceRef],
    others: AbstractSet[SourceRef] = frozenset(),
    keep: bool = False,
) -> Reconciliation:
    """Decide for all sources of one repository; the claims of *others* stay, and *keep* forbids to delete."""
    enabled = sorted((request for request in requests if request.enabled), key=_canonical_order)
    repository = requests[0].repository if requests else None
    desired, rules = None, dict[SourceRef, Rule]()
    if enabled or (current is not None and (unreadable or keep)):
        stay = {*unreadable, *others, *(request.source for request in enabled)}
        state, news = _recorded(current and _kept(current, stay), enabled, now)
        state, _ = _applied(state, news, policy)
        desired, rules = _settled(current, state, policy)
    standings = dict.fromkeys(unreadable, _UNREADABLE)
    conflict_of = desired.conflict_of if desired else lambda _: None
    for source in unreadable & (desired.rejected if desired else frozenset()):
        standings[source] = standing_of(Verdict.UNREADABLE, None, desired, conflict_of(source))
    alike: dict[tuple[Verdict, str | None], Standing] = {}  # most sources stand as many others do
    for request in requests:
        source, wanted = request.source, request.schedule
        verdict = rules.get(source, _AGREED).verdict if request.enabled else Verdict.DISABLED
        if verdict is Verdict.REJECTED:
            standings[source] = standing_of(verdict, wanted, desired, conflict_of(source))
        else:
            kind = verdict, wanted.text if wanted else None
            standings[source] = alike.get(kind) or alike.setdefault(kind, standing_of(verdict, wanted, desired))
    return Reconciliation(current=current, desired=desired, repository=repository, standings=standings)


def _recorded(
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


def _applied(
    state: CronJobState, news: Iterable[SourceRequest], policy: Policy
) -> tuple[CronJobState, dict[SourceRef, Rule]]:
    """Take step 4 for requests that are news: return the state, and the row that applied to each."""
    rules = {}
    for request in news:
        rule = rules[request.source] = _rule(state, request.source, policy, news=True)
        if rule.takes:
            state = _established(state, request.source)
    return state, rules


def _settled(
    current: CronJobState | None, state: CronJobState, policy: Policy
) -> tuple[CronJobState, dict[SourceRef, Rule]]:
    """
    Mark the claims of a state that has no marks: return it, and the row that applies to each that asks for another.

    Where the outcome is what *current* has, that is returned itself.
    """
    rules, schedule = {}, state.schedule
    if state.owner is not None:
        others = [it for it, claim in state.claims.items() if _another(claim.schedule, schedule)]
        rules = {source: _rule(state, source, policy, news=False) for source in others}
    marked = frozenset(source for source, rule in rules.items() if rule.verdict is Verdict.REJECTED)
    name = policy.name if marked else None
    if current is not None and state is current.unmarked and (current.rejected, current.policy) == (marked, name):
        return current, rules
    if not marked:
        return state, rules
    marks = {source: Claim(state.claims[source].schedule, state.claims[source].since, True) for source in marked}
    return evolve(state, claims=Claims({**state.claims, **marks}), policy=name), rules


def _rule(state: CronJobState, source: SourceRef, policy: Policy, *, news: bool) -> Rule:
    """Look up which row applies to the recorded claim of *source*."""
    another = _another(state.claims[source].schedule, state.schedule)
    return _ROWS[another, permitted(policy, state, source) if another else None, news]


def _another(wanted: Schedule | None, schedule: Schedule) -> bool:
    return wanted is not None and wanted is not schedule and wanted != schedule


def _established(state: CronJobState, source: SourceRef) -> CronJobState:
    """Return *state* with the schedule that *source* asks for, and its namespace as the owner."""
    schedule = state.claims[source].schedule
    assert schedule is not None  # a row that takes a schedule is of a claim with a preference
    return evolve(state, schedule=schedule, owner=source.namespace)


def _without(current: CronJobState, source: SourceRef, policy: Policy) -> CronJobState:
    if source not in current.claims:
        return current
    return _settled(current, _kept(current, current.claims.keys() - {source}), policy)[0]


def _kept(current: CronJobState, sources: AbstractSet[SourceRef]) -> CronJobState:
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


def _listed(values: Iterable[T], argument: str, kind: type[T]) -> list[T]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidValue(f"{argument} must be a collection of {kind.__name__}, not {given(values)}")
    return [expect(value, kind, f"a member of {argument}") for value in values]


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
