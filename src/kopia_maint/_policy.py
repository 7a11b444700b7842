"""May this claim replace the established schedule? The one question that policies answer."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from ._model import CronJobState, SourceRef


class Policy(Protocol):
    """
    Decides who may replace the established schedule.

    It is asked only about claims that differ from what stands, and never hears of
    time: that only news changes anything, and that a schedule persists until
    somebody asks for something new, is the resolver's doing and holds for every
    policy. Same question, same answer: a policy keeps no memory.
    """

    @property
    def name(self) -> str:
        """What records call it: ``[a-z0-9-]+``."""
        ...

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """
        Return whether the claim of *challenger*, which is in ``state.claims``, may replace ``state.schedule``.

        *state* is valid during the call; its ``latest_conflict`` is not part of the question and may be absent.
        """
        ...


@frozen
class FirstWins:
    """The owner's namespace may, nobody else: what VolSync's Kopia fork documents. The default."""

    @property
    def name(self) -> str:
        """``first-wins``."""
        return "first-wins"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Return whether the challenger is of the owner's namespace."""
        return challenger.namespace == state.owner


@frozen
class Consensus:
    """Whoever asks for what everybody with a preference asks for, may."""

    @property
    def name(self) -> str:
        """``consensus``."""
        return "consensus"

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Return whether every claim that states a preference asks for the challenger's schedule."""
        return state.preferences.keys() == {state.claims[challenger].schedule}


POLICIES: dict[str, Policy] = {policy.name: policy for policy in (FirstWins(), Consensus())}
"""The policies that are shipped, by name."""
