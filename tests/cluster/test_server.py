"""Does the API server do what we believe of it? Everything that the rules and the limits take for granted is asked."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from attrs import evolve
from hypothesis import HealthCheck, given, settings

from kopia_maint import (
    DEFAULT_SCHEDULE,
    Claim,
    CronJobState,
    Repository,
    Schedule,
    SourceRef,
    StateTooLarge,
    manifest_from_state,
    patch_from_state,
    reconcile,
    state_from_manifest,
    write_for,
)
from kopia_maint.testing import strategies

from ..core.schedule_cases import OWN_REFUSALS, refusal, schedule
from .servers import EXAMPLE, JOBS, Api, Refused

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
REPOSITORY = Repository("shared-repo-secret")
JOB = f"{JOBS}/{REPOSITORY.cron_job_name}"
TEMPLATE = yaml.safe_load((EXAMPLE / "cronjob.yaml").read_text())
RECORDED = Path(__file__).parents[1] / "data" / "schedules.jsonl"


def manifest(state: CronJobState, **annotations: str) -> dict[str, Any]:
    template = {**TEMPLATE, "metadata": {"annotations": annotations}}
    return manifest_from_state(state, template, operator_namespace="volsync-system")


def state(*tenants: str, schedule: str = "0 2 * * *") -> CronJobState:
    """Return a state in which these namespaces have a claim each."""
    claims = {SourceRef(tenant, "source"): Claim(Schedule.parse(schedule), NOW) for tenant in tenants}
    return CronJobState(REPOSITORY.hash, DEFAULT_SCHEDULE, "team-a", claims, secret_name=REPOSITORY.secret_name)


def accepts(api: Api, cron_job: dict[str, Any]) -> bool:
    """Return whether the server would store it."""
    try:
        api("POST", f"{JOBS}?dryRun=All", cron_job)
    except Refused as refused:
        assert refused.status == 422, refused
        return False
    return True


def test_it_takes_the_schedules_that_we_take(api: Api) -> None:
    """No other ones but those that we refuse for reasons of our own, of which a time zone is also the server's."""
    rng = Random(20)
    recorded = [json.loads(line)["text"] for line in RECORDED.read_text().splitlines()[1:]]
    texts = dict.fromkeys([*recorded, *(schedule(rng) for _ in range(2_000))])
    cron_job = manifest(state("team-a"))
    differences = {}
    for text in texts:
        cron_job["spec"]["schedule"] = text
        taken, reason = accepts(api, cron_job), refusal(text)
        if taken != (reason is None) and not (taken and reason in ("too-long", "unprintable")):
            differences[text] = (taken, reason)
    assert len(texts) > 2_500
    assert not differences
    assert {refusal(text) for text in texts} == {None, "syntax", *OWN_REFUSALS}


@pytest.mark.parametrize("filler", ["x", "ü", "\n"])
def test_annotations_are_limited_to_the_byte(api: Api, filler: str) -> None:
    """What fits to the byte is written by us and taken by the server; one byte more is refused by both."""
    small = manifest(state("team-a"), filler="")
    used = sum(len(f"{key}{value}".encode()) for key, value in small["metadata"]["annotations"].items())
    free = 256 * 1024 - used
    text = filler * (free // len(filler.encode())) + "x" * (free % len(filler.encode()))
    fits = manifest(state("team-a"), filler=text)
    assert accepts(api, fits)
    with pytest.raises(StateTooLarge):
        manifest(state("team-a"), filler=f"{text}x")
    fits["metadata"]["annotations"]["filler"] += "x"
    assert not accepts(api, fits)


def test_a_patch_is_limited_to_the_byte(api: Api) -> None:
    """A patch that fills the annotations to the last byte is taken; one for a byte more is not made, and not taken."""
    before, after = state("team-a"), state("team-a", "team-b")
    growth = len(manifest(after)["metadata"]["annotations"]["volsync.backube/schedule-claims"])
    growth -= len(manifest(before)["metadata"]["annotations"]["volsync.backube/schedule-claims"])
    full = manifest(before, filler="")
    used = sum(len(key) + len(value) for key, value in full["metadata"]["annotations"].items())
    full["metadata"]["annotations"]["filler"] = "x" * (256 * 1024 - used - growth)
    stored = api("POST", JOBS, full)
    patch = patch_from_state(after, stored)
    patched = api("PATCH", f"{JOB}?dryRun=All", patch)
    assert state_from_manifest(patched) == after
    stored["metadata"]["annotations"]["filler"] += "x"
    with pytest.raises(StateTooLarge):
        patch_from_state(after, stored)


def test_it_takes_2500_namespaces_on_one_cron_job(api: Api) -> None:
    """Each has a label and a claim; they are read back, and one more is patched in."""
    many = state("team-a", *(f"tenant-{number:04}" for number in range(2_499)))
    stored = api("POST", JOBS, manifest(many))
    assert state_from_manifest(stored) == many
    assert len([label for label in stored["metadata"]["labels"] if label.startswith("source-namespace.")]) == 2_500
    more = state("tenant-last", *many.namespaces)
    patched = api("PATCH", JOB, patch_from_state(more, stored))
    assert state_from_manifest(patched) == more


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.states(), strategies.states())
def test_what_is_written_is_read_back(api: Api, before: CronJobState, after: CronJobState) -> None:
    """Whatever the server adds to it, a manifest holds the state that it was made for, and so does a patched one."""
    after = evolve(after, repository_hash=before.repository_hash)
    path = f"{JOBS}/{before.cron_job_name}"
    api("POST", JOBS, manifest(before))
    try:
        stored = api("GET", path)
        assert state_from_manifest(stored) == before
        assert patch_from_state(before, stored) is None
        if patch := patch_from_state(after, stored):
            api("PATCH", path, patch)
        patched = api("GET", path)
        assert state_from_manifest(patched) == after
        assert patched["spec"]["jobTemplate"] == stored["spec"]["jobTemplate"]
    finally:
        api("DELETE", path)


def deletion(cron_job: Any) -> dict[str, Any]:
    """Return what is sent to delete a CronJob that no source uses any more."""
    decision = reconcile(state_from_manifest(cron_job), [], now=NOW)
    write = write_for(decision, cron_job, {}, operator_namespace="volsync-system")
    assert write is not None
    return write.body


def refused(api: Api, method: str, path: str, body: Any) -> int:
    """Return the status with which that is refused."""
    with pytest.raises(Refused) as error:
        api(method, path, body)
    return error.value.status


def test_stale_writes_are_refused(api: Api) -> None:
    """A second create, and a patch and a delete for what somebody has changed, get 409; made for what is there, not."""
    created = manifest(state("team-a"))
    old = api("POST", JOBS, created)
    new = api("PATCH", JOB, {"metadata": {"annotations": {"somebody": "else"}}})
    after = state("team-a", "team-b")
    assert refused(api, "POST", JOBS, created) == 409
    assert refused(api, "PATCH", JOB, patch_from_state(after, old)) == 409
    assert refused(api, "DELETE", JOB, deletion(old)) == 409
    new = api("PATCH", JOB, patch_from_state(after, new))
    assert api("DELETE", JOB, deletion(new))["status"] == "Success"


def test_another_object_of_the_same_name_is_not_deleted(api: Api) -> None:
    """The preconditions name the one that was read: by its uid, whatever version it has."""
    old = api("POST", JOBS, manifest(state("team-a")))
    api("DELETE", JOB)
    new = api("POST", JOBS, manifest(state("team-a")))
    old["metadata"]["resourceVersion"] = new["metadata"]["resourceVersion"]
    assert refused(api, "DELETE", JOB, deletion(old)) == 409
    assert api("GET", JOB) == new
