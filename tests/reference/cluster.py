"""
What does the semantics page say of manifests and of a whole cluster? The second half of the reference model.

The shapes of the manifests are sound; what is written in them may be anything.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .decisions import (
    DEFAULT,
    Policy,
    Refused,
    Request,
    Source,
    State,
    conflicts,
    never_fires,
    reconcile_all,
    runs,
    same,
)

LIMIT = 256 * 1024
GROUP = "volsync.backube"
HASH, OWNER, CLAIMS = f"{GROUP}/repository-hash", f"{GROUP}/source-namespace", f"{GROUP}/schedule-claims"
SECRET, CONFLICT, NAMESPACE = f"{GROUP}/repository-config", f"{GROUP}/schedule-conflict", f"source-namespace.{GROUP}/"
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_OURS = re.compile("kopia-maintenance-([0-9a-f]{16})")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def identity(secret: str, ca: Mapping[str, str]) -> str:
    """Return a repository's hash."""
    members = {key: ca[key] for key in ("secretName", "configMapName", "key") if ca.get(key)}
    text = json.dumps({"repository": secret, "customCA": members}, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def claims_text(state: State) -> str:
    """Return the annotation of the claims."""
    blocks: dict[str, list[str]] = {}
    for (namespace, name), (wish, since, rejected) in sorted(state["claims"].items()):
        claim = json.dumps([wish, since, "rejected"] if rejected else [wish, since], separators=(",", ":"))
        blocks.setdefault(namespace, []).append(f'"{name}":{claim}')
    policy = f'"policy":"{state["policy"]}",' if state["policy"] else ""
    entries = ",\n".join(f'"{namespace}":{{\n' + ",\n".join(lines) + "}" for namespace, lines in blocks.items())
    return f'{{"version":1,{policy}"claims":{{\n{entries}}}}}'


def conflict_text(state: State) -> str | None:
    """Return the latest conflict's message."""
    records = [(since, source, wish, policy) for source, (wish, since, policy) in conflicts(state).items()]
    if not records:
        return None
    since, source, wish, policy = max(records)
    return (
        f"Last conflict: Schedule '{wish}' requested from namespace '{source[0]}' at {since}"
        f" (rejected - {policy} strategy)"
    )


def written(state: State, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CronJob after the write."""
    metadata, spec = manifest.get("metadata", {}), manifest.get("spec", {})
    labels = {f"{GROUP}/kopia-maintenance": "true", HASH: state["repository"], OWNER: state["owner"]}
    labels |= {NAMESPACE + namespace: "" for namespace, _ in state["claims"]}
    annotations = {SECRET: state["secret"], OWNER: state["owner"], CONFLICT: conflict_text(state)}
    stored = (metadata.get("annotations") or {}).get(CLAIMS)
    if stored is None or read_claims(stored) != (state["claims"], state["policy"]):
        annotations[CLAIMS] = claims_text(state)  # another layout of the same claims is left
    theirs = {key: value for key, value in (metadata.get("labels") or {}).items() if not key.startswith(NAMESPACE)}
    labels = {key: value for key, value in {**theirs, **labels}.items() if value is not None}
    annotations = {**(metadata.get("annotations") or {}), **annotations}
    annotations = {key: value for key, value in annotations.items() if value is not None}
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > LIMIT:
        raise Refused("too large")
    if "schedule" not in spec or not same(spec["schedule"], state["schedule"]):
        spec = {**spec, "schedule": state["schedule"]}
    return {**manifest, "metadata": {**metadata, "labels": labels, "annotations": annotations}, "spec": spec}


def read(manifest: Mapping[str, Any]) -> State:
    """Return the state of a CronJob that is ours."""
    metadata = manifest["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    repository = metadata["name"][len("kopia-maintenance-") :]
    owner = annotations.get(OWNER) or labels.get(OWNER) or None
    if labels.get(HASH, repository) != repository or owner is not None and not _NAMESPACE.fullmatch(owner):
        raise Refused(f"{metadata['name']}: hash or owner")
    runs(manifest["spec"]["schedule"])
    secret = annotations.get(SECRET)
    claims, policy = read_claims(annotations[CLAIMS]) if CLAIMS in annotations else ({}, None)
    known = secret is not None and _NAME.fullmatch(secret)
    return {
        "repository": repository,
        "secret": secret if known else None,
        "schedule": manifest["spec"]["schedule"],
        "owner": owner,
        "claims": claims,
        "policy": policy,
    }


def read_claims(text: str) -> tuple[dict[Source, tuple[str | None, str, bool]], str | None]:
    """Return the claims of the annotation, and the policy that rejects some."""
    claims: dict[Source, tuple[str | None, str, bool]] = {}
    try:
        document = json.loads(text)
        policy = document.get("policy")
        for namespace, names in document["claims"].items():
            for name, (wish, since, *mark) in names.items():
                named = _NAMESPACE.fullmatch(namespace) and _NAME.fullmatch(name)
                marked = mark == [] or mark == ["rejected"] and wish is not None
                if not (named and marked and _TIME.fullmatch(since)) or wish is not None and never_fires(wish):
                    raise Refused(name)
                claims[namespace, name] = (wish, since, bool(mark))
        if type(document["version"]) is not int or document["version"] != 1:
            raise Refused("version")
        if document.keys() - {"version", "policy", "claims"} or bool(policy) != any(it[2] for it in claims.values()):
            raise Refused("keys")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Refused(f"{CLAIMS}: {error!r}") from None
    return claims, policy


def read_source(manifest: Mapping[str, Any]) -> Request:
    """Return the request of a ReplicationSource whose shape is sound."""
    metadata, kopia = manifest["metadata"], manifest["spec"]["kopia"]
    cron_job, days = kopia.get("maintenanceCronJob"), kopia.get("maintenanceIntervalDays")
    schedule, enabled = None, "deletionTimestamp" not in metadata
    if enabled and cron_job is not None:
        enabled, schedule = cron_job.get("enabled", True), cron_job.get("schedule") or DEFAULT
    elif enabled and days is not None:
        enabled, schedule = days != 0, {7: "0 2 * * 0", 30: "0 2 1 * *", 31: "0 2 1 * *"}.get(days, DEFAULT)
    if enabled and schedule is not None and never_fires(schedule):
        raise Refused(schedule)
    return {
        "source": (metadata["namespace"], metadata["name"]),
        "repository": identity(kopia["repository"], kopia.get("customCA") or {}),
        "secret": kopia["repository"],
        "schedule": schedule if enabled else None,
        "enabled": enabled,
        "created": metadata.get("creationTimestamp"),
    }


def plan(
    cron_jobs: Iterable[Mapping[str, Any]],
    sources: Iterable[Mapping[str, Any]],
    *,
    operator_namespace: str,
    complete: bool,
    now: str,
    policy: Policy,
) -> dict[str, Any]:
    """Return what the wire's ``plan`` answers: ``cronJobs``, ``standings`` and ``withheld``."""
    stored: dict[str, Mapping[str, Any]] = {}
    states, withheld = {}, set()
    for cron_job in cron_jobs:
        name = cron_job["metadata"]["name"]
        if cron_job["metadata"]["namespace"] != operator_namespace or not _OURS.fullmatch(name):
            continue
        try:
            if stored.setdefault(name, cron_job) != cron_job:
                raise Refused(f"{name} twice")
            states[name] = read(cron_job)
        except Refused:
            withheld.add(name)
    requests: dict[Source, Request] = {}
    unreadable: dict[Source, set[str]] = {}
    seen: dict[Source, Mapping[str, Any]] = {}
    for manifest in sources:
        source = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        try:
            if seen.setdefault(source, manifest) != manifest:
                raise Refused(f"{source} twice")
            requests[source] = read_source(manifest)
        except Refused:
            unreadable.setdefault(source, set()).update(secret_of(each) for each in (manifest, seen[source]))
    asked = {source: request for source, request in requests.items() if source not in unreadable}
    standings = dict.fromkeys(unreadable, "unreadable")
    held = {s: r for s, r in asked.items() if f"kopia-maintenance-{r['repository']}" in withheld}
    states = {name: state for name, state in states.items() if name not in withheld}
    asking = [request for source, request in asked.items() if source not in held]
    decided = reconcile_all(
        states.values(), asking, now, policy, unreadable=unreadable, complete=complete, withheld=held
    )
    after = {}
    for name, (verdicts, state) in decided.items():
        try:
            after[name] = write(state, stored.get(name), name, operator_namespace)
            standings |= verdicts
        except Refused:
            withheld.add(name)
            held |= {source: asked[source] for source in verdicts if source in asked}
    standings |= {source: "withheld" if request["enabled"] else "disabled" for source, request in held.items()}
    return {"cronJobs": after, "standings": standings, "withheld": sorted(withheld)}


def write(state: State | None, stored: Mapping[str, Any] | None, name: str, namespace: str) -> dict[str, Any] | None:
    """Return the CronJob after the decision; refused: what would be too large, or what cannot be deleted safely."""
    if state is not None:
        new = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": namespace}}
        return written(state, stored or new)
    if stored is not None and not {"uid", "resourceVersion"} <= stored["metadata"].keys():
        raise Refused("neither uid nor resourceVersion")
    return None


def secret_of(manifest: Mapping[str, Any]) -> str:
    return str(manifest["spec"]["kopia"]["repository"])
