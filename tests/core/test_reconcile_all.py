"""`plan`: every repository of a cluster at once."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from kopia_maint import Action, CronJobState, InvalidValue, Repository, plan, resolve

from .helpers import LATER, NOW, REPOSITORY, ask, source

OTHER = Repository("other-secret")


def established(who: str, repository: Repository = REPOSITORY) -> CronJobState:
    """Return the state of a repository that one source uses."""
    state = resolve(None, ask(who, repository=repository), now=NOW).desired
    assert state is not None
    return state


def test_repositories_are_kept_apart() -> None:
    """Each repository is reconciled with its own requests, by hash."""
    answer = plan([], [ask("team-a/a"), ask("team-b/b", repository=OTHER)], now=NOW)
    assert list(answer) == sorted([REPOSITORY.hash, OTHER.hash])
    assert all(each.action is Action.CREATE for each in answer.values())


def test_a_repository_with_a_cron_job_and_sources_is_planned_once() -> None:
    """Its state and its requests meet."""
    state = established("team-a/a")
    answer = plan([state], [ask("team-a/a")], now=LATER)
    assert [(each.current, each.desired) for each in answer.values()] == [(state, state)]


def test_a_source_that_moved_leaves_its_old_repository() -> None:
    """It counts in the new repository only; the old CronJob goes with its last source."""
    answer = plan([established("team-a/a")], [ask("team-a/a", repository=OTHER)], now=LATER)
    assert answer[REPOSITORY.hash].action is Action.DELETE
    assert answer[OTHER.hash].action is Action.CREATE


def test_an_unreadable_source_counts_where_it_has_a_claim() -> None:
    """It keeps the CronJob of its claim alive, and no other."""
    states = [established("team-a/a"), established("team-b/b", OTHER)]
    answer = plan(states, [], now=LATER, unreadable=[source("team-a/a")])
    assert answer[REPOSITORY.hash].action is Action.NONE
    assert answer[OTHER.hash].action is Action.DELETE


def test_an_unreadable_source_without_a_claim_counts_for_every_cron_job_without_claims() -> None:
    """It might be that one's."""
    bare = evolve(established("team-b/b", OTHER), claims={})
    answer = plan([established("team-a/a"), bare], [], now=LATER, unreadable=[source("team-z/z")])
    assert answer[REPOSITORY.hash].action is Action.DELETE
    assert answer[OTHER.hash].action is Action.NONE


@pytest.mark.parametrize(
    ("states", "requests", "message"),
    [
        (2 * [established("team-a/a")], [], "listed twice"),
        ([], [ask("team-a/a"), ask("team-a/a", repository=OTHER)], "listed twice"),
        ([{}], [], "must be a CronJobState"),
        ([], [{}], "must be a SourceRequest"),
    ],
)
def test_what_is_listed_twice_or_no_value_is_an_error(states: list[Any], requests: list[Any], message: str) -> None:
    """A CronJob, or a source even of two repositories: which of them would count?"""
    with pytest.raises(InvalidValue, match=message):
        plan(states, requests, now=NOW)
