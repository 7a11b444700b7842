"""A cluster in miniature, in which the order of every read and write can be chosen: for races."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from attrs import define, field

from kopia_maint import (
    CronJobState,
    SourceRequest,
    manifest_from_state,
    patch_from_state,
    reconcile,
    resolve,
    state_from_manifest,
)
from kopia_maint._manifest import merge_patch

from .helpers import NOW

Manifest = dict[str, Any]
Worker = Generator[None, None, None]
Choose = Callable[[int], int]


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

    def create(self, manifest: Manifest) -> None:
        """Create the CronJob, unless there is one."""
        if self.cron_job is not None:
            raise Conflict409
        self._store({**manifest, "metadata": {**manifest["metadata"], "uid": f"uid-{len(self.history)}"}})

    def patch(self, patch: Manifest) -> None:
        """Patch the CronJob, unless it has changed since it was read."""
        if self.cron_job is None or self._stale(patch["metadata"]["resourceVersion"]):
            raise Conflict409
        self._store(merge_patch(self.cron_job, patch))

    def delete(self, uid: str, resource_version: str) -> None:
        """Delete the CronJob, with preconditions."""
        if self.cron_job is None or self.cron_job["metadata"]["uid"] != uid or self._stale(resource_version):
            raise Conflict409
        self._store(None)

    def _stale(self, resource_version: str) -> bool:
        return self.cron_job is None or self.cron_job["metadata"]["resourceVersion"] != resource_version

    def _store(self, manifest: Manifest | None) -> None:
        if manifest is not None:
            metadata = {**manifest["metadata"], "resourceVersion": str(next(self._versions))}
            manifest = {**manifest, "metadata": metadata}
        self.cron_job = manifest
        self.history.append(manifest)
        self.writes += 1
        if self.losing:
            self.losing -= 1
            raise Lost

    @property
    def state(self) -> CronJobState | None:
        """What the CronJob says."""
        return None if self.cron_job is None else state_from_manifest(self.cron_job)


def write(cluster: Cluster, seen: Manifest | None, desired: CronJobState | None) -> None:
    """Bring the CronJob from what was seen to what is desired, as a controller does."""
    if desired is None:
        if seen is not None:
            cluster.delete(seen["metadata"]["uid"], seen["metadata"]["resourceVersion"])
    elif seen is None:
        cluster.create(manifest_from_state(desired, {}))
    else:
        patch = patch_from_state(desired, seen)
        if patch is not None:
            cluster.patch(patch)


def reconciles(cluster: Cluster, lag: int = 0) -> Worker:
    """Read the CronJob, then the sources, decide, and write; start over if the write is refused."""
    while True:
        seen = cluster.read(lag)
        yield
        requests = list(cluster.sources.values())
        yield
        current = None if seen is None else state_from_manifest(seen)
        try:
            return write(cluster, seen, reconcile(current, requests, now=NOW).desired)
        except (Conflict409, Lost):
            lag = 0  # everything is read again, from the API server itself


def submits(cluster: Cluster, request: SourceRequest, lag: int = 0) -> Worker:
    """Do the same for the one source that this worker was told of."""
    while True:
        seen = cluster.read(lag)
        yield
        current = None if seen is None else state_from_manifest(seen)
        try:
            return write(cluster, seen, resolve(current, request, now=NOW).desired)
        except (Conflict409, Lost):
            lag = 0


def edits(cluster: Cluster, changes: list[dict[str, SourceRequest | None]]) -> Worker:
    """Create, change and delete sources, as their owners do: some at once, some one after another."""
    for change in changes:
        cluster.sources = {name: r for name, r in {**cluster.sources, **change}.items() if r is not None}
        yield


def run(workers: list[Worker], choose: Choose) -> None:
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
