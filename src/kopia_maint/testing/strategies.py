"""
Which values are worth trying? Hypothesis strategies for every public value, for manifests, and for histories.

They shrink to cases that a person can read: ``team-a``, ``source-a``, ``0 2 * * *``.
"""

from __future__ import annotations  # pyright does not know hypothesis' types where they are evaluated

import string
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from .._decision import Decision, Reconciliation, Resolution, Standing
from .._manifest import (
    CLAIMS_ANNOTATION,
    CONFLICT_ANNOTATION,
    HASH_LABEL,
    OWNER_KEY,
    SECRET_ANNOTATION,
    manifest_from_state,
)
from .._model import Claim, Conflict, CronJobState, CustomCA, Repository, SourceRef, SourceRequest
from .._plan import Plan, Write, plan_manifests
from .._policy import Bounded, Consensus, FirstWins, Policy
from .._resolver import reconcile, resolve
from .._schedule import Schedule
from ._history import EPOCH, NAMESPACES, SCHEDULES, Edited, HandedOver, Reconciled, Step, Submitted, Withdrawn
from ._laws import REPOSITORY

Manifest = dict[str, Any]

_NAME = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20)
_KINDS = ("ask", "ask", "ask", "list", "list", "disable", "delete", "withdraw", "hand over", "edit")
_OPERATOR_NAMESPACE = "volsync-system"


# --- values --------------------------------------------------------------------


def namespaces() -> st.SearchStrategy[str]:
    """Names of namespaces: a few that recur, and any other."""
    return st.sampled_from(NAMESPACES[:3]) | _NAME


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
    texts = st.sampled_from(SCHEDULES) | _spelt()
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
        **fixed: Fields of :class:`~kopia_maint.SourceRequest`, each a value or a strategy, such as ``enabled=True``.
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
    bounds = {"shortest": timedelta(minutes=1), "longest": timedelta(days=7)}, {"shortest": timedelta(hours=6)}
    return st.builds(lambda policy, given: Bounded(policy, **given), inner, st.sampled_from(bounds))


def claims() -> st.SearchStrategy[Claim]:
    """What sources have asked for; some of it is rejected."""
    return st.builds(Claim, st.none(), times()) | st.builds(Claim, schedules(), times(), st.booleans())


def conflicts() -> st.SearchStrategy[Conflict]:
    """Records of rejected claims."""
    return states().filter(lambda state: state.conflicts).map(lambda state: state.conflicts[-1])


@st.composite
def _states(draw: st.DrawFn, of: Repository) -> CronJobState:
    known = draw(st.dictionaries(sources(), claims(), max_size=6))
    policy = draw(policies()).name if any(claim.rejected for claim in known.values()) else None
    owner, secret_name = draw(st.none() | namespaces()), draw(st.sampled_from([of.secret_name, None]))
    return CronJobState(of.hash, draw(schedules(never_fires=True)), owner, known, policy, secret_name)


def states() -> st.SearchStrategy[CronJobState]:
    """What may be stored on a CronJob, by us, by the fork, or by a hand edit; owner and Secret may be unknown."""
    return repositories().flatmap(_states)


# --- decisions -------------------------------------------------------------------


def resolutions() -> st.SearchStrategy[Resolution]:
    """Answers to one request, where there was a CronJob or not."""
    return st.builds(
        lambda current, request, now, policy: resolve(current, request, now=now, policy=policy),
        *(st.none() | _states(REPOSITORY), requests(repository=REPOSITORY), times(), policies()),
    )


def reconciliations() -> st.SearchStrategy[Reconciliation]:
    """Answers to a whole list, where there was a CronJob or not."""
    return st.builds(
        lambda current, asked, now, policy: reconcile(current, asked, now=now, policy=policy),
        *(st.none() | _states(REPOSITORY), request_lists(repository=REPOSITORY), times(), policies()),
    )


def decisions() -> st.SearchStrategy[Decision]:
    """Answers of both kinds."""
    return resolutions() | reconciliations()


def standings() -> st.SearchStrategy[Standing]:
    """How sources stand."""
    return resolutions().map(lambda resolution: resolution.standing)


# --- manifests -------------------------------------------------------------------

_ODD: tuple[Any, ...] = (None, True, 0, -1, "", " ", "${NAME}", "Team-A", "0 0 30 2 *", "v1", [], {}, "x" * 300)


@st.composite
def _spoilt(draw: st.DrawFn, manifest: Manifest) -> Manifest:
    """Return a manifest of which one member is missing, odd, or too much."""
    node = manifest
    while True:
        key = draw(st.sampled_from(sorted(node)))
        if not isinstance(node[key], dict) or not node[key] or not draw(st.integers(0, 4)):
            break
        node = node[key]
    edit = draw(st.sampled_from([key, "extra", None]))
    if edit is None:
        del node[key]
    else:
        node[edit] = deepcopy(draw(st.sampled_from(_ODD)))
    return manifest


@st.composite
def _replication_sources(draw: st.DrawFn) -> Manifest:
    schedule = st.sampled_from(["0 2 * * *", "0 4 * * *", "", "TZ=UTC 0 2 * * *", "every day"]) | _spelt()
    cron_job = st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "schedule": schedule})
    ca = st.fixed_dictionaries({}, optional={"secretName": _NAME, "configMapName": _NAME, "key": st.just("ca.crt")})
    days = st.sampled_from([7, 0, 1, 30, 31])
    kopia = st.fixed_dictionaries(
        {"repository": st.just(REPOSITORY.secret_name) | _NAME},
        optional={"customCA": ca, "maintenanceCronJob": cron_job, "maintenanceIntervalDays": days},
    )
    times = {"creationTimestamp": st.just("2024-01-15T10:30:00Z"), "deletionTimestamp": st.just("2024-01-16T00:00:00Z")}
    source = draw(sources())
    return {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {
            "name": source.name,
            "namespace": source.namespace,
            **draw(st.fixed_dictionaries({}, optional=times)),
        },
        "spec": {"sourcePVC": "data", draw(st.sampled_from(["kopia", "kopia", "restic"])): draw(kopia)},
    }


def replication_sources() -> st.SearchStrategy[Manifest]:
    """ReplicationSources as the API server sends them: Kopia's and others, some being deleted, some broken."""
    return _replication_sources() | _replication_sources().flatmap(_spoilt)


@st.composite
def _cron_jobs(draw: st.DrawFn) -> Manifest:
    template = {"metadata": {"labels": {"team": "storage"}}, "spec": {"suspend": False}}
    manifest = manifest_from_state(draw(states()), template, operator_namespace=_OPERATOR_NAMESPACE)
    metadata = manifest["metadata"]
    metadata.update(uid="c0ffee", resourceVersion="4711")
    kind = draw(st.sampled_from(["ours", "the fork's", "edited", "a stranger's"]))
    if kind == "the fork's":  # it knows of no claims, and its label says who came last
        metadata["annotations"].pop(CLAIMS_ANNOTATION)
        metadata["annotations"][CONFLICT_ANNOTATION] = (
            "Last conflict: Schedule '0 4 * * *' requested from namespace 'b'"
        )
        metadata["labels"][OWNER_KEY] = draw(namespaces())
    elif kind == "edited":
        for key in draw(st.sets(st.sampled_from([OWNER_KEY, SECRET_ANNOTATION, CONFLICT_ANNOTATION, HASH_LABEL]))):
            metadata["annotations"].pop(key, None)
            metadata["labels"].pop(key, None)
        manifest["spec"]["schedule"] = draw(schedules(never_fires=True)).text
    elif kind == "a stranger's":  # KopiaMaintenance's have our label
        metadata["name"] = draw(st.sampled_from(["kopia-maint-daily-0123456789abcdef", "backup"]))
    return manifest


def cron_jobs() -> st.SearchStrategy[Manifest]:
    """CronJobs of the operator's namespace: ours, the fork's, ours after an edit, some not for us, some broken."""
    return _cron_jobs() | _cron_jobs().flatmap(_spoilt)


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
def histories(  # noqa: D417 - hypothesis passes draw
    draw: st.DrawFn,
    *,
    namespaces: Sequence[str] = NAMESPACES,
    schedules: Sequence[Schedule] = tuple(map(Schedule.parse, SCHEDULES)),
    min_steps: int = 1,
    max_steps: int = 12,
) -> tuple[Step, ...]:
    """
    Histories that look like life, beginning with no CronJob.

    Sources ask, change their minds, are disabled, deleted or moved; the operator sees one of them or
    the whole list, some of it unreadable; administrators hand over, or edit the CronJob.

    Args:
        namespaces: The namespaces that take part, at most three at once.
        schedules: The schedules that are asked for, at most three at once.
        min_steps: How many steps there are at least.
        max_steps: How many steps there are at most.
    """
    names = draw(st.lists(st.sampled_from(namespaces), min_size=1, max_size=3, unique=True))
    known = [SourceRef(name, f"source-{letter}") for name in names for letter in "ab"]
    cast = st.sampled_from(known)
    wanted = st.sampled_from([None, *draw(st.lists(st.sampled_from(schedules), min_size=1, max_size=3))])
    born = draw(st.fixed_dictionaries({source: st.none() | times() for source in known}))
    listed: dict[SourceRef, SourceRequest] = {}
    steps: list[Step] = []

    def asks(source: SourceRef, enabled: bool = True) -> SourceRequest:
        listed[source] = SourceRequest(source, REPOSITORY, draw(wanted), enabled, born[source])
        return listed[source]

    for kind in draw(st.lists(st.sampled_from(_KINDS), min_size=min_steps, max_size=max_steps)):
        source = draw(cast)
        if kind in ("ask", "disable"):
            steps.append(Submitted(asks(source, kind == "ask")))
        elif kind == "withdraw":
            listed.pop(source, None)
            steps.append(Withdrawn(source))
        elif kind == "hand over":
            steps.append(HandedOver(source.namespace))
        elif kind == "edit":
            steps.append(Edited(draw(st.none() | st.just(source.namespace)), draw(wanted)))
        else:
            if kind == "delete":
                listed.pop(source, None)
            for each in draw(st.lists(cast, max_size=3, unique=True)) if kind == "list" else ():
                asks(each)
            unreadable = draw(st.frozensets(cast, max_size=1))
            requests = [request for request in listed.values() if request.source not in unreadable]
            steps.append(Reconciled(tuple(draw(st.permutations(requests))), unreadable))
    return tuple(steps)
