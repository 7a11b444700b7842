"""May this claim replace the established schedule? The one question that policies answer."""

from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, Protocol

from attrs import field, frozen

from ._errors import InvalidValue, expect, shown
from ._model import CronJobState, SourceRef, check_name
from ._schedule import Schedule


class Policy(Protocol):
    """
    Decides who may replace the established schedule.

    A policy is asked only about claims that ask for another schedule than the
    established one. The resolver does the rest: it records requests, ignores
    repeats, and keeps the established schedule. Equal states must get equal
    answers: a policy keeps no memory, reads no clock, and depends neither on how a
    schedule is spelt nor on the order in which claims are stored.
    """

    @property
    def name(self) -> str:
        """What records call it: ``[a-z0-9-]+``, at most 63 characters."""
        ...

    def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
        """
        Return whether the claim of *challenger* may replace ``state.schedule``.

        *state* has an owner, has the challenger's claim in ``claims``, and has no marks.
        """
        ...


@frozen
class FirstWins:
    """The owner's namespace may, nobody else: what VolSync's Kopia fork documents. The default."""

    @property
    def name(self) -> str:
        """``first-wins``."""
        return "first-wins"

    def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
        """Return whether the challenger is of the owner's namespace."""
        return challenger.namespace == state.owner


@frozen
class Consensus:
    """A claim may where every claim that states a preference asks for the same schedule."""

    @property
    def name(self) -> str:
        """``consensus``."""
        return "consensus"

    def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
        """Return whether every claim that states a preference asks for the challenger's schedule."""
        return state.preferences.keys() == {state.claims[challenger].schedule}


def expect_policy(policy: Policy) -> None:
    """Raise InvalidValue for what cannot be asked: a class, a function, one without a name, an async one."""
    if isinstance(policy, (FirstWins, Consensus)):
        return
    permits = getattr(policy, "permits", None)
    if isinstance(policy, type) or not callable(permits):
        example = "FirstWins() or Bounded(shortest=timedelta(hours=1))"
        raise InvalidValue(f"policy must be an object with name and permits, such as {example}, not {shown(policy)}")
    if iscoroutinefunction(permits):
        raise InvalidValue("policy.permits must be a plain function: nobody awaits an async one")
    check_name(getattr(policy, "name", None), "policy", "policy.name")


def ask_policy(policy: Policy, state: CronJobState, challenger: SourceRef) -> bool:
    """Ask the policy, and raise InvalidValue where the answer is neither True nor False."""
    answer: Any = policy.permits(state, challenger)
    if isinstance(answer, bool):
        return answer
    if hasattr(answer, "close"):  # a coroutine that nobody awaits would warn of that
        answer.close()
    raise InvalidValue(f"the policy {policy.name} must answer True or False, not {shown(answer)}")


FIRST_WINS = FirstWins()
_SHORTEST = timedelta(seconds=1)  # of any schedule: @every 1s


@frozen
class Bounded:
    """
    A claim may where *policy* permits it, and where its schedule runs neither too often nor too rarely.

    The bounds stop an owner that asks for every minute, or for 29 February. They are
    compared with :attr:`Schedule.shortest_interval` and :attr:`Schedule.longest_interval`.

    Attributes:
        policy: Who may, within the bounds.
        shortest: Two runs may not be closer than this; None: no bound.
        longest: Two runs may not be further apart than this; None: no bound.

    Raises:
        InvalidValue: There is no bound, no schedule can meet the bounds, or the name is too long.
    """

    policy: Policy = FIRST_WINS
    shortest: timedelta | None = field(default=None, kw_only=True)
    longest: timedelta | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        expect_policy(self.policy)
        for argument, bound in (("shortest", self.shortest), ("longest", self.longest)):
            if bound is not None and expect(bound, timedelta, argument) < _SHORTEST:
                raise InvalidValue(f"{argument} must be at least one second, the shortest interval of any schedule")
        if self.shortest is None and self.longest is None:
            raise InvalidValue("shortest, longest or both must be given, such as shortest=timedelta(hours=1)")
        if self.shortest and self.longest and self.shortest > self.longest:
            raise InvalidValue(f"shortest ({self.shortest}) must not exceed longest ({self.longest})")
        check_name(self.name, "policy", "the name")

    @property
    def name(self) -> str:
        """``bounded-`` and the name of the inner policy."""
        return f"bounded-{self.policy.name}"

    def allows(self, schedule: Schedule) -> bool:
        """Return whether the runs of *schedule* are within the bounds. One that never fires has no runs."""
        closest, furthest = schedule.shortest_interval, schedule.longest_interval
        if closest is None or furthest is None:
            return False
        too_often = self.shortest is not None and closest < self.shortest
        return not too_often and (self.longest is None or furthest <= self.longest)

    def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
        """Return whether *policy* permits the challenger's schedule, and the bounds allow it."""
        schedule = state.claims[challenger].schedule
        return ask_policy(self.policy, state, challenger) and schedule is not None and self.allows(schedule)


POLICIES: dict[str, Policy] = {policy.name: policy for policy in (FIRST_WINS, Consensus())}
"""The policies that need no parameter, by name."""
