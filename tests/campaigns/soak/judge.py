"""Which versions of the sources explain what became of a CronJob? Every version of both is watched."""

from __future__ import annotations

import json
import threading
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import urllib3

from kopia_maint import Action, Standing, plan_manifests, state_from_manifest
from kopia_maint._objects import attempt, merge_patch

from ...cluster import servers
from ...helpers import NOW
from .people import EDIT, NAMESPACE, People

PLAN = partial(plan_manifests, operator_namespace=NAMESPACE, complete=True)
CONDITION, STATUSES = "MaintenanceScheduleAccepted", {"Agreed": "True", "Disabled": "True", "Withheld": "Unknown"}


class Watch(threading.Thread):
    """All versions of all objects of a kind, as the server sends them: in order."""

    def __init__(self, server: servers.Server, path: str) -> None:
        super().__init__(daemon=True)
        version = servers.Api(server, servers.ADMIN)("GET", path)["metadata"]["resourceVersion"]
        self._url = f"{server.url}{path}?watch=true&timeoutSeconds=1000000&resourceVersion={version}"
        self._headers = {"Authorization": f"Bearer {server.tokens[servers.ADMIN]}"}
        self._pool = urllib3.PoolManager(ca_certs=str(server.certificate), retries=False)
        self.events: deque[Any] = deque()
        self.start()

    def run(self) -> None:
        with suppress(urllib3.exceptions.HTTPError):  # the server's end
            text = b""
            for part in self._pool.request("GET", self._url, headers=self._headers, preload_content=False).stream():
                *lines, text = (text + part).split(b"\n")
                self.events += map(json.loads, lines)


class Judge:
    """
    Holds every version of a CronJob against the versions of the sources from which it may have been decided.

    Attributes:
        story: Of the first version that none of them explains.
    """

    story = ""

    def __init__(self, server: servers.Server, people: People, figures: Counter[str]) -> None:
        self._people, self._figures = people, figures
        self._jobs, self._sources = Watch(server, "/apis/batch/v1/cronjobs"), Watch(server, servers.SOURCES)
        self._revisions, self._versions = [0], [dict[str, Any]()]  # all sources, as they were from each revision on
        self._seen = 0
        self._present: dict[str, Any] = {}
        self._edges: defaultdict[str, list[int]] = defaultdict(lambda: [0])  # when a CronJob went, came, went, ...

    def judge(self) -> None:
        """Take in what was seen; of the CronJobs, what is older than the latest of the sources."""
        assert self._jobs.is_alive() and self._sources.is_alive(), "a watch has ended"  # noqa: PT018
        while self._sources.events:
            self._source(**self._sources.events.popleft())
        while not self.story and self._jobs.events and revision(self._jobs.events[0]["object"]) < self._seen:
            self._cron_job(**self._jobs.events.popleft())

    def is_latest(self, source: Any) -> bool:
        """Return whether nothing was written after this version of a source."""
        self.judge()
        return self._seen == revision(source) and not self._jobs.events

    def _source(self, type: str, object: Any) -> None:  # noqa: A002 - the fields of an event
        self._seen, name, latest = revision(object), named(object), self._versions[-1]
        self._figures["versions of sources"] += 1
        if type == "MODIFIED" and latest[name]["metadata"]["generation"] == object["metadata"]["generation"]:
            return  # of its status, or its metadata
        self._figures["versions of sources with another spec"] += 1
        others = {it: source for it, source in latest.items() if it != name}
        self._revisions.append(self._seen)
        self._versions.append(others if type == "DELETED" else {**others, name: object})

    def _cron_job(self, type: str, object: Any) -> None:  # noqa: A002
        name, end, edges = named(object), revision(object), self._edges[named(object)]
        before, after = self._present.pop(name, None), None if type == "DELETED" else object
        act = "deleted" if after is None else "changed" if before else "created"
        if act != "changed":
            edges.append(end)
        if after:
            self._present[name] = after
        self._figures["versions of CronJobs"] += 1
        if self._is_edit(before, after):
            self._figures["versions of CronJobs by people"] += 1
            return
        # A write carries the resourceVersion of what was decided about. A create has none to carry: after its replica
        # saw no CronJob, another one may have come and gone.
        windows = [(revision(before), end)] if before else list(zip(edges[::2], edges[1::2]))[:-3:-1]
        candidates = [sources for window in windows for sources in self._existed(*window)]
        for number, sources in enumerate(candidates):
            if content(outcome(before, after, sources)) == content(after):
                self._figures[f"versions of CronJobs {act} by operators"] += 1
                self._figures["versions of CronJobs explained by earlier sources than the latest"] += number > 0
                return
        self.story = told(before, after, candidates)

    def _is_edit(self, before: Any, after: Any) -> bool:
        """Return whether this is a delete or an edit by the administrator: only edits make the number greater."""
        if after is None:
            return before["metadata"]["uid"] in self._people.deleted
        first, second = (int(it["metadata"].get("annotations", {}).get(EDIT, 0)) if it else 0 for it in (before, after))
        return second > first

    def _existed(self, begin: int, end: int) -> Iterable[dict[str, Any]]:
        """Return all sources as they were at some time between two revisions, the latest version first."""
        first, last = bisect_right(self._revisions, begin) - 1, bisect_left(self._revisions, end)
        yield from reversed(self._versions[first:last])


def revision(manifest: Any) -> int:
    return int(manifest["metadata"]["resourceVersion"])


def named(manifest: Any) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def content(cron_job: Any) -> Any:
    """Return all of a CronJob that somebody writes."""
    return cron_job and [cron_job["spec"], *(cron_job["metadata"].get(it) or {} for it in ("labels", "annotations"))]


def outcome(before: Any, after: Any, sources: dict[str, Any]) -> Any:
    """Return what a pass over these sources makes of a CronJob, at the time and with the job template of *after*."""
    states = [attempt(state_from_manifest, it) for it in (before, after)]
    old, new = (
        {(it, claim.schedule, claim.since) for it, claim in state.claims.items()} if state else set()
        for state in states
    )
    now = max((since for _, _, since in new - old), default=NOW)  # news has the time of its pass
    template = {"spec": after["spec"]} if after else {}
    cron_jobs = [before] if before else []
    plan = PLAN(cron_jobs=cron_jobs, replication_sources=sources.values(), now=now, template=lambda *_: template)
    write = next((it for it in plan.writes if f"{it.namespace}/{it.name}" == named(before or after)), None)
    if write is None:
        return before
    return None if write.action is Action.DELETE else merge_patch(before or {}, write.body)


def told(before: Any, after: Any, candidates: list[dict[str, Any]]) -> str:
    """Tell the story of a version that nothing explains."""

    def shown(cron_job: Any) -> str:
        if cron_job is None:
            return "none"
        schedule = cron_job["spec"]["schedule"]
        return json.dumps({"schedule": schedule, **cron_job["metadata"], "managedFields": "..."})

    lines = [f"Nothing explains what became of {named(before or after)}."]
    lines += [f"it was: {shown(before)}", f"it is: {shown(after)}"]
    for sources in candidates[:5]:
        lines += [f"  {name}: {json.dumps(source['spec'])}" for name, source in sorted(sources.items())]
        lines.append(f"from these it would be: {shown(outcome(before, after, sources))}")
    return "\n".join([*lines, f"{len(candidates)} versions of the sources were tried"])


def unfinished(api: servers.Api) -> list[str]:
    """Return what is not yet as the sources say: claims, labels and annotations of CronJobs, and conditions."""
    cron_jobs, sources = (api("GET", path)["items"] for path in (servers.JOBS, servers.SOURCES))
    plan = PLAN(cron_jobs=cron_jobs, replication_sources=sources, now=NOW, template=lambda *_: {})
    standings = {str(source): standing for source, standing in plan.standings.items()}
    untold = [source for source in sources if not is_told(source, standings.get(named(source)))]
    return [*map(str, plan.writes), *(f"{standings.get(named(source))}: {source}" for source in untold)]


def is_told(source: Any, standing: Standing | None) -> bool:
    """Return whether the condition of a source says how it stands; of one that has no standing, nothing is said."""
    generation, conditions = source["metadata"]["generation"], source.get("status", {}).get("conditions", [])
    said = [it for it in conditions if (it["type"], it["observedGeneration"]) == (CONDITION, generation)]
    if standing is None or not said:
        return standing is None and not said
    conflict = standing.conflict.message if standing.conflict and standing.reason == "Rejected" else ""
    expected = {"status": STATUSES.get(standing.reason, "False"), "reason": standing.reason}
    return expected.items() <= said[0].items() and conflict in said[0]["message"]
