"""What do tenants and an administrator do? Whatever they may, at random; and what lies there before they begin."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import yaml

from kopia_maint import CustomCA, Repository
from kopia_maint._objects import merge_patch

from ...cluster import servers
from ...helpers import replication_source

NAMESPACE, TENANTS = "volsync-system", ("team-a", "team-b", "my-app", "team-z")
SECRETS = ("shared-repo-secret", "app-repo-secret", "hijacked", "damaged", "large")
REPOSITORIES: list[dict[str, Any]] = [{"repository": it, "customCA": None} for it in SECRETS]
REPOSITORIES.append({"repository": SECRETS[0], "customCA": {"configMapName": "ca"}})
SHARED, APP, HIJACKED, DAMAGED, LARGE = (Repository(secret).cron_job_name for secret in SECRETS)
WITH_CA = Repository(SECRETS[0], CustomCA(config_map_name="ca")).cron_job_name
SCHEDULES = ("0 2 * * *", "00 2 * * *", "0 3 * * *", "0 4 * * *", "@daily", "*/30 * * * *")
OWNER, CLAIMS = "volsync.backube/source-namespace", "volsync.backube/schedule-claims"
EDIT = "example.com/edit"  # the number of the administrator's latest edit


class People:
    """The tenants and the administrator."""

    def __init__(self, api: servers.Api, random: Random, figures: Counter[str]) -> None:
        self._api, self._random, self._figures = api, random, figures
        self._sources: set[str] = set()
        self._edits = 1  # those of `furnish`
        self.deleted: set[str] = set()

    def tenant(self) -> None:
        """Let a tenant create one of its sources, or do something with it."""
        draw = self._random.choice
        wanted = {"schedule": draw(SCHEDULES), "enabled": True}
        typo = draw(("0 25 * * *", "0 0 31 2 *", "TZ=UTC 0 2 * * *"))
        changes = {
            "created": {**draw(REPOSITORIES), "maintenanceCronJob": wanted},
            "changed": {"maintenanceCronJob": draw((wanted, wanted, None))},
            "disabled": {"maintenanceCronJob": {**wanted, "enabled": False}},
            "mistyped": draw(({"maintenanceCronJob": {**wanted, "schedule": typo}}, {"repository": "App_Repo"})),
            "moved": draw(REPOSITORIES),
            "deleted": {},
        }
        source = f"{draw(TENANTS)}/{draw(('one', 'two'))}"
        act = draw(list(changes)[1:]) if source in self._sources else "created"
        manifest = replication_source(source, **{key: it for key, it in changes[act].items() if it is not None})
        if act == "created":
            self._api.create(manifest)
            self._sources.add(source)
        elif act == "deleted":
            self._api("DELETE", place(manifest))
            self._sources.remove(source)
        else:
            self._api("PATCH", place(manifest), {"spec": {"kopia": changes[act]}})
        self._figures[f"sources {act}"] += 1

    def administrator(self) -> None:
        """Let the administrator edit or delete a CronJob, if it is there."""
        draw = self._random.choice
        labels = {f"source-namespace.volsync.backube/{draw(TENANTS)}": "", OWNER: draw(TENANTS)}
        edits: dict[str, Any] = {
            "schedules edited": {"spec": {"schedule": draw(SCHEDULES)}},
            "owners edited": {"metadata": {"annotations": {OWNER: draw(TENANTS)}}},
            "owners removed": {"metadata": {"annotations": {OWNER: None}, "labels": draw(({}, {OWNER: None}))}},
            "labels edited": {"metadata": {"labels": draw((None, labels))}},
            "claims removed": {"metadata": {"annotations": {CLAIMS: None}}},
            "suspended or resumed": {"spec": {"suspend": draw((True, False))}},
            "deleted": None,
        }
        act, path = draw(list(edits)), f"{servers.JOBS}/{draw((SHARED, WITH_CA, APP, HIJACKED))}"
        try:
            if act == "deleted":
                self.deleted.add(self._api("DELETE", path)["details"]["uid"])
            else:
                number = {"metadata": {"annotations": {EDIT: str(self._edits + 1)}}}
                self._api("PATCH", path, merge_patch(edits[act], number))
                self._edits += 1
        except servers.Refused as error:
            assert error.status in (404, 409), error  # it is not there, or an operator was faster
        else:
            self._figures[f"CronJobs {act}"] += 1


def furnish(api: servers.Api) -> None:
    """Create the CronJobs that are not ours, or are to be adopted or withheld, with a source for each of these."""
    cron_job = yaml.safe_load((servers.EXAMPLE / "cronjob.yaml").read_text())
    cron_job["spec"]["schedule"] = "0 1 * * *"
    for namespace, name, labels, notes in (
        (NAMESPACE, "kopia-maint-daily-f11df994", {}, {}),  # of a KopiaMaintenance
        ("team-b", SHARED, {OWNER: "team-b"}, {OWNER: "team-b"}),  # a tenant's own
        (NAMESPACE, HIJACKED, {OWNER: "team-b"}, {"volsync.backube/schedule-conflict": "Last conflict: the fork's"}),
        (NAMESPACE, DAMAGED, {OWNER: "team-a"}, {CLAIMS: '{"version":2}'}),
        (NAMESPACE, LARGE, {OWNER: "team-a"}, {"example.com/notes": "x" * 262_000}),
    ):
        cron_job["metadata"] = {"namespace": namespace, "name": name, "annotations": {EDIT: "1", **notes}}
        cron_job["metadata"]["labels"] = {"volsync.backube/kopia-maintenance": "true", **labels}
        api.create(cron_job)
    for secret in SECRETS[2:]:
        api.create(replication_source(f"team-a/{secret}", repository=secret))


def place(manifest: Any) -> str:
    return f"{servers.collection(manifest)}/{manifest['metadata']['name']}"
