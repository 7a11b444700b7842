"""What type checkers have to refuse, never run: mypy fails where an ignored error is no error any more."""

from __future__ import annotations

from datetime import datetime, timezone

from kopia_maint import (
    Claim,
    Conflict,
    CronJobState,
    FirstWins,
    Policy,
    Repository,
    Schedule,
    SourceRef,
    SourceRequest,
    hand_over,
    patch_from_state,
    plan_manifests,
    reconcile,
    reconcile_all,
    request_from_manifest,
    resolve,
)
from kopia_maint.testing import check_policy, explore

now = datetime.now(timezone.utc)
source = SourceRef("team-a", "source-a")
repository = Repository("shared-repo-secret")
request = SourceRequest(source, repository)
state = CronJobState(repository.hash, Schedule.parse("0 2 * * *"), None, {})

# Values: what they are made of, and that they do not change.
SourceRef("team-a")  # type: ignore[call-arg]
SourceRequest("team-a/source-a", repository)  # type: ignore[arg-type]
SourceRequest(source, repository, "0 2 * * *")  # type: ignore[arg-type]
Claim(None, "2024-01-15T10:30:00Z")  # type: ignore[arg-type]
Conflict("team-b", "b", Schedule.parse("0 4 * * *"), now, "first-wins")  # type: ignore[call-arg]
state.owner = "team-b"  # type: ignore[misc]
state.claims[source] = Claim(None, now)  # type: ignore[index]
text = request.schedule.text  # type: ignore[union-attr]

# Decisions: values in, not manifests; a time, by name; a policy's value, not its class.
resolve(state, {}, now=now)  # type: ignore[arg-type]
resolve(state, request)  # type: ignore[call-arg]
resolve(state, request, now)  # type: ignore[call-arg]
resolve(state, request, now=now, policy=FirstWins)  # type: ignore[arg-type]
resolve(state, request_from_manifest({}), now=now)  # type: ignore[arg-type]
reconcile(state, [request], now=now, unreadable=["team-a/source-a"])  # type: ignore[list-item]
hand_over(None, "team-b")  # type: ignore[arg-type]
patch_from_state(resolve(state, request, now=now).desired, {})  # type: ignore[arg-type]
patch_from_state(resolve(state, request, now=now), {})  # type: ignore[arg-type]
reconcile_all([state], [request], now=now)  # type: ignore[call-arg]
plan_manifests([], [], template=lambda *_: {}, operator_namespace="x", complete=True, now=now)  # type: ignore[call-arg]


class Waits:
    """No policy: nobody awaits it."""

    name = "waits"

    async def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
        """Return, later, whether the challenger is the owner's."""
        return challenger.namespace == state.owner


resolve(state, request, now=now, policy=Waits())  # type: ignore[arg-type]


class Forgetful:
    """No policy: it is not asked about whom."""

    name = "forgetful"

    def permits(self, state: CronJobState) -> bool:
        """Return what no policy may leave out."""
        return bool(state.claims)


policy: Policy = Forgetful()  # type: ignore[assignment]
check_policy(Forgetful())  # type: ignore[arg-type]
explore(FirstWins(), 2)  # type: ignore[call-arg]
