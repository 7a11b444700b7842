"""
How does an operator embed kopia-maint? It reads everything, plans, and writes what differs; again at every change.

The CronJobs and the conditions of the sources are its only memory: it may be killed at any moment, and
several may run at once. An event says that something changed, never what to do.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import kopf
import yaml
from kubernetes import client

from kopia_maint import (
    Conflict,
    KopiaMaintError,
    Reconciliation,
    Repository,
    SourceRef,
    Verdict,
    manifest_from_state,
    patch_from_state,
    plan,
    request_from_manifest,
    state_from_manifest,
)

Manifest = dict[str, Any]

NAMESPACE = os.environ.get("POD_NAMESPACE", "volsync-system")
CRON_JOBS = ("batch", "v1", NAMESPACE, "cronjobs")
EVENTS = ("events.k8s.io", "v1", NAMESPACE, "events")
GROUP, VERSION, PLURAL = SOURCES = ("volsync.backube", "v1alpha1", "replicationsources")
PREFIX = "kopia-maintenance-"
CONDITION = "MaintenanceScheduleAccepted"
STANDINGS = {
    Verdict.AGREED: "What this source asks for stands.",
    Verdict.SUPERSEDED: "Another schedule was established since this source asked for its own.",
    Verdict.DISABLED: "This source takes no part in maintenance.",
}
TIMEOUT: dict[str, Any] = {"_request_timeout": 30}
MERGE_PATCH: dict[str, Any] = {"_content_type": "application/merge-patch+json", **TIMEOUT}
PAUSE = 0.5  # seconds from one pass to the next, at least
LONGEST_DELAY = 60  # seconds until a pass that failed is repeated, at most

logger = logging.getLogger("kopia-maint")


def is_ours(body: Any, **_: Any) -> bool:
    """Return whether this is one of the maintenance CronJobs."""
    metadata = body["metadata"]
    return bool(metadata["namespace"] == NAMESPACE and metadata["name"].startswith(PREFIX))


@kopf.on.login()
def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log kopf in as the client library does, which also configures the client that maintain() uses."""
    return kopf.login_via_client(**kwargs)


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Start the one worker."""
    settings.watching.server_timeout = 600  # a watch that died unnoticed is begun anew
    memo.changed = asyncio.Event()
    memo.worker = asyncio.create_task(work(memo.changed))


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """Stop the worker."""
    memo.worker.cancel()


@kopf.on.event(*SOURCES)
@kopf.on.event("batch", "v1", "cronjobs", when=is_ours)
async def changed(memo: kopf.Memo, **_: Any) -> None:
    """Wake the worker, whatever it was that changed."""
    memo.changed.set()


async def work(changed: asyncio.Event) -> None:
    """Make one pass for all the changes that came meanwhile; another one by and by while something failed."""
    delay = None
    while True:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(changed.wait(), delay)
        changed.clear()
        try:
            settled = await asyncio.to_thread(maintain)
        except Exception:
            logger.exception("The pass failed and will be repeated")
            settled = False
        delay = None if settled else min(2 * (delay or PAUSE), LONGEST_DELAY)
        await asyncio.sleep(PAUSE)


def maintain() -> bool:
    """Bring the cluster to where it should be. Return False where that takes another pass."""
    with client.ApiClient() as connection:
        api: Any = client.CustomObjectsApi(connection)
        # In this order: whoever changes a CronJob after we read it makes the API server refuse our write,
        # so nothing is ever decided with sources that are older than the CronJob.
        cron_jobs = api.list_namespaced_custom_object(*CRON_JOBS, **TIMEOUT)["items"]
        sources = api.list_cluster_custom_object(*SOURCES, **TIMEOUT)["items"]
        return converge(api, filter(is_ours, cron_jobs), sources)


def converge(api: Any, cron_jobs: Iterator[Manifest], sources: list[Manifest]) -> bool:
    """Make one pass over what was read."""
    settled = True

    @contextmanager
    def apart(what: object) -> Iterator[None]:
        """Keep the trouble with one object from the others."""
        nonlocal settled
        try:
            yield
        except KopiaMaintError as error:
            logger.error("%s stays as it is: %s", what, error)
        except client.ApiException as error:
            logger.warning("%s is not up to date yet: %s %s", what, error.status, error.reason)
            settled = False

    existing = {cron_job["metadata"]["name"]: cron_job for cron_job in cron_jobs}
    states = []
    for name, cron_job in existing.items():
        with apart(name):
            states.append(state_from_manifest(cron_job))
    unclear = existing.keys() - {state.cron_job_name for state in states}

    found = {SourceRef(source["metadata"]["namespace"], source["metadata"]["name"]): source for source in sources}
    requests, unreadable = [], {}
    standings: dict[SourceRef, tuple[str, str]] = {}
    for ref, source in found.items():
        try:
            request = request_from_manifest(source)
        except KopiaMaintError as error:
            unreadable[ref] = str(error)
        else:
            if request is None:
                standings[ref] = ("Disabled", STANDINGS[Verdict.DISABLED])
            elif request.repository.cron_job_name not in unclear:
                requests.append(request)

    repositories = {request.repository.hash: request.repository for request in requests}
    decisions = plan(states, requests, now=datetime.now(timezone.utc), unreadable=unreadable)
    for repository_hash, decision in decisions.items():
        name = PREFIX + repository_hash
        with apart(name):
            store(api, decision, existing.get(name), repositories.get(repository_hash))
            standings.update(standings_of(decision))
    standings.update((ref, ("Unreadable", message)) for ref, message in unreadable.items())
    for ref, (reason, message) in standings.items():
        with apart(ref):
            report(api, found[ref], reason, message)
    return settled


def store(api: Any, decision: Reconciliation, cron_job: Manifest | None, repository: Repository | None) -> None:
    """Write what was decided, and an Event for each conflict that began or ended with it."""
    desired = decision.desired
    if cron_job is None:
        if desired is None:
            return
        assert repository is not None  # only a request creates
        manifest = manifest_from_state(desired, template(repository), operator_namespace=NAMESPACE)
        created: Manifest = api.create_namespaced_custom_object(*CRON_JOBS, manifest, **TIMEOUT)
        cron_job = created
    metadata = cron_job["metadata"]
    if desired is None:
        read = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = {"preconditions": read, "propagationPolicy": "Background"}
        api.delete_namespaced_custom_object(*CRON_JOBS, metadata["name"], body=body, **TIMEOUT)
        return
    if patch := patch_from_state(desired, cron_job):
        api.patch_namespaced_custom_object(*CRON_JOBS, metadata["name"], patch, **MERGE_PATCH)
    for conflict in decision.opened:
        api.create_namespaced_custom_object(*EVENTS, event(cron_job, "Warning", "Rejected", conflict), **TIMEOUT)
    for conflict in decision.closed:
        api.create_namespaced_custom_object(*EVENTS, event(cron_job, "Normal", "ConflictEnded", conflict), **TIMEOUT)


def event(cron_job: Manifest, severity: str, reason: str, conflict: Conflict) -> Manifest:
    """Return the Event that tells of a conflict, on the CronJob."""
    identity = {key: cron_job["metadata"][key] for key in ("namespace", "name", "uid")}
    source = {"namespace": conflict.namespace, "name": conflict.name}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{identity['name']}-", "namespace": NAMESPACE},
        "eventTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{GROUP}/kopia-maint",
        "reportingInstance": "kopia-maint",
        "action": "Maintain",
        "type": severity,
        "reason": reason,
        "note": conflict.message,
        "regarding": {"apiVersion": "batch/v1", "kind": "CronJob", **identity},
        "related": {"apiVersion": f"{GROUP}/{VERSION}", "kind": "ReplicationSource", **source},
    }


def standings_of(decision: Reconciliation) -> Iterator[tuple[SourceRef, tuple[str, str]]]:
    """Yield how each source stands: the condition's reason and message."""
    conflicts = iter(decision.conflicts)  # one for each rejected source, in the order of the verdicts
    for ref, verdict in decision.verdicts.items():
        message = next(conflicts).message if verdict is Verdict.REJECTED else STANDINGS[verdict]
        yield ref, (verdict.value.capitalize(), message)


def report(api: Any, source: Manifest, reason: str, message: str) -> None:
    """Write the source's condition if it changes; a source that never lost anything never gets one."""
    metadata = source["metadata"]
    conditions = (source.get("status") or {}).get("conditions") or []
    before = next((known for known in conditions if known["type"] == CONDITION), {"status": "True"})
    status = "True" if reason in ("Agreed", "Disabled") else "False"
    condition = {"type": CONDITION, "status": status, "reason": reason, "message": message}
    if status == before["status"] and (status == "True" or condition.items() <= before.items()):
        return
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition["lastTransitionTime"] = now if status != before["status"] else before["lastTransitionTime"]
    others = [known for known in conditions if known["type"] != CONDITION]
    patch = {
        "metadata": {"resourceVersion": metadata["resourceVersion"]},  # the others' writers write the whole list, too
        "status": {"conditions": [*others, condition]},
    }
    api.patch_namespaced_custom_object_status(
        GROUP, VERSION, metadata["namespace"], PLURAL, metadata["name"], patch, **MERGE_PATCH
    )


def template(repository: Repository) -> Manifest:
    """Return the CronJob to start from: cronjob.yaml with the repository's Secret and CA."""
    cron_job: Manifest = yaml.safe_load(Path(__file__).with_name("cronjob.yaml").read_text())
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["envFrom"] = [{"secretRef": {"name": repository.secret_name}}]
    ca = repository.custom_ca
    if ca.secret_name or ca.config_map_name:
        secret, config_map = {"secretName": ca.secret_name}, {"name": ca.config_map_name}
        pod["volumes"].append(
            {"name": "custom-ca", **({"secret": secret} if ca.secret_name else {"configMap": config_map})}
        )
        container["volumeMounts"].append({"name": "custom-ca", "mountPath": "/customCA"})
        container["env"].append({"name": "CUSTOM_CA", "value": f"/customCA/{ca.key or 'ca.crt'}"})
    return cron_job
