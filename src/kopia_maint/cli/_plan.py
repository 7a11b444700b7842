"""
Which repositories does the input lead to, and what is wrong with it? Objects in, the library's plan out.

Nothing is concluded from what could not be read: a source whose manifest is bad
counts as unreadable, not as gone, and a repository whose CronJob is bad is left
out of the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from attrs import define, evolve, field, frozen

from .._errors import InvalidManifest, KopiaMaintError, shown
from .._manifest import (
    DEFAULT_OPERATOR_NAMESPACE,
    MAINTENANCE_LABEL,
    manifest_from_state,
    request_from_manifest,
    state_from_manifest,
)
from .._model import CRON_JOB_PREFIX, CronJobState, Reconciliation, SourceRef, SourceRequest
from .._policy import Policy
from .._resolver import plan
from ._load import Document, Place, Problem

_AS_IT_IS = "; this CronJob stays as it is, and its repository, with all who use it, is left out of the plan"


@frozen
class CronJob:
    """A maintenance CronJob that is there: what is stored on it, and its document."""

    state: CronJobState
    document: Document


@frozen
class PlannedRepository:
    """
    What becomes of one repository.

    Attributes:
        repository_hash: Which repository.
        name: The name of its Secret; None where only a CronJob is known that does not tell.
        decision: The library's decision.
        base: The CronJob to write that into: the one that is there, or else the template.
        suspended: Whether the CronJob is suspended.
        zone: The name of its time zone, UTC where it states none; None: it states one that is not known.
        next_run: When it runs next; None: never, not while it is suspended, or the time zone is not known.
    """

    repository_hash: str
    name: str | None
    decision: Reconciliation
    base: Document
    suspended: bool
    zone: str | None
    next_run: datetime | None

    @property
    def cron_job_name(self) -> str:
        """The name of its CronJob."""
        return CRON_JOB_PREFIX + self.repository_hash

    @property
    def state(self) -> CronJobState | None:
        """What there should be; of a CronJob that is to be deleted, what there is."""
        return self.decision.desired or self.decision.current


@define
class Inventory:
    """
    What the input holds, collected object by object.

    Attributes:
        default_namespace: For sources that state none; None: they must.
        operator_namespace: Where CronJobs are trusted: a tenant can write one elsewhere.
        problems: What could not be read.
        strangers: The CronJobs that were passed over because they are elsewhere, and their namespaces.
    """

    default_namespace: str | None = None
    operator_namespace: str = DEFAULT_OPERATOR_NAMESPACE
    problems: list[Problem] = field(factory=list)
    strangers: list[str] = field(factory=list)
    _requests: dict[SourceRef, tuple[SourceRequest, Place]] = field(factory=dict)
    _cron_jobs: dict[str, CronJob] = field(factory=dict)
    _unreadable: set[SourceRef] = field(factory=set)
    _withheld: set[str] = field(factory=set)
    _anything_unread: bool = False

    def add(self, found: Document | Problem) -> None:
        """Take in one object, or what stands in the place of one that could not be read."""
        if isinstance(found, Problem):
            self.problems.append(found)
            self._anything_unread = True
        elif found.value.get("kind") == "ReplicationSource":
            self._add_source(found)
        elif found.value.get("kind") == "CronJob" and _is_ours(found.value):
            self._add_cron_job(found)

    def _add_source(self, document: Document) -> None:
        manifest: Mapping[str, Any] = document.value
        metadata = manifest.get("metadata")
        nameless = isinstance(metadata, Mapping) and metadata.get("namespace") in (None, "")
        if nameless and self.default_namespace is not None:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.default_namespace}}
        try:
            request = request_from_manifest(manifest)
        except KopiaMaintError as error:
            if error.path == "metadata.namespace" and nameless:
                error.message += " (--default-namespace states one for all sources without)"
            self._report(document, error)
            if error.source is None:
                self._anything_unread = True
            else:
                self._unreadable.add(error.source)
            return
        if request is None:
            return
        first, place = self._requests.setdefault(request.source, (request, document.place))
        if first is not request and first != request:
            message = (
                f"the source {request.source} is there twice with different content, first in {place}: neither counts"
            )
            self.problems.append(Problem(document.place, message, document.path))
            self._unreadable.add(request.source)

    def _add_cron_job(self, document: Document) -> None:
        manifest = document.value
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        if namespace not in (None, "", self.operator_namespace):
            self.strangers.append(str(namespace))
            return
        try:
            state = state_from_manifest(manifest)
        except KopiaMaintError as error:
            self._report(document, error, _AS_IT_IS)
            self._withheld.add(str(metadata.get("name")).removeprefix(CRON_JOB_PREFIX))
            return
        first = self._cron_jobs.setdefault(state.repository_hash, CronJob(state, document))
        if first.document.value != manifest:
            place = first.document.place
            message = f"the CronJob {state.cron_job_name} is there twice with different content, first in {place}"
            message += _AS_IT_IS
            self.problems.append(Problem(document.place, message, document.path))
            self._withheld.add(state.repository_hash)

    def _report(self, document: Document, error: KopiaMaintError, consequence: str = "") -> None:
        error.within(document.path)
        about = f"{error.source}: " if error.source else ""
        self.problems.append(Problem(document.place, f"{about}{error.message}{consequence}", error.path))

    def plan(self, *, now: datetime, policy: Policy, template: Document) -> list[PlannedRepository]:
        """Return what becomes of every repository, sorted by name; add to the problems what is wrong with CronJobs."""
        requests = [request for request, _ in self._requests.values() if request.source not in self._unreadable]
        states = [job.state for h, job in self._cron_jobs.items() if h not in self._withheld]
        unreadable = self._unreadable
        if self._anything_unread:
            # Any source that has a claim and was not seen may be in what could not be read.
            claimed = {source for state in states for source in state.claims}
            unreadable = unreadable | (claimed - self._requests.keys())
        decisions = plan(
            states,
            (request for request in requests if request.repository.hash not in self._withheld),
            now=now,
            policy=policy,
            unreadable=unreadable,
        )
        names = {request.repository.hash: request.repository.secret_name for request in requests}
        bases = {h: job.document for h, job in self._cron_jobs.items()}
        planned = [
            self._planned(h, names.get(h), decision, bases.get(h, template), now) for h, decision in decisions.items()
        ]
        return sorted(planned, key=lambda it: (it.name is None, it.name or "", it.repository_hash))

    def _planned(
        self, repository_hash: str, name: str | None, decision: Reconciliation, base: Document, now: datetime
    ) -> PlannedRepository:
        if decision.desired is None and self._anything_unread:
            # So may a source that nobody has heard of: nothing is deleted, the CronJob stands as it does.
            decision = evolve(decision, desired=decision.current, conflicts=decision.before)
        zone: tzinfo | None = None
        try:
            zone = time_zone(base.value)
        except InvalidManifest as error:
            self._report(base, error)
        suspended = (base.value.get("spec") or {}).get("suspend") is True
        runs: tuple[datetime, ...] = ()
        if decision.desired is not None and zone is not None and not suspended:
            runs = decision.desired.schedule.next_runs(now, 1, tz=zone)
        known = decision.desired or decision.current
        return PlannedRepository(
            repository_hash,
            name or (known.repository_name if known else None),
            decision,
            base,
            suspended,
            None if zone is None else str(zone),
            runs[0] if runs else None,
        )


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
        raise InvalidManifest(f"{shown(key)} is not a known time zone", path="spec.timeZone") from None


def cron_jobs(
    planned: Iterable[PlannedRepository], operator_namespace: str
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return the CronJobs as they should be, and what is wrong with those that cannot be written."""
    manifests, problems = [], []
    for repository in planned:
        state, base = repository.decision.desired, repository.base
        if state is None:
            continue
        try:
            manifests.append(manifest_from_state(state, base.value, operator_namespace=operator_namespace))
        except KopiaMaintError as error:
            error.within(base.path)
            problems.append(Problem(base.place, error.message, error.path))
    return manifests, problems
