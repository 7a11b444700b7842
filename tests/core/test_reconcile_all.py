"""`reconcile_all`: every repository of a cluster at once, over values."""

from __future__ import annotations

import pytest
from attrs import evolve

from kopia_maint import Action, CronJobState, InvalidValue, Repository, SourceRef, reconcile_all, resolve

from ..helpers import LATER, NOW, REPOSITORY, ask, source

OTHER = Repository("other-secret")


def established(who: str, repository: Repository = REPOSITORY) -> CronJobState:
    """Return the state of a repository that one source uses."""
    state = resolve(None, ask(who, repository=repository), now=NOW).desired
    assert state is not None
    return state


def actions(
    states: list[CronJobState], unreadable: dict[SourceRef, str | None], *, complete: bool = True
) -> dict[str | None, Action]:
    """Return what becomes of CronJobs that nobody asks for, by the Secret's name."""
    answer = reconcile_all(states, [], now=LATER, unreadable=unreadable, complete=complete)
    return {each.current.secret_name if each.current else None: each.action for each in answer.values()}


def test_repositories_are_kept_apart_and_sorted_by_cron_job() -> None:
    """Each repository is reconciled with its own requests."""
    answer = reconcile_all([], [ask("team-a/a"), ask("team-b/b", repository=OTHER)], now=NOW, complete=True)
    assert list(answer) == sorted([REPOSITORY.cron_job_name, OTHER.cron_job_name])
    assert all(each.action is Action.CREATE for each in answer.values())
    assert answer[OTHER.cron_job_name].repository == OTHER


def test_a_repository_with_a_cron_job_and_sources_is_decided_once() -> None:
    """Its state and its requests meet, and nothing changed."""
    state = established("team-a/a")
    (decision,) = reconcile_all([state], [ask("team-a/a")], now=LATER, complete=True).values()
    assert decision.desired is state


@pytest.mark.parametrize("complete", [True, False])
def test_a_source_that_moved_leaves_its_old_repository(complete: bool) -> None:
    """It counts in the new repository only; the old CronJob goes with its last source, if these are all."""
    moved = ask("team-a/a", repository=OTHER)
    answer = reconcile_all([established("team-a/a")], [moved], now=LATER, complete=complete)
    old = answer[REPOSITORY.cron_job_name]
    assert old.action is (Action.DELETE if complete else Action.UPDATE)
    assert old.desired is None or not old.desired.claims
    assert answer[OTHER.cron_job_name].action is Action.CREATE


def test_an_unreadable_source_counts_where_it_has_a_claim() -> None:
    """It keeps the CronJob of its claim alive, and no other, whatever Secret it names."""
    states = [established("team-a/a"), established("team-b/b", OTHER)]
    for name in (None, "third-secret", "Not A Name"):
        kept = actions(states, {source("team-a/a"): name})
        assert kept == {"shared-repo-secret": Action.NONE, "other-secret": Action.DELETE}


def test_an_unreadable_source_counts_for_every_cron_job_of_its_secret() -> None:
    """And for one that does not say its Secret; not if its own Secret is no valid name, or unknown."""
    bare, nameless = established("team-b/b"), evolve(established("team-c/c", OTHER), secret_name=None)
    stray = source("team-z/z")
    kept = {"shared-repo-secret": Action.UPDATE, None: Action.UPDATE}  # their own sources are gone
    assert actions([bare, nameless], {stray: "shared-repo-secret"}) == kept
    assert actions([bare, nameless], {stray: "third"}) == {**kept, "shared-repo-secret": Action.DELETE}
    for unknown in (None, "Not A Name", ""):
        assert set(actions([bare, nameless], {stray: unknown}).values()) == {Action.DELETE}


def test_without_all_sources_nothing_is_deleted_and_no_claim_of_others_dropped() -> None:
    """Where nobody is left, the state is the current one."""
    state = established("team-a/a")
    assert actions([state], {}) == {"shared-repo-secret": Action.DELETE}
    assert actions([state], {}, complete=False) == {"shared-repo-secret": Action.NONE}
    (answer,) = reconcile_all([state], [ask("team-b/b")], now=LATER, complete=False).values()
    assert answer.desired is not None
    assert set(answer.desired.claims) == {source("team-a/a"), source("team-b/b")}
    assert list(answer.standings) == [source("team-b/b")]


def test_a_source_of_two_repositories_is_listed_twice() -> None:
    """Which of them would count?"""
    for unreadable in ({}, {source("team-a/a"): None}):
        requests = [ask("team-a/a"), *([] if unreadable else [ask("team-a/a", repository=OTHER)])]
        with pytest.raises(InvalidValue, match="team-a/a is listed twice") as caught:
            reconcile_all([], requests, now=NOW, unreadable=unreadable, complete=True)
        assert caught.value.source == source("team-a/a")
