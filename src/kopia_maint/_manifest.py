"""
How do the values look on the cluster? Kubernetes objects, as plain mappings, in and out.

A reader takes what it understands and refuses, with the field's path, what it
can neither understand nor ignore. A writer touches the keys that are ours
(``_owned``) and ``spec.schedule``, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from attrs import evolve

from ._errors import InvalidManifest, InvalidValue, KopiaMaintError, RepositoryMismatch, StateTooLarge, shown
from ._model import (
    CRON_JOB_PREFIX,
    Claim,
    Claims,
    Conflict,
    CronJobState,
    CustomCA,
    Repository,
    SourceRef,
    SourceRequest,
    check_name,
    format_time,
    parse_time,
    utc_seconds,
)
from ._schedule import DEFAULT_SCHEDULE, Schedule

P = ParamSpec("P")
T = TypeVar("T")

GROUP = "volsync.backube"
DEFAULT_OPERATOR_NAMESPACE = "volsync-system"

MAINTENANCE_LABEL = f"{GROUP}/kopia-maintenance"
HASH_LABEL = f"{GROUP}/repository-hash"
NAMESPACE_LABEL_PREFIX = f"source-namespace.{GROUP}/"
OWNER_KEY = f"{GROUP}/source-namespace"  # a label and an annotation
CONFIG_ANNOTATION = f"{GROUP}/repository-config"
CONFLICT_ANNOTATION = f"{GROUP}/schedule-conflict"
CLAIMS_ANNOTATION = f"{GROUP}/schedule-claims"

ANNOTATIONS_LIMIT = 256 * 1024
"""Bytes of all annotations of one object, keys and values: apimachinery's TotalAnnotationSizeLimitB."""

MAX_DEPTH = 100
"""How deep a manifest from outside may nest: CronJobs are compared, copied and written as a whole, which recurses."""

_CLAIMS_VERSION = 1
_INTERVALS = {1: "0 2 * * *", 7: "0 2 * * 0", 30: "0 2 1 * *", 31: "0 2 1 * *"}
# What the API server fills in, and refuses or ignores on another object.
_SERVER_FIELDS = (
    *("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "generateName"),
)


# --- a source's request ------------------------------------------------------


def request_from_manifest(replication_source: Mapping[str, Any]) -> SourceRequest | None:
    """
    Read what a ReplicationSource asks for.

    Returns:
        The request; None for what is not a Kopia source: another kind of object, or one without ``spec.kopia``.

    Raises:
        KopiaMaintError: The manifest cannot be read; the error has the field's path, and
            the source, if its name could be read: it counts as unreadable, not as gone.
    """
    manifest = _object(replication_source)
    kind, api_version = _string(manifest, "kind"), _string(manifest, "apiVersion")
    if kind not in (None, "ReplicationSource") or api_version and api_version.split("/")[0] != GROUP:
        return None
    source = None
    try:
        metadata = _mapping(manifest, "metadata") or {}
        spec = _mapping(manifest, "spec") or {}
        kopia = _mapping(spec, "kopia", "spec")
        if kopia is None:
            return None
        source = _source(metadata)
        if api_version not in (None, f"{GROUP}/v1alpha1"):
            raise InvalidManifest(f"{shown(api_version)} is not known, only {GROUP}/v1alpha1 is", path="apiVersion")
        leaves = metadata.get("deletionTimestamp") is not None
        enabled, schedule = (False, None) if leaves else _maintenance(kopia)
        repository = Repository(_name(kopia, "repository", "spec.kopia"), _custom_ca(kopia))
        return _within(
            "spec.kopia.maintenanceCronJob.schedule",
            SourceRequest,
            source,
            repository,
            schedule,
            enabled,
            _creation_time(metadata),
        )
    except KopiaMaintError as error:
        if source is None and isinstance(manifest.get("metadata"), Mapping):
            source = _ignoring(_source, manifest["metadata"])
        error.within("", source)
        raise


def _source(metadata: Mapping[str, Any]) -> SourceRef:
    return SourceRef(_name(metadata, "namespace", "metadata", "namespace"), _name(metadata, "name", "metadata"))


def _maintenance(kopia: Mapping[str, Any]) -> tuple[bool, Schedule | None]:
    """Return whether the source takes part, and the schedule it wants. That of a disabled one is not looked at."""
    path = "spec.kopia.maintenanceCronJob"
    cron_job = _mapping(kopia, "maintenanceCronJob", "spec.kopia")
    if cron_job is None:
        days = _typed(kopia, "maintenanceIntervalDays", int, "an integer", "spec.kopia")
        if days is None:
            return True, None
        return days != 0, Schedule.parse(_INTERVALS[days]) if days in _INTERVALS else DEFAULT_SCHEDULE
    if _typed(cron_job, "enabled", bool, "true or false", path) is False:
        return False, None
    text = _string(cron_job, "schedule", path)
    return True, DEFAULT_SCHEDULE if not text else _within(f"{path}.schedule", Schedule.parse, text)


def _custom_ca(kopia: Mapping[str, Any]) -> CustomCA:
    path = "spec.kopia.customCA"
    ca = _mapping(kopia, "customCA", "spec.kopia") or {}
    members = {"secret_name": "secretName", "config_map_name": "configMapName", "key": "key"}
    given = {ours: _string(ca, theirs, path) or "" for ours, theirs in members.items()}
    return _within(path, CustomCA, **given)


def _creation_time(metadata: Mapping[str, Any]) -> datetime | None:
    value = metadata.get("creationTimestamp")
    if value is None:
        return None
    path = "metadata.creationTimestamp"
    if isinstance(value, datetime):  # as some YAML loaders and clients have it
        return _within(path, utc_seconds, value)
    return _within(path, parse_time, _required(metadata, "creationTimestamp", "metadata"))


# --- a CronJob's state -------------------------------------------------------


def state_from_manifest(cron_job: Mapping[str, Any]) -> CronJobState:
    """
    Read what is stored on a maintenance CronJob, ours or the fork's.

    Raises:
        KopiaMaintError: What cannot be understood and cannot be ignored: the CronJob
            should stay as it is until somebody has looked at it.
    """
    manifest = _object(cron_job)
    _check_cron_job(manifest)
    metadata = _mapping(manifest, "metadata") or {}
    labels = _mapping(metadata, "labels", "metadata") or {}
    annotations = _mapping(metadata, "annotations", "metadata") or {}
    spec = _mapping(manifest, "spec") or {}
    repository_hash = _repository_hash(metadata, labels)
    owner = None
    for keys, path in ((annotations, "metadata.annotations"), (labels, "metadata.labels")):
        if owner is None and keys.get(OWNER_KEY) not in (None, ""):
            owner = _name(keys, OWNER_KEY, path, "namespace")
    claims, about = _claims_from(annotations)
    return CronJobState(
        repository_hash,
        _established(spec),
        owner,
        claims,
        _conflict_from(annotations, about),
        _ignoring(check_name, annotations.get(CONFIG_ANNOTATION), "name", "repository"),
    )


def _check_cron_job(manifest: Mapping[str, Any]) -> None:
    for key, known in (("kind", "CronJob"), ("apiVersion", "batch/v1")):
        if _string(manifest, key) not in (None, known):
            raise InvalidManifest(f"{shown(manifest[key])} is not known, only {known} is", path=key)


def _established(spec: Mapping[str, Any]) -> Schedule:
    return _within("spec.schedule", Schedule.parse, _required(spec, "schedule", "spec", variables=False))


def _repository_hash(metadata: Mapping[str, Any], labels: Mapping[str, Any]) -> str:
    name = _required(metadata, "name", "metadata")
    from_name = name[len(CRON_JOB_PREFIX) :]
    if not name.startswith(CRON_JOB_PREFIX) or _ignoring(check_name, from_name, "repository hash", "") is None:
        raise InvalidManifest(
            f"{shown(name)} is not a maintenance CronJob's name, {CRON_JOB_PREFIX} and 16 hexadecimal digits",
            path="metadata.name",
        )
    label = _string(labels, HASH_LABEL, "metadata.labels")
    if label not in (None, from_name):
        raise InvalidManifest(
            f"{shown(label)} contradicts the CronJob's name, {name}", path=_path("metadata.labels", HASH_LABEL)
        )
    return from_name


def _conflict_from(annotations: Mapping[str, Any], about: SourceRef | None) -> Conflict | None:
    conflict = _ignoring(Conflict.parse, annotations.get(CONFLICT_ANNOTATION, ""))
    if conflict is None or about is None or about.namespace != conflict.namespace:
        return conflict
    return evolve(conflict, name=about.name)


def _claims_from(annotations: Mapping[str, Any]) -> tuple[Claims, SourceRef | None]:
    """Return the claims, and which source the latest conflict is about."""
    text = _string(annotations, CLAIMS_ANNOTATION, "metadata.annotations", variables=False)
    if text is None:
        return Claims(), None
    return _within(_path("metadata.annotations", CLAIMS_ANNOTATION), _parse_claims, text)


def _parse_claims(text: str) -> tuple[Claims, SourceRef | None]:
    if len(text) > ANNOTATIONS_LIMIT:
        raise InvalidManifest(f"has {len(text)} characters, Kubernetes allows {ANNOTATIONS_LIMIT}")
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        if isinstance(error, KopiaMaintError):
            raise
        raise InvalidManifest(f"is damaged: not JSON ({shown(str(error))})") from None
    if not isinstance(document, dict) or type(document.get("version")) is not int:
        raise InvalidManifest("is damaged: not an object with a version")
    if document["version"] != _CLAIMS_VERSION:
        raise InvalidManifest(f"has version {shown(str(document['version']))}, only {_CLAIMS_VERSION} is known")
    by_namespace, about = document.get("claims"), document.get("latestConflict")
    if document.keys() - {"version", "claims", "latestConflict"} or not isinstance(by_namespace, dict):
        raise InvalidManifest("is damaged: it must have version, claims, and latestConflict or not")
    claims = {}
    for namespace, by_name in by_namespace.items():
        check_name(namespace, "namespace", "namespace")
        if not isinstance(by_name, dict):
            raise InvalidManifest("is damaged: it must be an object", path=f"claims.{namespace}")
        for name, claim in by_name.items():
            source = SourceRef(namespace, name)
            claims[source] = _within(f"claims[{source}]", _parse_claim, claim)
    return Claims(claims), None if about is None else _within("latestConflict", _parse_source, about)


def _parse_claim(claim: object) -> Claim:
    if not isinstance(claim, list) or len(claim) != 2 or not isinstance(claim[1], str):
        raise InvalidManifest('is damaged: it must be [SCHEDULE or null, "TIME"]')
    schedule, since = claim
    return Claim(None if schedule is None else Schedule.parse(schedule), parse_time(since))


def _parse_source(text: object) -> SourceRef:
    if not isinstance(text, str):
        raise InvalidManifest(f"is damaged: it must be NAMESPACE/NAME, not {shown(text)}")
    namespace, _, name = text.partition("/")
    return SourceRef(namespace, name)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidManifest("is damaged: a key is there twice")
    return members


# --- the state, written ------------------------------------------------------


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
    if not isinstance(state, CronJobState):
        raise InvalidValue(f"state must be a CronJobState, not {shown(state)}")
    _check_cron_job(_object(template))
    manifest: dict[str, Any] = {"apiVersion": "batch/v1", "kind": "CronJob", **_plain(template)}
    metadata = manifest["metadata"] = _mapping(manifest, "metadata") or {}
    spec = manifest["spec"] = _mapping(manifest, "spec") or {}
    present = _string(metadata, "namespace", "metadata")
    namespace = operator_namespace or present or DEFAULT_OPERATOR_NAMESPACE
    check_name(namespace, "namespace", "operator_namespace" if operator_namespace else "metadata.namespace")
    if (metadata.get("name"), present or namespace) != (state.cron_job_name, namespace):
        manifest.pop("status", None)
        for key in _SERVER_FIELDS:
            metadata.pop(key, None)
        foreign = _mapping(metadata, "annotations", "metadata") or {}
        for key in (CONFIG_ANNOTATION, CLAIMS_ANNOTATION):
            foreign.pop(key, None)
    metadata["name"], metadata["namespace"] = state.cron_job_name, namespace
    labels, annotations = _changes(state, metadata)
    for key, changes in (("labels", labels), ("annotations", annotations)):
        merged = {**(metadata.get(key) or {}), **changes}
        metadata[key] = {name: value for name, value in merged.items() if value is not None}
    spec["schedule"] = state.schedule.text
    return manifest


def patch_from_state(state: CronJobState, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Return the minimal JSON merge patch (RFC 7386) that makes *manifest* hold *state*.

    It carries ``metadata.resourceVersion`` if the manifest has one, so that the API
    server refuses a stale write.

    Returns:
        The patch; None: there is nothing to write.

    Raises:
        RepositoryMismatch: The manifest is another repository's CronJob.
        StateTooLarge: The claims do not fit into the annotations of one object.
        KopiaMaintError: The manifest cannot be read, and should stay as it is.
    """
    _check_cron_job(_object(manifest))
    metadata = _mapping(manifest, "metadata") or {}
    name = _required(metadata, "name", "metadata")
    if name != state.cron_job_name:
        raise RepositoryMismatch(f"{shown(name)} is not {state.cron_job_name}", path="metadata.name")
    _repository_hash(metadata, _mapping(metadata, "labels", "metadata") or {})
    spec = _mapping(manifest, "spec") or {}
    changed: dict[str, Any] = {}
    for key, changes in zip(("labels", "annotations"), _changes(state, metadata)):
        if changes:
            changed[key] = changes
    patch: dict[str, Any] = {}
    if changed:
        patch["metadata"] = changed
    if _established(spec) != state.schedule:
        patch["spec"] = {"schedule": state.schedule.text}
    if patch and metadata.get("resourceVersion") is not None:
        patch.setdefault("metadata", {})["resourceVersion"] = metadata["resourceVersion"]
    return patch or None


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch as RFC 7386 says, without changing *target*."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _changes(state: CronJobState, metadata: Mapping[str, Any]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return which labels and annotations have to change, None for those that must go."""
    labels = _mapping(metadata, "labels", "metadata") or {}
    annotations = _mapping(metadata, "annotations", "metadata") or {}
    wanted_labels, wanted_annotations = _owned(state, labels)
    if annotations.get(CLAIMS_ANNOTATION) not in (None, wanted_annotations[CLAIMS_ANNOTATION]):
        conflict = state.latest_conflict
        about = SourceRef(conflict.namespace, conflict.name) if conflict and conflict.name else None
        if _claims_from(annotations) == (state.claims, about):  # another layout of the same
            del wanted_annotations[CLAIMS_ANNOTATION]
    changes = _difference(labels, wanted_labels), _difference(annotations, wanted_annotations)
    if changes[1]:
        _check_size(state, {**annotations, **changes[1]})
    return changes


def _owned(state: CronJobState, labels: Mapping[str, Any]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return every label and annotation that is ours, with its value, None for one that must not be there."""
    strangers = [key for key in labels if isinstance(key, str) and key.startswith(NAMESPACE_LABEL_PREFIX)]
    conflict = state.latest_conflict
    wanted_labels: dict[str, str | None] = {
        MAINTENANCE_LABEL: "true",
        HASH_LABEL: state.repository_hash,
        OWNER_KEY: state.owner,
        **dict.fromkeys(strangers),
        **{NAMESPACE_LABEL_PREFIX + namespace: "" for namespace in sorted(state.namespaces)},
    }
    wanted_annotations: dict[str, str | None] = {
        OWNER_KEY: state.owner,
        CONFLICT_ANNOTATION: None if conflict is None else conflict.message,
        CLAIMS_ANNOTATION: _render_claims(state),
    }
    if state.repository_name is not None:
        wanted_annotations[CONFIG_ANNOTATION] = state.repository_name
    return wanted_labels, wanted_annotations


def _difference(present: Mapping[str, Any], wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _render_claims(state: CronJobState) -> str:
    """Write the claims as sorted JSON, one source a line, so that ``kubectl describe`` shows a list."""
    conflict = state.latest_conflict
    about = f'"latestConflict":"{conflict.namespace}/{conflict.name}",' if conflict and conflict.name else ""
    by_namespace: dict[str, list[str]] = {}
    for source, claim in sorted(state.claims.items(), key=lambda item: (item[0].namespace, item[0].name)):
        schedule = "null" if claim.schedule is None else json.dumps(claim.schedule.text)
        line = f'"{source.name}":[{schedule},"{format_time(claim.since)}"]'
        by_namespace.setdefault(source.namespace, []).append(line)
    blocks = [f'"{namespace}":{{\n' + ",\n".join(lines) + "}" for namespace, lines in by_namespace.items()]
    return f'{{"version":{_CLAIMS_VERSION},{about}"claims":{{\n' + ",\n".join(blocks) + "}}"


def _check_size(state: CronJobState, annotations: Mapping[str, Any]) -> None:
    size = sum(
        len(f"{key}{value}".encode(errors="surrogatepass")) for key, value in annotations.items() if value is not None
    )
    if size <= ANNOTATIONS_LIMIT:
        return
    shares: dict[str, int] = {}
    for source, claim in state.claims.items():
        cost = len(source.name) + len(claim.schedule.text if claim.schedule else "") + len(format_time(claim.since))
        shares[source.namespace] = shares.get(source.namespace, 0) + cost
    blame = "they are not ours: there is no claim"
    if shares:
        namespace = max(shares, key=lambda name: (shares[name], name))
        sources = sum(source.namespace == namespace for source in state.claims)
        blame = (
            f"namespace {namespace} has the largest share of the claims, {sources} sources: limit its"
            " ReplicationSources with a ResourceQuota, or give it a repository of its own"
        )
    raise StateTooLarge(
        f"the annotations of {state.cron_job_name} would need {size} bytes for {len(state.claims)} sources,"
        f" Kubernetes allows {ANNOTATIONS_LIMIT}; {blame}",
        path="metadata.annotations",
    )


# --- reading one field -------------------------------------------------------


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidManifest(f"a manifest must be a mapping, not {shown(value)}")
    return value


def _path(path: str, key: str) -> str:
    if "/" in key:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _typed(parent: Mapping[str, Any], key: str, kind: type, article: str, path: str = "") -> Any:
    """Return a member of *parent*, None where it is absent or null, if it is of this type."""
    value = parent.get(key)
    if value is not None and (not isinstance(value, kind) or kind is int and isinstance(value, bool)):
        raise InvalidManifest(f"must be {article}, not {shown(value)}", path=_path(path, key))
    return value


def _mapping(parent: Mapping[str, Any], key: str, path: str = "") -> Any:
    return _typed(parent, key, Mapping, "a mapping", path)


def _string(parent: Mapping[str, Any], key: str, path: str = "", *, variables: bool = True) -> str | None:
    value: str | None = _typed(parent, key, str, "a string", path)
    if variables and value is not None and "${" in value:
        raise InvalidManifest(
            f"{shown(value)} holds a variable that was not substituted:"
            " give the rendered manifests, as 'kustomize build' with 'flux envsubst' or the cluster have them",
            path=_path(path, key),
        )
    return value


def _required(parent: Mapping[str, Any], key: str, path: str, *, variables: bool = True) -> str:
    value = _string(parent, key, path, variables=variables)
    if not value:
        raise InvalidManifest("is missing", path=_path(path, key))
    return value


def _name(parent: Mapping[str, Any], key: str, path: str, kind: str = "name") -> str:
    return _within(_path(path, key), check_name, _required(parent, key, path), kind, kind)


def _within(path: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *read*, and put *path* in front of the path of the error that it may raise."""
    try:
        return read(*args, **kwargs)
    except KopiaMaintError as error:
        error.within(path)
        raise


def _ignoring(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Call *read*, and return None for text that it cannot read and that is not ours to complain about."""
    try:
        return read(*args, **kwargs)
    except KopiaMaintError:
        return None


def is_deep(value: Any) -> bool:
    """Return whether a JSON value nests more than ``MAX_DEPTH`` deep, on every interpreter the same."""
    level = [value]
    for _ in range(MAX_DEPTH):
        members = (it.values() if isinstance(it, dict) else it for it in level if isinstance(it, (dict, list)))
        level = [member for it in members for member in it]
    return bool(level)


def _plain(value: Any) -> Any:
    """Copy a manifest of any mappings and sequences into dicts and lists; what is shared stays shared."""
    copies: dict[int, Any] = {}

    def copy(value: Any) -> Any:
        if not isinstance(value, (Mapping, Sequence)) or isinstance(value, (str, bytes)):
            return value
        if id(value) not in copies:
            if isinstance(value, Mapping):
                copies[id(value)] = {key: copy(member) for key, member in value.items()}
            else:
                copies[id(value)] = [copy(member) for member in value]
        return copies[id(value)]

    try:
        return copy(value)
    except RecursionError:
        raise InvalidManifest("the manifest is nested too deeply") from None
