"""`reconcile_all`, over values: what no vector shows. The reference model is asked about its rules, too."""

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


def actions(states: list[CronJobState], unreadable: dict[SourceRef, str | None]) -> dict[str | None, Action]:
    """Return what becomes of CronJobs that nobody asks for, by the Secret's name."""
    answer = reconcile_all(states, [], now=LATER, unreadable=unreadable, complete=True)
    return {each.current.secret_name if each.current else None: each.action for each in answer.values()}


def test_repositories_are_kept_apart_and_sorted_by_cron_job() -> None:
    """Each repository is reconciled with its own requests."""
    answer = reconcile_all([], [ask("team-a/a"), ask("team-b/b", repository=OTHER)], now=NOW, complete=True)
    assert list(answer) == sorted([REPOSITORY.cron_job_name, OTHER.cron_job_name])
    assert all(each.action is Action.CREATE for each in answer.values())
    assert answer[OTHER.cron_job_name].repository == OTHER


def test_an_unreadable_source_counts_for_every_cron_job_of_its_secret() -> None:
    """And for one that does not say its Secret; not if its own Secret is no valid name, or unknown."""
    bare, nameless = established("team-b/b"), evolve(established("team-c/c", OTHER), secret_name=None)
    stray = source("team-z/z")
    kept = {"shared-repo-secret": Action.UPDATE, None: Action.UPDATE}  # their own sources are gone
    assert actions([bare, nameless], {stray: "shared-repo-secret"}) == kept
    assert actions([bare, nameless], {stray: "third"}) == {**kept, "shared-repo-secret": Action.DELETE}
    for unknown in (None, "Not A Name", ""):
        assert set(actions([bare, nameless], {stray: unknown}).values()) == {Action.DELETE}


def test_a_source_of_two_repositories_is_listed_twice() -> None:
    """Which of them would count?"""
    for unreadable in ({}, {source("team-a/a"): None}):
        requests = [ask("team-a/a"), *([] if unreadable else [ask("team-a/a", repository=OTHER)])]
        with pytest.raises(InvalidValue, match="team-a/a is listed twice") as caught:
            reconcile_all([], requests, now=NOW, unreadable=unreadable, complete=True)
        assert caught.value.source == source("team-a/a")
