"""Patches between every two reachable states, with an independent RFC 7386 implementation as the referee."""

from __future__ import annotations

import copy
import json
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import pytest

from kopia_maint import CronJobState, Policy, Schedule, manifest_from_state, patch_from_state, state_from_manifest
from kopia_maint._policy import POLICIES
from kopia_maint.testing import Edited
from kopia_maint.testing._explore import sources_of, steps
from kopia_maint.testing._history import EPOCH, Subject

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


def reachable(policy: Policy) -> tuple[CronJobState, ...]:
    """Return every state that a small scope can reach, all at one time."""
    sources, subject = sources_of(["team-a", "team-b"], 1), Subject(policy)
    schedules = [Schedule.parse("0 4 * * *"), Schedule.parse("@hourly")]
    seen: dict[CronJobState | None, None] = {None: None}
    todo: list[CronJobState | None] = [None]
    while todo:
        state = todo.pop()
        for step in steps(state, sources, schedules):
            after = subject.take(state, step, EPOCH).after
            if after not in seen and not isinstance(step, Edited):  # an edit leaves marks that no decision leaves
                seen[after] = None
                todo.append(after)
    return tuple(state for state in seen if state is not None)


def foreign_parts(manifest: dict[str, Any]) -> str:
    """Return everything that is not ours, as text."""
    rest = copy.deepcopy(manifest)
    rest["spec"].pop("schedule")
    for key in ("labels", "annotations"):
        kept = {name: value for name, value in rest["metadata"][key].items() if not name.startswith(OURS)}
        rest["metadata"][key] = kept
    return json.dumps(rest)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_pair_of_reachable_states(policy: Policy) -> None:
    """The patched manifest reads as the desired state; nothing foreign changes; what is the same needs no patch."""
    states = reachable(policy)
    assert len(states) > 30
    for before in states:
        template = {**FOREIGN, "metadata": {**FOREIGN["metadata"], "name": before.cron_job_name}}
        manifest = manifest_from_state(before, template)
        for after in states:
            patch = patch_from_state(after, manifest)
            assert (patch is None) == (after == before)
            if patch is None:
                continue
            assert patch["metadata"]["resourceVersion"] == "4711"
            patched = json_merge_patch.merge(copy.deepcopy(manifest), json.loads(json.dumps(patch)))
            assert state_from_manifest(patched) == after
            assert foreign_parts(patched) == foreign_parts(manifest)
            assert patch_from_state(after, patched) is None


def test_a_manifest_without_a_resource_version_gets_a_patch_without() -> None:
    """As in files, where there is nothing to lock."""
    one, other = reachable(POLICIES["first-wins"])[:2]
    patch = patch_from_state(other, manifest_from_state(one, {}))
    assert patch is not None
    assert "resourceVersion" not in patch.get("metadata", {})
