"""Kubernetes objects in and out: where a refusal points, and what is written. What a field means is in the vectors."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kopia_maint import (
    CLAIMS_ANNOTATION,
    CONFLICT_ANNOTATION,
    Claim,
    CronJobState,
    CustomCA,
    InvalidManifest,
    InvalidValue,
    KopiaMaintError,
    Repository,
    RepositoryMismatch,
    Schedule,
    SourceRequest,
    StateTooLarge,
    manifest_from_state,
    patch_from_state,
    request_from_manifest,
    state_from_manifest,
)
from kopia_maint._objects import is_deep
from kopia_maint.testing import strategies

from ..helpers import NOW, REPOSITORY, ask, replication_source, source, state_of

NAME = REPOSITORY.cron_job_name
OWNER = "volsync.backube/source-namespace"
SECRET = "volsync.backube/repository-config"
HASH = "volsync.backube/repository-hash"


def changed(manifest: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy of a manifest with one field, named by its dotted path, set."""
    result = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    parent = result
    for key in parents:
        parent = parent.setdefault(key, {})
    parent[last] = value
    return result


def fork_cron_job(**annotations: Any) -> dict[str, Any]:
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
                HASH: REPOSITORY.hash,
                OWNER: "team-a",
                "volsync.backube/created-by": "app-backup",
            },
            "annotations": {SECRET: "shared-repo-secret", OWNER: "team-a", **annotations},
            "finalizers": ["example.com/keep"],
        },
        "spec": {
            "schedule": "0 2 * * *",
            "timeZone": "Europe/Berlin",
            "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "kopia", "args": ["", None, 0]}]}}}},
        },
        "status": {"lastScheduleTime": "2024-01-14T02:00:00Z", "active": []},
    }


DISPUTED = state_of(ask("team-a/a", "0 2 * * *"), ask("team-b/b", "0 4 * * *"), ask("team-b/c"))
WRITTEN = manifest_from_state(DISPUTED, {})

# --- reading ---------------------------------------------------------------------


@pytest.mark.parametrize("created", ["2024-01-15T11:30:00.75+01:00", NOW])
def test_a_whole_request_is_read(created: object) -> None:
    """Source, repository, CA, schedule, and the creation time, which some YAML loaders have parsed already."""
    manifest = replication_source(
        customCA={"secretName": "ca-secret", "key": "ca.crt"},
        maintenanceCronJob={"enabled": True, "schedule": " 0  4 * * * "},
    )
    repository = Repository("shared-repo-secret", CustomCA("ca-secret", key="ca.crt"))
    assert request_from_manifest(changed(manifest, "metadata.creationTimestamp", created)) == SourceRequest(
        source("team-a/source-a"), repository, Schedule.parse("0 4 * * *"), created_at=NOW
    )


VARIABLE = "variable that was not substituted"
BAD_SOURCES: list[tuple[str, object, str]] = [
    ("apiVersion", "volsync.backube/v2", "'volsync.backube/v2' is not known"),
    ("apiVersion", 1, "must be a string"),
    ("apiVersion", "", "must not be empty"),
    ("kind", ["ReplicationSource"], "must be a string"),
    ("kind", "replicationsource", "must be spelt ReplicationSource"),
    ("metadata", None, "is missing: pass the whole object"),
    ("metadata", [], "must be a mapping"),
    ("metadata.name", None, "is missing"),
    ("metadata.name", 7, "must be a string, not a value of type int"),
    ("metadata.name", "Source_A", "'Source_A' is not valid"),
    ("metadata.name", "${APP}", VARIABLE),
    ("metadata.namespace", "", "is missing"),
    ("metadata.namespace", "team.a", "'team.a' is not valid"),
    ("metadata.creationTimestamp", "yesterday", "RFC 3339"),
    ("metadata.creationTimestamp", 5, "must be a string"),
    ("metadata.creationTimestamp", datetime(2024, 1, 1), "naive"),  # noqa: DTZ001
    ("spec", "kopia", "must be a mapping"),
    ("spec.kopia", [], "must be a mapping"),
    ("spec.kopia.repository", None, "is missing"),
    ("spec.kopia.repository", "Secret!", "'Secret!' is not valid"),
    ("spec.kopia.repository", "${SECRET:=x}", VARIABLE),
    ("spec.kopia.customCA", "ca", "must be a mapping"),
    ("spec.kopia.customCA.secretName", True, "must be a string, not true"),
    ("spec.kopia.customCA.key", "a/b", "'a/b' is not valid"),
    ("spec.kopia.maintenanceIntervalDays", True, "must be an integer, not true"),
    ("spec.kopia.maintenanceCronJob.enabled", "yes", "must be true or false, not 'yes'"),
    ("spec.kopia.maintenanceCronJob.schedule", "0 25 * * *", "25 is above the maximum, 23"),
    ("spec.kopia.maintenanceCronJob.schedule", "0 0 30 2 *", "never fires"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_SOURCES)
def test_a_bad_source_is_refused_where_it_is_bad(path: str, value: object, message: str) -> None:
    """The error has the field's path, and names the source and its Secret wherever these can be read."""
    with pytest.raises(KopiaMaintError, match=message) as caught:
        request_from_manifest(changed(replication_source(), path, value))
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    named = not path.startswith("metadata") or path == "metadata.creationTimestamp"
    assert caught.value.source == (source("team-a/source-a") if named else None)
    readable = path not in ("spec", "spec.kopia", "spec.kopia.repository")
    assert caught.value.secret_name == ("shared-repo-secret" if readable else None)


def claims(claim: str, members: str = "") -> str:
    """Return the annotation with this claim of source b of namespace a."""
    return f'{{"version":1,{members}"claims":{{"a":{{"b":[{claim}]}}}}}}'


SINCE = '"2024-01-15T10:30:00Z"'
BAD_CRON_JOBS: list[tuple[str, object, str]] = [
    ("apiVersion", "batch/v2", "'batch/v2' is not known"),
    ("kind", "cronjob", "must be spelt CronJob"),
    ("metadata.labels", "x", "must be a mapping"),
    ("metadata.labels", {HASH: "0" * 16}, "contradicts the CronJob's name"),
    ("metadata.annotations", [], "must be a mapping"),
    ("metadata.annotations", {OWNER: "Team A"}, "'Team A' is not valid"),
    ("spec", "0 2 * * *", "must be a mapping"),
    ("spec.schedule", None, "is missing"),
    ("spec.schedule", "0 2 * *", "expected 5 fields"),
    *(
        ("metadata.annotations", {CLAIMS_ANNOTATION: text}, message)
        for text, message in (
            ('{"version":1,"claims":{"team-a":{"source-', "not JSON"),
            ("[" * 100_000, "not JSON"),
            ('{"version":true,"claims":{}}', "not an object with a version"),
            ('{"version":2,"claims":{}}', "has version '2', only 1 is known"),
            ('{"version":0,"claims":{}}', "has version '0', only 1 is known"),
            ('{"version":1,"claims":{},"more":1}', "must have version, claims"),
            ('{"version":1,"claims":{"team-a":[]}}', "must be an object"),
            ('{"version":1,"claims":{"a":{},"a":{}}}', "a key is there twice"),
            (claims(f"null,{SINCE},5"), "SCHEDULE or null"),
            (claims(f"5,{SINCE}"), "must be a string"),
            (claims(f'"0 2 * *",{SINCE}'), "expected 5 fields"),
            (claims('null,"2024-01-15T10:30:00+05:60"'), "RFC 3339"),
            (claims(f'"0 2 * * *",{SINCE},"accepted"'), "rejected"),
            (claims(f'"0 2 * * *",{SINCE},"rejected"'), "policy must name"),
            (claims(f"null,{SINCE}", '"policy":"First Wins",'), "'First Wins' is not valid"),
            (" " * (256 * 1024 + 1), "Kubernetes allows"),
            (5, "must be a string"),
        )
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD_CRON_JOBS, ids=lambda it: str(it)[:60])
def test_a_bad_cron_job_is_refused_where_it_is_bad(path: str, value: Any, message: str) -> None:
    """The CronJob, which may be from a later version of us, is not written over until somebody has looked at it."""
    manifest = changed(fork_cron_job(), path, value)
    key = f"[{next(iter(value))}]" if isinstance(value, Mapping) else ""
    for read in (state_from_manifest, partial(patch_from_state, DISPUTED)):
        with pytest.raises(KopiaMaintError, match=message) as caught:
            read(manifest)
        assert caught.value.path.startswith(f"{path}{key}")


NO_OBJECTS: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "pass the whole object"),
    "event": ({"type": "ADDED", "object": WRITTEN}, "is a watch event: pass its object"),
    "typed list": ({"apiVersion": "batch/v1", "kind": "CronJobList", "metadata": {}, "items": []}, "each of its items"),
    "raw list": ({"items": [WRITTEN], "metadata": {"resourceVersion": "1"}}, "pass each of its items"),
    "null metadata": ({"kind": "CronJob", "metadata": None}, "pass the whole object"),
    "empty kind": ({**WRITTEN, "kind": ""}, "kind: must not be empty"),
    "empty apiVersion": ({"apiVersion": "", "metadata": {"name": NAME}}, "apiVersion: must not be empty"),
    "to_dict": (
        {"api_version": "batch/v1", "metadata": {"name": NAME, "resource_version": "1"}, "spec": {}},
        "has the key api_version: pass the object as the API server sends it",
    ),
    "to_dict of an item": ({"metadata": {"name": "x", "creation_timestamp": None}}, "has the key creation_timestamp"),
    "model": (SimpleNamespace(to_dict=dict), "sanitize_for_serialization"),
    "None": (None, "an object must be a mapping, not "),
    "text": ("kind: CronJob", "an object must be a mapping, not 'kind: CronJob'"),
}


@pytest.mark.parametrize("read", [request_from_manifest, state_from_manifest])
@pytest.mark.parametrize("case", NO_OBJECTS)
def test_what_is_not_one_object_says_what_to_pass(case: str, read: Any) -> None:
    """Silence would read as "no source left", and delete a CronJob."""
    value, told = NO_OBJECTS[case]
    with pytest.raises(InvalidManifest, match=told):
        read(value)


@pytest.mark.parametrize("part", [{"kind": "${KIND}"}, {"apiVersion": "a/v1"}, {"apiVersion": "z/v1"}, {"spec": {}}])
def test_what_is_not_ours_is_none(part: dict[str, Any]) -> None:
    """Whatever a tool should have substituted in it."""
    metadata = {"name": "${APP}"}
    assert request_from_manifest({**replication_source(), "metadata": metadata, **part}) is None
    assert state_from_manifest({**WRITTEN, "metadata": metadata}) is None


def test_a_hundred_levels_are_not_deep() -> None:
    """Of mappings, of lists, and of either in the other."""
    for wrap in (lambda value: {"a": value}, lambda value: ["a", value], lambda value: {"a": [], "b": value}):
        value: Any = "x"
        for _ in range(99):
            value = wrap(value)
        assert not is_deep(value)
        assert is_deep(wrap(value))


class Text(str):
    """As some YAML loaders have it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class View(Mapping[str, Any]):
    """A mapping that cannot be changed, and makes new children at each access."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def __getitem__(self, key: str) -> Any:
        return view(self._members[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def view(value: Any) -> Any:
    if isinstance(value, dict):
        return View(value)
    if isinstance(value, str):
        return Text(value)
    return tuple(map(view, value)) if isinstance(value, list) else value


@settings(deadline=None, max_examples=50)
@given(state=strategies.states(), other=strategies.states())
def test_manifests_may_be_any_mappings(state: CronJobState, other: CronJobState) -> None:
    """They are read, and started from, without a write, and what comes out is the same as for plain ones."""
    asked = replication_source(maintenanceCronJob={"schedule": "0 4 * * *"}, customCA={"key": "ca.crt"})
    assert request_from_manifest(view(asked)) == request_from_manifest(asked)
    template = {"spec": {f"field{n}": {"a": {"b": {"c": n}}, "d": [{"e": n}]} for n in range(50)}}
    manifest = manifest_from_state(state, view(template))
    assert manifest == manifest_from_state(state, template)
    assert state_from_manifest(view(manifest)) == state
    changed = evolve(other, repository_hash=state.repository_hash)
    assert patch_from_state(changed, view(manifest)) == patch_from_state(changed, manifest)


# --- writing ---------------------------------------------------------------------


def test_a_manifest_starts_from_its_template() -> None:
    """Foreign fields stay; what the API server filled in for another object does not; nothing is shared."""
    template = changed(fork_cron_job(), "metadata.name", "template")
    manifest = manifest_from_state(DISPUTED, template, operator_namespace="operators")
    assert manifest["spec"]["jobTemplate"] == template["spec"]["jobTemplate"]
    assert manifest["spec"]["jobTemplate"]["spec"] is not template["spec"]["jobTemplate"]["spec"]
    assert manifest["metadata"]["labels"]["volsync.backube/created-by"] == "app-backup"
    assert (manifest["metadata"]["name"], manifest["metadata"]["namespace"]) == (NAME, "operators")
    assert not {"uid", "resourceVersion"} & manifest["metadata"].keys()
    assert "status" not in manifest


def test_another_repositorys_cron_job_may_be_the_template() -> None:
    """Nothing of its state is taken over: the new one reads back as the state it was written for."""
    template = fork_cron_job(**{SECRET: "other", CLAIMS_ANNOTATION: "damaged", OWNER: "team-z"})
    template["metadata"]["name"] = "kopia-maintenance-" + "0" * 16
    template["metadata"]["labels"][HASH] = "0" * 16
    nameless = evolve(DISPUTED, secret_name=None)
    assert state_from_manifest(manifest_from_state(nameless, template)) == nameless


def test_the_template_may_be_the_cron_job_itself() -> None:
    """Then what the API server filled in stays, so that the whole can be replaced."""
    manifest = manifest_from_state(DISPUTED, fork_cron_job())
    assert (manifest["metadata"]["resourceVersion"], manifest["metadata"]["namespace"]) == ("4711", "volsync-system")
    assert manifest["status"] == fork_cron_job()["status"]
    homeless = fork_cron_job()
    del homeless["metadata"]["namespace"]
    assert manifest_from_state(DISPUTED, homeless) == manifest


def test_a_template_whose_parts_are_shared_costs_what_it_holds() -> None:
    """Aliases that multiply are copied once each; a cycle without an end is refused."""
    bomb: list[Any] = []
    for _ in range(100):
        bomb = [bomb, bomb]
    manifest = manifest_from_state(DISPUTED, {"spec": {"jobTemplate": bomb}})
    assert manifest["spec"]["jobTemplate"][0] is manifest["spec"]["jobTemplate"][1]
    cycle: dict[str, Any] = {}
    cycle["spec"] = {"again": cycle}
    with pytest.raises(InvalidManifest, match="nested too deeply"):
        manifest_from_state(DISPUTED, cycle)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"kind": "Job"}, "kind: 'Job' is not known"),
        ({"kind": "Binding"}, "kind: 'Binding' is not known"),
        ({"apiVersion": "batch/v1beta1"}, "apiVersion: 'batch/v1beta1' is not known"),
        ({"metadata": {"namespace": 5}}, r"metadata\.namespace: must be a string"),
        ({"metadata": {"namespace": "Bad NS"}}, r"metadata\.namespace 'Bad NS' is not valid"),
        ({"metadata": {"namespace": "${NS}"}}, r"metadata\.namespace: '\${NS}' holds a variable"),
    ],
)
def test_a_template_that_is_no_cron_job_is_refused(template: dict[str, Any], message: str) -> None:
    """So are namespaces that are none."""
    with pytest.raises(KopiaMaintError, match=message):
        manifest_from_state(DISPUTED, template)
    with pytest.raises(InvalidValue, match="operator_namespace 'No Such'"):
        manifest_from_state(DISPUTED, {}, operator_namespace="No Such")


def test_a_schedule_with_what_looks_like_a_variable_survives() -> None:
    """On a cluster nothing is left to substitute: robfig/cron ignores what follows `*-`."""
    schedule = Schedule.parse("0 4 * * *-${X}")
    state = evolve(DISPUTED, schedule=schedule, claims={**DISPUTED.claims, source("team-c/c"): Claim(schedule, NOW)})
    assert state_from_manifest(manifest_from_state(state, {})) == state


def foreign_parts(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return everything that is not ours."""
    rest = changed(manifest, "spec.schedule", None)
    for key in ("labels", "annotations"):
        rest["metadata"][key] = {
            name: value
            for name, value in rest["metadata"][key].items()
            if "volsync.backube/" not in name or name == "volsync.backube/created-by"
        }
    return rest


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.states(), strategies.states(), st.booleans())
def test_a_patch_leads_from_any_state_to_any_other(before: CronJobState, after: CronJobState, versioned: bool) -> None:
    """Nothing foreign changes, and what is the same needs no patch; an RFC 7386 implementation is the referee."""
    after = evolve(after, repository_hash=before.repository_hash)
    template = changed(fork_cron_job(note='with "quotes",\nlines and ü'), "metadata.name", before.cron_job_name)
    if not versioned:  # as in files, where there is nothing to lock
        del template["metadata"]["resourceVersion"]
    manifest = manifest_from_state(before, template)
    assert state_from_manifest(manifest) == before
    assert patch_from_state(before, manifest) is None
    patch = patch_from_state(after, manifest) or {}
    assert (patch == {}) == (after == before)
    assert ("resourceVersion" in patch.get("metadata", {})) == (versioned and after != before)
    patched = json_merge_patch.merge(copy.deepcopy(manifest), json.loads(json.dumps(patch)))
    assert state_from_manifest(patched) == after
    assert foreign_parts(patched) == foreign_parts(manifest)
    assert patch_from_state(after, patched) is None


def test_a_patch_is_minimal() -> None:
    """Only what differs, with the resourceVersion."""
    annotations = WRITTEN["metadata"]["annotations"]
    assert patch_from_state(DISPUTED, fork_cron_job()) == {
        "metadata": {
            "labels": {f"source-namespace.volsync.backube/team-{team}": "" for team in "ab"},
            "annotations": {key: annotations[key] for key in (CLAIMS_ANNOTATION, CONFLICT_ANNOTATION)},
            "resourceVersion": "4711",
        }
    }
    relaid = {CLAIMS_ANNOTATION: json.dumps(json.loads(annotations[CLAIMS_ANNOTATION]), indent=2)}
    stored = {**WRITTEN["metadata"], "annotations": {**annotations, **relaid}, "resourceVersion": "4711"}
    assert patch_from_state(DISPUTED, {**WRITTEN, "metadata": stored}) is None
    bare = patch_from_state(evolve(DISPUTED, claims={}, policy=None), fork_cron_job(**{CLAIMS_ANNOTATION: None})) or {}
    assert CLAIMS_ANNOTATION in bare["metadata"]["annotations"]  # null is no record


@pytest.mark.parametrize("digit", "0f")
def test_a_patch_for_another_repository_is_refused(digit: str) -> None:
    """A state is not written over another repository's CronJob."""
    with pytest.raises(RepositoryMismatch):
        patch_from_state(DISPUTED, changed(fork_cron_job(), "metadata.name", "kopia-maintenance-" + digit * 16))


# --- limits ----------------------------------------------------------------------


def crowd(count: int) -> CronJobState:
    """Return a state with many sources: 20-character names, 50 namespaces, 10 schedules."""
    claims = {
        source(f"namespace-{n % 50:010}/source-{n:013}"): Claim(Schedule.parse(f"{n % 10} 2 * * 1-5"), NOW)
        for n in range(count)
    }
    return CronJobState(REPOSITORY.hash, Schedule.parse("0 2 * * *"), "team-a", claims, None, "shared-repo-secret")


def test_what_just_fits_is_written_and_read() -> None:
    """Three thousand sources; as much as Kubernetes allows of all annotations together, and not one byte more."""
    assert state_from_manifest(manifest_from_state(crowd(3000), fork_cron_job())) == crowd(3000)
    present = WRITTEN["metadata"]["annotations"]
    room = 256 * 1024 - sum(len(key + value) for key, value in present.items()) - len("note")
    just = {"metadata": {"annotations": {"note": "x" * room}}}
    assert state_from_manifest(manifest_from_state(DISPUTED, just)) == DISPUTED
    just["metadata"]["annotations"]["note"] += "x"
    with pytest.raises(StateTooLarge):
        manifest_from_state(DISPUTED, just)
    padded = state_from_manifest(fork_cron_job(**{CLAIMS_ANNOTATION: present[CLAIMS_ANNOTATION].ljust(256 * 1024)}))
    assert padded is not None
    assert padded.claims == DISPUTED.claims


def test_past_the_limit_writing_is_refused_and_says_who() -> None:
    """The error names bytes, sources and the namespace with the largest share, and what to do."""
    state = crowd(5000)
    for namespace in ("a", "team-z"):
        greedy = {source(f"{namespace}/source-{n}"): Claim(Schedule.parse("0 2 * * *"), NOW) for n in range(500)}
        told = rf"for 5500 sources.*262144; namespace {namespace} .* 500 sources.*ResourceQuota"
        for write in (manifest_from_state, patch_from_state):
            with pytest.raises(StateTooLarge, match=told):
                write(evolve(state, claims={**state.claims, **greedy}), fork_cron_job())
    with pytest.raises(StateTooLarge, match="they are not ours: there is no claim"):
        patch_from_state(evolve(DISPUTED, claims={}, policy=None), fork_cron_job(note="x" * 262_100))


def test_text_that_utf_8_cannot_hold_is_no_obstacle() -> None:
    """JSON can escape half of a surrogate pair, and it may stand in an annotation of somebody else's."""
    assert patch_from_state(DISPUTED, fork_cron_job(note="\ud800")) is not None
