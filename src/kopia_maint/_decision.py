"""What does a decision tell? The state before and after, and how each source stands."""

from collections.abc import Mapping
from enum import Enum

from attrs import field, frozen

from ._errors import expect
from ._model import Conflict, CronJobState, FrozenMapping, Repository, SourceRef, SourceRequest, by_name, instance_of
from ._schedule import Schedule


class _Word(str, Enum):  # StrEnum, which Python 3.10 does not have
    def __str__(self) -> str:
        return str(self.value)


class Verdict(_Word):
    """What became of a request, or how a source stands."""

    ESTABLISHED = "established"
    """The request changed the schedule, or created the CronJob."""
    AGREED = "agreed"
    """The source has no preference, or asks for the established schedule."""
    SUPERSEDED = "superseded"
    """The source asked for another schedule before, and the policy would permit it only if it were news."""
    REJECTED = "rejected"
    """The source asks for another schedule, and the policy does not permit it: there is a conflict record."""
    DISABLED = "disabled"
    """The source takes no part in maintenance."""
    UNREADABLE = "unreadable"
    """The source cannot be read: its claim, if it has one, stays, and is marked like any other."""


class Action(_Word):
    """What became of the state."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"


@frozen(kw_only=True)
class Standing:
    """
    How one source stands, as a condition or an Event tells its tenant.

    Attributes:
        verdict: AGREED, SUPERSEDED, REJECTED, DISABLED or UNREADABLE; None: its repository's CronJob is withheld.
        reason: One CamelCase word, for a Kubernetes condition.
        message: One sentence of at most 1,024 characters, the most important words first.
        conflict: The record of its marked claim, if there is one.
    """

    verdict: Verdict | None = field(validator=instance_of(Verdict, optional=True))
    reason: str = field(validator=instance_of(str))
    message: str = field(validator=instance_of(str))
    conflict: Conflict | None = field(validator=instance_of(Conflict, optional=True))


def standing_of(
    verdict: Verdict, wanted: Schedule | None, state: CronJobState | None, conflict: Conflict | None = None
) -> Standing:
    """Return how a source stands that asks for *wanted*; the message says only what *state* knows."""
    reason = verdict.value.capitalize()
    message = f"{reason}: {_told(verdict, wanted, state, conflict)}"
    return Standing(verdict=verdict, reason=reason, message=message, conflict=conflict)


def _told(verdict: Verdict, wanted: Schedule | None, state: CronJobState | None, conflict: Conflict | None) -> str:
    if verdict is Verdict.DISABLED:
        return "this source takes no part in maintenance."
    if verdict is Verdict.UNREADABLE:
        return "this source cannot be read; its claim, if it has one, stays."
    assert state is not None  # every other verdict speaks of a CronJob
    asked = "no particular schedule" if wanted is None else f"'{wanted}'"
    established = f"'{state.schedule}' is the schedule of {state.cron_job_name}"
    if verdict is Verdict.REJECTED:
        policy = "" if conflict is None else f" by the policy {conflict.policy}"
        return f"{asked} is not permitted{policy}; {established} (owner {state.owner})."
    if verdict is Verdict.SUPERSEDED:
        return (
            f"{established}, and this source asked for {asked} before; the same wish counts again only after the"
            " source has asked for something else, or was disabled and enabled again."
        )
    return f"{established}, and this source asks for {asked}."


@frozen(kw_only=True)
class Decision:
    """
    What should become of one CronJob.

    Attributes:
        current: The state before; None: there was no CronJob.
        desired: The state that should be stored; None: there should be no CronJob.
            Where nothing changed, it is the current one itself.
    """

    current: CronJobState | None = field(validator=instance_of(CronJobState, optional=True))
    desired: CronJobState | None = field(validator=instance_of(CronJobState, optional=True))

    @property
    def action(self) -> Action:
        """What became of the state. Whether the cluster needs a write is :func:`write_for`'s to say."""
        if self.current is self.desired or self.current == self.desired:
            return Action.NONE
        if self.current is None:
            return Action.CREATE
        return Action.DELETE if self.desired is None else Action.UPDATE

    @property
    def changed(self) -> bool:
        """Whether the desired state differs from the current one."""
        return self.action is not Action.NONE

    @property
    def opened(self) -> tuple[Conflict, ...]:
        """The conflicts that are recorded on the desired state and not on the current one: each deserves one Event."""
        return _added(self.current, self.desired)

    @property
    def closed(self) -> tuple[Conflict, ...]:
        """The conflicts that are recorded on the current state and not on the desired one."""
        return _added(self.desired, self.current)


def _added(before: CronJobState | None, after: CronJobState | None) -> tuple[Conflict, ...]:
    if after is None or after is before:
        return ()
    known = set() if before is None else set(before.conflicts)
    return tuple(conflict for conflict in after.conflicts if conflict not in known)


@frozen(kw_only=True)
class Resolution(Decision):
    """
    The answer to one request.

    Attributes:
        request: The request that was decided.
        verdict: What became of it.
        conflict: The record of the rejection; there if and only if the verdict is REJECTED.
    """

    request: SourceRequest = field(validator=instance_of(SourceRequest))
    verdict: Verdict = field(validator=instance_of(Verdict))
    conflict: Conflict | None = field(default=None, validator=instance_of(Conflict, optional=True))

    @property
    def explanation(self) -> str:
        """One sentence to log."""
        told = standing_of(self.verdict, self.request.schedule, self.desired, self.conflict)
        return f"{self.request.source}: {told.message}"

    @property
    def standing(self) -> Standing:
        """How the source stands now. One whose schedule was just established agrees with it."""
        verdict = Verdict.AGREED if self.verdict is Verdict.ESTABLISHED else self.verdict
        return standing_of(verdict, self.request.schedule, self.desired, self.conflict)


def _by_source(standings: Mapping[SourceRef, Standing]) -> FrozenMapping[SourceRef, Standing]:
    for source, standing in expect(standings, Mapping, "standings").items():  # type: ignore[type-abstract]
        expect(source, SourceRef, "a key of standings")
        expect(standing, Standing, "a value of standings")
    return FrozenMapping({source: standings[source] for source in sorted(standings, key=by_name)})


@frozen(kw_only=True)
class Reconciliation(Decision):
    """
    The answer to the whole list of sources of one repository.

    Attributes:
        repository: The repository; None where only its CronJob is known.
        standings: How each source of the list stands at the end, unreadable ones too, sorted.
    """

    repository: Repository | None = field(validator=instance_of(Repository, optional=True))
    standings: Mapping[SourceRef, Standing] = field(converter=_by_source)

    @property
    def verdicts(self) -> Mapping[SourceRef, Verdict]:
        """How each source of the list stands, in one word. None is withheld here: that is a plan's to say."""
        return FrozenMapping({it: standing.verdict for it, standing in self.standings.items() if standing.verdict})

    @property
    def conflicts(self) -> Mapping[SourceRef, Conflict]:
        """The record of each source of the list that is in conflict."""
        return FrozenMapping({it: standing.conflict for it, standing in self.standings.items() if standing.conflict})
