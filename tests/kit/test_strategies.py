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
from kopia_maint.testing import Edited, HandedOver, Reconciled, Submitted, Withdrawn, strategies
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


STATES: dict[str, Callable[[CronJobState], bool]] = {
    "marked": lambda state: state.policy == "consensus" and len(state.conflicts) > 1,
    "unknown owner": lambda state: state.owner is None and bool(state.claims),
    "unknown Secret": lambda state: state.secret_name is None,
    "orphaned": lambda state: state.orphaned,
    "never fires": lambda state: state.schedule.never_fires,
}


@pytest.mark.parametrize("what", STATES)
def test_states_are_of_every_kind(what: str) -> None:
    """Those, too, that no decision leads to."""
    find(strategies.states(), STATES[what], settings=settings(QUICK, max_examples=2000))


def code(read: Callable[[Any], object], manifest: dict[str, Any]) -> str:
    """Return what becomes of a manifest."""
    try:
        return type(read(manifest)).__name__
    except KopiaMaintError as error:
        return f"{error.code} {error.path}"


@pytest.mark.parametrize(
    ("objects", "read", "what"),
    [
        (strategies.replication_sources(), request_from_manifest, "SourceRequest"),
        (strategies.replication_sources(), request_from_manifest, "NoneType"),
        (strategies.replication_sources(), request_from_manifest, "syntax "),
        (strategies.replication_sources(), request_from_manifest, "time-zone "),
        (strategies.replication_sources(), request_from_manifest, "invalid-manifest spec"),
        (strategies.cron_jobs(), state_from_manifest, "CronJobState"),
        (strategies.cron_jobs(), state_from_manifest, "NoneType"),
        (strategies.cron_jobs(), state_from_manifest, "invalid-manifest metadata"),
    ],
)
def test_manifests_are_of_every_kind(
    objects: st.SearchStrategy[dict[str, Any]], read: Callable[[Any], object], what: str
) -> None:
    """Ours, others', and broken ones."""
    find(objects, lambda manifest: code(read, manifest).startswith(what), settings=settings(QUICK, max_examples=5000))


@settings(deadline=None)
@given(strategies.plans())
def test_nothing_is_lost_between_objects_and_plan(plan: Plan) -> None:
    """Each source that was read has a standing, and each error is told."""
    assert plan.unreadable.keys() <= plan.standings.keys()
    assert set(plan.unreadable.values()) | set(plan.withheld.values()) <= set(plan.errors)
    assert not plan.decisions.keys() & plan.withheld.keys()
    assert {write.name for write in plan.writes} <= plan.decisions.keys()


def test_histories_look_like_life() -> None:
    """Every kind of step occurs, and tells itself."""
    history = find(
        strategies.histories(), lambda steps: len({*map(type, steps)}) == 5, settings=settings(max_examples=5000)
    )
    assert {*map(type, history)} == {Submitted, Reconciled, HandedOver, Withdrawn, Edited}
    source = kopia_maint.SourceRef("a", "b")
    assert str(Reconciled((), frozenset({source}))) == "reconcile: a/b cannot be read"
    assert str(Withdrawn(source)) == "the claim of a/b is withdrawn"
    assert str(Edited("a", kopia_maint.DEFAULT_SCHEDULE)) == (
        "an administrator edits the CronJob: owner a, schedule '0 2 * * *'"
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.states())
def test_a_disguised_state_is_equal_and_looks_different(state: CronJobState) -> None:
    """So that a policy may not depend on spellings."""
    assert disguised(state) == state
    assert disguised(state).schedule.text != state.schedule.text
