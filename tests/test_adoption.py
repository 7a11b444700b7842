"""CronJobs as the releases of the fork have really written them, and hand edits: each is adopted, and heals."""

from __future__ import annotations

import copy
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import pytest

from kopia_maint import InvalidManifest, Verdict, patch_from_state, reconcile, resolve, state_from_manifest

from .helpers import LATER, ask
from .test_manifest import CLAIMS, CONFLICT, FORK_CONFLICT, NAME, OWNER, fork_cron_job

CREATOR = ask("team-a/a", "0 2 * * *")
TENANT = ask("team-b/b", "0 4 * * *")
FIRST_RELEASE_CONFLICT = "Schedule 0 4 * * * requested from namespace team-b at 2024-01-15T10:30:00Z"


def variant(
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    schedule: str = "0 2 * * *",
    without: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return one of the fork's CronJobs with some of its parts changed or missing."""
    manifest = fork_cron_job(annotations, labels)
    manifest["spec"]["schedule"] = schedule
    for path in without:
        part, _, key = path.partition(":")
        if key:
            del manifest["metadata"][part][key]
        else:
            del manifest["metadata"][part]
    return manifest


VARIANTS = {
    "as created": variant(),
    "0.16.3, conflicted: the label went to the loser": variant({CONFLICT: FIRST_RELEASE_CONFLICT}, {OWNER: "team-b"}),
    "0.16.5, conflicted: the label went to the loser": variant({CONFLICT: FORK_CONFLICT}, {OWNER: "team-b"}),
    "hijacked: label and schedule": variant(labels={OWNER: "team-b"}, schedule="0 4 * * *"),
    "hijacked, conflict of the other": variant(
        {CONFLICT: FORK_CONFLICT.replace("0 4", "0 2").replace("team-b", "team-a")}, {OWNER: "team-b"}, "0 4 * * *"
    ),
    "no labels at all": variant(without=("labels",)),
    "no hash label": variant(without=("labels:volsync.backube/repository-hash",)),
    "hand-edited schedule": variant(schedule="@weekly"),
    "hand-edited conflict": variant({CONFLICT: "they quarrel"}),
}
VARIANT = pytest.mark.parametrize("manifest", VARIANTS.values(), ids=VARIANTS)


def healed(manifest: dict[str, Any], *requests: Any) -> dict[str, Any]:
    """Return the manifest after a reconcile, written as a controller does."""
    desired = reconcile(state_from_manifest(manifest), requests, now=LATER).desired
    assert desired is not None
    patch = patch_from_state(desired, manifest)
    patched: dict[str, Any] = json_merge_patch.merge(copy.deepcopy(manifest), patch or {})
    assert state_from_manifest(patched) == desired
    return patched


@VARIANT
def test_the_creator_is_the_owner(manifest: dict[str, Any]) -> None:
    """Whatever the label says."""
    assert state_from_manifest(manifest).owner == "team-a"


@VARIANT
def test_the_creators_configuration_counts_again(manifest: dict[str, Any]) -> None:
    """And the tenant that took over is told that it is in conflict."""
    after = healed(manifest, CREATOR, TENANT)
    state = state_from_manifest(after)
    assert (state.owner, str(state.schedule)) == ("team-a", "0 2 * * *")
    assert after["metadata"]["labels"][OWNER] == "team-a"
    assert state.latest_conflict is not None
    assert state.latest_conflict.name == "b"


@VARIANT
def test_one_source_at_a_time_heals_too(manifest: dict[str, Any]) -> None:
    """With `resolve`, in either order."""
    for order in ((CREATOR, TENANT), (TENANT, CREATOR)):
        state = state_from_manifest(manifest)
        for request in order:
            resolution = resolve(state, request, now=LATER)
            assert resolution.desired is not None
            state = resolution.desired
        assert (state.owner, str(state.schedule)) == ("team-a", "0 2 * * *")
        assert resolve(state, TENANT, now=LATER).verdict is Verdict.REJECTED


@VARIANT
def test_nothing_that_is_not_ours_is_touched(manifest: dict[str, Any]) -> None:
    """Its creator's label, its job template, its status."""
    after = healed(manifest, CREATOR, TENANT)
    assert {k: v for k, v in after["spec"].items() if k != "schedule"} == {
        k: v for k, v in manifest["spec"].items() if k != "schedule"
    }
    assert after["status"] == manifest["status"]
    created_by = "volsync.backube/created-by"
    before = manifest["metadata"].get("labels", {})
    assert after["metadata"]["labels"].get(created_by) == before.get(created_by)


@VARIANT
def test_once_adopted_it_is_quiet(manifest: dict[str, Any]) -> None:
    """A second reconcile writes nothing."""
    after = healed(manifest, CREATOR, TENANT)
    desired = reconcile(state_from_manifest(after), [TENANT, CREATOR], now=LATER).desired
    assert desired is not None
    assert patch_from_state(desired, after) is None


@VARIANT
def test_back_to_the_fork_and_forward_again(manifest: dict[str, Any]) -> None:
    """The fork takes the label, moves the schedule, and clears or writes its annotation: the owner is who it was."""
    ours = healed(manifest, CREATOR, TENANT)
    claims = state_from_manifest(ours).claims
    for conflict in (None, FORK_CONFLICT, FIRST_RELEASE_CONFLICT):
        theirs = copy.deepcopy(ours)
        theirs["metadata"]["labels"][OWNER] = "team-b"
        theirs["spec"]["schedule"] = "0 4 * * *"
        theirs["metadata"]["annotations"].pop(CONFLICT)
        if conflict:
            theirs["metadata"]["annotations"][CONFLICT] = conflict
        state = state_from_manifest(theirs)
        assert (state.owner, state.claims) == ("team-a", claims)
        again = state_from_manifest(healed(theirs, ask("team-a/a", "0 3 * * *"), TENANT))
        assert (again.owner, str(again.schedule)) == ("team-a", "0 3 * * *")


def test_an_administrators_edit_of_the_owner_changes_the_owner_and_nothing_else() -> None:
    """The annotation counts; the label follows."""
    manifest = healed(variant(), CREATOR, TENANT)
    manifest["metadata"]["annotations"][OWNER] = "team-b"
    state = state_from_manifest(manifest)
    assert (state.owner, str(state.schedule)) == ("team-b", "0 2 * * *")
    after = healed(manifest, CREATOR, TENANT)
    assert after["metadata"]["labels"][OWNER] == "team-b"
    assert str(state_from_manifest(after).schedule) == "0 2 * * *"


def test_the_first_releases_cron_jobs_are_another_repository() -> None:
    """0.16.1 hashed namespace and schedule, too, and knew no owner: such a CronJob never meets its successor."""
    manifest = fork_cron_job()
    manifest["metadata"]["name"] = "kopia-maintenance-e83ddac37dee081a"
    manifest["metadata"]["labels"] = {
        "volsync.backube/kopia-maintenance": "true",
        "volsync.backube/repository-hash": "e83ddac37dee081a",
        "volsync.backube/namespace": "team-a",
    }
    manifest["metadata"]["annotations"] = {"volsync.backube/repository-config": "kopia-repo"}
    state = state_from_manifest(manifest)
    assert (state.owner, state.repository_name) == (None, "kopia-repo")
    assert state.repository_hash != ask("team-a/a").repository.hash
    assert state.cron_job_name != NAME


def test_claims_that_cannot_be_read_stop_us_and_touch_nothing() -> None:
    """The CronJob stays as it is until somebody has looked at it."""
    with pytest.raises(InvalidManifest, match="not JSON"):
        state_from_manifest(variant({CLAIMS: "{"}))
