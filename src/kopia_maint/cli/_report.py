"""
What is planned for the objects in the input? One report: the plan, its repositories, and what is wrong where.

The plan itself is :func:`kopia_maint.plan_manifests`; here objects are given their
places, and the plan's errors and conflicts find theirs again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Any

from attrs import define, field, frozen

from .._decision import Action, Reconciliation
from .._errors import InvalidManifest, KopiaMaintError
from .._manifest import (
    CLAIMS_ANNOTATION,
    CONFLICT_ANNOTATION,
    GROUP,
    MAINTENANCE_LABEL,
    OWNER_KEY,
    hash_from,
    is_source,
    request_from_manifest,
    source_named,
    state_from_manifest,
)
from .._model import CRON_JOB_PREFIX, Conflict, CronJobState, SourceRef
from .._objects import Manifest, attempt, merge_patch
from .._plan import Plan, plan_manifests
from .._policy import Policy
from .._schedule import Schedule
from ._lint import Note, embeds_source, ignored, misspelt, zone_of
from ._load import Document, Place, Problem
from ._text import count, some

NEW = Document(Place("new CronJob"), {})
SUSPENDED, NEVER_FIRES = "suspended", "never fires"

_AS_IT_IS = "; this CronJob stays as it is, and its repository, with all who use it, is left out of the plan"
_WORDS = {OWNER_KEY: "owner", CLAIMS_ANNOTATION: "claims", CONFLICT_ANNOTATION: "conflict"}


@frozen
class PlannedRepository:
    """What becomes of one repository."""

    cron_job_name: str
    name: str | None  # its Secret's; None where only a CronJob is known that does not tell
    label: str  # what people call it, and no other
    dated: bool  # whether the creation time of all its sources is known
    decision: Reconciliation
    conflicts: Sequence[tuple[Conflict, Place | None, bool]]  # each record, where its source asks, whether it is new
    manifest: Mapping[str, Any] | None  # the CronJob as it should be, if there should be one
    changes: Sequence[str]  # what a write would change on the CronJob that is there
    next_run: datetime | str  # in the CronJob's time zone, or why it does not run

    @property
    def repository_hash(self) -> str:
        return self.cron_job_name.removeprefix(CRON_JOB_PREFIX)

    @property
    def state(self) -> CronJobState | None:
        """What there should be; of a CronJob that is to be deleted, what there is."""
        return self.decision.desired or self.decision.current

    @property
    def namespaces(self) -> Sequence[str]:
        return sorted(self.state.namespaces) if self.state else ()


@frozen
class Report:
    """What is planned, and what is wrong with the input."""

    plan: Plan
    complete: bool  # whether every object in the input could be read and named
    repositories: Sequence[PlannedRepository]  # sorted by name
    problems: Sequence[Problem]  # what could not be read, or cannot be written
    notes: Sequence[Note]  # what deserves a look in the input


def report_on(
    found: Iterable[Document | Problem],
    *,
    template: Document,
    default_namespace: str | None,
    operator_namespace: str,
    now: datetime,
    policy: Policy,
) -> Report:
    """Plan what was found in the input; *default_namespace* is for sources that state none, None: they must."""
    given = _Input(default_namespace, operator_namespace)
    for it in found:
        given.add(it)
    plan = plan_manifests(
        cron_jobs=[_deletable(it.value) for it in chain.from_iterable(given.cron_jobs.values())],
        replication_sources=[it.value for it in chain.from_iterable(given.sources.values())],
        template=lambda *_: template.value,
        operator_namespace=operator_namespace,
        complete=not given.problems,
        now=now,
        policy=policy,
    )
    problems = [*given.problems, *(_located(error, given, plan) for error in plan.errors)]
    repositories = list(_planned(given, plan, template, now, problems))
    return Report(plan, not given.problems, repositories, problems, [*given.notes, *_linted(given, plan)])


@define
class _Input:
    """The objects of the input by their names, collected one by one."""

    default_namespace: str | None
    operator_namespace: str
    sources: dict[SourceRef, list[Document]] = field(factory=dict)
    cron_jobs: dict[str, list[Document]] = field(factory=dict)
    problems: list[Problem] = field(factory=list)
    notes: list[Note] = field(factory=list)
    elsewhere: list[str] = field(factory=list)
    maintained: list[str] = field(factory=list)

    def add(self, found: Document | Problem) -> None:
        """Take in one object, or what is there in the place of one that could not be read."""
        if isinstance(found, Problem):
            self.problems.append(found)
            return
        kind = found.value.get("kind")
        spelt = kind.lower() if isinstance(kind, str) else ""  # what is only misspelt is the core's to refuse
        if spelt == "replicationsource":
            self._add_source(found)
        elif spelt == "cronjob":
            self._add_cron_job(found)
        elif kind == "KopiaMaintenance" and str(found.value.get("apiVersion")).startswith(f"{GROUP}/"):
            self.maintained.append(f"{kind} {_metadata(found.value).get('name')}")
        elif embeds_source(found.value):
            message = (
                "a ReplicationSource inside another object, such as a chart's values or a ResourceSet, is passed over:"
                " give the rendered manifests"
            )
            self.notes.append(Note("embedded", message, place=found.place.at("")))

    def _add_source(self, found: Document) -> None:
        value = found.value
        if attempt(lambda: is_source(Manifest(value))) is False:
            return
        nameless = not _metadata(value).get("namespace")
        if nameless and self.default_namespace:
            value = _in_namespace(value, self.default_namespace)
        source = source_named(value)
        if source is not None:
            self.sources.setdefault(source, []).append(Document(found.place, value))
            return
        try:
            # What else is wrong is said first: to state a namespace for what was not rendered would not help.
            if request_from_manifest(_in_namespace(value, "default") if nameless else value) is not None:
                message = "is missing (--default-namespace states one for all sources without)"
                raise InvalidManifest(message, path="metadata.namespace")
        except KopiaMaintError as error:
            self.problems.append(Problem(found.place.at(error.path), error.message))

    def _add_cron_job(self, found: Document) -> None:
        metadata = _metadata(found.value)
        name, namespace, labels = (metadata.get(key) for key in ("name", "namespace", "labels"))
        if isinstance(name, str) and hash_from(name) is not None:
            if namespace in (None, "", self.operator_namespace):
                self.cron_jobs.setdefault(name, []).append(found)
            else:
                self.elsewhere.append(str(namespace))
        elif isinstance(labels, dict) and labels.get(MAINTENANCE_LABEL) == "true":
            self.maintained.append(f"CronJob {name}")


def _metadata(value: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = value.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _in_namespace(value: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**value, "metadata": {**_metadata(value), "namespace": namespace}} if _metadata(value) else value


def _deletable(cron_job: dict[str, Any]) -> dict[str, Any]:
    """Return a CronJob with what a request to delete it would need: nothing is written, and files leave that out."""
    return {**cron_job, "metadata": {"uid": "unknown", "resourceVersion": "unknown", **_metadata(cron_job)}}


def _located(error: KopiaMaintError, given: _Input, plan: Plan) -> Problem:
    """Say where an object is that the plan complains about, and what follows for those who use it."""
    if error.source is not None:
        documents, message, consequence = given.sources[error.source], f"{error.source}: {error.message}", ""
    else:
        name = next((name for name, it in plan.withheld.items() if it is error), "")
        documents, message, consequence = given.cron_jobs.get(name, [NEW]), error.message, _AS_IT_IS
    faulty = [it for it in documents if _fault(it.value) == str(error)]
    if not faulty and documents[1:]:
        message += f", first in {documents[0].place}"
    if error.path == "spec.kopia.repository" and error.message == "is missing":
        message += " (a patch? give the rendered manifests)"
    place = (*faulty, documents[-1])[0].place.at(error.path)
    return Problem(place, message + consequence * (documents != [NEW]))


def _fault(value: Mapping[str, Any]) -> str:
    try:
        request_from_manifest(value)
        state_from_manifest(value)
    except KopiaMaintError as error:
        return str(error)
    return ""


def _linted(given: _Input, plan: Plan) -> Iterator[Note]:
    undecided = []
    for source, documents in given.sources.items():
        if source in plan.standings and source not in plan.unreadable:
            kopia, place = documents[0].value["spec"]["kopia"], documents[0].place
            for path, message in misspelt(kopia):
                yield Note("unknown-field", f"{source}: {message}", place=place.at(path))
            undecided += [f"{source} ({name})" for name in ignored(kopia)]
    if undecided:
        message = "nobody reads these fields of maintenanceCronJob: an administrator sets them on the CronJob"
        yield Note("ignored-field", f"{message}: {some(undecided)}")
    if given.elsewhere:
        message = (
            f"{count(len(given.elsewhere), 'maintenance CronJob')} outside namespace {given.operator_namespace} passed"
            f" over, such as in {min(given.elsewhere)}; is --operator-namespace right?"
        )
        yield Note("elsewhere", message)
    if given.maintained:
        message = (
            f"passed over: {some(given.maintained)}. Releases of the fork with KopiaMaintenance maintain by it alone,"
            " and delete CronJobs such as those planned here: do not run both"
        )
        yield Note("kopia-maintenance", message)


def _planned(
    given: _Input, plan: Plan, template: Document, now: datetime, problems: list[Problem]
) -> Iterator[PlannedRepository]:
    """Yield what becomes of each repository, and add to *problems* what is wrong with time zones."""
    writes = {write.name: write for write in plan.writes}
    names = {cron_job: _name(decision) for cron_job, decision in plan.decisions.items()}
    namesakes = Counter(names.values())
    for cron_job, name in sorted(names.items(), key=lambda item: (item[1] is None, item[1] or "", item[0])):
        decision, write = plan.decisions[cron_job], writes.get(cron_job)
        base = given.cron_jobs.get(cron_job, [template])[0]
        manifest: Mapping[str, Any] | None = None
        next_run: datetime | str = ""
        if decision.desired is not None:
            manifest = write.body if write else {}
            if decision.current is not None:
                version = {"metadata": {"resourceVersion": _metadata(base.value).get("resourceVersion")}}
                manifest = merge_patch(merge_patch(base.value, manifest), version)
            try:
                next_run = _next_run(decision.desired.schedule, zone_of(base.value), now)
            except InvalidManifest as error:
                problems.append(Problem(base.place.at(error.path), error.message))
                next_run = "unknown time zone"
            if (base.value.get("spec") or {}).get("suspend") is True:
                next_run = SUSPENDED
        yield PlannedRepository(
            cron_job_name=cron_job,
            name=name,
            label=_told_apart(name, cron_job, decision) if name and namesakes[name] > 1 else name or cron_job,
            dated=all(_metadata(given.sources[it][0].value).get("creationTimestamp") for it in decision.standings),
            decision=decision,
            conflicts=list(_conflicts(decision, given)),
            manifest=manifest,
            changes=_changes(write.body) if write and write.action is Action.UPDATE else (),
            next_run=next_run,
        )


def _name(decision: Reconciliation) -> str | None:
    known = decision.repository or decision.current
    return known.secret_name if known else None


def _told_apart(name: str, cron_job: str, decision: Reconciliation) -> str:
    """Return a name that tells a repository from those with a Secret of the same name: by its CA, if that is known."""
    if decision.repository is None:
        return f"{name} ({cron_job.removeprefix(CRON_JOB_PREFIX)})"
    ca = decision.repository.custom_ca
    parts = [part for part in (ca.secret_name, ca.config_map_name, ca.key) if part]
    return f"{name} ({' '.join(['CA', *parts]) if parts else 'no CA'})"


def _conflicts(decision: Reconciliation, given: _Input) -> Iterator[tuple[Conflict, Place | None, bool]]:
    opened = set(decision.opened)
    for record in decision.desired.conflicts if decision.desired else ():
        documents = given.sources.get(record.source)
        place = documents[0].place.at("spec.kopia.maintenanceCronJob.schedule") if documents else None
        yield record, place, record in opened


@lru_cache(maxsize=1024)  # many repositories have the same schedule
def _next_run(schedule: Schedule, zone: tzinfo, now: datetime) -> datetime | str:
    return next(iter(schedule.next_runs(now, 1, tz=zone)), NEVER_FIRES)


def _changes(patch: Mapping[str, Any]) -> Sequence[str]:
    """Return in words what a patch changes. Labels follow from the rest, and count where they are alone."""
    changes = ["schedule"] * ("spec" in patch)
    changes += [word for key, word in _WORDS.items() if key in patch.get("metadata", {}).get("annotations", {})]
    return changes or ["labels"]
