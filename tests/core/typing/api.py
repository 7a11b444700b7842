"""The public surface as users write it: checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from typing_extensions import assert_type

from kopia_maint import (
    DEFAULT_SCHEDULE,
    Action,
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    CustomCA,
    FirstWins,
    InvalidSchedule,
    KopiaMaintError,
    Policy,
    Reconciliation,
    Repository,
    Resolution,
    Schedule,
    SourceRef,
    SourceRequest,
    Verdict,
    hand_over,
    manifest_from_state,
    patch_from_state,
    plan,
    reconcile,
    request_from_manifest,
    resolve,
    state_from_manifest,
)
from kopia_maint.testing import LAWS, Exploration, Law, check_policy, check_resolver, explore

now = datetime.now(timezone.utc)
schedule = Schedule.parse("0 2 * * *")
assert_type(schedule, Schedule)
assert_type(schedule.text, str)
assert_type(schedule.canonical, str)
assert_type(schedule.never_fires, bool)
assert_type(schedule.next_runs(now, 3), tuple[datetime, ...])
assert_type(DEFAULT_SCHEDULE, Schedule)

source = SourceRef("team-a", "source-a")
repository = Repository("shared-repo-secret", CustomCA(secret_name="ca", key="ca.crt"))
assert_type(repository.hash, str)
request = SourceRequest(source, repository, schedule, enabled=True, created_at=now)
bare = SourceRequest(source, repository)

state = CronJobState(repository.hash, schedule, "team-a", {source: Claim(None, now)})
assert_type(state.claims, Mapping[SourceRef, Claim])
assert_type(state.preferences, Mapping[Schedule, int])
assert_type(state.namespaces, frozenset[str])
assert_type(state.owner, "str | None")
assert_type(state.latest_conflict, "Conflict | None")

resolution = resolve(None, request, now=now)
assert_type(resolution, Resolution)
assert_type(resolution.desired, "CronJobState | None")
assert_type(resolution.verdict, Verdict)
assert_type(resolution.action, Action)
assert_type(resolution.explanation, str)

answer = reconcile(state, (each for each in [request]), now=now, policy=Consensus(), unreadable={source})
assert_type(answer, Reconciliation)
assert_type(answer.verdicts, Mapping[SourceRef, Verdict])
assert_type(answer.opened, tuple[Conflict, ...])
assert_type(plan([state], [request], now=now), Mapping[str, Reconciliation])
assert_type(hand_over(state, "team-b"), CronJobState)

manifest: dict[str, Any] = {}
assert_type(request_from_manifest(manifest), "SourceRequest | None")
assert_type(state_from_manifest(manifest), CronJobState)
assert_type(manifest_from_state(state, manifest, operator_namespace="volsync-system"), dict[str, Any])
assert_type(patch_from_state(state, manifest), "dict[str, Any] | None")


class Nobody:
    """A policy that somebody else wrote."""

    name = "nobody"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Return whether the challenger may: it may not."""
        return not state.claims and challenger.name == ""


policy: Policy = Nobody()
policies: list[Policy] = [policy, FirstWins(), Consensus()]
resolve(state, request, now=now, policy=policies[0])
check_policy(Nobody(), max_examples=1)
check_resolver(resolve, reconcile, hand_over=hand_over)
assert_type(explore(FirstWins(), namespaces=1), Exploration)
assert_type(LAWS, tuple[Law, ...])

try:
    Schedule.parse("0 2 * * 7")
except InvalidSchedule as error:
    assert_type(error.reason, str)
    assert_type(error.code, str)
    assert_type(error.path, str)
    assert_type(error.source, "SourceRef | None")
    failure: KopiaMaintError = error
