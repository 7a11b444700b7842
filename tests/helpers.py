"""What most tests need: one repository, readable requests, and a clock that stands still."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from kopia_maint import CronJobState, FirstWins, Policy, Repository, Schedule, SourceRef, SourceRequest, reconcile

REPOSITORY = Repository("shared-repo-secret")
NOW = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
LATER = NOW + timedelta(hours=1)
FIRST_WINS = FirstWins()


def source(text: str) -> SourceRef:
    """Return the reference that ``namespace/name`` spells."""
    return SourceRef(*text.split("/"))


def ask(who: str, schedule: str | None = None, **kwargs: Any) -> SourceRequest:
    """Return the request of a source, such as ``ask("team-a/source-a", "0 2 * * *")``."""
    wanted = None if schedule is None else Schedule.parse(schedule)
    return SourceRequest(source(who), kwargs.pop("repository", REPOSITORY), wanted, **kwargs)


def state_of(*requests: SourceRequest, policy: Policy = FIRST_WINS) -> CronJobState:
    """Return the state of a repository whose sources asked, all of them at once."""
    state = reconcile(None, requests, now=NOW, policy=policy).desired
    assert state is not None
    return state


def replication_source(who: str = "team-a/source-a", **kopia: Any) -> dict[str, Any]:
    """Return a ReplicationSource's manifest."""
    namespace, name = who.split("/")
    return {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"sourcePVC": "data", "kopia": {"repository": "shared-repo-secret", **kopia}},
    }
