"""
Which values are worth trying? Hypothesis strategies for every public value, for manifests, and for histories.

They shrink to cases that a person can read: ``team-a``, ``source-a``, ``0 2 * * *``.
"""

import string
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from attrs import evolve
from hypothesis import strategies as st

from .._decision import Decision, Reconciliation, Resolution, Standing
from .._manifest import (
    CLAIMS_ANNOTATION,
    CONFLICT_ANNOTATION,
    HASH_LABEL,
    MAINTENANCE_LABEL,
    OWNER_KEY,
    SECRET_ANNOTATION,
    manifest_from_state,
)
from .._model import Claim, Conflict, CronJobState, CustomCA, Repository, SourceRef, SourceRequest
from .._plan import Plan, Write, plan_manifests
from .._policy import Bounded, Consensus, FirstWins, Policy
from .._resolver import hand_over, reconcile, resolve
from .._schedule import Schedule
from ._history import EPOCH, Edited, HandedOver, Reconciled, Restarted, Step, Submitted, Withdrawn
from ._laws import REPOSITORY

__all__ = [
    "bounded",
    "claims",
    "conflicts",
    "cron_jobs",
    "custom_cas",
    "decisions",
    "histories",
    "namespaces",
    "plans",
    "policies",
    "reconciliations",
    "replication_sources",
    "repositories",
    "request_lists",
    "requests",
    "resolutions",
    "schedules",
    "sources",
    "standings",
    "states",
    "times",
    "writes",
]

T = TypeVar("T")
Manifest = dict[str, Any]

_FAMILIAR = (
    "0 2 * * *",
    "0 4 * * *",
    "@daily",
    "0 0 * * *",
    "*/15 * * * *",
    "0 3 * * 1-5",
    "@every 90m",
    "0 0 1,15 * 1",
)
_NAME = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
_KINDS = ("ask", "ask", "ask again", "list", "list", "disable", "delete", "withdraw", "hand over", "edit", "restart")
_OPERATOR_NAMESPACE = "volsync-system"


# --- values --------------------------------------------------------------------


def namespaces() -> st.SearchStrategy[str]:
    """Names of namespaces: a few that recur, and any other."""
    return st.sampled_from(["team-a", "team-b", "team-c"]) | _NAME


def sources() -> st.SearchStrategy[SourceRef]:
    """References to ReplicationSources."""
    return st.builds(SourceRef, namespaces(), st.sampled_from(["source-a", "source-b"]) | _NAME)


def times() -> st.SearchStrategy[datetime]:
    """Times in UTC, in whole seconds, from 1970 on."""
    moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(timezone.utc))  # noqa: DTZ001
    return st.just(EPOCH) | moments.map(lambda moment: moment.replace(microsecond=0))


@st.composite
def _items(draw: st.DrawFn, low: int, high: int) -> str:
    first = draw(st.integers(low, high))
    last = draw(st.none() | st.integers(first, high))
    step = draw(st.none() | st.integers(1, high))
    span = str(first) if last is None else f"{first}-{last}"
    return draw(st.sampled_from(["*", "?"])) if draw(st.booleans()) else span + (f"/{step}" if step else "")


@st.composite
def _spelt(draw: st.DrawFn) -> str:
    fields = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
    return " ".join(",".join(draw(st.lists(_items(*bounds), min_size=1, max_size=3))) for bounds in fields)


def schedules(*, never_fires: bool = False) -> st.SearchStrategy[Schedule]:
    """Schedules that Kubernetes accepts; those that never fire only if asked for."""
    texts = st.sampled_from(_FAMILIAR) | _spelt()
    if never_fires:
        texts |= st.sampled_from(["0 0 30 2 *", ", * * * *"])
    return texts.map(Schedule.parse).filter(lambda schedule: never_fires or not schedule.never_fires)


def custom_cas() -> st.SearchStrategy[CustomCA]:
    """CA configurations, none of them among them."""
    part = st.just("") | _NAME
    return st.builds(CustomCA, part, part, part)


def repositories() -> st.SearchStrategy[Repository]:
    """Repositories."""
    return st.just(REPOSITORY) | st.builds(Repository, _NAME, custom_cas())


def requests(**fixed: Any) -> st.SearchStrategy[SourceRequest]:
    """
    Requests: enabled or not, with a preference or without.

    Args:
        **fixed: Fields of :class:`SourceRequest`, each a value or a strategy, such as ``enabled=True``.
    """
    fields = {
        "source": sources(),
        "repository": repositories(),
        "schedule": st.none() | schedules(),
        "enabled": st.sampled_from([True, True, True, False]),
        "created_at": st.none() | times(),
    }
    given = {name: it if isinstance(it, st.SearchStrategy) else st.just(it) for name, it in fixed.items()}
    return st.builds(SourceRequest, **{**fields, **given})


def request_lists(**fixed: Any) -> st.SearchStrategy[list[SourceRequest]]:
    """
    Lists for ``reconcile``: of one repository, and with each source at most once.

    Args:
        **fixed: As for :func:`requests`.
    """
    return repositories().flatmap(
        lambda repository: st.lists(
            requests(**{"repository": repository, **fixed}), max_size=5, unique_by=lambda request: request.source
        )
    )


def policies() -> st.SearchStrategy[Policy]:
    """The policies that are shipped."""
    return st.just(FirstWins()) | st.just(Consensus()) | bounded()


def bounded() -> st.SearchStrategy[Bounded]:
    """Policies with one bound or two, between a minute and a month."""
    inner: st.SearchStrategy[Policy] = st.just(FirstWins()) | st.just(Consensus())
    hours = st.sampled_from([timedelta(hours=1), timedelta(minutes=1), timedelta(days=1), timedelta(days=31)])
    bounds = st.tuples(st.none() | hours, st.none() | hours).filter(lambda pair: pair != (None, None))
    ordered = bounds.map(lambda pair: (min(pair), max(pair)) if None not in pair else pair)
    return st.tuples(inner, ordered).map(lambda it: Bounded(it[0], shortest=it[1][0], longest=it[1][1]))


def claims() -> st.SearchStrategy[Claim]:
    """What sources have asked for; some of it is rejected."""
    return st.builds(Claim, st.none(), times()) | st.builds(Claim, schedules(), times(), st.booleans())


def conflicts() -> st.SearchStrategy[Conflict]:
    """Records of rejected claims."""
    return st.builds(
        lambda source, **rest: Conflict(namespace=source.namespace, name=source.name, **rest),
        sources(),
        schedule=schedules(),
        since=times(),
        policy=policies().map(lambda policy: policy.name),
    )


@st.composite
def states(draw: st.DrawFn) -> CronJobState:
    """What may be stored on a CronJob, by us, by the fork, or by a hand edit; owner and Secret may be unknown."""
    of, known = draw(repositories()), draw(st.dictionaries(sources(), claims(), max_size=6))
    policy = draw(policies()).name if any(claim.rejected for claim in known.values()) else None
    owner, secret_name = draw(st.none() | namespaces()), draw(st.sampled_from([of.secret_name, None]))
    return CronJobState(of.hash, draw(schedules(never_fires=True)), owner, known, policy, secret_name)


# --- decisions -----------------------------------------------------------------


@st.composite
def resolutions(draw: st.DrawFn) -> Resolution:
    """Answers to one request."""
    reached = draw(reconciliations()).desired
    repository = REPOSITORY if reached is None else st.just(REPOSITORY)
    return resolve(reached, draw(requests(repository=repository)), now=draw(times()), policy=draw(policies()))


@st.composite
def reconciliations(draw: st.DrawFn) -> Reconciliation:
    """Answers to a whole list, where there was a CronJob or not."""
    state, policy = None, draw(policies())
    if draw(st.booleans()):
        state = reconcile(None, draw(request_lists(repository=REPOSITORY)), now=EPOCH, policy=policy).desired
    unreadable = draw(st.sets(sources(), max_size=2))
    asked = [it for it in draw(request_lists(repository=REPOSITORY)) if it.source not in unreadable]
    return reconcile(state, asked, now=draw(times()), policy=policy, unreadable=unreadable)


def decisions() -> st.SearchStrategy[Decision]:
    """Answers of every kind."""
    handed = st.builds(
        lambda state, to, policy: hand_over(state, to, policy=policy), states(), namespaces(), policies()
    )
    return handed | resolutions() | reconciliations()


def standings() -> st.SearchStrategy[Standing]:
    """How sources stand."""
    return resolutions().map(lambda resolution: resolution.standing)


# --- manifests -----------------------------------------------------------------

_ODD = st.sampled_from([None, True, 0, -1, "", " ", "${NAME}", "Team-A", "0 0 30 2 *", "v1", [], {}, "x" * 300])


@st.composite
def _spoilt(draw: st.DrawFn, manifest: Manifest) -> Manifest:
    """Return a copy of which one member is missing, odd, or too much."""
    spoilt: Any = deepcopy(manifest)
    node = spoilt
    while True:
        key = draw(st.sampled_from(sorted(node)))
        if not isinstance(node[key], dict) or not node[key] or not draw(st.integers(0, 4)):
            break
        node = node[key]
    edit = draw(st.sampled_from(["odd", "missing", "too much"]))
    if edit == "missing":
        del node[key]
    else:
        node[key if edit == "odd" else "extra"] = draw(_ODD)
    return spoilt


def _maintenance() -> st.SearchStrategy[Manifest]:
    texts = st.sampled_from(["0 2 * * *", "0 4 * * *", "", "TZ=UTC 0 2 * * *", "every day"])
    cron_job = st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "schedule": texts | _spelt()})
    days = st.sampled_from([7, 0, 1, 30, 31])
    return st.fixed_dictionaries({}, optional={"maintenanceCronJob": cron_job, "maintenanceIntervalDays": days})


def _custom_ca() -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries({}, optional={"secretName": _NAME, "configMapName": _NAME, "key": st.just("ca.crt")})


@st.composite
def replication_sources(draw: st.DrawFn, *, broken: bool = True) -> Manifest:
    """
    ReplicationSources as the API server sends them: Kopia's and others, some that are being deleted.

    Args:
        broken: Whether some have a member that is missing, odd, or too much.
    """
    source = draw(sources())
    optional = {
        "creationTimestamp": st.just("2024-01-15T10:30:00Z"),
        "deletionTimestamp": st.just("2024-01-16T00:00:00Z"),
    }
    stamps = draw(st.fixed_dictionaries({}, optional=optional))
    kopia = {"repository": draw(st.just(REPOSITORY.secret_name) | _NAME), **draw(_maintenance())}
    if draw(st.booleans()):
        kopia["customCA"] = draw(_custom_ca())
    manifest = {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {"name": source.name, "namespace": source.namespace, **stamps},
        "spec": {"sourcePVC": "data", draw(st.sampled_from(["kopia"] * 4 + ["restic"])): kopia},
    }
    return draw(_spoilt(manifest)) if broken and draw(st.integers(0, 3)) == 3 else manifest  # noqa: PLR2004


@st.composite
def cron_jobs(draw: st.DrawFn, *, broken: bool = True) -> Manifest:
    """
    CronJobs of the operator's namespace: ours, the fork's, ours after an edit, and some that are not for us.

    Args:
        broken: Whether some have a member that is missing, odd, or too much.
    """
    state = draw(states())
    server = {"uid": "c0ffee", "resourceVersion": "4711"}
    template = {
        "metadata": {"labels": {"team": "storage"}, "annotations": {"note": "keep"}},
        "spec": {"suspend": False},
    }
    manifest = manifest_from_state(state, template, operator_namespace=_OPERATOR_NAMESPACE)
    metadata = manifest["metadata"]
    metadata.update(server)
    kind = draw(st.sampled_from(["ours", "the fork's", "edited", "a stranger's"]))
    if kind == "the fork's":  # it knows of no claims, and its label says who came last
        metadata["annotations"].pop(CLAIMS_ANNOTATION)
        metadata["annotations"][CONFLICT_ANNOTATION] = (
            "Last conflict: Schedule '0 4 * * *' requested from namespace 'b'"
        )
        metadata["labels"][OWNER_KEY] = draw(namespaces())
    elif kind == "edited":
        for key in draw(st.sets(st.sampled_from([OWNER_KEY, SECRET_ANNOTATION, CONFLICT_ANNOTATION]), min_size=1)):
            metadata["annotations"].pop(key, None)
        for key in draw(st.sets(st.sampled_from([OWNER_KEY, HASH_LABEL, MAINTENANCE_LABEL]))):
            metadata["labels"].pop(key, None)
        manifest["spec"]["schedule"] = draw(schedules(never_fires=True)).text
    elif kind == "a stranger's":  # KopiaMaintenance's have our label
        metadata["name"] = draw(st.sampled_from(["kopia-maint-daily-0123456789abcdef", "backup"]))
    return draw(_spoilt(manifest)) if broken and draw(st.integers(0, 3)) == 3 else manifest  # noqa: PLR2004


def plans() -> st.SearchStrategy[Plan]:
    """What is to be written for clusters of a few objects, some of them broken."""
    return st.builds(
        lambda jobs, listed, complete, policy: plan_manifests(
            cron_jobs=jobs,
            replication_sources=listed,
            template=lambda repository, state: {},
            operator_namespace=_OPERATOR_NAMESPACE,
            complete=complete,
            now=EPOCH,
            policy=policy,
        ),
        st.lists(cron_jobs(), max_size=3),
        st.lists(replication_sources(), max_size=5),
        st.booleans(),
        policies(),
    )


def writes() -> st.SearchStrategy[Write]:
    """Requests to the API server."""
    return plans().filter(lambda plan: bool(plan.writes)).flatmap(lambda plan: st.sampled_from(plan.writes))


# --- histories -----------------------------------------------------------------


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    namespaces: Sequence[str] | None = None,
    schedules: Sequence[Schedule] | None = None,
    min_steps: int = 1,
    max_steps: int = 12,
) -> tuple[Step, ...]:
    """
    Histories that look like life, beginning with no CronJob.

    Sources ask, ask the same again, change their minds, are disabled, deleted or moved; the
    operator sees one of them or the whole list, some of it unreadable, and restarts;
    administrators hand over, or edit the CronJob.

    Args:
        namespaces: The namespaces that take part, at most three at once; None: any.
        schedules: The schedules that are asked for, at most three at once; None: any.
        min_steps: How many steps there are at least.
        max_steps: How many steps there are at most.
    """
    names = draw(st.lists(_some(namespaces, _any_namespace), min_size=1, max_size=3, unique=True))
    cast = [SourceRef(name, f"source-{letter}") for name in names for letter in "ab"]
    wanted = [None, *draw(st.lists(_some(schedules, _any_schedule), min_size=1, max_size=3))]
    born = {source: draw(st.none() | times()) for source in cast}
    asked: dict[SourceRef, SourceRequest] = {}
    steps: list[Step] = []

    def asks(source: SourceRef) -> SourceRequest:
        asked[source] = SourceRequest(source, REPOSITORY, draw(st.sampled_from(wanted)), created_at=born[source])
        return asked[source]

    def everybody() -> Reconciled:
        unreadable = draw(st.frozensets(st.sampled_from(cast), max_size=1))
        listed = [request for request in asked.values() if request.source not in unreadable]
        return Reconciled(tuple(draw(st.permutations(listed))), unreadable)

    for kind in draw(st.lists(st.sampled_from(_KINDS), min_size=min_steps, max_size=max_steps)):
        source = draw(st.sampled_from(cast))
        if kind in ("disable", "delete", "withdraw"):
            asked.pop(source, None)
        if kind == "ask":
            steps.append(Submitted(asks(source)))
        elif kind == "ask again":
            steps.append(Submitted(asked.get(source) or asks(source)))
        elif kind == "disable":
            steps.append(Submitted(SourceRequest(source, REPOSITORY, enabled=False, created_at=born[source])))
        elif kind == "list":
            for each in draw(st.lists(st.sampled_from(cast), max_size=3, unique=True)):
                asks(each)
            steps.append(everybody())
        elif kind == "delete":
            steps.append(everybody())
        elif kind == "withdraw":
            steps.append(Withdrawn(source))
        elif kind == "hand over":
            steps.append(HandedOver(source.namespace))
        elif kind == "edit":
            steps.append(Edited(draw(st.none() | st.just(source.namespace)), draw(st.sampled_from(wanted))))
        else:
            steps.append(Restarted())
    return tuple(steps)


def _some(values: Sequence[T] | None, otherwise: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    return otherwise if values is None else st.sampled_from(values)


_any_namespace, _any_schedule = namespaces(), schedules()
