"""`plan`: every repository of a cluster at once."""

from __future__ import annotations

import pytest

from kopia_maint import Action, InvalidValue, Repository, plan, resolve

from .helpers import LATER, NOW, REPOSITORY, ask, source

OTHER = Repository("other-secret")


def established(who: str, repository: Repository) -> object:
    """Return the state of a repository that one source uses."""
    return resolve(None, ask(who, repository=repository), now=NOW).desired


def test_repositories_are_kept_apart() -> None:
    """Each repository is reconciled with its own requests, by hash."""
    answer = plan([], [ask("team-a/a"), ask("team-b/b", repository=OTHER)], now=NOW)
    assert list(answer) == sorted([REPOSITORY.hash, OTHER.hash])
    assert all(each.action is Action.CREATE for each in answer.values())


def test_a_source_that_moved_leaves_its_old_repository() -> None:
    """It counts in the new repository only; the old CronJob goes with its last source."""
    state = resolve(None, ask("team-a/a"), now=NOW).desired
    assert state is not None
    answer = plan([state], [ask("team-a/a", repository=OTHER)], now=LATER)
    assert answer[REPOSITORY.hash].action is Action.DELETE
    assert answer[OTHER.hash].action is Action.CREATE


def test_an_unreadable_source_counts_where_it_has_a_claim() -> None:
    """It keeps the CronJob of its claim alive, and no other."""
    mine = resolve(None, ask("team-a/a"), now=NOW).desired
    other = resolve(None, ask("team-b/b", repository=OTHER), now=NOW).desired
    assert mine is not None
    assert other is not None
    answer = plan([mine, other], [], now=LATER, unreadable=[source("team-a/a")])
    assert answer[REPOSITORY.hash].action is Action.NONE
    assert answer[OTHER.hash].action is Action.DELETE


def test_an_unreadable_source_without_a_claim_counts_for_every_cron_job_without_claims() -> None:
    """It might be that one's."""
    claimed = resolve(None, ask("team-a/a"), now=NOW).desired
    bare = resolve(
        resolve(None, ask("b/b", repository=OTHER), now=NOW).desired,
        ask("b/b", repository=OTHER, enabled=False),
        now=NOW,
    ).desired
    assert claimed is not None
    assert bare is not None
    answer = plan([claimed, bare], [], now=LATER, unreadable=[source("team-z/z")])
    assert answer[REPOSITORY.hash].action is Action.DELETE
    assert answer[OTHER.hash].action is Action.NONE


def test_what_is_listed_twice_is_an_error() -> None:
    """A CronJob, or a source even of two repositories: which of them would count?"""
    state = resolve(None, ask("team-a/a"), now=NOW).desired
    assert state is not None
    with pytest.raises(InvalidValue, match="listed twice"):
        plan([state, state], [], now=NOW)
    with pytest.raises(InvalidValue, match="listed twice"):
        plan([], [ask("team-a/a"), ask("team-a/a", repository=OTHER)], now=NOW)
