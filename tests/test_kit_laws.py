"""Each check of a law, by an implementation that breaks just that one: it is told under that law's name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from attrs import evolve

from kopia_maint import (
    Consensus,
    CronJobState,
    FirstWins,
    Policy,
    Resolution,
    SourceRef,
    SourceRequest,
    Verdict,
    patch_from_state,
    state_from_manifest,
)
from kopia_maint.testing import HandedOver, Reconciled, Restarted, Step, Submitted, check_resolver, explore
from kopia_maint.testing import _laws as laws
from kopia_maint.testing._history import EPOCH, MINUTE, Subject
from kopia_maint.testing._laws import tell

from .helpers import ask
from .reference import ForgetsTheOwner, Reference, RejectsSilently


class MarksItsArgument(Reference):
    """Writes into the state that it was given, for one source."""

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        if current is not None and request.source == B.source:
            object.__setattr__(current, "repository_name", f"{current.repository_name}x")
        return super().resolve(current, request, now=now, policy=policy)


class StandsForEver(Reference):
    """The schedule is never replaced, whatever the policy says."""

    def judge(self, state: CronJobState, request: SourceRequest, news: bool, policy: Policy) -> Verdict:
        return Verdict.AGREED if self.agrees(state, request) else Verdict.SUPERSEDED


class LastWins(Reference):
    """Whoever has news replaces the schedule, whatever the policy says."""

    def judge(self, state: CronJobState, request: SourceRequest, news: bool, policy: Policy) -> Verdict:
        return Verdict.ESTABLISHED if news else super().judge(state, request, news, policy)


class MisdatesTheRecord(Reference):
    """A conflict is dated when it is reported, not when it began."""

    def answer(self, resolution: Resolution) -> Resolution:
        if resolution.conflict is None:
            return resolution
        return evolve(resolution, conflict=evolve(resolution.conflict, since=resolution.conflict.since + MINUTE))


class RecordsTheOwner(Reference):
    """What the owner's namespace asked for before is taken for a conflict with itself."""

    def judge(self, state: CronJobState, request: SourceRequest, news: bool, policy: Policy) -> Verdict:
        verdict = super().judge(state, request, news, policy)
        return Verdict.REJECTED if verdict is Verdict.SUPERSEDED else verdict


class Antedates(Reference):
    """A claim is dated when the next minute begins."""

    def resolve(
        self, current: CronJobState | None, request: SourceRequest, *, now: datetime, policy: Policy
    ) -> Resolution:
        return super().resolve(current, request, now=now + MINUTE, policy=policy)


class NeverDeletes(Reference):
    """The CronJob stays when nobody is left."""

    def is_over(self, state: CronJobState, left: set[SourceRef]) -> bool:
        return False


class HashesTheNamespace(Reference):
    """Each namespace has a CronJob of its own."""

    def answer(self, resolution: Resolution) -> Resolution:
        if resolution.current is None and resolution.desired is not None:
            return evolve(resolution, desired=evolve(resolution.desired, repository_hash="0" * 16))
        return resolution


A, B = ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *")
A_AGAIN = ask("team-a/source-a", "0 4 * * *")
TWO_OF_A = [Submitted(A), Submitted(ask("team-a/source-b")), Submitted(ask("team-a/source-b", "0 4 * * *"))]


@pytest.mark.parametrize(
    ("wrong", "policy", "history", "law", "fault"),
    [
        (MarksItsArgument, FirstWins(), [Submitted(A), Submitted(B)], "1, Pure", "the arguments are left"),
        (StandsForEver, FirstWins(), [Submitted(A), Submitted(A_AGAIN)], "2, First wins", "owner's news, '0 4 * * *'"),
        (StandsForEver, Consensus(), [Submitted(A), Submitted(A_AGAIN)], "2, Consensus", "what everybody asks for"),
        (LastWins, Consensus(), [Submitted(A), Submitted(B)], "2, Consensus", "until everybody asks for one thing"),
        (
            ForgetsTheOwner,
            Consensus(),
            [Submitted(A), Submitted(B), Submitted(evolve(A, enabled=False))],
            "4, Persistence",
            "'0 2 * * *' of team-a persists",
        ),
        (RejectsSilently, FirstWins(), [Submitted(A), Submitted(B)], "6, Visible", "one conflict record for each"),
        (MisdatesTheRecord, FirstWins(), [Submitted(A), Submitted(B)], "6, Visible", "since when"),
        (RecordsTheOwner, FirstWins(), TWO_OF_A, "6, Visible", "the owner's namespace is never in conflict"),
        (Antedates, FirstWins(), [Submitted(A)], "7, Nothing lost", "the time at which it was news"),
        (NeverDeletes, FirstWins(), [Submitted(A), Reconciled(())], "9, Deleted exactly", "no source is left"),
        (HashesTheNamespace, FirstWins(), [Submitted(A)], "10, Identity", "the CronJob of repository"),
    ],
)
def test_what_breaks_one_law_is_told_under_its_name(
    wrong: type[Reference], policy: Policy, history: list[Step], law: str, fault: str
) -> None:
    """The last step of the history breaks the law, and none before it does."""
    subject = wrong()
    violation = tell(
        Subject(policy, subject.resolve, subject.reconcile, subject.hand_over), tuple(history), None, EPOCH
    )
    assert violation is not None
    assert str(violation).startswith(f"Law {law}: ")
    assert len(violation.history) == len(history)
    assert fault in violation.fault


@pytest.mark.parametrize(
    ("function", "wrong", "fault"),
    [
        (
            "state_from_manifest",
            lambda manifest: evolve(state_from_manifest(manifest), owner=None),
            "the manifest is read back as",
        ),
        ("patch_from_state", lambda state, manifest: patch_from_state(state, manifest) or {}, "nothing to write"),
        ("patch_from_state", lambda state, manifest: None, "the patched manifest is read as"),
    ],
)
def test_a_wrong_reader_or_writer_breaks_the_round_trip(
    monkeypatch: pytest.MonkeyPatch, function: str, wrong: Callable[..., Any], fault: str
) -> None:
    """Law 11 is about manifests, so it is our own functions that it would find."""
    monkeypatch.setattr(laws, function, wrong)
    violation = tell(Subject(), (Submitted(A), Submitted(B)), None, EPOCH)
    assert violation is not None
    assert violation.law.name == "Round trip"
    assert fault in violation.fault


class NeedsFiveFields(Reference):
    """Takes `@every` and the other short forms for no preference: no small scope shows it."""

    def preference(self, request: SourceRequest) -> Any:
        return None if request.schedule is None or request.schedule.text.startswith("@") else request.schedule


def test_random_histories_find_what_a_small_scope_does_not() -> None:
    """The walk through every state uses few schedules; the histories after it use all kinds."""
    subject = NeedsFiveFields()
    with pytest.raises(AssertionError, match="asks for '@"):
        check_resolver(subject.resolve, max_examples=5000)  # as many as it takes: 200 miss it once in a while


def test_every_kind_of_step_tells_itself() -> None:
    """In words that a story is made of."""
    assert [
        str(step) for step in (Submitted(A), Reconciled((), frozenset({A.source})), HandedOver("b"), Restarted())
    ] == [
        "team-a/source-a asks for '0 2 * * *'",
        "reconcile: team-a/source-a cannot be read",
        "an administrator hands over to b",
        "the operator restarts and reads the CronJob",
    ]


def test_explore_shows_its_progress_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that is written over, and ended when all is done."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    explore(namespaces=1, sources_per_namespace=1, schedules=1)
    progress = capsys.readouterr().err
    assert progress.startswith("\r")
    assert progress.endswith("0 to do\033[K\n")
