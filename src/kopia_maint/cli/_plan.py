"""
Which repositories does the input lead to, and what is wrong with it? Objects in, the library's plan out.

Nothing is concluded from what could not be read: a source whose manifest is bad
counts as unreadable, not as gone, and a repository whose CronJob is bad is left
out of the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from attrs import define, evolve, field, frozen

from .._errors import InvalidManifest, KopiaMaintError, shown
from .._manifest import (
    CLAIMS_ANNOTATION,
    CONFLICT_ANNOTATION,
    DEFAULT_OPERATOR_NAMESPACE,
    GROUP,
    MAINTENANCE_LABEL,
    OWNER_KEY,
    manifest_from_state,
    patch_from_state,
    request_from_manifest,
    state_from_manifest,
)
from .._model import CRON_JOB_PREFIX, Conflict, CronJobState, Reconciliation, SourceRef, SourceRequest
from .._policy import Policy
from .._resolver import plan
from .._schedule import Schedule
from ._advice import SUSPENDED, Note, embeds_source, misspelt, nearest, next_steps, notes_on
from ._load import Document, Place, Problem

_AS_IT_IS = "; this CronJob stays as it is, and its repository, with all who use it, is left out of the plan"


@frozen
class PlannedRepository:
    """
    What becomes of one repository.

    Attributes:
        repository_hash: Which repository.
        name: The name of its Secret; None where only a CronJob is known that does not tell.
        label: What people call it, and no other.
        dated: Whether the creation time of all its sources is known.
        decision: The library's decision.
        conflicts: The library's records, each with the place where its source asks, if there is one.
        next_steps: For each namespace in conflict what ends that, one of these.
        manifest: The CronJob as it should be; None: there should be none, or it cannot be written.
        changes: What a write would change on the CronJob that is there.
        next_run: When it runs next, in its time zone, or why it does not.
    """

    repository_hash: str
    name: str | None
    label: str
    dated: bool
    decision: Reconciliation
    conflicts: Sequence[tuple[Conflict, Place | None]]
    next_steps: Mapping[str, Mapping[str, str]]
    manifest: dict[str, Any] | None
    changes: Sequence[str]
    next_run: datetime | str

    @property
    def cron_job_name(self) -> str:
        """The name of its CronJob."""
        return CRON_JOB_PREFIX + self.repository_hash

    @property
    def state(self) -> CronJobState | None:
        """What there should be; of a CronJob that is to be deleted, what there is."""
        return self.decision.desired or self.decision.current

    @property
    def namespaces(self) -> Sequence[str]:
        """The namespaces that use it."""
        return sorted(self.state.namespaces) if self.state else ()


@define
class Inventory:
    """
    What the input holds, collected object by object.

    Attributes:
        default_namespace: For sources that state none; None: they must.
        operator_namespace: Where CronJobs are trusted: a tenant can write one elsewhere.
        problems: What could not be read.
        notes: What deserves a look although it could.
    """

    default_namespace: str | None = None
    operator_namespace: str = DEFAULT_OPERATOR_NAMESPACE
    problems: list[Problem] = field(factory=list)
    notes: list[Note] = field(factory=list)
    _requests: dict[SourceRef, tuple[SourceRequest, Place]] = field(factory=dict)
    _cron_jobs: dict[str, tuple[CronJobState, Document]] = field(factory=dict)
    _unreadable: set[SourceRef] = field(factory=set)
    _withheld: set[str] = field(factory=set)
    _strangers: list[str] = field(factory=list)
    _anything_unread: bool = False

    def add(self, found: Document | Problem) -> None:
        """Take in one object, or what stands in the place of one that could not be read."""
        if isinstance(found, Problem):
            self.problems.append(found)
            self._anything_unread = True
            return
        kind = found.value.get("kind")
        if kind == "ReplicationSource":
            self._add_source(found)
        elif kind == "CronJob" and _is_ours(found.value):
            self._add_cron_job(found)
        elif kind == "KopiaMaintenance" and str(found.value.get("apiVersion")).startswith(f"{GROUP}/"):
            message = (
                "a KopiaMaintenance is passed over: releases of VolSync's fork that have it do maintenance by it alone,"
                " and delete CronJobs such as those planned here; do not run both"
            )
            self.notes.append(Note("kopia-maintenance", message, place=found.place.at("kind")))
        elif embeds_source(found.value):
            message = (
                "a ReplicationSource inside another object, such as the values of a chart, is passed over:"
                " give the rendered manifests"
            )
            self.notes.append(Note("embedded", message, place=found.place.at("")))

    def _add_source(self, document: Document) -> None:
        manifest, place = document.value, document.place
        metadata = manifest.get("metadata")
        nameless = isinstance(metadata, Mapping) and metadata.get("namespace") in (None, "")
        if nameless:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.default_namespace or "none"}}
        lost = nameless and self.default_namespace is None
        try:
            request = request_from_manifest(manifest)
            if lost and request is not None:
                hint = "is missing (--default-namespace states one for all sources without)"
                raise InvalidManifest(hint, path="metadata.namespace")
        except KopiaMaintError as error:
            if error.path == "spec.kopia.repository" and "repository" not in manifest["spec"]["kopia"]:
                error.message += " (a patch? give the rendered manifests)"
            if lost:
                error.source = None
            self._report(place, error)
            if error.source is None:
                self._anything_unread = True
            else:
                self._unreadable.add(error.source)
            return
        if request is None:
            return
        spec: Any = manifest["spec"]
        for path, message in misspelt(spec["kopia"]):
            self.notes.append(Note("unknown-field", f"{request.source}: {message}", place=place.at(path)))
        first, where = self._requests.setdefault(request.source, (request, place))
        if first is not request and first != request:
            message = (
                f"the source {request.source} is there twice with different content, first in {where}: neither counts"
            )
            self.problems.append(Problem(place.at(""), message))
            self._unreadable.add(request.source)

    def _add_cron_job(self, document: Document) -> None:
        manifest, place = document.value, document.place
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        if namespace not in (None, "", self.operator_namespace):
            self._strangers.append(str(namespace))
            return
        try:
            state = state_from_manifest(manifest)
        except KopiaMaintError as error:
            self._report(place, error, _AS_IT_IS)
            self._withheld.add(str(metadata.get("name")).removeprefix(CRON_JOB_PREFIX))
            return
        _, first = self._cron_jobs.setdefault(state.repository_hash, (state, document))
        if first.value != manifest:
            message = f"the CronJob {state.cron_job_name} is there twice with different content, first in {first.place}"
            self.problems.append(Problem(place.at(""), message + _AS_IT_IS))
            self._withheld.add(state.repository_hash)

    def _report(self, place: Place, error: KopiaMaintError, consequence: str = "") -> None:
        about = f"{error.source}: " if error.source else ""
        self.problems.append(Problem(place.at(error.path), f"{about}{error.message}{consequence}"))

    def plan(self, *, now: datetime, policy: Policy, template: Document) -> list[PlannedRepository]:
        """Return what becomes of every repository, sorted by name; add problems with CronJobs, and notes."""
        asked: dict[str, list[SourceRequest]] = {}
        for request, _ in self._requests.values():
            if request.source not in self._unreadable and request.repository.hash not in self._withheld:
                asked.setdefault(request.repository.hash, []).append(request)
        states = [state for h, (state, _) in self._cron_jobs.items() if h not in self._withheld]
        unreadable = self._unreadable
        if self._anything_unread:
            # Any source that has a claim and was not seen may be in what could not be read.
            claimed = {source for state in states for source in state.claims}
            unreadable = unreadable | (claimed - self._requests.keys())
        requests = chain.from_iterable(asked.values())
        decisions = plan(states, requests, now=now, policy=policy, unreadable=unreadable)
        names = {h: _name(asked.get(h), it.current) for h, it in decisions.items()}
        count = Counter(names.values())
        planned = []
        for h, name in sorted(names.items(), key=lambda item: (item[1] is None, item[1] or "", item[0])):
            label = name or CRON_JOB_PREFIX + h
            if name and count[name] > 1:
                label += f" ({_distinction(h, asked.get(h))})"
            dated = all(request.created_at is not None for request in asked.get(h, ()))
            planned.append(self._planned(h, name, label, dated, decisions[h], now=now, template=template))
        if self._strangers:
            message = (
                f"{len(self._strangers)} maintenance CronJob(s) outside namespace {self.operator_namespace}"
                f" passed over, such as in {self._strangers[0]}; is --operator-namespace right?"
            )
            self.notes.append(Note("elsewhere", message))
        self.notes.extend(notes_on(planned))
        return planned

    def _planned(
        self,
        repository_hash: str,
        name: str | None,
        label: str,
        dated: bool,
        decision: Reconciliation,
        *,
        now: datetime,
        template: Document,
    ) -> PlannedRepository:
        if decision.desired is None and self._anything_unread:
            # So may a source that nobody has heard of: nothing is deleted, the CronJob stands as it does.
            decision = evolve(decision, desired=decision.current, conflicts=decision.before)
        desired = decision.desired
        _, base = self._cron_jobs.get(repository_hash, (None, template))
        steps: dict[str, dict[str, str]] = {}
        manifest: dict[str, Any] | None = None
        changes: Sequence[str] = ()
        next_run: datetime | str = ""
        if desired is not None:
            losers = dict.fromkeys(it.namespace for it in decision.conflicts)  # in order, the same in every run
            steps = next_steps(desired, losers, self.operator_namespace)
            try:
                manifest = manifest_from_state(desired, base.value, operator_namespace=self.operator_namespace)
                changes = _changes(patch_from_state(desired, base.value)) if decision.current else ()
            except KopiaMaintError as error:
                self._report(base.place, error)
            try:
                next_run = _next_run(desired.schedule, time_zone(base.value), now)
            except InvalidManifest as error:
                self._report(base.place, error)
                next_run = "unknown time zone"
            if (base.value.get("spec") or {}).get("suspend") is True:
                next_run = SUSPENDED
        return PlannedRepository(
            repository_hash=repository_hash,
            name=name,
            label=label,
            dated=dated,
            decision=decision,
            conflicts=[(it, self._place_of(it)) for it in decision.conflicts],
            next_steps=steps,
            manifest=manifest,
            changes=changes,
            next_run=next_run,
        )

    def _place_of(self, conflict: Conflict) -> Place | None:
        known = self._requests.get(SourceRef(conflict.namespace, conflict.name)) if conflict.name else None
        return None if known is None else known[1].at("spec.kopia.maintenanceCronJob.schedule")


def _name(requests: Sequence[SourceRequest] | None, current: CronJobState | None) -> str | None:
    if requests:
        return requests[0].repository.secret_name
    return current.repository_name if current else None


def _distinction(repository_hash: str, requests: Sequence[SourceRequest] | None) -> str:
    """Return what tells a repository from those with a Secret of the same name: its CA, where that is known."""
    if not requests:
        return repository_hash
    ca = requests[0].repository.custom_ca
    parts = [part for part in (ca.secret_name, ca.config_map_name, ca.key) if part]
    return " ".join(["CA", *parts]) if parts else "no CA"


@lru_cache(maxsize=1024)  # many repositories have the same schedule
def _next_run(schedule: Schedule, zone: tzinfo, now: datetime) -> datetime | str:
    return next(iter(schedule.next_runs(now, 1, tz=zone)), "never fires")


def _changes(patch: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return in words what a patch changes. Labels follow from the rest, and count where they are alone."""
    metadata = (patch or {}).get("metadata", {})
    words = {OWNER_KEY: "owner", CLAIMS_ANNOTATION: "claims", CONFLICT_ANNOTATION: "conflict"}
    changes = [word for key, word in words.items() if key in metadata.get("annotations", {})]
    if patch and "spec" in patch:
        changes.insert(0, "schedule")
    return tuple(changes or (["labels"] if metadata else []))


def _is_ours(manifest: Mapping[str, Any]) -> bool:
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        return False
    name, labels = metadata.get("name"), metadata.get("labels")
    return (isinstance(name, str) and name.startswith(CRON_JOB_PREFIX)) or (
        isinstance(labels, Mapping) and labels.get(MAINTENANCE_LABEL) == "true"
    )


def time_zone(cron_job: Mapping[str, Any]) -> tzinfo:
    """
    Return the time zone of a CronJob, UTC where it states none.

    Raises:
        InvalidManifest: Kubernetes would refuse it, or it is not known here.
    """
    key = (cron_job.get("spec") or {}).get("timeZone")
    if key is None:
        return timezone.utc
    if not isinstance(key, str):
        raise InvalidManifest(f"must be a string, not {shown(key)}", path="spec.timeZone")
    try:
        return ZoneInfo(key)
    except (ValueError, LookupError, OSError):
        near = nearest(key, available_timezones())
        hint = f"; {near} is" if near else ""
        raise InvalidManifest(f"{shown(key)} is not a known time zone{hint}", path="spec.timeZone") from None
