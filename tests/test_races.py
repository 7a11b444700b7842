"""Law 12: workers that race leave what some order of one at a time would have left, and then they are quiet."""

from __future__ import annotations

import itertools
import random

import pytest

from kopia_maint import CronJobState, SourceRequest, reconcile, resolve
from kopia_maint.testing._history import asked_for

from .helpers import NOW, ask
from .simulation import Choose, Cluster, edits, every_order, reconciles, run, submits

A2, A3, A4 = (ask("team-a/a", f"0 {hour} * * *") for hour in (2, 3, 4))
B4, B_ANY, B_OFF = ask("team-b/b", "0 4 * * *"), ask("team-b/b"), ask("team-b/b", enabled=False)
C6 = ask("team-c/c", "0 6 * * *")


def one_at_a_time(start: CronJobState | None, requests: tuple[SourceRequest, ...]) -> list[CronJobState | None]:
    """Return every state that some order of the requests leaves."""
    states = []
    for order in itertools.permutations(requests):
        state = start
        for request in order:
            state = resolve(state, request, now=NOW).desired
        states.append(state)
    return states


@pytest.mark.parametrize("losing", [0, 1, 2])
@pytest.mark.parametrize(
    ("start", "requests"),
    [
        ((), (A2, B4)),
        ((), (A2, B4, C6)),
        ((A2,), (A3, B4)),
        ((A2, B4), (A4, B_OFF)),
        ((A2, B4), (B_ANY, C6)),
        ((A2, B4), (A2, B4)),
    ],
)
def test_submissions_that_race(
    start: tuple[SourceRequest, ...], requests: tuple[SourceRequest, ...], losing: int
) -> None:
    """In every interleaving, with responses lost: a state of some one-at-a-time order, and then no write any more."""
    before = None
    for request in start:
        before = resolve(before, request, now=NOW).desired
    possible = one_at_a_time(before, requests)

    def play(choose: Choose) -> None:
        cluster = Cluster()
        for request in start:
            run([submits(cluster, request)], choose)
        cluster.losing = losing
        run([submits(cluster, request) for request in requests], choose)
        assert cluster.state in possible
        writes = cluster.writes
        for request in requests:
            run([submits(cluster, request)], choose)
        assert cluster.writes == writes

    assert every_order(play) >= 2


def test_reconcilers_that_race_with_edits() -> None:
    """Two workers and somebody who edits: in the end the CronJob says what the sources say, and nobody writes."""

    def play(choose: Choose) -> None:
        cluster = Cluster(sources={"a": A2})
        run([reconciles(cluster), reconciles(cluster), edits(cluster, [{"b": B4}, {"a": A3}])], choose)
        run([reconciles(cluster)], choose)
        state = cluster.state
        assert state is not None
        assert asked_for(state) == {A3.source: "0 3 * * *", B4.source: "0 4 * * *"}
        assert state in [
            reconcile(step, [A3, B4], now=NOW).desired for step in (None, resolve(None, A2, now=NOW).desired)
        ]
        writes = cluster.writes
        run([reconciles(cluster)], choose)
        assert cluster.writes == writes

    assert every_order(play) > 1000


def test_the_last_source_goes_while_another_comes() -> None:
    """No CronJob is deleted that somebody uses, none stays that nobody uses."""

    def play(choose: Choose) -> None:
        cluster = Cluster(sources={"a": A2})
        run([reconciles(cluster)], choose)
        run([reconciles(cluster), reconciles(cluster), edits(cluster, [{"a": None, "b": B4}])], choose)
        run([reconciles(cluster)], choose)
        assert cluster.state is not None
        assert asked_for(cluster.state) == {B4.source: "0 4 * * *"}
        cluster.sources = {}
        run([reconciles(cluster)], choose)
        assert cluster.cron_job is None

    assert every_order(play) > 100


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_an_answer_from_a_stale_cache_is_put_right(lag: int) -> None:
    """Whether its write was refused or it saw nothing to write: the next submission settles it."""
    cluster = Cluster(sources={"a": A2, "b": B4})
    run([reconciles(cluster)], lambda _: 0)
    cluster.sources = {"a": A3, "b": B4}
    run([reconciles(cluster)], lambda _: 0)
    cluster.sources = {"a": A3, "b": B_ANY}
    run([reconciles(cluster, lag)], lambda _: 0)
    run([submits(cluster, request) for request in cluster.sources.values()], lambda _: 0)
    assert asked_for(cluster.state) == {A3.source: "0 3 * * *", B4.source: None}


@pytest.mark.parametrize("seed", range(40))
def test_long_random_histories_settle(seed: int) -> None:
    """Many workers, edits, stale caches, lost responses, duplicates and restarts: then quiet, and nothing lost."""
    chance = random.Random(seed)
    names = [f"team-{team}/{name}" for team in "abc" for name in "xyz"]
    cluster = Cluster()
    for _ in range(30):
        changes: list[dict[str, SourceRequest | None]] = []
        for name in chance.sample(names, 2):
            wanted = chance.choice([None, "0 2 * * *", "0 4 * * *", "0 6 * * *"])
            request = ask(name, wanted, enabled=chance.random() < 0.9)
            changes.append({name: None if chance.random() < 0.2 else request})
        cluster.losing = chance.choice([0, 0, 1])
        workers = [reconciles(cluster, chance.choice([0, 0, 1, 5])) for _ in range(3)]
        run([*workers, edits(cluster, changes)], chance.randrange)
    cluster.losing = 0
    run([reconciles(cluster)], lambda _: 0)
    expected = {r.source: r.schedule and r.schedule.canonical for r in cluster.sources.values() if r.enabled}
    assert asked_for(cluster.state) == expected
    writes = cluster.writes
    for _ in range(10):
        run([reconciles(cluster) for _ in range(4)], chance.randrange)
    for request in cluster.sources.values():
        run([submits(cluster, request)], lambda _: 0)
    assert cluster.writes == writes
