"""Kubernetes objects in and out: what is read, what is refused and where, what is written and what is left alone."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import pytest
from attrs import evolve

from kopia_maint import (
    DEFAULT_SCHEDULE,
    Claim,
    CronJobState,
    CustomCA,
    InvalidManifest,
    InvalidSchedule,
    InvalidValue,
    KopiaMaintError,
    RepositoryMismatch,
    Schedule,
    StateTooLarge,
    manifest_from_state,
    patch_from_state,
    reconcile,
    request_from_manifest,
    resolve,
    state_from_manifest,
)
from kopia_maint._objects import is_deep

from ..helpers import LATER, NOW, REPOSITORY, ask, replication_source, source

NAME = "kopia-maintenance-f11df99437a0f538"
CLAIMS = "volsync.backube/schedule-claims"
CONFLICT = "volsync.backube/schedule-conflict"
OWNER = "volsync.backube/source-namespace"
FORK_CONFLICT = (
    "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b' at 2024-01-15T10:30:00Z"
    " (rejected - first-wins strategy)"
)


def changed(manifest: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy of a manifest with one field, named by its dotted path, set."""
    result = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    parent = result
    for key in parents:
        parent = parent.setdefault(key, {})
    parent[last] = value
    return result


def fork_cron_job(annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a CronJob as the fork's maintenanceCronJob releases wrote it."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": NAME,
            "namespace": "volsync-system",
            "resourceVersion": "4711",
            "uid": "7c6f",
            "labels": {
                "volsync.backube/kopia-maintenance": "true",
                "volsync.backube/repository-hash": "f11df99437a0f538",
                "volsync.backube/source-namespace": "team-a",
                "volsync.backube/created-by": "app-backup",
                **(labels or {}),
            },
            "annotations": {
                "volsync.backube/repository-config": "shared-repo-secret",
                OWNER: "team-a",
                **(annotations or {}),
            },
        },
        "spec": {
            "schedule": "0 2 * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 3}},
        },
        "status": {"lastScheduleTime": "2024-01-14T02:00:00Z"},
    }


def stored(manifest: dict[str, Any]) -> CronJobState:
    """Return the state of a CronJob of ours."""
    state = state_from_manifest(manifest)
    assert state is not None
    return state


# --- requests ------------------------------------------------------------------


def test_a_whole_request_is_read() -> None:
    """Source, repository, CA, schedule and creation time."""
    manifest = replication_source(
        customCA={"secretName": "ca-secret", "key": "ca.crt"},
        maintenanceCronJob={"enabled": True, "schedule": " 0  4 * * * "},
    )
    manifest["metadata"]["creationTimestamp"] = "2024-01-15T11:30:00.75+01:00"
    request = request_from_manifest(manifest)
    assert request is not None
    assert request.source == source("team-a/source-a")
    assert request.repository.custom_ca == CustomCA("ca-secret", key="ca.crt")
    assert (request.enabled, str(request.schedule)) == (True, "0 4 * * *")
    assert request.created_at == NOW


@pytest.mark.parametrize(
    ("kopia", "enabled", "schedule"),
    [
        ({}, True, None),
        ({"maintenanceCronJob": None}, True, None),
        ({"maintenanceIntervalDays": 0}, False, None),
        ({"maintenanceIntervalDays": 1}, True, "0 2 * * *"),
        ({"maintenanceIntervalDays": 7}, True, "0 2 * * 0"),
        ({"maintenanceIntervalDays": 30}, True, "0 2 1 * *"),
        ({"maintenanceIntervalDays": 31}, True, "0 2 1 * *"),
        ({"maintenanceIntervalDays": 5}, True, "0 2 * * *"),
        ({"maintenanceIntervalDays": -1}, True, "0 2 * * *"),
        ({"maintenanceCronJob": {}}, True, "0 2 * * *"),
        ({"maintenanceCronJob": {"schedule": ""}}, True, "0 2 * * *"),
        ({"maintenanceCronJob": {"schedule": None, "enabled": None}}, True, "0 2 * * *"),
        ({"maintenanceCronJob": {"schedule": "@weekly"}}, True, "@weekly"),
        ({"maintenanceCronJob": {"enabled": False, "schedule": "0 4 * * *"}}, False, None),
        ({"maintenanceCronJob": {"enabled": False, "schedule": "${CRON}"}}, False, None),
        ({"maintenanceCronJob": {"schedule": "0 4 * * *"}, "maintenanceIntervalDays": 0}, True, "0 4 * * *"),
    ],
)
def test_what_a_source_asks_for(kopia: dict[str, Any], enabled: bool, schedule: str | None) -> None:
    """Absent, empty and deprecated fields mean what they mean on a cluster."""
    request = request_from_manifest(replication_source(**kopia))
    assert request is not None
    assert request.enabled is enabled
    if enabled:
        assert (request.schedule and request.schedule.text) == schedule


def test_the_default_is_a_preference_once_the_block_is_there() -> None:
    """An empty maintenanceCronJob asks for the default; none at all asks for nothing in particular."""
    with_block = request_from_manifest(replication_source(maintenanceCronJob={}))
    assert with_block is not None
    assert with_block.schedule == DEFAULT_SCHEDULE


def test_a_source_that_is_being_deleted_counts_as_disabled() -> None:
    """Whatever it asks for, even if that cannot be read: a typo must not keep its claim alive."""
    manifest = replication_source(maintenanceCronJob={"enabled": "?", "schedule": 5}, maintenanceIntervalDays="x")
    manifest["metadata"]["deletionTimestamp"] = "2024-01-15T10:30:00Z"
    request = request_from_manifest(manifest)
    assert request is not None
    assert request.enabled is False


@pytest.mark.parametrize(
    "part",
    [
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"apiVersion": "example.com/v1", "spec": {"kopia": {}}},
        {"apiVersion": "www.example.com/v1", "spec": {"kopia": {}}},
        {"kind": "ReplicationDestination", "spec": {"kopia": {}}},
        {"spec": {"restic": {}}},
        {"spec": {"kopia": None}},
        {"metadata": {"name": "${APP}"}, "spec": {"restic": {}}},
    ],
)
def test_what_is_not_a_kopia_source_is_none(part: dict[str, Any]) -> None:
    """Other kinds, other groups and other movers are none of our business."""
    assert request_from_manifest({**replication_source(), **part}) is None


def test_items_of_a_list_need_no_kind() -> None:
    """The API server leaves kind and apiVersion out of the items of a typed list; any mapping will do."""
    manifest = replication_source()
    del manifest["kind"], manifest["apiVersion"]
    assert request_from_manifest(MappingProxyType(manifest)) == ask("team-a/source-a")


def test_times_that_a_loader_has_parsed_are_taken() -> None:
    """Some YAML loaders turn time stamps into datetimes."""
    manifest = changed(replication_source(), "metadata.creationTimestamp", NOW)
    request = request_from_manifest(manifest)
    assert request is not None
    assert request.created_at == NOW


@pytest.mark.parametrize(
    ("path", "value", "error", "message"),
    [
        ("apiVersion", "volsync.backube/v2", InvalidManifest, "'volsync.backube/v2' is not known"),
        ("apiVersion", 1, InvalidManifest, "must be a string"),
        ("kind", ["ReplicationSource"], InvalidManifest, "must be a string"),
        ("kind", "", InvalidManifest, "must not be empty"),
        ("apiVersion", "", InvalidManifest, "must not be empty"),
        ("metadata", None, InvalidManifest, "is missing: pass the whole object"),
        ("metadata", [], InvalidManifest, "must be a mapping"),
        ("metadata.name", None, InvalidManifest, "is missing"),
        ("metadata.name", 7, InvalidManifest, "must be a string, not a value of type int"),
        ("metadata.name", "Source_A", InvalidValue, "'Source_A' is not valid"),
        ("metadata.name", "${APP}", InvalidManifest, "variable that was not substituted"),
        ("metadata.namespace", "", InvalidManifest, "is missing"),
        ("metadata.namespace", "team.a", InvalidValue, "'team.a' is not valid"),
        ("metadata.namespace", "a" * 64, InvalidValue, "1 to 63 characters"),
        ("metadata.creationTimestamp", "yesterday", InvalidValue, "RFC 3339"),
        ("metadata.creationTimestamp", 5, InvalidManifest, "must be a string"),
        ("metadata.creationTimestamp", "2024-02-30T00:00:00Z", InvalidValue, "RFC 3339"),
        ("metadata.creationTimestamp", datetime(2024, 1, 1), InvalidValue, "naive"),  # noqa: DTZ001
        ("spec", "kopia", InvalidManifest, "must be a mapping"),
        ("spec.kopia", [], InvalidManifest, "must be a mapping"),
        ("spec.kopia.repository", None, InvalidManifest, "is missing"),
        ("spec.kopia.repository", {}, InvalidManifest, "must be a string"),
        ("spec.kopia.repository", "Secret!", InvalidValue, "'Secret!' is not valid"),
        ("spec.kopia.repository", "${SECRET:=x}", InvalidManifest, "variable that was not substituted"),
        ("spec.kopia.customCA", "ca", InvalidManifest, "must be a mapping"),
        ("spec.kopia.customCA.secretName", True, InvalidManifest, "must be a string, not true"),
        ("spec.kopia.customCA.secretName", "${CA}", InvalidManifest, "variable that was not substituted"),
        ("spec.kopia.customCA.key", "a/b", InvalidValue, "'a/b' is not valid"),
        ("spec.kopia.customCA.key", "..", InvalidValue, "'..' is not valid"),
        ("spec.kopia.maintenanceIntervalDays", "7", InvalidManifest, "must be an integer, not '7'"),
        ("spec.kopia.maintenanceIntervalDays", True, InvalidManifest, "must be an integer, not true"),
        ("spec.kopia.maintenanceCronJob", "0 2 * * *", InvalidManifest, "must be a mapping"),
        ("spec.kopia.maintenanceCronJob.enabled", "yes", InvalidManifest, "must be true or false, not 'yes'"),
        ("spec.kopia.maintenanceCronJob.schedule", 2, InvalidManifest, "must be a string"),
        ("spec.kopia.maintenanceCronJob.schedule", "0 25 * * *", InvalidSchedule, "25 is above the maximum, 23"),
        ("spec.kopia.maintenanceCronJob.schedule", "0 0 30 2 *", InvalidSchedule, "never fires"),
        ("spec.kopia.maintenanceCronJob.schedule", "${CRON}", InvalidManifest, "variable that was not substituted"),
    ],
)
def test_a_bad_source_is_refused_where_it_is_bad(
    path: str, value: object, error: type[KopiaMaintError], message: str
) -> None:
    """The error has the field's path, and names the source wherever its name can be read."""
    with pytest.raises(error, match=message) as caught:
        request_from_manifest(changed(replication_source(), path, value))
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    named = not path.startswith("metadata") or path == "metadata.creationTimestamp"
    assert caught.value.source == (source("team-a/source-a") if named else None)
    readable = not path.startswith("spec") or path.startswith(("spec.kopia.customCA", "spec.kopia.maintenance"))
    assert caught.value.secret_name == ("shared-repo-secret" if readable else None)


def test_an_unknown_version_is_an_error_in_any_case() -> None:
    """Of a source that is being deleted, or that has no spec.kopia where we look for it, too."""
    parts: list[dict[str, Any]] = [
        {"spec": {"rsync": {}}},
        {"metadata": {**replication_source()["metadata"], "deletionTimestamp": "x"}},
    ]
    for part in parts:
        with pytest.raises(InvalidManifest, match=r"'volsync\.backube/v9' is not known"):
            request_from_manifest({**replication_source(), **part, "apiVersion": "volsync.backube/v9"})


@pytest.mark.parametrize("repository", [None, "", "Secret!", 5, "${SECRET}"])
@pytest.mark.parametrize("leaves", [True, False])
def test_a_disabled_source_of_an_unreadable_repository_asks_for_nothing(repository: object, leaves: bool) -> None:
    """Of it, only its names, `enabled` and its repository are read; of one that leaves, not even `enabled`."""
    manifest = replication_source(repository=repository, maintenanceCronJob={"enabled": False})
    manifest["metadata"]["creationTimestamp"] = 5
    if leaves:
        manifest["metadata"]["deletionTimestamp"] = "2024-01-15T10:30:00Z"
        manifest["spec"]["kopia"]["maintenanceCronJob"] = "damaged"
    assert request_from_manifest(manifest) is None
    manifest["spec"]["kopia"]["repository"] = "shared-repo-secret"
    assert request_from_manifest(manifest) == ask("team-a/source-a", enabled=False)
    with pytest.raises(KopiaMaintError) as caught:
        request_from_manifest(changed(manifest, "metadata.name", "Source_A"))
    assert (caught.value.path, caught.value.source) == ("metadata.name", None)


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_what_is_not_a_mapping_is_refused(value: Any) -> None:
    """A manifest is an object."""
    for read in (request_from_manifest, state_from_manifest):
        with pytest.raises(InvalidManifest, match="must be a mapping"):
            read(value)


# --- states ----------------------------------------------------------------------


def test_a_cron_job_of_the_fork_is_adopted() -> None:
    """It has an owner and a schedule, and no claims yet."""
    state = stored(fork_cron_job())
    assert state == CronJobState(REPOSITORY.hash, Schedule.parse("0 2 * * *"), "team-a", {}, None, "shared-repo-secret")


def test_a_hijacked_repository_heals() -> None:
    """The label went to a loser, the schedule too: the annotation counts, and the creator's next word stands."""
    hijacked = fork_cron_job(labels={OWNER: "team-b"})
    hijacked["spec"]["schedule"] = "0 4 * * *"
    state = stored(hijacked)
    assert (state.owner, str(state.schedule)) == ("team-a", "0 4 * * *")
    patch = patch_from_state(state, hijacked)
    assert patch is not None
    assert patch["metadata"]["labels"][OWNER] == "team-a"
    answer = reconcile(state, [ask("team-a/a", "0 2 * * *"), ask("team-b/b", "0 4 * * *")], now=LATER)
    assert answer.desired is not None
    assert (answer.desired.owner, str(answer.desired.schedule)) == ("team-a", "0 2 * * *")


@pytest.mark.parametrize(
    ("annotation", "label", "owner"),
    [("team-a", "team-b", "team-a"), (None, "team-b", "team-b"), ("", "team-b", "team-b"), (None, None, None)],
)
def test_the_owner_is_the_annotation_else_the_label_else_unknown(
    annotation: str | None, label: str | None, owner: str | None
) -> None:
    """One rule for every CronJob, ours or the fork's."""
    manifest = fork_cron_job()
    manifest["metadata"]["annotations"][OWNER] = annotation
    manifest["metadata"]["labels"][OWNER] = label
    assert stored(manifest).owner == owner


@pytest.mark.parametrize("text", [FORK_CONFLICT, "", "sorry"])
def test_the_conflict_annotation_is_written_and_never_read(text: str) -> None:
    """The claims are the record; the fork's text goes with the first write."""
    manifest = fork_cron_job(annotations={CONFLICT: text})
    state = stored(manifest)
    assert (state.conflicts, state.latest_conflict) == ((), None)
    desired = resolve(state, ask("team-a/a", "0 2 * * *"), now=LATER).desired
    assert desired is not None
    patch = patch_from_state(desired, manifest)
    assert patch is not None
    assert patch["metadata"]["annotations"][CONFLICT] is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", 5, "must be a string"),
        ("apiVersion", "batch/v2", "'batch/v2' is not known"),
        ("metadata", 5, "must be a mapping"),
        ("metadata.name", None, "is missing"),
        ("metadata.name", 5, "must be a string"),
        ("metadata.labels", "x", "must be a mapping"),
        ("metadata.annotations", [], "must be a mapping"),
        ("spec", None, "is missing"),
        ("spec.schedule", None, "is missing"),
        ("spec.schedule", 5, "must be a string"),
        ("spec.schedule", "0 2 * *", "expected 5 fields"),
    ],
)
def test_a_bad_cron_job_is_refused_where_it_is_bad(path: str, value: object, message: str) -> None:
    """What cannot be understood and cannot be ignored is an error with its path."""
    with pytest.raises(KopiaMaintError, match=message) as caught:
        state_from_manifest(changed(fork_cron_job(), path, value))
    assert caught.value.path == ("spec.schedule" if path == "spec" else path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "Job"),
        ("metadata.name", "other"),
        ("metadata.name", "kopia-maintenance-XYZ"),
        ("metadata.name", "kopia-maint-shared-repo-secret-f11df99437a0f538"),
        ("metadata.name", "kopia-maintenance-f11df99437a0f5380"),
    ],
)
def test_what_is_not_named_as_ours_is_none(path: str, value: str) -> None:
    """KopiaMaintenance's CronJobs carry our label under other names: not ours, and no error, whatever they hold."""
    manifest = changed(changed(fork_cron_job(), path, value), "spec", {})
    assert state_from_manifest(manifest) is None
    assert state_from_manifest(changed(manifest, "apiVersion", "batch/v2")) is None


def test_a_hash_label_that_contradicts_the_name_is_refused() -> None:
    """Which repository would it be? A missing label is no contradiction."""
    manifest = fork_cron_job()
    manifest["metadata"]["labels"]["volsync.backube/repository-hash"] = "0" * 16
    with pytest.raises(InvalidManifest, match="contradicts") as caught:
        state_from_manifest(manifest)
    assert caught.value.path == "metadata.labels[volsync.backube/repository-hash]"
    del manifest["metadata"]["labels"]
    assert stored(manifest).repository_hash == REPOSITORY.hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version":1,"claims":{"team-a":{"source-', "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("null", "not an object with a version"),
        ('{"claims":{}}', "not an object with a version"),
        ('{"version":true,"claims":{}}', "not an object with a version"),
        ('{"version":0,"claims":{}}', "has version '0', only 1 is known"),
        ('{"version":2,"claims":{}}', "has version '2', only 1 is known"),
        ('{"version":1}', "must have version, claims"),
        ('{"version":1,"claims":{},"more":1}', "must have version, claims"),
        ('{"version":1,"claims":[]}', "must have version, claims"),
        ('{"version":1,"claims":{"team-a":[]}}', "must be an object"),
        ('{"version":1,"claims":{"Team A":{"x":[null,"2024-01-15T10:30:00Z"]}}}', "'Team A' is not valid"),
        ('{"version":1,"claims":{"a":{"b":["0 2 * * *"]}}}', "SCHEDULE or null"),
        ('{"version":1,"claims":{"a":{"b":[null,"2024-01-15T10:30:00Z",5]}}}', "SCHEDULE or null"),
        ('{"version":1,"claims":{"a":{"b":[5,"2024-01-15T10:30:00Z"]}}}', "must be a string"),
        ('{"version":1,"claims":{"a":{"b":["0 2 * *","2024-01-15T10:30:00Z"]}}}', "expected 5 fields"),
        ('{"version":1,"claims":{"a":{"b":[null,"now"]}}}', "RFC 3339"),
        ('{"version":1,"claims":{"a":{},"a":{}}}', "a key is there twice"),
        ('{"version":1,"claims":{"a":{"b":["0 2 * * *","2024-01-15T10:30:00Z","accepted"]}}}', "rejected"),
        ('{"version":1,"claims":{"a":{"b":["0 2 * * *","2024-01-15T10:30:00Z","rejected",1]}}}', "rejected"),
        ('{"version":1,"claims":{"a":{"b":["0 2 * * *","2024-01-15T10:30:00Z","rejected"]}}}', "policy must name"),
        ('{"version":1,"policy":"p","claims":{"a":{"b":["0 2 * * *","2024-01-15T10:30:00Z"]}}}', "policy must name"),
        ('{"version":1,"policy":"p","claims":{"a":{"b":[null,"2024-01-15T10:30:00Z","rejected"]}}}', "preference"),
        ('{"version":1,"policy":null,"claims":{}}', "policy must be a string"),
        ('{"version":1,"policy":"First Wins","claims":{}}', "'First Wins' is not valid"),
        ('{"version":1,"claims":{"a":{"b":["0 0 30 2 *","2024-01-15T10:30:00Z"]}}}', "never fires"),
        ('{"version":1,"claims":{"a":{"b":[null,"2024-01-15T10:30:00+05:60"]}}}', "RFC 3339"),
        (" " * (256 * 1024 + 1), "Kubernetes allows"),
        (5, "must be a string"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_claims_that_are_damaged_or_of_the_future_are_refused(text: Any, message: str) -> None:
    """The CronJob stays as it is until somebody has looked at it."""
    with pytest.raises(KopiaMaintError, match=message) as caught:
        state_from_manifest(fork_cron_job(annotations={CLAIMS: text}))
    assert caught.value.path.startswith(f"metadata.annotations[{CLAIMS}]")


def test_a_foreign_repository_config_is_ignored() -> None:
    """The name is for people; one that cannot be read is unknown."""
    manifest = fork_cron_job(annotations={"volsync.backube/repository-config": "{not a name}"})
    assert stored(manifest).secret_name is None


# --- writing ---------------------------------------------------------------------


@pytest.fixture
def disputed() -> CronJobState:
    """Return a state with a conflict."""
    state = reconcile(None, [ask("team-a/a", "0 2 * * *"), ask("team-b/b", "0 4 * * *"), ask("team-b/c")], now=NOW)
    assert state.desired is not None
    return state.desired


def test_the_claims_read_as_a_list(disputed: CronJobState) -> None:
    """Versioned, sorted JSON, one source a line, as `kubectl describe` shows it."""
    text = manifest_from_state(disputed, {})["metadata"]["annotations"][CLAIMS]
    assert text.splitlines() == [
        '{"version":1,"policy":"first-wins","claims":{',
        '"team-a":{',
        '"a":["0 2 * * *","2024-01-15T10:30:00Z"]},',
        '"team-b":{',
        '"b":["0 4 * * *","2024-01-15T10:30:00Z","rejected"],',
        '"c":[null,"2024-01-15T10:30:00Z"]}}}',
    ]
    assert json.loads(text)["version"] == 1


def test_a_manifest_starts_from_its_template(disputed: CronJobState) -> None:
    """Foreign fields stay; what the API server filled in for another object does not; nothing is shared."""
    template = fork_cron_job()
    template["metadata"]["name"] = "template"
    manifest = manifest_from_state(disputed, template, operator_namespace="operators")
    assert manifest["spec"]["jobTemplate"] == template["spec"]["jobTemplate"]
    assert manifest["metadata"]["labels"]["volsync.backube/created-by"] == "app-backup"
    assert (manifest["metadata"]["name"], manifest["metadata"]["namespace"]) == (NAME, "operators")
    assert "uid" not in manifest["metadata"]
    assert "status" not in manifest
    manifest["spec"]["jobTemplate"]["spec"]["backoffLimit"] = 9
    assert template["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 3


def test_a_template_whose_parts_are_shared_costs_what_it_holds(disputed: CronJobState) -> None:
    """Aliases that multiply are copied once each."""
    bomb: list[Any] = []
    for _ in range(100):
        bomb = [bomb, bomb]
    manifest = manifest_from_state(disputed, {"spec": {"jobTemplate": bomb}})
    assert manifest["spec"]["jobTemplate"][0] is manifest["spec"]["jobTemplate"][1]


def test_another_repositorys_cron_job_may_be_the_template(disputed: CronJobState) -> None:
    """Nothing of its state is taken over: the new one reads back as the state it was written for."""
    template = fork_cron_job({"volsync.backube/repository-config": "other", CLAIMS: "damaged", OWNER: "team-z"})
    template["metadata"]["name"] = "kopia-maintenance-" + "0" * 16
    del template["metadata"]["labels"]["volsync.backube/repository-hash"]
    nameless = evolve(disputed, secret_name=None)
    assert state_from_manifest(manifest_from_state(nameless, template)) == nameless


def test_a_schedule_with_what_looks_like_a_variable_survives(disputed: CronJobState) -> None:
    """On a cluster nothing is left to substitute: robfig/cron ignores what follows `*-`."""
    schedule = Schedule.parse("0 4 * * *-${X}")
    claims = {**disputed.claims, source("team-c/c"): Claim(schedule, NOW)}
    state = evolve(disputed, schedule=schedule, claims=claims)
    assert state_from_manifest(manifest_from_state(state, {})) == state


def test_the_template_may_be_the_cron_job_itself(disputed: CronJobState) -> None:
    """Then what the API server filled in stays, so that the whole can be replaced."""
    manifest = manifest_from_state(disputed, fork_cron_job())
    assert manifest["metadata"]["resourceVersion"] == "4711"
    assert manifest["metadata"]["namespace"] == "volsync-system"
    assert manifest["status"] == fork_cron_job()["status"]
    homeless = fork_cron_job()
    del homeless["metadata"]["namespace"]
    assert manifest_from_state(disputed, homeless) == manifest


def test_a_template_that_is_no_cron_job_is_refused(disputed: CronJobState) -> None:
    """So are namespaces that are none, and cycles without an end."""
    for template in ({"kind": "Job"}, {"apiVersion": "batch/v1beta1"}, {"metadata": {"namespace": 5}}):
        with pytest.raises(InvalidManifest):
            manifest_from_state(disputed, template)
    with pytest.raises(InvalidValue, match=r"metadata\.namespace 'Bad NS'"):
        manifest_from_state(disputed, {"metadata": {"namespace": "Bad NS"}})
    with pytest.raises(InvalidValue, match="must be a CronJobState"):
        manifest_from_state(None, {})  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="operator_namespace"):
        manifest_from_state(disputed, {}, operator_namespace="No Such")
    cycle: dict[str, Any] = {}
    cycle["spec"] = {"again": cycle}
    with pytest.raises(InvalidManifest, match="nested too deeply"):
        manifest_from_state(disputed, cycle)


def test_a_patch_is_minimal_and_foreign_parts_survive(disputed: CronJobState) -> None:
    """Only what differs, with the resourceVersion; an independent RFC 7386 implementation is the referee."""
    manifest = fork_cron_job()
    patch = patch_from_state(disputed, manifest)
    assert patch is not None
    assert set(patch) == {"metadata"}
    assert set(patch["metadata"]) == {"labels", "annotations", "resourceVersion"}
    assert patch["metadata"]["resourceVersion"] == "4711"
    assert set(patch["metadata"]["annotations"]) == {CLAIMS, CONFLICT}
    patched = json_merge_patch.merge(copy.deepcopy(manifest), patch)
    assert state_from_manifest(patched) == disputed
    assert (patched["spec"], patched["status"]) == (manifest["spec"], manifest["status"])
    assert patch_from_state(disputed, patched) is None


def test_what_must_go_is_null(disputed: CronJobState) -> None:
    """The conflict that ended, and the label of a namespace without a claim."""
    manifest = manifest_from_state(disputed, {})
    without = reconcile(disputed, [ask("team-a/a", "0 2 * * *")], now=LATER).desired
    assert without is not None
    patch = patch_from_state(without, manifest)
    assert patch is not None
    assert patch["metadata"]["labels"] == {"source-namespace.volsync.backube/team-b": None}
    assert patch["metadata"]["annotations"][CONFLICT] is None


def test_the_schedule_is_compared_by_meaning(disputed: CronJobState) -> None:
    """Another spelling of what stands is no reason to write; another schedule is."""
    manifest = changed(manifest_from_state(disputed, {}), "spec.schedule", "00 2 * * 0-6")
    assert patch_from_state(disputed, manifest) is None
    moved = resolve(disputed, ask("team-a/a", "0 6 * * *"), now=LATER).desired
    assert moved is not None
    patch = patch_from_state(moved, manifest)
    assert patch is not None
    assert patch["spec"] == {"schedule": "0 6 * * *"}


def test_a_healed_label_is_a_write_although_the_state_is_the_same(disputed: CronJobState) -> None:
    """The patch says whether to write, not the action."""
    manifest = manifest_from_state(disputed, {})
    manifest["metadata"]["labels"][OWNER] = "team-b"
    resolution = resolve(stored(manifest), ask("team-b/c"), now=LATER)
    assert not resolution.changed
    assert patch_from_state(disputed, manifest) == {"metadata": {"labels": {OWNER: "team-a"}}}


def test_another_layout_of_the_same_claims_is_left_alone(disputed: CronJobState) -> None:
    """Two implementations that lay the JSON out differently do not fight over it."""
    manifest = manifest_from_state(disputed, {})
    annotations = manifest["metadata"]["annotations"]
    annotations[CLAIMS] = json.dumps(json.loads(annotations[CLAIMS]), indent=2)
    assert patch_from_state(disputed, manifest) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "Pod"),
        ("spec.schedule", "0 2 * *"),
        ("metadata.annotations", {CLAIMS: "damaged"}),
        ("metadata.annotations", {CLAIMS: '{"version":2,"claims":{}}'}),
        ("metadata.labels", {"volsync.backube/repository-hash": "0" * 16}),
    ],
)
def test_what_cannot_be_read_is_not_written_over(disputed: CronJobState, path: str, value: object) -> None:
    """It may be from a later version of us: it stays as it is."""
    with pytest.raises(KopiaMaintError):
        patch_from_state(disputed, changed(fork_cron_job(), path, value))


def test_a_patch_for_another_repository_is_refused(disputed: CronJobState) -> None:
    """A state is not written over another repository's CronJob."""
    for digit in "0f":
        with pytest.raises(RepositoryMismatch):
            patch_from_state(disputed, changed(fork_cron_job(), "metadata.name", "kopia-maintenance-" + digit * 16))


def crowd(count: int) -> CronJobState:
    """Return a state with many sources: 20-character names, 50 namespaces, 10 schedules."""
    claims = {
        source(f"namespace-{n % 50:010}/source-{n:013}"): Claim(Schedule.parse(f"{n % 10} 2 * * 1-5"), NOW)
        for n in range(count)
    }
    return CronJobState(REPOSITORY.hash, Schedule.parse("0 2 * * *"), "team-a", claims, None, "shared-repo-secret")


def test_three_thousand_sources_fit() -> None:
    """And they survive the round trip."""
    state = crowd(3000)
    assert state_from_manifest(manifest_from_state(state, fork_cron_job())) == state


def test_what_just_fits_is_written_and_read(disputed: CronJobState) -> None:
    """As much as Kubernetes allows, and not one byte more."""
    present = manifest_from_state(disputed, {})["metadata"]["annotations"]
    room = 256 * 1024 - sum(len(key + value) for key, value in present.items()) - len("note")
    just = {"metadata": {"annotations": {"note": "x" * room}}}
    assert state_from_manifest(manifest_from_state(disputed, just)) == disputed
    just["metadata"]["annotations"]["note"] += "x"
    with pytest.raises(StateTooLarge):
        manifest_from_state(disputed, just)
    text = present[CLAIMS].ljust(256 * 1024)
    assert stored(fork_cron_job(annotations={CLAIMS: text})).claims == disputed.claims


def test_a_hundred_levels_are_not_deep() -> None:
    """Of mappings, of lists, and of either in the other."""
    for wrap in (lambda value: {"a": value}, lambda value: ["a", value], lambda value: {"a": [], "b": value}):
        value: Any = "x"
        for _ in range(99):
            value = wrap(value)
        assert not is_deep(value)
        assert is_deep(wrap(value))


def test_past_the_limit_writing_is_refused_and_says_who() -> None:
    """The error names bytes, sources and the namespace with the largest share, and what to do."""
    state = crowd(5000)
    for namespace in ("a", "team-z"):
        greedy = {source(f"{namespace}/source-{n}"): Claim(Schedule.parse("0 2 * * *"), NOW) for n in range(500)}
        told = rf"for 5500 sources.*262144; namespace {namespace} .* 500 sources.*ResourceQuota"
        for write in (manifest_from_state, patch_from_state):
            with pytest.raises(StateTooLarge, match=told):
                write(evolve(state, claims={**state.claims, **greedy}), fork_cron_job())


def test_text_that_utf_8_cannot_hold_is_no_obstacle(disputed: CronJobState) -> None:
    """JSON can escape half of a surrogate pair, and it may stand in an annotation of somebody else's."""
    assert patch_from_state(disputed, fork_cron_job(annotations={"note": "\ud800"})) is not None


def test_foreign_annotations_count_too(disputed: CronJobState) -> None:
    """Kubernetes allows 256 KiB of annotations per object, all of them together."""
    manifest = fork_cron_job(annotations={"note": "x" * 262_000})
    with pytest.raises(StateTooLarge, match="namespace team-b has the largest share"):
        patch_from_state(disputed, manifest)
    with pytest.raises(StateTooLarge, match="they are not ours: there is no claim"):
        patch_from_state(evolve(disputed, claims={}, policy=None), manifest)


def test_adoption_is_undisturbed_by_a_while_with_the_fork() -> None:
    """Rolling back to the fork and forward again: label and schedule were taken, the owner is who it was."""
    state = reconcile(None, [ask("team-a/a", "0 2 * * *"), ask("team-b/b", "0 4 * * *")], now=NOW).desired
    assert state is not None
    manifest = manifest_from_state(state, {})
    manifest["metadata"]["labels"][OWNER] = "team-b"
    manifest["spec"]["schedule"] = "0 4 * * *"
    del manifest["metadata"]["annotations"][CONFLICT]
    after = stored(manifest)
    assert (after.owner, after.claims) == ("team-a", state.claims)
    answer = reconcile(after, [ask("team-a/a", "0 3 * * *"), ask("team-b/b", "0 4 * * *")], now=LATER)
    assert answer.desired is not None
    assert str(answer.desired.schedule) == "0 3 * * *"


def test_times_are_written_in_utc() -> None:
    """Whatever zone a time came in."""
    request = ask("team-a/a", "0 2 * * *")
    desired = resolve(None, request, now=NOW.astimezone(timezone.utc)).desired
    assert desired is not None
    assert "2024-01-15T10:30:00Z" in manifest_from_state(desired, {})["metadata"]["annotations"][CLAIMS]
