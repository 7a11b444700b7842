"""A cluster in miniature, in which the order of every read and write can be chosen: for races."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Union

from attrs import define, field

from kopia_maint import (
    Action,
    CronJobState,
    Decision,
    Schedule,
    SourceRef,
    SourceRequest,
    Write,
    plan_manifests,
    resolve,
    state_from_manifest,
    withdraw,
    write_for,
)
from kopia_maint._objects import merge_patch

from ..helpers import NOW, replication_source

Manifest = dict[str, Any]
Worker = Generator[None, None, None]
Choose = Callable[[int], int]
Step = Union[SourceRequest, SourceRef]

NAMESPACE = "volsync-system"


class Conflict409(Exception):
    """The API server refuses a write that is made from what is stale, or a second create."""


class Lost(Exception):
    """The write happened, and its response did not arrive."""


@define
class Cluster:
    """
    One repository's CronJob, with optimistic locking, and the sources that use it.

    Attributes:
        cron_job: What is stored now.
        sources: What each source asks for now.
        history: Every version of the CronJob that there was: what a stale cache may still show.
        writes: How many writes were accepted.
        losing: How many of the next accepted writes lose their response.
    """

    cron_job: Manifest | None = None
    sources: Mapping[str, SourceRequest] = field(factory=dict)
    history: list[Manifest | None] = field(factory=lambda: [None])
    writes: int = 0
    losing: int = 0
    _versions: Iterator[int] = field(factory=lambda: itertools.count(1))

    def read(self, lag: int = 0) -> Manifest | None:
        """Read the CronJob; a stale cache is some versions behind."""
        return copy.deepcopy(self.history[max(0, len(self.history) - 1 - lag)])

    def listed(self) -> list[Manifest]:
        """Read the sources, as ReplicationSources."""
        return [
            replication_source(
                str(request.source),
                maintenanceCronJob={"enabled": request.enabled, "schedule": str(request.schedule)}
                if request.schedule or not request.enabled
                else None,
            )
            for request in self.sources.values()
        ]

    def write(self, write: Write) -> None:
        """Create, patch or delete the CronJob, unless that was decided from what is stale."""
        body, present = write.body, self.cron_job
        if write.action is Action.CREATE:
            expected, stored = None, {**body, "metadata": {**body["metadata"], "uid": f"uid-{len(self.history)}"}}
        elif write.action is Action.UPDATE:
            expected, stored = body["metadata"]["resourceVersion"], merge_patch(present, body)
        else:
            assert body["preconditions"].keys() == {"uid", "resourceVersion"}
            expected, stored = body["preconditions"]["resourceVersion"], None
        if expected != (None if present is None else present["metadata"]["resourceVersion"]):
            raise Conflict409
        if stored is not None:
            stored = {**stored, "metadata": {**stored["metadata"], "resourceVersion": str(next(self._versions))}}
        self.cron_job = stored
        self.history.append(stored)
        self.writes += 1
        if self.losing:
            self.losing -= 1
            raise Lost

    @property
    def state(self) -> CronJobState | None:
        """What the CronJob says."""
        return None if self.cron_job is None else state_from_manifest(self.cron_job)

    @property
    def asked(self) -> dict[SourceRef, Schedule | None]:
        """What each claim on the CronJob asks for."""
        return {} if self.state is None else {source: claim.schedule for source, claim in self.state.claims.items()}


def plans(cluster: Cluster, lag: int = 0) -> Worker:
    """Read the CronJob, then the sources, decide, and write; start over if a write is refused."""
    while True:
        seen = cluster.read(lag)
        yield
        sources = cluster.listed()
        yield
        plan = plan_manifests(
            cron_jobs=[] if seen is None else [seen],
            replication_sources=sources,
            template=lambda repository, state: {},
            operator_namespace=NAMESPACE,
            complete=True,
            now=NOW,
        )
        try:
            for write in plan.writes:
                cluster.write(write)
        except (Conflict409, Lost):
            lag = 0  # everything is read again, from the API server itself
        else:
            return


def decided(current: CronJobState | None, step: Step) -> Decision | None:
    """Decide about a request, or withdraw the claim of a source that is gone."""
    if isinstance(step, SourceRequest):
        return resolve(current, step, now=NOW)
    return None if current is None else withdraw(current, step)


def decides(cluster: Cluster, step: Step) -> Worker:
    """Do the same for the one source that this worker was told of."""
    while True:
        seen = cluster.read()
        yield
        decision = decided(None if seen is None else state_from_manifest(seen), step)
        write = decision and write_for(decision, seen, {}, operator_namespace=NAMESPACE)
        with suppress(Conflict409, Lost):
            if write:
                cluster.write(write)
            return


def edits(cluster: Cluster, changes: list[dict[str, SourceRequest | None]]) -> Worker:
    """Create, change and delete sources, as their owners do: some at once, some one after another."""
    for change in changes:
        cluster.sources = {name: r for name, r in {**cluster.sources, **change}.items() if r is not None}
        yield


def run(workers: list[Worker], choose: Choose = lambda _: 0) -> None:
    """Let the workers go on, one step at a time, in the order that is chosen."""
    running = list(workers)
    while running:
        chosen = running[choose(len(running)) if len(running) > 1 else 0]
        try:
            next(chosen)
        except StopIteration:
            running.remove(chosen)


def every_order(play: Callable[[Choose], None]) -> int:
    """Play again and again until every sequence of choices has been made, and return how many there were."""
    prefix: list[int] = []
    played = 0
    while True:
        taken: list[tuple[int, int]] = []

        def choose(among: int, taken: list[tuple[int, int]] = taken, prefix: list[int] = prefix) -> int:
            choice = prefix[len(taken)] if len(taken) < len(prefix) else 0
            taken.append((choice, among))
            return choice

        play(choose)
        played += 1
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return played
        prefix = [choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1]
