"""Are the values that the kit tries of every kind, and readable where a test fails?"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, get_origin

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import kopia_maint
from kopia_maint import (
    CronJobState,
    KopiaMaintError,
    Plan,
    SourceRequest,
    request_from_manifest,
    state_from_manifest,
)
from kopia_maint.testing import Edited, Reconciled, Withdrawn, strategies
from kopia_maint.testing._history import disguised

from ..helpers import REPOSITORY

VALUES = [
    kind
    for kind in map(vars(kopia_maint).__getitem__, kopia_maint.__all__)
    # On Python 3.10 an alias says that it is a type.
    if isinstance(kind, type) and get_origin(kind) is None and not issubclass(kind, (Exception, Enum))
]
QUICK = settings(phases=[Phase.generate], deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_hypothesis_knows_every_public_value(kind: type) -> None:
    """Through its entry point, once the package is installed."""
    found = find(st.from_type(kind), lambda _: True, settings=QUICK)
    assert hasattr(found, "permits") if kind is kopia_maint.Policy else isinstance(found, kind)


def test_strategies_shrink_to_readable_cases() -> None:
    """What a failing test shows first."""
    smallest = find(strategies.requests(), lambda request: request.schedule is not None)
    assert str(smallest.source) == "team-a/source-a"
    assert str(smallest.schedule) == "0 2 * * *"
    assert smallest.repository == REPOSITORY
    assert smallest.enabled


@given(strategies.requests(enabled=False, schedule=st.none(), repository=REPOSITORY), strategies.request_lists())
def test_requests_take_the_fields_that_one_fixes(request_: SourceRequest, listed: list[SourceRequest]) -> None:
    """Values and strategies; and lists fit into one reconcile."""
    assert (request_.enabled, request_.schedule, request_.repository) == (False, None, REPOSITORY)
    assert len({request.source for request in listed}) == len(listed)
    assert len({request.repository for request in listed}) <= 1


def test_a_field_that_requests_do_not_have_is_refused() -> None:
    """As a typing mistake is."""
    with pytest.raises(TypeError, match="shedule"):
        find(strategies.requests(shedule=None), lambda _: True)


def becomes(what: str, read: Callable[[Any], object]) -> Callable[[Any], bool]:
    """Return whether a manifest is read as a type, or refused with a code and where."""

    def check(manifest: Any) -> bool:
        try:
            return type(read(manifest)).__name__ == what
        except KopiaMaintError as error:
            return f"{error.code} {error.path}".startswith(what)

    return check


KINDS: list[tuple[st.SearchStrategy[Any], Callable[[Any], object]]] = [
    # states, those, too, that no decision leads to
    (strategies.states(), lambda state: state.policy == "consensus" and len(state.conflicts) > 1),
    (strategies.states(), lambda state: state.owner is None and state.claims),
    (strategies.states(), lambda state: state.secret_name is None),
    (strategies.states(), lambda state: state.orphaned),
    (strategies.states(), lambda state: state.schedule.never_fires),
    # manifests: ours, others', and broken ones
    *(
        (strategies.replication_sources(), becomes(what, request_from_manifest))
        for what in ("SourceRequest", "NoneType", "syntax ", "time-zone ", "invalid-manifest spec")
    ),
    *(
        (strategies.cron_jobs(), becomes(what, state_from_manifest))
        for what in ("CronJobState", "NoneType", "invalid-manifest metadata")
    ),
    # histories with every kind of step
    (strategies.histories(), lambda steps: len({*map(type, steps)}) == 5),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_values_are_of_every_kind(values: st.SearchStrategy[Any], kind: Callable[[Any], object]) -> None:
    """Each is found among a few thousand."""
    find(values, lambda value: bool(kind(value)), settings=settings(QUICK, max_examples=5000))


@settings(deadline=None)
@given(strategies.plans())
def test_nothing_is_lost_between_objects_and_plan(plan: Plan) -> None:
    """Each source that was read has a standing, and each error is told."""
    assert plan.unreadable.keys() <= plan.standings.keys()
    assert set(plan.unreadable.values()) | set(plan.withheld.values()) <= set(plan.errors)
    assert not plan.decisions.keys() & plan.withheld.keys()
    written = [write.name for write in plan.writes]
    assert written == [name for name in sorted(plan.decisions) if name in written]


def test_steps_tell_themselves() -> None:
    """In the words of a story."""
    source = kopia_maint.SourceRef("a", "b")
    assert str(Reconciled((), frozenset({source}))) == "reconcile: a/b cannot be read"
    assert str(Withdrawn(source)) == "the claim of a/b is withdrawn"
    edited = Edited("a", kopia_maint.DEFAULT_SCHEDULE)
    assert str(edited) == "an administrator edits the CronJob: owner a, schedule '0 2 * * *'"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.states())
def test_a_disguised_state_is_equal_and_looks_different(state: CronJobState) -> None:
    """So that a policy may not depend on spellings."""
    assert disguised(state) == state
    assert disguised(state).schedule.text != state.schedule.text
