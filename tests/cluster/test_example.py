"""Does the server take the example's manifests, and warn a person who applies a source that will lose?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ..helpers import replication_source
from .servers import EXAMPLE, Api, collection, until

CREATE = "?dryRun=All&fieldValidation=Strict"


def manifests(name: str) -> list[Any]:
    return list(yaml.safe_load_all((EXAMPLE / name).read_text()))


def test_the_deployment_is_taken(api: Api) -> None:
    """No field is unknown to the server, and its pods are of the restricted kind, with a read-only root."""
    (deployment,) = manifests("deployment.yaml")
    stored = api.create(deployment, CREATE)
    assert stored["spec"]["replicas"] == 2
    place = "/api/v1/namespaces/volsync-system"
    api("PATCH", place, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    named = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "volsync-system"}}
    pod = api.create({**named, "spec": deployment["spec"]["template"]["spec"]}, CREATE)
    assert [it["securityContext"]["readOnlyRootFilesystem"] for it in pod["spec"]["containers"]] == [True]


@pytest.fixture
def warned(api: Api) -> Iterator[Api]:
    """Serve team-a's CronJob, as the operator writes it, with the policy in force."""
    (job,) = manifests("cronjob.yaml")
    key = "volsync.backube"
    job["metadata"] = {
        "namespace": "volsync-system",
        "name": "kopia-maintenance-f11df99437a0f538",
        "labels": {f"{key}/kopia-maintenance": "true"},
        "annotations": {f"{key}/repository-config": "shared-repo-secret", f"{key}/source-namespace": "team-a"},
    }
    job["spec"]["schedule"] = "0 2 * * *"
    api.create(job)
    policy = manifests("warn.yaml")
    for manifest in policy:
        api.create(manifest)
    until(lambda: warning(api, "team-b/source-b", schedule="0 4 * * *"))
    yield api
    for manifest in policy:
        api("DELETE", f"{collection(manifest)}/{manifest['metadata']['name']}")


def warning(api: Api, source: str, **maintenance: Any) -> str:
    """Return the warning that ``kubectl apply --dry-run=server`` would show."""
    api.create(replication_source(source, maintenanceCronJob=maintenance), CREATE)
    return api.warning


def test_a_loser_is_warned(warned: Api) -> None:
    """Before anything is stored, with the owner and the established schedule; so is a change."""
    told = warning(warned, "team-b/source-b", schedule="0 4 * * *")
    assert "maintenance schedule '0 4 * * *' may be rejected" in told
    assert "namespace team-a owns the schedule of repository shared-repo-secret, which is '0 2 * * *'" in told
    stored = warned.create(replication_source("team-b/source-b", maintenanceCronJob={"schedule": "0 2 * * *"}))
    assert not warned.warning
    path = f"{collection(stored)}/source-b"
    warned("PATCH", path, {"spec": {"kopia": {"maintenanceCronJob": {"schedule": "0 4 * * *"}}}})
    assert warned.warning


@pytest.mark.parametrize(
    ("source", "kopia"),
    [
        ("team-a/source-c", {"maintenanceCronJob": {"schedule": "0 4 * * *"}}),
        ("team-b/source-b", {}),
        ("team-b/source-b", {"maintenanceCronJob": {"schedule": "0 2 * * *"}}),
        ("team-b/source-b", {"maintenanceCronJob": {"schedule": ""}}),
        ("team-b/source-b", {"maintenanceCronJob": {"schedule": "0 4 * * *", "enabled": False}}),
        ("team-b/source-b", {"maintenanceCronJob": {"schedule": "0 4 * * *"}, "repository": "another-secret"}),
    ],
    ids=["the owner", "no preference", "the same", "the default", "disabled", "another repository"],
)
def test_others_are_not_warned(warned: Api, source: str, kopia: dict[str, Any]) -> None:
    """Whoever loses nothing."""
    warned.create(replication_source(source, **kopia), CREATE)
    assert not warned.warning


def test_a_source_without_kopia_is_not_warned(warned: Api) -> None:
    """VolSync has other movers."""
    source = replication_source("team-b/source-b")
    source["spec"] = {"sourcePVC": "data", "restic": {"repository": "shared-repo-secret"}}
    warned.create(source, CREATE)
    assert not warned.warning
