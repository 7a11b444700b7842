"""
What do mypy and pyright refuse? README, docs and tests show what they accept.

Never run: mypy fails where an ignored error is none any more.
"""

from __future__ import annotations

from datetime import datetime, timezone

import kopia_maint as km
from kopia_maint import testing

now = datetime.now(timezone.utc)
schedule = km.Schedule.parse("0 2 * * *")
source = km.SourceRef("team-a", "source-a")
repository = km.Repository("shared-repo-secret")
request = km.SourceRequest(source, repository, schedule)
state = km.CronJobState(repository.hash, schedule, "team-a", {source: km.Claim(None, now)})


def template(*_: object) -> dict[str, object]:
    return {}


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
km.reconcile(state, [request], now=now).verdicts["team-a/source-a"]  # type: ignore[index]
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
