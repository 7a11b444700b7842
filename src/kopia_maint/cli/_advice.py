"""
What can somebody do about a conflict, and what else deserves a look before a merge?

Whatever tenants control is cut short here where it could be long, and quoted
where it could be pasted into a shell.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from shlex import quote
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from .._errors import shown
from .._manifest import OWNER_KEY
from .._model import Claim, CronJobState, SourceRef, Verdict
from .._resolver import hand_over
from ._load import Place

if TYPE_CHECKING:
    from ._plan import PlannedRepository

SUSPENDED = "suspended"

_URGENT = ("unknown-field", "embedded", "elsewhere", "no-job-template")
_LIMITS = ("suspend", "resources", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
_FIELDS = {  # by what they are in
    "spec.kopia.maintenanceCronJob": ("enabled", "schedule", *_LIMITS),
    "spec.kopia.customCA": ("secretName", "configMapName", "key"),
    # There are more of these in every release: only what is nearly one of ours is worth a word.
    "spec.kopia": ("maintenanceCronJob", "maintenanceIntervalDays", "customCA"),
}


@frozen
class Note:
    """
    What deserves a look, although it can be read.

    Attributes:
        code: What kind of note this is, in kebab-case.
        message: What is the case, and what to do.
        repository_hash: The repository it is about, if it is about one.
        place: Where the cause was read, if it is in one place.
    """

    code: str
    message: str
    repository_hash: str | None = None
    place: Place | None = None

    @property
    def urgent(self) -> bool:
        """Whether something is not done that somebody most likely wants."""
        return self.code in _URGENT

    def __str__(self) -> str:
        return self.message if self.place is None else f"{self.place}: {self.message}"


def ways_out(schedule: str) -> dict[str, str]:
    """Return what its tenant can do to end a conflict with *schedule*, one of these."""
    return {
        "agree": f"set spec.kopia.maintenanceCronJob.schedule to {schedule},"
        " or leave maintenanceCronJob out to have no preference",
        "disable": "set spec.kopia.maintenanceCronJob.enabled to false: maintenance goes on for as long as another"
        " source uses the repository",
        "ownRepository": "name another Secret in spec.kopia.repository: another repository has another schedule",
    }


def next_steps(state: CronJobState, namespaces: Collection[str], operator_namespace: str) -> dict[str, dict[str, str]]:
    """Return for each namespace what ends its conflicts, one of these; ``handOver`` is an administrator's command."""
    claims: dict[str, dict[SourceRef, Claim]] = {namespace: {} for namespace in namespaces}
    for source, claim in state.claims.items():
        if source.namespace in claims:
            claims[source.namespace][source] = claim
    steps = {}
    for namespace, own in claims.items():
        # A hand-over is decided by the claims of the new owner alone: with those of all, many would take long.
        schedule = hand_over(evolve(state, claims=own), namespace).schedule
        patch: dict[str, Any] = {"metadata": {"annotations": {OWNER_KEY: namespace}}}
        if schedule != state.schedule:
            patch["spec"] = {"schedule": schedule.text}
        steps[namespace] = {
            **ways_out(json.dumps(state.schedule.text)),
            "handOver": f"kubectl patch cronjob {state.cron_job_name} -n {operator_namespace} --type merge"
            f" -p {quote(json.dumps(patch, separators=(',', ':')))}",
        }
    return steps


def misspelt(kopia: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield path and message for each field that was meant for us, and that the API server drops without a word."""
    for path in _FIELDS:
        fields = kopia if path == "spec.kopia" else kopia.get(path.rpartition(".")[2])
        if isinstance(fields, Mapping):
            yield from _unknown(path, tuple(fields))


@lru_cache(maxsize=1024)  # sources are alike, and to look for what was meant takes longer than to read one
def _unknown(path: str, fields: tuple[object, ...]) -> Sequence[tuple[str, str]]:
    found = []
    for name in fields:
        if isinstance(name, str) and name not in _FIELDS[path]:
            meant = nearest(name, _FIELDS[path])
            if meant or path != "spec.kopia":
                hint = f" ({meant}?)" if meant else ""
                message = f"VolSync has no field {shown(name)}{hint}: the API server drops it silently"
                found.append((f"{path}.{name}", message))
    return found


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that somebody may have meant, whatever its case."""
    lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), lower, 1, 0.8)
    return lower[near[0]] if near else None


def embeds_source(value: Any) -> bool:
    """Return whether a Kopia source is somewhere inside another object, such as the values of a chart."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            spec = value.get("spec")
            if value.get("kind") == "ReplicationSource" and isinstance(spec, Mapping) and "kopia" in spec:
                return True
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


def notes_on(planned: Sequence[PlannedRepository]) -> Iterator[Note]:
    """Yield what deserves a look in a plan."""
    for it in planned:
        for code, message in _about(it):
            yield Note(code, f"{it.label}: {message}", it.repository_hash)
    shared = [f"{it.label} ({len(it.namespaces)} namespaces)" for it in planned if it.name and len(it.namespaces) > 1]
    if shared:
        message = (
            f"shared by name: {some(shared)}. Every namespace has a Secret of its own: where they differ in"
            " KOPIA_REPOSITORY they are different repositories, which need different names to be maintained each"
        )
        yield Note("shared-name", message)


def _about(it: PlannedRepository) -> Iterator[tuple[str, str]]:
    state, decision, cron_job = it.state, it.decision, it.cron_job_name
    if it.name not in (None, it.label):
        yield "custom-ca", "its sources differ in customCA from others with a Secret of this name: two CronJobs"
    if state is None:
        return
    if decision.desired is None:
        yield "delete", f"no source uses it any more: {cron_job} is to be deleted"
        return
    if it.conflicts and decision.current is None and not it.dated:
        yield (
            "owner-by-name",
            "who was first is not in the input, which has neither a CronJob nor every creationTimestamp: the order of"
            " names decides here, on a cluster the first source does",
        )
    if it.next_run == SUSPENDED:
        yield "suspended", f"{cron_job} is suspended: no maintenance until its spec.suspend is false"
    superseded = [source for source, verdict in decision.verdicts.items() if verdict is Verdict.SUPERSEDED]
    if superseded:
        yield "superseded", f"'{state.schedule}' was asked for later than what these want: {some(superseded)}"
    if state.orphaned:
        yield (
            "orphaned",
            f"its owner, {state.owner}, has no source left, and its schedule persists until an administrator hands it"
            f" over: set the annotation {OWNER_KEY} of {cron_job} to one of {some(state.namespaces)}",
        )


def some(names: Iterable[object]) -> str:
    """Return the first of many names, and how many more there are."""
    ordered = sorted(map(str, names))
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")
