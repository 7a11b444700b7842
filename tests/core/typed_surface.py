"""What mypy and pyright accept and refuse. Never run: mypy fails where an ignored error is none any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from attrs import frozen
from typing_extensions import assert_type

import kopia_maint as km
from kopia_maint import testing

now = datetime.now(timezone.utc)
schedule = km.Schedule.parse("0 2 * * *")
source = km.SourceRef("team-a", "source-a")
repository = km.Repository("shared-repo-secret", km.CustomCA(secret_name="ca", key="ca.crt"))
request = km.SourceRequest(source, repository, schedule, enabled=True, created_at=now)
state = km.CronJobState(repository.hash, schedule, "team-a", {source: km.Claim(None, now)})
manifest: dict[str, Any] = {}

# --- what is accepted ------------------------------------------------------------

assert_type(schedule, km.Schedule)
assert_type(schedule.next_runs(now, 3), tuple[datetime, ...])
assert_type(schedule.shortest_interval, "timedelta | None")
assert_type(state.claims, Mapping[km.SourceRef, km.Claim])
assert_type(state.preferences, Mapping[km.Schedule, int])
assert_type(state.namespaces, frozenset[str])
assert_type(state.latest_conflict, "km.Conflict | None")

resolution = km.resolve(None, request, now=now)
assert_type(resolution, km.Resolution)
assert_type(resolution.desired, "km.CronJobState | None")
assert_type(resolution.verdict, km.Verdict)
assert_type(resolution.action, km.Action)
answer = km.reconcile(state, (each for each in [request]), now=now, policy=km.Consensus(), unreadable={source})
assert_type(answer.verdicts, Mapping[km.SourceRef, km.Verdict])
assert_type(answer.conflicts, Mapping[km.SourceRef, km.Conflict])
assert_type(answer.standings[source], km.Standing)
assert_type(answer.opened, tuple[km.Conflict, ...])
everything = km.reconcile_all([state], [request], now=now, unreadable={source: None}, complete=True)
assert_type(everything, Mapping[str, km.Reconciliation])
assert_type(km.hand_over(state, "team-b"), km.Decision)
assert_type(km.withdraw(state, source), km.Decision)
if answer.action == "update" and resolution.verdict == "rejected":
    assert_type(resolution.standing, km.Standing)

assert_type(km.request_from_manifest(manifest), "km.SourceRequest | None")
assert_type(km.state_from_manifest(manifest), "km.CronJobState | None")
assert_type(km.manifest_from_state(state, manifest, operator_namespace="volsync-system"), dict[str, Any])
assert_type(km.patch_from_state(state, manifest), "dict[str, Any] | None")
assert_type(km.write_for(resolution, None, manifest, operator_namespace="volsync-system"), "km.Write | None")
assert_type(manifest.get(km.CLAIMS_ANNOTATION), "Any | None")


def template(repository: km.Repository, state: km.CronJobState) -> dict[str, Any]:
    return {"metadata": {"labels": {"secret": repository.secret_name}}, "spec": {"suspend": state.orphaned}}


plan = km.plan_manifests(
    cron_jobs=[manifest],
    replication_sources=(each for each in [manifest]),
    template=template,
    operator_namespace="volsync-system",
    complete=True,
    now=now,
)
assert_type(plan.writes[0].body, dict[str, Any])
assert_type(plan.decisions, Mapping[str, km.Reconciliation])
assert_type(plan.standings, Mapping[km.SourceRef, km.Standing])
assert_type(plan.withheld, Mapping[str, km.KopiaMaintError])
assert_type(plan.errors, tuple[km.KopiaMaintError, ...])


class Nobody:
    """A policy that somebody else wrote."""

    name = "nobody"

    def permits(self, state: km.CronJobState, challenger: km.SourceRef) -> bool:
        return not state.claims and challenger.name == ""


@frozen
class OneTeam:
    """A policy as a frozen attrs class, its name a class attribute."""

    team: str
    name = "one-team"

    def permits(self, state: km.CronJobState, challenger: km.SourceRef, /) -> bool:
        return self.team in (challenger.namespace, state.owner)


policies: list[km.Policy] = [Nobody(), OneTeam("a"), km.FirstWins(), km.Bounded(longest=timedelta(days=1))]
km.resolve(state, request, now=now, policy=policies[0])
testing.check_policy(Nobody(), namespaces=("a", "b"), schedules=("0 2 * * *",), max_examples=1)
testing.check_resolver(km.resolve, km.reconcile, hand_over=km.hand_over, withdraw=km.withdraw)
assert_type(testing.explore(km.FirstWins(), namespaces=1), testing.Exploration)
assert_type(testing.LAWS, tuple[testing.Law, ...])

try:
    km.Schedule.parse("0 2 * * 7")
except km.InvalidSchedule as error:
    assert_type(error.source, "km.SourceRef | None")
    failure: km.KopiaMaintError = error

# --- what is refused -------------------------------------------------------------

# Values: what they are made of, and that they do not change.
km.SourceRef("team-a")  # type: ignore[call-arg]
km.SourceRequest("team-a/source-a", repository)  # type: ignore[arg-type]
km.SourceRequest(source, repository, "0 2 * * *")  # type: ignore[arg-type]
km.Claim(None, "2024-01-15T10:30:00Z")  # type: ignore[arg-type]
km.Conflict("team-b", "b", schedule, now, "first-wins")  # type: ignore[call-arg]
state.owner = "team-b"  # type: ignore[misc]
state.claims[source] = km.Claim(None, now)  # type: ignore[index]
text = request.schedule.text  # type: ignore[union-attr]

# Decisions: values in, not manifests; a time, by name; a policy's value, not its class.
km.resolve(state, {}, now=now)  # type: ignore[arg-type]
km.resolve(state, request)  # type: ignore[call-arg]
km.resolve(state, request, now)  # type: ignore[call-arg]
km.resolve(state, request, now=now, policy=km.FirstWins)  # type: ignore[arg-type]
km.resolve(state, km.request_from_manifest({}), now=now)  # type: ignore[arg-type]
km.reconcile(state, [request], now=now, unreadable=["team-a/source-a"])  # type: ignore[list-item]
km.hand_over(None, "team-b")  # type: ignore[arg-type]
km.patch_from_state(km.resolve(state, request, now=now).desired, {})  # type: ignore[arg-type]
km.patch_from_state(km.resolve(state, request, now=now), {})  # type: ignore[arg-type]
km.reconcile_all([state], [request], now=now)  # type: ignore[call-arg]
km.plan_manifests([], [], template=template, operator_namespace="x", complete=True, now=now)  # type: ignore[call-arg]


class Waits:
    """No policy: nobody awaits it."""

    name = "waits"

    async def permits(self, state: km.CronJobState, challenger: km.SourceRef, /) -> bool:
        return challenger.namespace == state.owner


class Forgetful:
    """No policy: it is not asked about whom."""

    name = "forgetful"

    def permits(self, state: km.CronJobState) -> bool:
        return bool(state.claims)


km.resolve(state, request, now=now, policy=Waits())  # type: ignore[arg-type]
policy: km.Policy = Forgetful()  # type: ignore[assignment]
testing.check_policy(Forgetful())  # type: ignore[arg-type]
testing.explore(km.FirstWins(), 2)  # type: ignore[call-arg]
