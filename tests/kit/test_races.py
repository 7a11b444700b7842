"""Workers that race leave what some order of one at a time would have left, and then they are quiet."""

from __future__ import annotations

import itertools
import random

import pytest

from kopia_maint import CronJobState, SourceRequest, reconcile, resolve

from ..helpers import NOW, ask
from .simulation import Choose, Cluster, Step, decided, decides, edits, every_order, plans, run

A2, A3, A4 = (ask("team-a/a", f"0 {hour} * * *") for hour in (2, 3, 4))
B4, B_ANY, B_OFF = ask("team-b/b", "0 4 * * *"), ask("team-b/b"), ask("team-b/b", enabled=False)
C6 = ask("team-c/c", "0 6 * * *")


def is_quiet(cluster: Cluster, *steps: Step) -> bool:
    """Return whether nobody has anything to write any more."""
    writes = cluster.writes
    run([decides(cluster, step) for step in steps] or [plans(cluster)])
    return cluster.writes == writes


@pytest.mark.parametrize("losing", [0, 1, 2])
@pytest.mark.parametrize(
    ("start", "steps"),
    [
        ((), (A2, B4)),
        ((), (A2, B4, C6)),
        ((A2,), (A3, B4)),
        ((A2, B4), (A4, B_OFF)),
        ((A2, B4), (B_ANY, C6)),
        ((A2, B4), (A2, B4)),
        ((A2, B4), (A2.source, C6)),
    ],
)
def test_submissions_that_race(start: tuple[Step, ...], steps: tuple[Step, ...], losing: int) -> None:
    """In every interleaving, with responses lost: a state of some one-at-a-time order, and then no write any more."""

    def after(state: CronJobState | None, order: tuple[Step, ...]) -> CronJobState | None:
        for step in order:
            decision = decided(state, step)
            assert decision is not None
            state = decision.desired
        return state

    possible = [after(after(None, start), order) for order in itertools.permutations(steps)]

    def play(choose: Choose) -> None:
        cluster = Cluster()
        run([decides(cluster, C6.source)])  # there is nothing yet
        for step in start:
            run([decides(cluster, step)])
        cluster.losing = losing
        run([decides(cluster, step) for step in steps], choose)
        assert cluster.state in possible
        assert is_quiet(cluster, *steps)

    assert every_order(play) >= 2


@pytest.mark.parametrize(
    ("planned", "edited", "left"),
    [
        (False, [{"b": B4}, {"a": A3}], [A3, B4]),
        (True, [{"a": None, "b": B4}], [B4]),
        (True, [{"a": None}], []),
    ],
)
def test_plans_that_race_with_edits(
    planned: bool, edited: list[dict[str, SourceRequest | None]], left: list[SourceRequest]
) -> None:
    """Two workers and somebody who edits: in the end the CronJob says what the sources say, and nobody writes."""
    firsts = (None, resolve(None, A2, now=NOW).desired)
    possible = [reconcile(first, left, now=NOW).desired for first in firsts]

    def play(choose: Choose) -> None:
        cluster = Cluster(sources={"a": A2})
        if planned:
            run([plans(cluster)])
        run([plans(cluster), plans(cluster), edits(cluster, edited)], choose)
        run([plans(cluster)])
        assert cluster.state in possible
        assert is_quiet(cluster)

    assert every_order(play) > 100


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
        workers = [plans(cluster, chance.choice([0, 0, 1, 5])) for _ in range(3)]
        run([*workers, edits(cluster, changes)], chance.randrange)
    cluster.losing = 0
    run([plans(cluster)])
    enabled = [request for request in cluster.sources.values() if request.enabled]
    assert cluster.asked == {request.source: request.schedule for request in enabled}
    writes = cluster.writes
    run([plans(cluster) for _ in range(4)], chance.randrange)
    assert cluster.writes == writes
    assert is_quiet(cluster, *cluster.sources.values())


def test_every_history_of_a_small_cluster() -> None:
    """
    Two sources, each absent or with one of two schedules; a plan after each change, or after some of them.

    The CronJob has exactly the claims of the sources, and the first owner until nobody is left.
    """
    choices: dict[str, tuple[SourceRequest | None, ...]] = {"a": (None, A2, A3), "b": (None, B4, B_OFF)}

    def play(choose: Choose) -> None:
        cluster, owner = Cluster(), None
        for _ in range(3):
            name = ("a", "b")[choose(2)]
            request = choices[name][choose(3)]
            run([edits(cluster, [{name: request}])])
            if choose(2):
                continue  # the operator was away
            run([plans(cluster)])
            enabled = [it for it in cluster.sources.values() if it.enabled]
            assert cluster.asked == {it.source: it.schedule for it in enabled}
            owner = (owner or min(it.source.namespace for it in enabled)) if enabled else None
            assert (cluster.state and cluster.state.owner) == owner
            assert is_quiet(cluster)

    assert every_order(play) == (2 * 3 * 2) ** 3
