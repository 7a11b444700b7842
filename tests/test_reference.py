"""Do two implementations that share no line agree? The library and the reference model, over random histories."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from kopia_maint import (
    Bounded,
    Consensus,
    CronJobState,
    Decision,
    FirstWins,
    Policy,
    Repository,
    Schedule,
    SourceRef,
    SourceRequest,
    hand_over,
    manifest_from_state,
    reconcile,
    reconcile_all,
    resolve,
    state_from_manifest,
    withdraw,
)

from . import plain, reference
from . import reference_cluster as cluster
from .core.schedule_cases import plain_schedule
from .helpers import NOW, REPOSITORY
from .reference import conflicts, intervals, never_fires, same

HOUR = timedelta(hours=1)
POLICIES: tuple[Policy, ...] = (
    FirstWins(),
    Consensus(),
    Bounded(shortest=HOUR),
    Bounded(Consensus(), shortest=HOUR, longest=400 * 24 * HOUR),
)
TEXTS = (
    "0 2 * * *",
    "@daily",
    "0 0 * * *",
    "00 0 * * ?",
    "*/5 * * * *",
    "0 4 * * *",
    "0 0 29 2 *",
    "@every 90m",
)
CAST = tuple(SourceRef(f"team-{a}", f"source-{b}") for a in "ab" for b in "xyz")
OTHERS = (REPOSITORY, Repository("other-secret"), Repository("third-secret"))

wishes = st.sampled_from([wish and Schedule.parse(wish) for wish in (None, *TEXTS)])
clocks = st.sampled_from([0, 1, 3600, -60, 0.5]).map(lambda seconds: timedelta(seconds=seconds))


def requests(source: st.SearchStrategy[SourceRef], *repositories: Repository) -> st.SearchStrategy[SourceRequest]:
    return st.builds(
        SourceRequest,
        source,
        st.sampled_from(repositories),
        wishes,
        st.sampled_from([True, True, True, False]),
        st.sampled_from([None, NOW - HOUR, NOW - 2 * HOUR]),
    )


def lists(*repositories: Repository) -> st.SearchStrategy[list[SourceRequest]]:
    return st.lists(requests(st.sampled_from(CAST), *repositories), max_size=6, unique_by=lambda it: it.source)


def agree(decision: Decision, after: reference.State | None) -> None:
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


def take(kind: str, current: CronJobState | None, policy: Policy, now: datetime, draw: Any) -> CronJobState | None:
    """Take one step through both, and return the state that they agree on."""
    before, rules, moment = plain.stored(current), plain.policy(policy), plain.time(now)
    decision: Decision
    if kind == "ask":
        request = draw(requests(st.sampled_from(CAST), REPOSITORY))
        decision = answer = resolve(current, request, now=now, policy=policy)
        verdict, after = reference.resolve(before, plain.request(request), moment, rules)
        assert answer.verdict == verdict
        assert (answer.conflict is not None) == (verdict == "rejected")
    elif kind == "list":
        listed, unreadable = draw(lists(REPOSITORY)), draw(st.lists(st.sampled_from(CAST), max_size=2, unique=True))
        listed = [it for it in listed if it.source not in unreadable]
        decision = reconciled = reconcile(current, listed, now=now, policy=policy, unreadable=unreadable)
        verdicts, after = reference.reconcile(
            before, map(plain.request, listed), moment, rules, unreadable=[*map(plain.source, unreadable)]
        )
        assert {plain.source(it): verdict.value for it, verdict in reconciled.verdicts.items()} == verdicts
        records = conflicts(after)
        assert {plain.source(it) for it in reconciled.conflicts} == {it for it in verdicts if it in records}
    elif current is None or before is None:
        return None
    elif kind == "hand over":
        namespace = draw(st.sampled_from(sorted({*current.namespaces, "team-c"})))
        decision, after = hand_over(current, namespace, policy=policy), reference.hand_over(before, namespace, rules)
    elif kind == "withdraw":
        source = draw(st.sampled_from(CAST))
        decision = withdraw(current, source, policy=policy)
        after = reference.withdraw(before, plain.source(source), rules)
    elif kind == "edit the schedule":
        return evolve(current, schedule=draw(wishes.filter(bool)))
    else:
        return evolve(current, owner=draw(st.sampled_from([None, "team-a", "team-b", "stranger"])))
    agree(decision, after)
    return decision.desired


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_histories_agree(data: st.DataObject) -> None:
    """One CronJob, decided by everything that decides, edited by hand, under policies that change."""
    current, now, policy = None, NOW, data.draw(st.sampled_from(POLICIES))
    kinds = [*["ask"] * 4, "list", *["hand over"] * 2, "withdraw", "edit the schedule", "edit the owner", "policy"]
    for kind in data.draw(st.lists(st.sampled_from(kinds), min_size=4, max_size=20)):
        now += data.draw(clocks)
        if kind == "policy":
            policy = data.draw(st.sampled_from(POLICIES))
        else:
            current = take(kind, current, policy, now, data.draw)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whole_clusters_agree(data: st.DataObject) -> None:
    """Sources that move, that cannot be read, that nobody has heard of; CronJobs that others wrote."""
    policy, now = data.draw(st.sampled_from(POLICIES)), NOW
    states: list[CronJobState] = []
    for _ in range(data.draw(st.integers(1, 5))):
        now += data.draw(clocks)
        listed = data.draw(lists(*OTHERS))
        named = data.draw(
            st.dictionaries(
                st.sampled_from(CAST), st.sampled_from([None, "shared-repo-secret", "other-secret"]), max_size=2
            )
        )
        listed = [it for it in listed if it.source not in named]
        complete = data.draw(st.booleans())
        decisions = reconcile_all(states, listed, now=now, policy=policy, unreadable=named, complete=complete)
        answers = reference.reconcile_all(
            map(plain.state, states),
            map(plain.request, listed),
            plain.time(now),
            plain.policy(policy),
            unreadable={plain.source(it): () if name is None else (name,) for it, name in named.items()},
            complete=complete,
        )
        assert list(decisions) == list(answers)
        for name, (verdicts, after) in answers.items():
            assert {plain.source(it): verdict.value for it, verdict in decisions[name].verdicts.items()} == verdicts
            agree(decisions[name], after)
        states = [decision.desired for decision in decisions.values() if decision.desired is not None]
        states = [evolve(it, secret_name=None) if data.draw(st.booleans()) else it for it in states]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=True))
def test_schedules_agree(random: Random) -> None:
    """What they mean, and how often they run."""
    one, other = (Schedule.parse(random.choice([plain_schedule(random), *TEXTS])) for _ in range(2))
    assert (one == other) == same(one.text, other.text)
    assert one.never_fires == never_fires(one.text)
    assert (one.shortest_interval, one.longest_interval) == (intervals(one.text) or (None, None))
