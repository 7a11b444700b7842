"""The twelve laws, on every state of a small scope and on random histories; and that the fork breaks them."""

from __future__ import annotations

from datetime import datetime

import pytest
from attrs import evolve
from hypothesis import given, settings

from kopia_maint import (
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    FirstWins,
    Policy,
    Resolution,
    SourceRequest,
    Verdict,
    manifest_from_state,
    patch_from_state,
    state_from_manifest,
)
from kopia_maint._manifest import merge_patch
from kopia_maint.testing import LAWS, Step, check_policy, check_resolver, explore, strategies
from kopia_maint.testing._history import EPOCH, Subject
from kopia_maint.testing._laws import tell

from .helpers import NOW

POLICIES = pytest.mark.parametrize("policy", [FirstWins(), Consensus()], ids=lambda policy: policy.name)


def test_there_are_twelve_laws() -> None:
    """Each has its number, its name and its sentence."""
    assert [law.number for law in LAWS] == [1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert all(law.sentence.endswith(".") for law in LAWS)


@POLICIES
@settings(max_examples=300, deadline=None)
@given(history=strategies.histories())
def test_the_laws_hold_on_random_histories(policy: Policy, history: tuple[Step, ...]) -> None:
    """No history breaks a law."""
    violation = tell(Subject(policy), history, None, EPOCH)
    assert violation is None, str(violation)


@POLICIES
def test_the_laws_hold_in_every_reachable_state(policy: Policy) -> None:
    """Two namespaces with two sources each: the whole graph."""
    exploration = explore(policy, schedules=1)
    assert exploration.violation is None
    assert exploration.states > 10


@POLICIES
def test_the_shipped_policies_pass_their_own_check(policy: Policy) -> None:
    """What we ask of others."""
    check_policy(policy, max_examples=50)


@given(strategies.states())
@settings(deadline=None)
def test_any_state_survives_the_round_trip(state: CronJobState) -> None:
    """Law 11, for states that no history of ours would lead to."""
    manifest = manifest_from_state(state, {})
    assert state_from_manifest(manifest) == state
    assert patch_from_state(state, manifest) is None


@given(strategies.states(), strategies.states())
@settings(deadline=None)
def test_a_patch_leads_from_any_state_to_any_other(before: CronJobState, after: CronJobState) -> None:
    """Law 11: the patch applied to the manifest it was made for gives the state."""
    after = evolve(after, repository_hash=before.repository_hash, repository_name=before.repository_name)
    manifest = manifest_from_state(before, {"spec": {"suspend": True}})
    patched = merge_patch(manifest, patch_from_state(after, manifest) or {})
    assert state_from_manifest(patched) == after
    assert patched["spec"]["suspend"] is True


def fork_resolve(current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy) -> Resolution:
    """Decide as the fork's published code does: reject a tenant, then write its namespace into the owner label."""
    del policy
    asked = request.schedule or (current.schedule if current else None)
    if current is None or asked is None:
        from kopia_maint import resolve

        return resolve(current, request, now=now)
    claims = {**current.claims, request.source: Claim(request.schedule, now)}
    conflict = None
    if asked.text != current.schedule.text and request.source.namespace != current.owner:
        conflict = Conflict(namespace=request.source.namespace, name=request.source.name, schedule=asked, since=now)
        asked = current.schedule
    desired = evolve(current, schedule=asked, owner=request.source.namespace, claims=claims, latest_conflict=conflict)
    verdict = Verdict.REJECTED if conflict else Verdict.AGREED
    return Resolution(request=request, current=current, desired=desired, verdict=verdict, conflict=conflict)


def test_the_fork_breaks_a_law_within_four_steps() -> None:
    """The label takeover is found, and told as a story."""
    with pytest.raises(AssertionError) as caught:
        check_resolver(fork_resolve)
    story = str(caught.value)
    assert "It does not hold under first-wins" in story
    assert "\n4. " not in story


def test_the_fork_flips_and_rewrites_as_published() -> None:
    """Five reconciles of unchanged sources: 02:00, 02:00, 04:00, 04:00, 02:00. Ours: 02:00 for ever, and no write."""
    from kopia_maint import resolve

    from .helpers import ask

    a, b = ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *")
    theirs, ours = [], []
    fork = own = None
    for request in (a, b, b, a, a):
        fork = fork_resolve(fork, request, now=NOW, policy=FirstWins()).desired
        own = resolve(own, request, now=NOW).desired
        assert fork is not None
        assert own is not None
        theirs.append(fork.schedule.text)
        ours.append(own.schedule.text)
    assert theirs == ["0 2 * * *", "0 2 * * *", "0 4 * * *", "0 4 * * *", "0 2 * * *"]
    assert ours == ["0 2 * * *"] * 5
