"""
How does an operator embed kopia-maint? It reads everything, plans, and writes what differs; again at every change.

The CronJobs and the conditions of the sources are its only memory: it may be killed at any moment, and
several may run at once. An event says that something changed, never what to do.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import kopf
import yaml
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from kopia_maint import Action, Decision, Repository, SourceRef, Standing, Write, plan_manifests

NAMESPACE = os.environ.get("POD_NAMESPACE", "volsync-system")
CRON_JOBS = ("batch", "v1", NAMESPACE, "cronjobs")
EVENTS = ("events.k8s.io", "v1", NAMESPACE, "events")
SOURCES = ("volsync.backube", "v1alpha1", "replicationsources")
CRON_JOB = {"apiVersion": "batch/v1", "kind": "CronJob"}
SOURCE = {"apiVersion": "volsync.backube/v1alpha1", "kind": "ReplicationSource"}
REPORTER = {"reportingController": "kopia-maint", "reportingInstance": os.uname().nodename, "action": "Maintain"}
CONDITION = "MaintenanceScheduleAccepted"
STATUSES = {"Agreed": "True", "Disabled": "True", "Withheld": "Unknown"}  # for every other reason: False
TIMEOUT: dict[str, Any] = {"_request_timeout": 30}
MERGE_PATCH: dict[str, Any] = {"_content_type": "application/merge-patch+json", **TIMEOUT}
PAUSE, LONGEST_PAUSE = 0.5, 60  # seconds from one pass to the next, at least, and while something fails
logger = logging.getLogger("kopia-maint")


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Start the one worker."""
    config.load_config()
    gc.set_threshold(100_000)  # a pass makes hundreds of thousands of objects, and lets them all go
    settings.watching.server_timeout = 600  # a watch that died unnoticed is begun anew
    memo.changed = asyncio.Event()
    memo.worker = asyncio.create_task(work(memo.changed))


@kopf.on.event(*SOURCES)
@kopf.on.event("batch", "v1", "cronjobs", when=lambda namespace, **_: namespace == NAMESPACE)
async def changed(memo: kopf.Memo, **_: Any) -> None:
    """Wake the worker, whatever it was that changed."""
    memo.changed.set()


async def work(changed: asyncio.Event) -> None:
    """Make one pass for all the changes that came meanwhile; another one by and by while something fails."""
    pause = PAUSE
    while await changed.wait():
        changed.clear()
        done = await asyncio.to_thread(attempt, "a pass", maintain)
        pause = PAUSE if done else min(2 * pause, LONGEST_PAUSE)
        if not done:
            asyncio.get_running_loop().call_later(pause, changed.set)
        await asyncio.sleep(PAUSE)


def attempt(what: object, task: Any, *arguments: Any) -> bool:
    """Keep the trouble with one object from the others. Return whether there was none."""
    try:
        return task(*arguments) is not False
    except Exception as error:
        reason, expected = getattr(error, "reason", error), isinstance(error, (client.ApiException, HTTPError))
        logger.warning("%s failed and will be repeated: %s", what, reason, exc_info=not expected)
        return False


def maintain() -> bool:
    """Bring the cluster to where it should be. Return False where that takes another pass."""
    api: Any = client.CustomObjectsApi()
    # In this order: if a CronJob changes after it was read, the API server refuses the write,
    # so nothing is ever decided with sources that are older than the CronJob.
    cron_jobs = api.list_namespaced_custom_object(*CRON_JOBS, **TIMEOUT)["items"]
    sources = api.list_cluster_custom_object(*SOURCES, **TIMEOUT)["items"]
    now = datetime.now(timezone.utc)
    plan = plan_manifests(
        cron_jobs=cron_jobs,
        replication_sources=sources,
        template=template,
        operator_namespace=NAMESPACE,
        complete=True,
        now=now,
    )
    for name, error in plan.withheld.items():
        logger.error("%s stays as it is: %s", name, error)
    failed = [it for it in plan.writes if not attempt(it.name, store, api, it, plan.decisions[it.name], now)]
    untold = {source for write in failed for source in plan.decisions[write.name].standings}
    found = {SourceRef(it["metadata"]["namespace"], it["metadata"]["name"]): it for it in sources}
    told = [attempt(it, tell, api, found[it], plan.standings[it], now) for it in plan.standings if it not in untold]
    return not failed and all(told)


def store(api: Any, write: Write, decision: Decision, now: datetime) -> None:
    """Write what was decided, and then an Event on the CronJob for each conflict that began or ended with it."""
    if write.action is Action.DELETE:
        api.delete_namespaced_custom_object(*CRON_JOBS, write.name, body=write.body, **TIMEOUT)
        return
    if write.action is Action.CREATE:
        cron_job = api.create_namespaced_custom_object(*CRON_JOBS, write.body, **TIMEOUT)
    else:
        cron_job = api.patch_namespaced_custom_object(*CRON_JOBS, write.name, write.body, **MERGE_PATCH)
    about = {**CRON_JOB, "namespace": NAMESPACE, "name": write.name, "uid": cron_job["metadata"]["uid"]}
    head = {"metadata": {"generateName": f"{write.name}-"}, "eventTime": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}", **REPORTER}
    opened = [("Warning", "Rejected", conflict) for conflict in decision.opened]
    for severity, reason, conflict in [*opened, *(("Normal", "ConflictEnded", it) for it in decision.closed)]:
        source = {**SOURCE, "namespace": conflict.namespace, "name": conflict.name}
        what = {"type": severity, "reason": reason, "note": conflict.message, "regarding": about, "related": source}
        api.create_namespaced_custom_object(*EVENTS, {**head, **what}, **TIMEOUT)


def tell(api: Any, source: dict[str, Any], standing: Standing, now: datetime) -> None:
    """Write how a source stands into its condition, unless that says so already."""
    metadata, known = source["metadata"], (source.get("status") or {}).get("conditions") or []
    old: dict[str, Any] = next((condition for condition in known if condition["type"] == CONDITION), {"status": None})
    status, generation = STATUSES.get(standing.reason, "False"), metadata["generation"]
    new = {"type": CONDITION, "status": status, "reason": standing.reason, "observedGeneration": generation}
    conflict = standing.conflict.message if standing.conflict and standing.reason == "Rejected" else ""
    if new.items() <= old.items() and conflict in old["message"]:
        return  # the rest of the message is free: a replica of another release may word it in another way
    new["lastTransitionTime"] = old["lastTransitionTime"] if status == old["status"] else f"{now:%Y-%m-%dT%H:%M:%SZ}"
    new["message"] = f"{standing.message} {conflict}".rstrip()
    others = [condition for condition in known if condition is not old]  # their writers write the whole list, too
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": {"conditions": [*others, new]}}
    place = (*SOURCES[:2], metadata["namespace"], SOURCES[2], metadata["name"])
    api.patch_namespaced_custom_object_status(*place, patch, **MERGE_PATCH)


def template(repository: Repository, _: object) -> dict[str, Any]:
    """Return the CronJob to start from: cronjob.yaml with the repository's Secret and CA."""
    cron_job: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cronjob.yaml").read_text())
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["envFrom"] = [{"secretRef": {"name": repository.secret_name}}]
    if (ca := repository.custom_ca).secret_name or ca.config_map_name:
        secret, config_map = {"secret": {"secretName": ca.secret_name}}, {"configMap": {"name": ca.config_map_name}}
        pod["volumes"].append({"name": "custom-ca", **(secret if ca.secret_name else config_map)})
        container["volumeMounts"].append({"name": "custom-ca", "mountPath": "/customCA"})
        container["env"].append({"name": "CUSTOM_CA", "value": f"/customCA/{ca.key or 'ca.crt'}"})
    return cron_job
