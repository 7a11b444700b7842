"""
Which values are worth trying? Hypothesis strategies for every public value, and for histories.

They shrink to cases that a person can read: ``team-a``, ``source-a``, ``0 2 * * *``.
"""

from __future__ import annotations

import string
from datetime import datetime, timezone

from hypothesis import strategies as st

from .._model import (
    Claim,
    Conflict,
    CronJobState,
    CustomCA,
    Reconciliation,
    Repository,
    Resolution,
    SourceRef,
    SourceRequest,
)
from .._resolver import reconcile, resolve
from .._schedule import Schedule
from ._history import EPOCH, HandedOver, Reconciled, Restarted, Step, Submitted
from ._laws import REPOSITORY

__all__ = [
    "claims",
    "conflicts",
    "custom_cas",
    "histories",
    "namespaces",
    "reconciliations",
    "repositories",
    "requests",
    "resolutions",
    "schedules",
    "sources",
    "states",
    "times",
]

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
_MOST_STEPS = 12
_KINDS = ("ask", "ask again", "list", "disable", "delete", "hand over", "restart")


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


def requests(
    source: st.SearchStrategy[SourceRef] | None = None, repository: st.SearchStrategy[Repository] | None = None
) -> st.SearchStrategy[SourceRequest]:
    """Requests: enabled or not, with a preference or without."""
    return st.builds(
        SourceRequest,
        source=sources() if source is None else source,
        repository=repositories() if repository is None else repository,
        schedule=st.none() | schedules(),
        enabled=st.sampled_from([True, True, True, False]),
        created_at=st.none() | times(),
    )


def claims() -> st.SearchStrategy[Claim]:
    """What sources have asked for."""
    return st.builds(Claim, st.none() | schedules(), times())


def conflicts() -> st.SearchStrategy[Conflict]:
    """Records of rejected claims."""
    return st.builds(
        Conflict,
        namespace=namespaces(),
        schedule=schedules(),
        since=times(),
        name=st.none() | _NAME,
        policy=st.sampled_from(["first-wins", "consensus"]),
    )


def states() -> st.SearchStrategy[CronJobState]:
    """What may be stored on a CronJob, by us, by the fork, or by a hand edit."""
    repository = repositories()
    return st.builds(
        lambda of, schedule, owner, known, conflict, named: CronJobState(
            of.hash, schedule, owner, known, conflict, of.secret_name if named else None
        ),
        repository,
        schedules(never_fires=True),
        st.none() | namespaces(),
        st.dictionaries(sources(), claims(), max_size=6),
        st.none() | conflicts(),
        st.booleans(),
    )


@st.composite
def _owned_states(draw: st.DrawFn) -> CronJobState | None:
    """States that a history of decisions has led to."""
    state = None
    for step in draw(histories()):
        if isinstance(step, Submitted):
            state = resolve(state, step.request, now=EPOCH).desired
    return state


@st.composite
def resolutions(draw: st.DrawFn) -> Resolution:
    """Answers to one request."""
    return resolve(draw(_owned_states()), draw(requests(repository=st.just(REPOSITORY))), now=draw(times()))


@st.composite
def reconciliations(draw: st.DrawFn) -> Reconciliation:
    """Answers to a whole list."""
    return reconcile(draw(_owned_states()), draw(_lists()), now=draw(times()))


def _lists() -> st.SearchStrategy[list[SourceRequest]]:
    return st.lists(requests(repository=st.just(REPOSITORY)), max_size=5, unique_by=lambda request: request.source)


@st.composite
def histories(draw: st.DrawFn, *, max_steps: int = _MOST_STEPS) -> tuple[Step, ...]:
    """
    Histories that look like life, beginning with no CronJob.

    Sources ask, ask the same again, change their minds, are disabled or deleted; the
    operator sees one of them or the whole list, some of it unreadable, and restarts;
    administrators hand over.
    """
    names = draw(st.lists(namespaces(), min_size=1, max_size=3, unique=True))
    cast = [SourceRef(name, f"source-{letter}") for name in names for letter in "ab"]
    wanted = [None, *draw(st.lists(schedules(), min_size=1, max_size=3))]
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

    for kind in draw(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=max_steps)):
        source = draw(st.sampled_from(cast))
        if kind == "ask":
            steps.append(Submitted(asks(source)))
        elif kind == "ask again":
            steps.append(Submitted(asked.get(source) or asks(source)))
        elif kind == "disable":
            asked.pop(source, None)
            steps.append(Submitted(SourceRequest(source, REPOSITORY, enabled=False, created_at=born[source])))
        elif kind == "list":
            for each in draw(st.lists(st.sampled_from(cast), max_size=3, unique=True)):
                asks(each)
            steps.append(everybody())
        elif kind == "delete":
            asked.pop(source, None)
            steps.append(everybody())
        elif kind == "hand over":
            steps.append(HandedOver(source.namespace))
        else:
            steps.append(Restarted())
    return tuple(steps)
