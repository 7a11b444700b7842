"""The public surface as users write it: checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from attrs import frozen
from typing_extensions import assert_type

from kopia_maint import (
    CLAIMS_ANNOTATION,
    DEFAULT_SCHEDULE,
    Action,
    Bounded,
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    CustomCA,
    Decision,
    FirstWins,
    InvalidSchedule,
    KopiaMaintError,
    Plan,
    Policy,
    Reconciliation,
    Repository,
    Resolution,
    Schedule,
    SourceRef,
    SourceRequest,
    Standing,
    Verdict,
    Write,
    hand_over,
    manifest_from_state,
    patch_from_state,
    plan_manifests,
    reconcile,
    reconcile_all,
    request_from_manifest,
    resolve,
    state_from_manifest,
    withdraw,
    write_for,
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
claims: Mapping[SourceRef, Claim] = state.claims
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
assert_type(answer.conflicts, Mapping[SourceRef, Conflict])
assert_type(answer.standings[source], Standing)
assert_type(answer.repository, "Repository | None")
assert_type(answer.opened, tuple[Conflict, ...])
everything = reconcile_all([state], [request], now=now, unreadable={source: None}, complete=True)
assert_type(everything, Mapping[str, Reconciliation])
assert_type(hand_over(state, "team-b"), Decision)
assert_type(withdraw(state, source), Decision)
if answer.action == "update" and resolution.verdict == "rejected":
    assert_type(resolution.standing, Standing)

manifest: dict[str, Any] = {}
assert_type(request_from_manifest(manifest), "SourceRequest | None")
assert_type(state_from_manifest(manifest), "CronJobState | None")
assert_type(manifest_from_state(state, manifest, operator_namespace="volsync-system"), dict[str, Any])
assert_type(patch_from_state(state, manifest), "dict[str, Any] | None")
assert_type(write_for(resolution, None, manifest, operator_namespace="volsync-system"), "Write | None")
assert_type(manifest.get(CLAIMS_ANNOTATION), "Any | None")


def template(repository: Repository, state: CronJobState) -> dict[str, Any]:
    """Return a CronJob to start from."""
    return {"metadata": {"labels": {"secret": repository.secret_name}}, "spec": {"suspend": state.orphaned}}


plan = plan_manifests(
    cron_jobs=[manifest],
    replication_sources=(each for each in [manifest]),
    template=template,
    operator_namespace="volsync-system",
    complete=True,
    now=now,
)
assert_type(plan, Plan)
assert_type(plan.writes, tuple[Write, ...])
assert_type(plan.writes[0].body, dict[str, Any])
assert_type(plan.decisions, Mapping[str, Reconciliation])
assert_type(plan.standings, Mapping[SourceRef, Standing])
assert_type(plan.unreadable, Mapping[SourceRef, KopiaMaintError])
assert_type(plan.withheld, Mapping[str, KopiaMaintError])
assert_type(plan.errors, tuple[KopiaMaintError, ...])


class Nobody:
    """A policy that somebody else wrote."""

    name = "nobody"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Return whether the challenger may: it may not."""
        return not state.claims and challenger.name == ""


@frozen
class OneTeam:
    """A policy as a frozen attrs class, its name a class attribute."""

    team: str
    name = "one-team"

    def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
        """Return whether the challenger is of the team."""
        return self.team in (challenger.namespace, state.owner)


policy: Policy = Nobody()
policies: list[Policy] = [policy, OneTeam("a"), FirstWins(), Consensus(), Bounded(longest=timedelta(days=1))]
resolve(state, request, now=now, policy=policies[0])
check_policy(Nobody(), namespaces=("a", "b"), schedules=("0 2 * * *",), max_examples=1)
check_resolver(resolve, reconcile, hand_over=hand_over, withdraw=withdraw)
assert_type(explore(FirstWins(), namespaces=1), Exploration)
assert_type(LAWS, tuple[Law, ...])

try:
    Schedule.parse("0 2 * * 7")
except InvalidSchedule as error:
    assert_type(error.drawn, str)
    assert_type(error.secret_name, "str | None")
    assert_type(error.code, str)
    assert_type(error.path, str)
    assert_type(error.source, "SourceRef | None")
    failure: KopiaMaintError = error
