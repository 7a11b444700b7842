"""What is decided in the benchmarks? Small and large clusters, always the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from kopia_maint import (
    CronJobState,
    SourceRequest,
    manifest_from_state,
    reconcile,
    request_from_manifest,
)

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
LATER = NOW + timedelta(hours=10)
SECRET = "shared-repo-secret"

JOB_TEMPLATE: dict[str, Any] = {
    "metadata": {
        "uid": "5f0c3a52-7f0e-4a83-9a7a-0a6f1d9b8c11",
        "resourceVersion": "182736455",
        "generation": 3,
        "creationTimestamp": "2024-01-02T09:12:44Z",
        "labels": {"app.kubernetes.io/managed-by": "volsync", "app.kubernetes.io/component": "kopia-maintenance"},
    },
    "spec": {
        "concurrencyPolicy": "Forbid",
        "failedJobsHistoryLimit": 1,
        "successfulJobsHistoryLimit": 3,
        "startingDeadlineSeconds": 600,
        "suspend": False,
        "timeZone": "Etc/UTC",
        "jobTemplate": {
            "metadata": {"creationTimestamp": None, "labels": {"volsync.backube/kopia-maintenance": "true"}},
            "spec": {
                "activeDeadlineSeconds": 10800,
                "backoffLimit": 3,
                "template": {
                    "metadata": {"creationTimestamp": None, "labels": {"volsync.backube/kopia-maintenance": "true"}},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "containers": [
                            {
                                "name": "kopia-maintenance",
                                "image": "ghcr.io/perfectra1n/volsync:v0.16.5",
                                "imagePullPolicy": "IfNotPresent",
                                "command": ["/bin/bash", "-c", "/mover-kopia/entry.sh"],
                                "env": [
                                    {"name": "DIRECTION", "value": "maintenance"},
                                    {"name": "DATA_DIR", "value": "/data"},
                                    {"name": "KOPIA_CACHE_DIR", "value": "/cache"},
                                    {"name": "KOPIA_OVERRIDE_MAINTENANCE_USERNAME", "value": "maintenance@volsync"},
                                    *(
                                        {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name}}}
                                        for name in ("KOPIA_REPOSITORY", "KOPIA_PASSWORD", "AWS_SECRET_ACCESS_KEY")
                                    ),
                                ],
                                "resources": {
                                    "limits": {"cpu": "500m", "memory": "1Gi"},
                                    "requests": {"cpu": "100m", "memory": "256Mi"},
                                },
                                "securityContext": {
                                    "allowPrivilegeEscalation": False,
                                    "capabilities": {"drop": ["ALL"]},
                                    "privileged": False,
                                    "readOnlyRootFilesystem": True,
                                },
                                "terminationMessagePath": "/dev/termination-log",
                                "terminationMessagePolicy": "File",
                                "volumeMounts": [
                                    {"mountPath": "/cache", "name": "cache"},
                                    {"mountPath": "/tmp", "name": "tempdir"},
                                ],
                            }
                        ],
                        "dnsPolicy": "ClusterFirst",
                        "restartPolicy": "OnFailure",
                        "schedulerName": "default-scheduler",
                        "securityContext": {"fsGroup": 1000, "runAsNonRoot": True, "runAsUser": 1000},
                        "serviceAccountName": "volsync-kopia-maintenance",
                        "terminationGracePeriodSeconds": 30,
                        "volumes": [
                            {"emptyDir": {"sizeLimit": "1Gi"}, "name": "cache"},
                            {"emptyDir": {"medium": "Memory"}, "name": "tempdir"},
                        ],
                    },
                },
            },
        },
    },
    "status": {"lastScheduleTime": "2024-01-15T02:00:00Z", "lastSuccessfulTime": "2024-01-15T02:01:13Z"},
}
"""A CronJob as the API server shows it, but for its name."""


def cron_job(state: CronJobState) -> dict[str, Any]:
    """Return the CronJob of a state, as the API server shows it."""
    manifest = manifest_from_state(state, JOB_TEMPLATE)
    metadata = {**manifest["metadata"], **JOB_TEMPLATE["metadata"]}
    metadata["labels"] = {**JOB_TEMPLATE["metadata"]["labels"], **manifest["metadata"]["labels"]}
    return {**manifest, "metadata": metadata, "status": JOB_TEMPLATE["status"]}


def source_manifests(count: int, per_repository: int) -> Iterator[dict[str, Any]]:
    """
    Yield the ReplicationSources of a cluster, as a Git repository holds them.

    Of ten sources of a repository six ask for the default, two have no preference, and two ask for something else.
    Twenty sources share a namespace.
    """
    for number in range(count):
        wanted = {} if number % 10 in (4, 7) else {"maintenanceCronJob": {"enabled": True, "schedule": _wish(number)}}
        yield {
            "apiVersion": "volsync.backube/v1alpha1",
            "kind": "ReplicationSource",
            "metadata": {
                "name": f"app-{number:06}-data",
                "namespace": f"tenant-{number // 20:05}",
                "labels": {"app.kubernetes.io/name": f"app-{number:06}", "kustomize.toolkit.fluxcd.io/name": "apps"},
                "creationTimestamp": _format(NOW - timedelta(minutes=number * 7919 % 500_000)),
            },
            "spec": {
                "sourcePVC": f"app-{number:06}-data",
                "trigger": {"schedule": f"{number % 60} */6 * * *"},
                "kopia": {
                    "repository": SECRET if per_repository >= count else f"repo-{number // per_repository:05}",
                    "copyMethod": "Snapshot",
                    "compression": "zstd-fastest",
                    "retain": {"hourly": 24, "daily": 7, "weekly": 4, "monthly": 6},
                    **wanted,
                },
            },
        }


def _wish(number: int) -> str:
    if number % 10 == 8:
        return "0 4 * * *"
    return f"30 {number // 10 % 24} * * *" if number % 10 == 9 else "0 2 * * *"


def _format(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def requests(count: int, per_repository: int | None = None) -> list[SourceRequest]:
    """Return what the sources of a cluster ask for; by default they share one repository."""
    manifests = source_manifests(count, per_repository or count)
    return [request for manifest in manifests if (request := request_from_manifest(manifest)) is not None]


def crowd(count: int) -> CronJobState:
    """Return the state of a repository that so many sources share."""
    state = reconcile(None, requests(count), now=NOW).desired
    assert state is not None
    return state


def newcomer() -> dict[str, Any]:
    """Return a source that is in no crowd, of a namespace that is in none, and asks for what nobody gets."""
    *_, last = source_manifests(9, 9)
    return {**last, "metadata": {**last["metadata"], "namespace": "tenant-new", "name": "app-new-data"}}


def schedules() -> Iterator[str]:
    """Yield schedules of many kinds, no text twice; Kubernetes and croniter accept every one."""
    random = Random(20240115)
    seen = set()

    def some(low: int, high: int, most: int) -> str:
        return ",".join(map(str, sorted(random.sample(range(low, high + 1), random.randint(1, most)))))

    def span(low: int, high: int) -> str:
        first, last = sorted(random.sample(range(low, high + 1), 2))
        return f"{first}-{last}"

    while True:
        minute = random.choice((some(0, 59, 1), some(0, 59, 1), some(0, 59, 3), f"*/{random.randint(2, 30)}"))
        hour = random.choice((some(0, 23, 1), some(0, 23, 1), some(0, 23, 3), span(0, 23), "*", "*/6"))
        day = random.choice(("*", "*", "*", some(1, 28, 1), some(1, 28, 2), span(1, 28)))
        month = random.choice(("*", "*", "*", some(1, 12, 2), "jan-jun"))
        weekday = random.choice(("*", "*", "MON-FRI", "sun", some(0, 6, 2), "1-5"))
        text = f"{minute} {hour} {day} {month} {weekday}"
        if text not in seen:
            seen.add(text)
            yield text
