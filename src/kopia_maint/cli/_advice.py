"""What can somebody do about a conflict, and what else in a plan deserves a look before a merge?"""

import json
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from attrs import evolve, frozen

from .._decision import Verdict
from .._manifest import OWNER_KEY
from .._model import CronJobState
from .._policy import Bounded, FirstWins, Policy
from .._resolver import hand_over
from ._lint import Note
from ._report import SUSPENDED, PlannedRepository, Report
from ._text import some, spelt

_MANY = 3  # names with one ending are no accident


@frozen
class Advice:
    """What there is to do: what ends conflicts, by CronJob and namespace, one of these; and what deserves a look."""

    steps: Mapping[str, Mapping[str, Mapping[str, str | None]]]
    notes: Sequence[Note]


def advise(report: Report, policy: Policy, operator_namespace: str, *, as_manifests: bool) -> Advice:
    """Say what there is to do about a plan; *as_manifests*: what should be is to be given to Kubernetes as it is."""
    steps = {it.cron_job_name: _steps(it, policy, operator_namespace) for it in report.repositories if it.conflicts}
    notes = [*report.notes, *_notes(report, policy, operator_namespace)]
    if as_manifests and any(it.manifest and "jobTemplate" not in it.manifest["spec"] for it in report.repositories):
        message = "without a job template Kubernetes refuses a CronJob: give one with --template"
        notes.append(Note("no-job-template", message))
    return Advice(steps, notes)


def ways_out(schedule: str | None) -> dict[str, str]:
    """Return what its tenant can do to end a conflict with *schedule*, one of these; None: nobody may ask for it."""
    return {
        "agree": f"ask for {schedule} in spec.kopia.maintenanceCronJob, or for nothing: without that and"
        " maintenanceIntervalDays"
        if schedule
        else "leave maintenanceCronJob and maintenanceIntervalDays out of spec.kopia",
        "disable": "set spec.kopia.maintenanceCronJob.enabled to false",
        "ownRepository": "use another repository: name another Secret in spec.kopia.repository",
    }


def _steps(it: PlannedRepository, policy: Policy, operator_namespace: str) -> dict[str, dict[str, str | None]]:
    state = it.decision.desired
    assert state is not None  # a CronJob that goes has no conflicts
    steps: dict[str, dict[str, str | None]] = {}
    for namespace in dict.fromkeys(record.namespace for record, _, _ in it.conflicts):
        handed = _handed_over(state, namespace, policy)
        # Nobody hands over a CronJob that does not exist yet.
        helps = it.decision.current is not None and all(it.namespace != namespace for it in handed.conflicts)
        steps[namespace] = {
            **ways_out(None if state.schedule.never_fires else json.dumps(spelt(state.schedule))),
            "handOver": _command(state, handed, operator_namespace) if helps else None,
        }
    return steps


def _handed_over(state: CronJobState, namespace: str, policy: Policy) -> CronJobState:
    *_, inner = policy, *(it.policy for it in _bounds(policy))
    if isinstance(inner, FirstWins):  # it looks at the owner only: with the claims of all, many namespaces take long
        state = evolve(state, claims={it: claim for it, claim in state.claims.items() if it.namespace == namespace})
    handed = hand_over(state, namespace, policy=policy).desired
    assert handed is not None
    return handed


def _command(state: CronJobState, handed: CronJobState, operator_namespace: str) -> str:
    patch: dict[str, Any] = {"metadata": {"annotations": {OWNER_KEY: handed.owner}}}
    if handed.schedule != state.schedule:
        patch["spec"] = {"schedule": spelt(handed.schedule)}
    return (
        f"kubectl patch cronjob {state.cron_job_name} -n {operator_namespace} --type merge"
        f" -p {quote(json.dumps(patch, separators=(',', ':')))}"
    )


def _notes(report: Report, policy: Policy, operator_namespace: str) -> Iterator[Note]:
    # An owner with a source that cannot be read, or that may be in what could not be named, is not gone.
    present = {source.namespace for source in report.plan.unreadable}
    for it in report.repositories:
        for code, message in _about(it, policy):
            yield Note(code, f"{it.label}: {message}", it.repository_hash)
        state = it.decision.desired
        if state is not None and state.orphaned and report.complete and state.owner not in present:
            message = f"{it.label}: its owner, {state.owner}, has no source left that takes part; its schedule persists"
            command = ""
            if state.namespaces:
                message += f" until an administrator hands over to one of {some(state.namespaces)}, as in:"
                command = _command(state, _handed_over(state, min(state.namespaces), policy), operator_namespace)
            yield Note("orphaned", message, it.repository_hash, command=command)
    yield from _names(report.repositories)


def _about(it: PlannedRepository, policy: Policy) -> Iterator[tuple[str, str]]:
    state, cron_job = it.decision.desired, it.cron_job_name
    if it.name not in (None, it.label):
        yield "custom-ca", "its sources differ in customCA from others with a Secret of this name: two CronJobs"
    if state is None:
        if it.decision.current is not None:
            yield "delete", f"no source uses it any more: {cron_job} is to be deleted"
        return
    if it.conflicts and it.decision.current is None and not it.dated:
        yield (
            "owner-by-name",
            "the input does not say who was first: it has neither the CronJob nor every creationTimestamp. The order of"
            " names decides here; on a cluster, the first source does",
        )
    if it.next_run == SUSPENDED:
        yield "suspended", f"{cron_job} is suspended: no maintenance until its spec.suspend is false"
    if state.schedule.never_fires:
        yield "never-fires", f"{cron_job} never runs: no date matches '{spelt(state.schedule)}'"
    elif any(not bounds.allows(state.schedule) for bounds in _bounds(policy)):
        yield (
            "out-of-bounds",
            f"'{spelt(state.schedule)}' is out of the bounds of the policy {policy.name}, which is asked neither about"
            " the default nor about what is established already",
        )
    standings = it.decision.standings.items()
    superseded = [source for source, standing in standings if standing.verdict is Verdict.SUPERSEDED]
    if superseded:
        yield (
            "superseded",
            f"'{spelt(state.schedule)}' is established; these asked for another schedule before, and their wish counts"
            f" again only after they asked for something else, or were disabled and enabled again: {some(superseded)}",
        )


def _bounds(policy: Policy) -> Iterator[Bounded]:
    while isinstance(policy, Bounded):
        yield policy
        policy = policy.policy


def _names(repositories: Sequence[PlannedRepository]) -> Iterator[Note]:
    """Yield what may be wrong with the names of Secrets, which nobody reads here."""
    shared = [f"{it.label} ({len(it.namespaces)} namespaces)" for it in repositories if it.name and it.namespaces[1:]]
    if shared:
        message = (
            f"shared by name: {some(shared)}. Every namespace has a Secret of its own: where they differ in"
            " KOPIA_REPOSITORY they are different repositories, which need different names to be maintained each"
        )
        yield Note("shared-name", message)
    endings: dict[str, list[str]] = {}
    for it in repositories:
        if it.name and "-" in it.name and it.decision.desired and len(it.decision.desired.claims) == 1:
            endings.setdefault(it.name.rpartition("-")[2], []).append(it.name)
    for ending, names in endings.items():
        if len(names) >= _MANY:
            message = (
                f"{len(names)} repositories of one source each have names in -{ending}: {some(names)}. Where their"
                " Secrets lead to one Kopia repository, it is maintained once for each: let the sources name one Secret"
            )
            yield Note("similar-names", message)
