"""
How do the values look on the cluster? Kubernetes objects, as plain mappings, in and out.

A reader takes what it understands and refuses, with the field's path, what it
can neither understand nor ignore. A writer touches the keys that are ours
(``_owned``) and ``spec.schedule``, and nothing else.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from ._errors import InvalidManifest, KopiaMaintError, RepositoryMismatch, StateTooLarge, at, expect, joined, shown
from ._model import (
    CRON_JOB_PREFIX,
    Claim,
    Claims,
    CronJobState,
    CustomCA,
    Repository,
    SourceRef,
    SourceRequest,
    by_name,
    check_name,
    format_time,
    parse_time,
    utc_seconds,
)
from ._objects import Fields, Manifest, attempt, merge_patch, minimal, plain
from ._schedule import DEFAULT_SCHEDULE, Schedule

GROUP = "volsync.backube"
DEFAULT_OPERATOR_NAMESPACE = "volsync-system"

MAINTENANCE_LABEL = f"{GROUP}/kopia-maintenance"
"""The label that is ``true`` on every maintenance CronJob. KopiaMaintenance's CronJobs have it, too."""
HASH_LABEL = f"{GROUP}/repository-hash"
"""The label with the hash of the repository."""
OWNER_KEY = f"{GROUP}/source-namespace"
"""The label, for selecting, and the annotation, which counts, with the owner."""
NAMESPACE_LABEL_PREFIX = f"source-namespace.{GROUP}/"
"""Before a namespace that has a claim: the key of an empty label."""
SECRET_ANNOTATION = f"{GROUP}/repository-config"
"""The annotation with the name of the repository's Secret."""
CONFLICT_ANNOTATION = f"{GROUP}/schedule-conflict"
"""The annotation with the message of the latest conflict; absent where there is none."""
CLAIMS_ANNOTATION = f"{GROUP}/schedule-claims"
"""The annotation with all claims, and which of them are rejected."""

ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all annotations of one object, keys and values: apimachinery's TotalAnnotationSizeLimitB."""

_API_VERSION = f"{GROUP}/v1alpha1"
_CLAIMS_VERSION = 1
_CLAIMS_PATH = f"metadata.annotations[{CLAIMS_ANNOTATION}]"
_INTERVALS = {7: "0 2 * * 0", 30: "0 2 1 * *", 31: "0 2 1 * *"}  # in days; any other is the default
# What the API server fills in, and refuses or ignores on another object.
_SERVER_FIELDS = (
    "uid resourceVersion creationTimestamp generation managedFields selfLink"
    " deletionTimestamp deletionGracePeriodSeconds generateName"
).split()


# --- a source's request ----------------------------------------------------------


def request_from_manifest(replication_source: Mapping[str, Any]) -> SourceRequest | None:
    """
    Read what a ReplicationSource asks for.

    Returns:
        The request; None for what is readable and no Kopia source: another kind of object, one without
        ``spec.kopia``, or one that is disabled or being deleted and whose repository cannot be read.

    Raises:
        KopiaMaintError: The object cannot be read. The error has the field's path, and the source and its Secret
            where they can be read: such a source is unreadable, not gone.
    """
    try:
        return _request(replication_source)
    except KopiaMaintError as error:
        if isinstance(replication_source, Mapping):
            error.source = source_named(replication_source)
            error.secret_name = secret_named(replication_source)
        raise


def source_named(replication_source: Any) -> SourceRef | None:
    """Return which source an object is, None where its names cannot be read."""
    return attempt(lambda: _source(Fields(replication_source).mapping("metadata")))


def is_source(manifest: Manifest) -> bool:
    """Return whether an object is a ReplicationSource, of whatever version; items of raw lists do not say so."""
    api_version = manifest.string("apiVersion") or GROUP  # read anew: a variable in it must not pass for another group
    return api_version.split("/")[0] == GROUP and manifest.has_kind("ReplicationSource")


def secret_named(replication_source: Any) -> str | None:
    """Return the Secret of a source's repository, None where that cannot be read."""
    return attempt(lambda: _kopia(Fields(replication_source)).read("repository", check_name, "name"))


def _request(replication_source: Mapping[str, Any]) -> SourceRequest | None:
    manifest = Manifest(replication_source)
    if not is_source(manifest):
        return None
    if manifest.api_version not in (None, _API_VERSION):
        raise InvalidManifest(f"{shown(manifest.api_version)} is not known, only {_API_VERSION} is", path="apiVersion")
    metadata = manifest.metadata
    leaves = metadata.members.get("deletionTimestamp") is not None
    kopia = attempt(_kopia, manifest) if leaves else _kopia(manifest)
    if kopia is None or kopia.absent:
        return None
    source = _source(metadata)
    enabled, schedule = (False, None) if leaves else _maintenance(kopia)
    if not enabled:
        left = attempt(_repository, kopia)
        return SourceRequest(source, left, None, False) if left else None
    repository, created_at = _repository(kopia), _creation_time(metadata)
    with at("spec.kopia.maintenanceCronJob.schedule"):
        return SourceRequest(source, repository, schedule, True, created_at)


def _kopia(manifest: Fields) -> Fields:
    return manifest.mapping("spec").mapping("kopia")


def _source(metadata: Fields) -> SourceRef:
    namespace = metadata.read("namespace", check_name, "namespace")
    return SourceRef(namespace, metadata.read("name", check_name, "name"))


def _maintenance(kopia: Fields) -> tuple[bool, Schedule | None]:
    """Return whether the source takes part, and the schedule it wants. That of a disabled one is not looked at."""
    cron_job = kopia.mapping("maintenanceCronJob")
    if cron_job.absent:
        days = kopia.get("maintenanceIntervalDays", int, "an integer")
        if days is None:
            return True, None
        return days != 0, Schedule.parse(_INTERVALS[days]) if days in _INTERVALS else DEFAULT_SCHEDULE
    if cron_job.get("enabled", bool, "true or false") is False:
        return False, None
    return True, cron_job.read("schedule", Schedule.parse) if cron_job.string("schedule") else DEFAULT_SCHEDULE


def _repository(kopia: Fields) -> Repository:
    ca = kopia.mapping("customCA")
    kinds = {"secretName": "name", "configMapName": "name", "key": "key"}
    members = (ca.read(key, check_name, kind) if ca.string(key) else "" for key, kind in kinds.items())
    return _known_repository(kopia.read("repository", check_name, "name"), *members)


@lru_cache(maxsize=1024)
def _known_repository(name: str, *ca: str) -> Repository:
    """Build a repository; there are few, with many sources each, so that one value and its hash serve them all."""
    return Repository(name, CustomCA(*ca))


def _creation_time(metadata: Fields) -> datetime | None:
    value = metadata.members.get("creationTimestamp")
    if value is None:
        return None
    if isinstance(value, datetime):  # as some YAML loaders and clients have it
        with at("metadata.creationTimestamp"):
            return utc_seconds(value)
    return metadata.read("creationTimestamp", parse_time)


# --- a CronJob's state -----------------------------------------------------------


def state_from_manifest(cron_job: Mapping[str, Any]) -> CronJobState | None:
    """
    Read what is stored on a maintenance CronJob, ours or the fork's. List the operator's namespace only.

    Returns:
        The state; None for what is readable and not named as ours are: another kind of object, or another name.

    Raises:
        KopiaMaintError: What cannot be understood and cannot be ignored: the CronJob
            should stay as it is until somebody has looked at it.
    """
    manifest = Manifest(cron_job)
    found = _ours(manifest)
    if found is None:
        return None
    repository_hash, labels, annotations = found
    owner = None
    for keys in (annotations, labels):
        if owner is None and keys.members.get(OWNER_KEY) not in (None, ""):
            owner = keys.read(OWNER_KEY, check_name, "namespace")
    claims, policy = _claims_from(annotations)
    secret_name = attempt(check_name, annotations.members.get(SECRET_ANNOTATION), "name")
    schedule = _schedule_of(manifest)
    with at(_CLAIMS_PATH):  # marks and policy must fit together
        return CronJobState(repository_hash, schedule, owner, claims, policy, secret_name)


def _ours(manifest: Manifest) -> tuple[str, Fields, Fields] | None:
    """Return the hash of a maintenance CronJob, its labels and annotations; None for any other object."""
    if not manifest.has_kind("CronJob"):
        return None
    metadata = manifest.metadata
    name = metadata.required("name", variables=False)
    repository_hash = hash_from(name)
    if repository_hash is None:
        return None
    if manifest.api_version not in (None, "batch/v1"):
        raise InvalidManifest(f"{shown(manifest.api_version)} is not known, only batch/v1 is", path="apiVersion")
    labels, annotations = metadata.mapping("labels"), metadata.mapping("annotations")
    label = labels.string(HASH_LABEL, variables=False)
    if label not in (None, repository_hash):
        message = f"{shown(label)} contradicts the CronJob's name, {name}"
        raise InvalidManifest(message, path=labels.path(HASH_LABEL))
    return repository_hash, labels, annotations


def hash_from(name: str) -> str | None:
    """Return the repository hash in the name of a maintenance CronJob, None for any other name."""
    if not name.startswith(CRON_JOB_PREFIX):
        return None
    return attempt(check_name, name[len(CRON_JOB_PREFIX) :], "repository hash")


def _schedule_of(manifest: Fields) -> Schedule:
    return manifest.mapping("spec").read("schedule", Schedule.parse, variables=False)


def _claims_from(annotations: Fields) -> tuple[Claims, str | None]:
    """Return the claims, and the name of the policy that rejects the marked ones."""
    text = annotations.string(CLAIMS_ANNOTATION, variables=False)
    if text is None:
        return Claims(), None
    with at(_CLAIMS_PATH):
        return _parse_claims(text)


def _parse_claims(text: str) -> tuple[Claims, str | None]:
    if len(text) > ANNOTATIONS_LIMIT:
        raise InvalidManifest(f"has {len(text)} characters, Kubernetes allows {ANNOTATIONS_LIMIT}")
    try:
        document = _DECODER.decode(text)
    except KopiaMaintError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"is damaged: not JSON ({shown(str(error))})") from None
    if not isinstance(document, dict) or type(document.get("version")) is not int:
        raise InvalidManifest("is damaged: not an object with a version")
    if document["version"] != _CLAIMS_VERSION:
        raise InvalidManifest(f"has version {shown(str(document['version']))}, only {_CLAIMS_VERSION} is known")
    by_namespace, policy = document.get("claims"), document.get("policy")
    if document.keys() - {"version", "claims", "policy"} or not isinstance(by_namespace, dict):
        raise InvalidManifest("is damaged: it must have version, claims, and policy or not")
    if "policy" in document:
        policy = check_name(policy, "policy")
    claims = {}
    for namespace, members in by_namespace.items():
        check_name(namespace, "namespace")
        if not isinstance(members, dict):
            raise InvalidManifest("is damaged: it must be an object", path=f"claims.{namespace}")
        for name, claim in members.items():
            source = SourceRef(namespace, name)
            try:  # there are many: a path is put together only where it is needed
                claims[source] = _parse_claim(claim)
            except KopiaMaintError as error:
                error.path = joined(f"claims.{namespace}.{name}", error.path)
                raise
    return Claims(claims), policy


def _parse_claim(claim: Any) -> Claim:
    match claim:
        case [schedule, str(since)]:
            rejected = False
        case [schedule, str(since), "rejected"]:
            rejected = True
        case _:
            raise InvalidManifest('is damaged: it must be [SCHEDULE or null, "TIME"], and "rejected" or not')
    return Claim(None if schedule is None else Schedule.parse(schedule), parse_time(since), rejected)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidManifest("is damaged: a key is there twice")
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates)


# --- the state, written ----------------------------------------------------------


def manifest_from_state(
    state: CronJobState, template: Mapping[str, Any], *, operator_namespace: str | None = None
) -> dict[str, Any]:
    """
    Write a state as a CronJob.

    Args:
        state: What to write.
        template: A CronJob to start from: job template, limits, foreign labels. It is not
            changed. What the API server filled in is left out where it is another object's.
        operator_namespace: Where the CronJob lives; by default the template's namespace,
            or else ``volsync-system``.

    Raises:
        StateTooLarge: The claims do not fit into the annotations of one object.
        InvalidManifest: The template is not a CronJob.
    """
    expect(state, CronJobState, "state")
    expect(template, Mapping, "template", "pass a CronJob as a mapping, {} for none")  # type: ignore[type-abstract]
    manifest = {"apiVersion": "batch/v1", "kind": "CronJob", **plain(template)}
    fields = Fields(manifest)
    for key, known in (("kind", "CronJob"), ("apiVersion", "batch/v1")):
        if fields.string(key) != known:
            raise InvalidManifest(f"{shown(manifest[key])} is not known, only {known} is", path=key)
    fields.mapping("spec")  # it is one, or absent
    metadata = fields.mapping("metadata")
    present = metadata.string("namespace")
    namespace = operator_namespace or present or DEFAULT_OPERATOR_NAMESPACE
    check_name(namespace, "namespace", "operator_namespace" if operator_namespace else "metadata.namespace")
    wanted = _wanted(state, metadata.mapping("labels"))
    wanted["metadata"].update(name=state.cron_job_name, namespace=namespace)
    _check_size(state, metadata.mapping("annotations"), wanted)
    itself = (metadata.members.get("name"), present or namespace) == (state.cron_job_name, namespace)
    if not itself:
        manifest.pop("status", None)
        wanted["metadata"].update(dict.fromkeys(_SERVER_FIELDS))
    written: dict[str, Any] = merge_patch(manifest, wanted)
    return written


def patch_from_state(state: CronJobState, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Return the minimal JSON merge patch (RFC 7386) that makes *manifest* hold *state*.

    It carries ``metadata.resourceVersion`` if the manifest has one, so that the API
    server refuses a stale write.

    Returns:
        The patch; None: there is nothing to write.

    Raises:
        RepositoryMismatch: The manifest is another repository's CronJob, or none.
        StateTooLarge: The claims do not fit into the annotations of one object.
        KopiaMaintError: The manifest cannot be read, and should stay as it is.
    """
    expect(state, CronJobState, "state")
    cron_job = Manifest(manifest)
    named = cron_job.metadata.members.get("name") == state.cron_job_name
    found = _ours(cron_job) if named else None
    if found is None:
        raise RepositoryMismatch(f"this is not the CronJob {state.cron_job_name}", path="metadata.name")
    _, labels, annotations = found
    wanted = _wanted(state, labels)
    if not minimal(manifest, wanted):
        return None
    present = state_from_manifest(manifest)  # what cannot be read is not written over
    assert present is not None  # it is named as ours are
    written = annotations.members.get(CLAIMS_ANNOTATION)
    if written is not None and (present.claims, present.policy) == (state.claims, state.policy):
        del wanted["metadata"]["annotations"][CLAIMS_ANNOTATION]  # whatever its layout
    if present.schedule == state.schedule:
        del wanted["spec"]  # however it is spelt
    patch = minimal(manifest, wanted)
    if not patch:
        return None
    if "annotations" in patch.get("metadata", {}):
        _check_size(state, annotations, patch)
    version = cron_job.metadata.members.get("resourceVersion")
    return patch if version is None else merge_patch(patch, {"metadata": {"resourceVersion": version}})


def _wanted(state: CronJobState, labels: Fields) -> dict[str, Any]:
    """Return all that is ours on a CronJob as one merge patch, with None for what must not be there."""
    strangers = [key for key in labels.members if isinstance(key, str) and key.startswith(NAMESPACE_LABEL_PREFIX)]
    conflict = state.latest_conflict
    wanted_labels = {
        MAINTENANCE_LABEL: "true",
        HASH_LABEL: state.repository_hash,
        OWNER_KEY: state.owner,
        **dict.fromkeys(strangers),
        **{NAMESPACE_LABEL_PREFIX + namespace: "" for namespace in sorted(state.namespaces)},
    }
    wanted_annotations = {
        OWNER_KEY: state.owner,
        SECRET_ANNOTATION: state.secret_name,
        CONFLICT_ANNOTATION: conflict and conflict.message,
        CLAIMS_ANNOTATION: _render_claims(state),
    }
    return {
        "metadata": {"labels": wanted_labels, "annotations": wanted_annotations},
        "spec": {"schedule": state.schedule.text},
    }


def _render_claims(state: CronJobState) -> str:
    """Write the claims as sorted JSON, one source a line, so that ``kubectl describe`` shows a list."""
    policy = "" if state.policy is None else f'"policy":"{state.policy}",'
    blocks = [f'"{namespace}":{{\n' + ",\n".join(lines) + "}" for namespace, lines in _claim_lines(state).items()]
    return f'{{"version":{_CLAIMS_VERSION},{policy}"claims":{{\n' + ",\n".join(blocks) + "}}"


def _claim_lines(state: CronJobState) -> dict[str, list[str]]:
    """Return the claims of each namespace, a line for each source."""
    by_namespace: dict[str, list[str]] = {}
    for source in sorted(state.claims, key=by_name):
        claim = state.claims[source]
        schedule = "null" if claim.schedule is None else json.dumps(claim.schedule.text)
        mark = ',"rejected"' if claim.rejected else ""
        line = f'"{source.name}":[{schedule},"{format_time(claim.since)}"{mark}]'
        by_namespace.setdefault(source.namespace, []).append(line)
    return by_namespace


def _check_size(state: CronJobState, present: Fields, patch: Mapping[str, Any]) -> None:
    """Refuse annotations that Kubernetes would refuse: those that are there, with what the patch changes."""
    annotations = {**present.members, **patch["metadata"]["annotations"]}
    size = sum(
        len(f"{key}{value}".encode(errors="surrogatepass")) for key, value in annotations.items() if value is not None
    )
    if size <= ANNOTATIONS_LIMIT:
        return
    blame = "they are not ours: there is no claim"
    if state.claims:
        namespace, lines = max(_claim_lines(state).items(), key=lambda item: len("".join(item[1])))
        blame = (
            f"namespace {namespace} has the largest share of the claims, {len(lines)} sources: limit its"
            " ReplicationSources with a ResourceQuota, or give it a repository of its own"
        )
    raise StateTooLarge(
        f"the annotations of {state.cron_job_name} would need {size} bytes for {len(state.claims)} sources,"
        f" Kubernetes allows {ANNOTATIONS_LIMIT}; {blame}",
        path="metadata.annotations",
    )
