"""Patches between any two states, with an independent RFC 7386 implementation as the referee."""

from __future__ import annotations

import copy
import json
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kopia_maint import CronJobState, manifest_from_state, patch_from_state, state_from_manifest
from kopia_maint.testing import strategies

FOREIGN: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {
        "namespace": "volsync-system",
        "uid": "c0ffee",
        "resourceVersion": "4711",
        "generation": 3,
        "creationTimestamp": "2024-01-01T00:00:00Z",
        "labels": {"app.kubernetes.io/managed-by": "us", "volsync.backube/created-by": "app-backup"},
        "annotations": {"note": 'with "quotes",\nlines and ü', "volsync.backube/container-version": "1"},
        "finalizers": ["example.com/keep"],
        "ownerReferences": [{"kind": "Deployment", "name": "volsync", "uid": "1", "apiVersion": "apps/v1"}],
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "concurrencyPolicy": "Forbid",
        "suspend": False,
        "timeZone": "Europe/Berlin",
        "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "kopia", "args": ["", None, 0]}]}}}},
    },
    "status": {"lastScheduleTime": "2024-01-14T02:00:00Z", "active": []},
}
OURS = ("volsync.backube/", "source-namespace.volsync.backube/")


def foreign_parts(manifest: dict[str, Any]) -> str:
    """Return everything that is not ours, as text."""
    rest = copy.deepcopy(manifest)
    rest["spec"].pop("schedule")
    for key in ("labels", "annotations"):
        kept = {name: value for name, value in rest["metadata"][key].items() if not name.startswith(OURS)}
        rest["metadata"][key] = kept
    return json.dumps(rest)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.states(), strategies.states(), st.booleans())
def test_a_patch_leads_from_any_state_to_any_other(before: CronJobState, after: CronJobState, versioned: bool) -> None:
    """The patched manifest reads as the desired state; nothing foreign changes; what is the same needs no patch."""
    after = evolve(after, repository_hash=before.repository_hash)
    metadata = {**FOREIGN["metadata"], "name": before.cron_job_name}
    if not versioned:  # as in files, where there is nothing to lock
        del metadata["resourceVersion"]
    manifest = manifest_from_state(before, {**FOREIGN, "metadata": metadata})
    assert state_from_manifest(manifest) == before
    assert patch_from_state(before, manifest) is None
    patch = patch_from_state(after, manifest)
    assert (patch is None) == (after == before)
    patch = patch or {"metadata": metadata}
    assert patch.get("metadata", {}).get("resourceVersion") == metadata.get("resourceVersion")
    patched = json_merge_patch.merge(copy.deepcopy(manifest), json.loads(json.dumps(patch)))
    assert state_from_manifest(patched) == after
    assert foreign_parts(patched) == foreign_parts(manifest)
    assert patch_from_state(after, patched) is None
