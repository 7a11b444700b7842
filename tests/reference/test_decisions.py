"""Do two implementations that share no line agree? The library and the reference model, over random histories."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kopia_maint import (
    CronJobState,
    Decision,
    Policy,
    hand_over,
    manifest_from_state,
    reconcile,
    resolve,
    state_from_manifest,
    withdraw,
)
from kopia_maint.testing import Edited, HandedOver, Reconciled, Submitted, strategies
from kopia_maint.testing._history import Step, moment

from ..helpers import REPOSITORY
from . import cluster, decisions, plain
from .decisions import conflicts, same


def agree(decision: Decision, after: decisions.State | None) -> None:
    """See that the desired states are one, and that what is told and written of them is."""
    current, desired = decision.current, decision.desired
    before = {} if current is None else conflicts(plain.state(current))
    recorded = conflicts(after)
    assert {plain.source(it.source): (it.schedule.text, plain.time(it.since), it.policy) for it in decision.opened} == {
        source: record for source, record in recorded.items() if before.get(source) != record
    }
    assert {plain.source(it.source) for it in decision.closed} == {
        source for source, record in before.items() if recorded.get(source) != record
    }
    if desired is None or after is None:
        assert (desired, after) == (None, None)
        return
    assert same(desired.schedule.text, after["schedule"])
    assert plain.state(desired) == {**after, "schedule": desired.schedule.text}
    assert (desired is current) == (desired == current)
    manifest = manifest_from_state(desired, {}, operator_namespace="volsync-system")
    written = cluster.write(after, None, desired.cron_job_name, "volsync-system")
    assert written is not None
    assert manifest["metadata"] == written["metadata"]
    assert same(manifest["spec"]["schedule"], written["spec"]["schedule"])
    assert state_from_manifest(manifest) == desired
    assert cluster.read(written) == after


def take(current: CronJobState | None, step: Step, now: datetime, policy: Policy) -> CronJobState | None:
    """Take one step through both, and return the state that they agree on."""
    before = None if current is None else plain.state(current)
    at, rules = plain.time(now), plain.policy(policy)
    decision: Decision
    if isinstance(step, Submitted):
        decision = answer = resolve(current, step.request, now=now, policy=policy)
        verdict, after = decisions.resolve(before, plain.request(step.request), at, rules)
        assert answer.verdict == verdict
        assert (answer.conflict is not None) == (verdict == "rejected")
    elif isinstance(step, Reconciled):
        decision = answers = reconcile(current, step.requests, now=now, policy=policy, unreadable=step.unreadable)
        unreadable = [*map(plain.source, step.unreadable)]
        requests = map(plain.request, step.requests)
        verdicts, after = decisions.reconcile(before, requests, at, rules, unreadable=unreadable)
        assert {plain.source(it): verdict.value for it, verdict in answers.verdicts.items()} == verdicts
        assert {plain.source(it) for it in answers.conflicts} == {it for it in verdicts if it in conflicts(after)}
    elif current is None or before is None:
        return None
    elif isinstance(step, Edited):
        return evolve(current, owner=step.owner or current.owner, schedule=step.schedule or current.schedule)
    elif isinstance(step, HandedOver):
        decision = hand_over(current, step.namespace, policy=policy)
        after = decisions.hand_over(before, step.namespace, rules)
    else:
        decision = withdraw(current, step.source, policy=policy)
        after = decisions.withdraw(before, plain.source(step.source), rules)
    agree(decision, after)
    return decision.desired


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.none() | strategies.states().map(lambda state: evolve(state, repository_hash=REPOSITORY.hash)),
    strategies.histories(min_steps=4, max_steps=20),
    st.lists(strategies.policies(), min_size=1, max_size=3),
)
def test_histories_agree(current: CronJobState | None, history: tuple[Step, ...], policies: list[Policy]) -> None:
    """One CronJob, decided by everything that decides, edited by hand, under policies that change."""
    for number, step in enumerate(history):
        current = take(current, step, moment(number), policies[number * len(policies) // len(history)])
