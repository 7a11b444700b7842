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
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

from attrs import evolve

from ._errors import (
    InvalidManifest,
    InvalidSchedule,
    InvalidValue,
    KopiaMaintError,
    RepositoryMismatch,
    StateTooLarge,
    shown,
)
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
_quoted = json.JSONEncoder().encode
_INTERVALS = {7: "0 2 * * 0", 30: "0 2 1 * *", 31: "0 2 1 * *"}  # in days; any other is the default
_OTHERS_ANNOTATIONS = (CONFIG_ANNOTATION, CLAIMS_ANNOTATION)  # of a template that is another repository's
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
    manifest = _read(replication_source)
    kind, api_version = manifest.string("kind"), manifest.string("apiVersion")
    if kind not in (None, "ReplicationSource") or api_version and api_version.split("/")[0] != GROUP:
        return None
    metadata = manifest.mapping("metadata")
    try:
        kopia = manifest.mapping("spec").mapping("kopia")
        if kopia.members is _ABSENT:
            return None
        source = _source(metadata)
        if api_version not in (None, f"{GROUP}/v1alpha1"):
            raise InvalidManifest(f"{shown(api_version)} is not known, only {GROUP}/v1alpha1 is", path="apiVersion")
        leaves = metadata.members.get("deletionTimestamp") is not None
        enabled, schedule = (False, None) if leaves else _maintenance(kopia)
        repository = kopia.read("repository", _repository, *_custom_ca(kopia))
        created_at = _creation_time(metadata)
        try:
            return SourceRequest(source, repository, schedule, enabled, created_at)
        except InvalidSchedule as error:
            error.within("spec.kopia.maintenanceCronJob.schedule")
            raise
    except KopiaMaintError as error:
        error.within("", _ignoring(_source, metadata))
        raise


def _source(metadata: _Reader) -> SourceRef:
    namespace, name = metadata.required("namespace"), metadata.required("name")
    try:
        return SourceRef(namespace, name)
    except InvalidValue as error:
        fault = "name" if _ignoring(check_name, namespace, "namespace", "namespace") else "namespace"
        error.within(metadata.at(fault))
        raise


def _maintenance(kopia: _Reader) -> tuple[bool, Schedule | None]:
    """Return whether the source takes part, and the schedule it wants. That of a disabled one is not looked at."""
    cron_job = kopia.mapping("maintenanceCronJob")
    if cron_job.members is _ABSENT:
        days = kopia.get("maintenanceIntervalDays", int, "an integer")
        if days is None:
            return True, None
        return days != 0, Schedule.parse(_INTERVALS[days]) if days in _INTERVALS else DEFAULT_SCHEDULE
    if cron_job.get("enabled", bool, "true or false") is False:
        return False, None
    return True, cron_job.read("schedule", Schedule.parse) if cron_job.string("schedule") else DEFAULT_SCHEDULE


@lru_cache(maxsize=1024)
def _repository(name: str, *ca: str) -> Repository:
    """Build a repository; there are few, with many sources each, so that one value and its hash serve them all."""
    return Repository(name, CustomCA(*ca))


def _custom_ca(kopia: _Reader) -> tuple[str, ...]:
    ca = kopia.mapping("customCA")
    if ca.members is _ABSENT:
        return ()
    members = tuple(ca.string(key) or "" for key in ("secretName", "configMapName", "key"))
    _within(ca.path, CustomCA, *members)
    return members


def _creation_time(metadata: _Reader) -> datetime | None:
    value = metadata.members.get("creationTimestamp")
    if value is None:
        return None
    if isinstance(value, datetime):  # as some YAML loaders and clients have it
        return _within(metadata.at("creationTimestamp"), utc_seconds, value)
    return metadata.read("creationTimestamp", parse_time)


# --- a CronJob's state -------------------------------------------------------


def state_from_manifest(cron_job: Mapping[str, Any]) -> CronJobState:
    """
    Read what is stored on a maintenance CronJob, ours or the fork's.

    Raises:
        KopiaMaintError: What cannot be understood and cannot be ignored: the CronJob
            should stay as it is until somebody has looked at it.
    """
    manifest = _read(cron_job)
    _check_cron_job(manifest)
    metadata = manifest.mapping("metadata")
    labels, annotations = metadata.mapping("labels"), metadata.mapping("annotations")
    repository_hash = _repository_hash(metadata, labels)
    owner = None
    for keys in (annotations, labels):
        if owner is None and keys.members.get(OWNER_KEY) not in (None, ""):
            owner = keys.read(OWNER_KEY, check_name, "namespace", "namespace")
    claims, about = _claims_from(annotations)
    return CronJobState(
        repository_hash,
        _established(manifest),
        owner,
        claims,
        _conflict_from(annotations, about),
        _ignoring(check_name, annotations.members.get(CONFIG_ANNOTATION), "name", "repository"),
    )


def _check_cron_job(manifest: _Reader) -> None:
    for key, known in (("kind", "CronJob"), ("apiVersion", "batch/v1")):
        if manifest.string(key) not in (None, known):
            raise InvalidManifest(f"{shown(manifest.members[key])} is not known, only {known} is", path=key)


def _established(manifest: _Reader) -> Schedule:
    return manifest.mapping("spec").read("schedule", Schedule.parse, variables=False)


def _repository_hash(metadata: _Reader, labels: _Reader) -> str:
    name = metadata.required("name")
    from_name = name[len(CRON_JOB_PREFIX) :]
    if not name.startswith(CRON_JOB_PREFIX) or _ignoring(check_name, from_name, "repository hash", "") is None:
        raise InvalidManifest(
            f"{shown(name)} is not a maintenance CronJob's name, {CRON_JOB_PREFIX} and 16 hexadecimal digits",
            path="metadata.name",
        )
    label = labels.string(HASH_LABEL)
    if label not in (None, from_name):
        raise InvalidManifest(f"{shown(label)} contradicts the CronJob's name, {name}", path=labels.at(HASH_LABEL))
    return from_name


def _conflict_from(annotations: _Reader, about: SourceRef | None) -> Conflict | None:
    text = annotations.members.get(CONFLICT_ANNOTATION)
    conflict = None if text is None else _ignoring(Conflict.parse, text)
    if conflict is None or about is None or about.namespace != conflict.namespace:
        return conflict
    return evolve(conflict, name=about.name)


def _claims_from(annotations: _Reader) -> tuple[Claims, SourceRef | None]:
    """Return the claims, and which source the latest conflict is about."""
    text = annotations.string(CLAIMS_ANNOTATION, variables=False)
    return (Claims(), None) if text is None else _within(annotations.at(CLAIMS_ANNOTATION), _parse_claims, text)


def _parse_claims(text: str) -> tuple[Claims, SourceRef | None]:
    if len(text) > ANNOTATIONS_LIMIT:
        raise InvalidManifest(f"has {len(text)} characters, Kubernetes allows {ANNOTATIONS_LIMIT}")
    try:
        document = _CLAIMS.decode(text)
    except KopiaMaintError:
        raise
    except (ValueError, RecursionError) as error:
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
            try:
                claims[source] = _parse_claim(claim)
            except KopiaMaintError as error:
                error.within(f"claims[{source}]")
                raise
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


_CLAIMS = json.JSONDecoder(object_pairs_hook=_without_duplicates)


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
    manifest = {"apiVersion": "batch/v1", "kind": "CronJob", **_plain(_read(template).members)}
    reader = _Reader(manifest)
    _check_cron_job(reader)
    metadata = reader.mapping("metadata")
    present = metadata.string("namespace")
    namespace = operator_namespace or present or DEFAULT_OPERATOR_NAMESPACE
    check_name(namespace, "namespace", "operator_namespace" if operator_namespace else "metadata.namespace")
    labels, annotations, _ = metadata.mapping("labels"), metadata.mapping("annotations"), reader.mapping("spec")
    if (metadata.members.get("name"), present or namespace) != (state.cron_job_name, namespace):
        foreign = {"metadata": {**dict.fromkeys(_SERVER_FIELDS), "annotations": dict.fromkeys(_OTHERS_ANNOTATIONS)}}
        manifest = merge_patch(manifest, {"status": None, **foreign})
        annotations = _Reader(manifest).mapping("metadata").mapping("annotations")
    changed_labels, changed_annotations = _changes(state, labels, annotations)
    ours = {
        "name": state.cron_job_name,
        "namespace": namespace,
        "labels": changed_labels,
        "annotations": changed_annotations,
    }
    written: dict[str, Any] = merge_patch(manifest, {"metadata": ours, "spec": {"schedule": state.schedule.text}})
    return written


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
    reader = _read(manifest)
    _check_cron_job(reader)
    metadata = reader.mapping("metadata")
    name = metadata.required("name")
    if name != state.cron_job_name:
        raise RepositoryMismatch(f"{shown(name)} is not {state.cron_job_name}", path="metadata.name")
    labels, annotations = metadata.mapping("labels"), metadata.mapping("annotations")
    _repository_hash(metadata, labels)
    patch: dict[str, Any] = {}
    for key, changes in zip(("labels", "annotations"), _changes(state, labels, annotations)):
        if changes:
            patch.setdefault("metadata", {})[key] = changes
    if _established(reader) != state.schedule:
        patch["spec"] = {"schedule": state.schedule.text}
    if patch and metadata.members.get("resourceVersion") is not None:
        patch.setdefault("metadata", {})["resourceVersion"] = metadata.members["resourceVersion"]
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


def _changes(
    state: CronJobState, labels: _Reader, annotations: _Reader
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return which labels and annotations have to change, None for those that must go."""
    wanted_labels, wanted_annotations = _owned(state, labels.members)
    if annotations.members.get(CLAIMS_ANNOTATION) not in (None, wanted_annotations[CLAIMS_ANNOTATION]):
        conflict = state.latest_conflict
        if _claims_from(annotations) == (state.claims, conflict and conflict.source):  # another layout of the same
            del wanted_annotations[CLAIMS_ANNOTATION]
    changes = _difference(labels.members, wanted_labels), _difference(annotations.members, wanted_annotations)
    if changes[1]:
        _check_size(state, {**annotations.members, **changes[1]})
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
    about = state.latest_conflict and state.latest_conflict.source
    latest = f'"latestConflict":"{about}",' if about else ""
    blocks = [f'"{namespace}":{{\n' + ",\n".join(lines) + "}" for namespace, lines in _claim_lines(state).items()]
    return f'{{"version":{_CLAIMS_VERSION},{latest}"claims":{{\n' + ",\n".join(blocks) + "}}"


def _claim_lines(state: CronJobState) -> dict[str, list[str]]:
    """Return the claims of each namespace, a line for each source."""
    by_namespace: dict[str, list[str]] = {}
    for source, claim in sorted(state.claims.items(), key=lambda item: (item[0].namespace, item[0].name)):
        schedule = "null" if claim.schedule is None else _quoted(claim.schedule.text)
        line = f'"{source.name}":[{schedule},"{format_time(claim.since)}"]'
        by_namespace.setdefault(source.namespace, []).append(line)
    return by_namespace


def _check_size(state: CronJobState, annotations: Mapping[str, Any]) -> None:
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


# --- reading one field -------------------------------------------------------


_ABSENT: Mapping[str, Any] = {}


def _read(manifest: Mapping[str, Any]) -> _Reader:
    if not isinstance(manifest, Mapping):
        raise InvalidManifest(f"a manifest must be a mapping, not {shown(manifest)}")
    return _Reader(manifest)


class _Reader:
    """
    A mapping inside a manifest that knows where it stands: every refusal has the field's path.

    An absent or null mapping reads as an empty one, ``_ABSENT``.
    """

    __slots__ = ("members", "path")

    def __init__(self, members: Mapping[str, Any], path: str = "") -> None:
        self.members = members
        self.path = path

    def at(self, key: str) -> str:
        if "/" in key:
            return f"{self.path}[{key}]"
        return f"{self.path}.{key}" if self.path else key

    def get(self, key: str, kind: type | tuple[type, ...], article: str) -> Any:
        """Return a member, None where it is absent or null, if it is of this type."""
        value = self.members.get(key)
        if value is not None and (not isinstance(value, kind) or kind is int and isinstance(value, bool)):
            raise InvalidManifest(f"must be {article}, not {shown(value)}", path=self.at(key))
        return value

    def mapping(self, key: str) -> _Reader:
        value = self.get(key, (dict, Mapping), "a mapping")
        return _Reader(_ABSENT if value is None else value, self.at(key))

    def string(self, key: str, *, variables: bool = True) -> str | None:
        value: str | None = self.get(key, str, "a string")
        if variables and value is not None and "${" in value:
            raise InvalidManifest(
                f"{shown(value)} holds a variable that was not substituted:"
                " give the rendered manifests, as 'kustomize build' with 'flux envsubst' or the cluster have them",
                path=self.at(key),
            )
        return value

    def required(self, key: str, *, variables: bool = True) -> str:
        value = self.string(key, variables=variables)
        if not value:
            raise InvalidManifest("is missing", path=self.at(key))
        return value

    def read(self, key: str, convert: Callable[..., T], *args: object, variables: bool = True) -> T:
        """Return what *convert* makes of a member that must be there."""
        value = self.required(key, variables=variables)
        try:
            return convert(value, *args)
        except KopiaMaintError as error:
            error.within(self.at(key))
            raise


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
