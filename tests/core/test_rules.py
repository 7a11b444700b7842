"""What do decisions tell, and what is a policy shown? What they decide is in the vectors: tests/conformance."""

from __future__ import annotations

from itertools import product

import pytest

from kopia_maint import (
    Action,
    CronJobState,
    Repository,
    RepositoryMismatch,
    SourceRef,
    SourceRequest,
    Verdict,
    hand_over,
    reconcile,
    resolve,
    withdraw,
)
from kopia_maint._resolver import RULES

from ..helpers import LATER, MUCH_LATER, NOW, REPOSITORY, ask, source

A, B = ask("team-a/source-a", "0 3 * * *"), ask("team-b/source-b", "0 4 * * *")


def decided(*requests: SourceRequest) -> CronJobState:
    """Return the state after these requests, one by one."""
    state = None
    for request in requests:
        state = resolve(state, request, now=NOW).desired
    assert state is not None
    return state


def test_exactly_one_row_applies_to_each_request() -> None:
    """The policy is asked about another schedule, and about no other."""
    for another, answer, news in product((False, True), repeat=3):
        permits = answer if another else None
        rows = [it for it in RULES if (it.another, it.permits) == (another, permits) and it.news in (None, news)]
        assert len(rows) == 1
    outcomes = {verdict for rule in RULES for verdict in (rule.verdict, rule.creating)}
    assert outcomes == {Verdict.AGREED, Verdict.ESTABLISHED, Verdict.SUPERSEDED, Verdict.REJECTED}


NAME = REPOSITORY.cron_job_name
EXPLANATIONS = [
    (
        *(None, ask("team-b/source-b", "0 4 * * *"), Verdict.ESTABLISHED),
        f"team-b/source-b: Established: '0 4 * * *' is the schedule of {NAME}, and this source asks for '0 4 * * *'.",
    ),
    (
        *(None, ask("team-b/source-b"), Verdict.ESTABLISHED),
        f"team-b/source-b: Established: '0 2 * * *' is the schedule of {NAME},"
        " and this source asks for no particular schedule.",
    ),
    (
        *(decided(A), ask("team-b/source-b", "0 03 * * *"), Verdict.AGREED),
        f"team-b/source-b: Agreed: '0 3 * * *' is the schedule of {NAME}, and this source asks for '0 03 * * *'.",
    ),
    (
        *(decided(A, ask("team-a/other", "0 6 * * *")), A, Verdict.SUPERSEDED),
        f"team-a/source-a: Superseded: '0 6 * * *' is the schedule of {NAME}, and this source asked for '0 3 * * *'"
        " before; the same wish counts again only after the source has asked for something else,"
        " or was disabled and enabled again.",
    ),
    (
        *(decided(A), B, Verdict.REJECTED),
        "team-b/source-b: Rejected: '0 4 * * *' is not permitted by the policy first-wins;"
        f" '0 3 * * *' is the schedule of {NAME} (owner team-a).",
    ),
    (
        *(decided(A), ask("team-b/source-b", enabled=False), Verdict.DISABLED),
        "team-b/source-b: Disabled: this source takes no part in maintenance.",
    ),
]


@pytest.mark.parametrize(("current", "request_", "verdict", "explanation"), EXPLANATIONS)
def test_every_verdict_explains_itself(
    current: CronJobState | None, request_: SourceRequest, verdict: Verdict, explanation: str
) -> None:
    """One sentence for a log, and the same for the tenant, to whom an established schedule is agreed."""
    resolution = resolve(current, request_, now=NOW)
    assert (resolution.verdict, resolution.explanation) == (verdict, explanation)
    assert resolution.standing.verdict is (Verdict.AGREED if verdict is Verdict.ESTABLISHED else verdict)
    assert resolution.standing.reason.lower() == resolution.standing.verdict
    assert resolution.standing.conflict == resolution.conflict


def test_a_decision_tells_what_becomes_of_the_state() -> None:
    """What nobody changed is not an equal state, but the one that was given."""
    created = resolve(None, A, now=NOW)
    assert (created.action, created.changed, created.current) == (Action.CREATE, True, None)
    before = created.desired
    assert before is not None
    for unchanged in (
        resolve(before, A, now=LATER),
        resolve(before, ask("team-z/z", enabled=False), now=LATER),
        reconcile(before, [A], now=LATER),
        reconcile(before, [A], now=LATER, unreadable=[source("team-z/z")]),
        hand_over(before, "team-a"),
        withdraw(before, source("team-z/z")),
    ):
        assert (unchanged.action, unchanged.changed) == (Action.NONE, False)
        assert unchanged.desired is before
    assert resolve(before, B, now=LATER).action is Action.UPDATE
    assert reconcile(before, [], now=LATER).action is Action.DELETE
    assert reconcile(None, [], now=LATER, unreadable=[source("team-z/z")]).action is Action.NONE


def test_a_conflict_is_opened_once_and_closed_once() -> None:
    """One that asks for something else ends, and begins anew; every kind of decision tells it."""
    first = reconcile(None, [A, B], now=NOW)
    conflict = first.conflicts[B.source]
    assert (conflict.source, conflict.schedule, conflict.since) == (B.source, B.schedule, NOW)
    assert (first.opened, first.closed) == ((conflict,), ())
    assert first.desired is not None
    again = resolve(first.desired, B, now=LATER)
    assert (again.conflict, again.opened, again.closed) == (conflict, (), ())
    other = resolve(first.desired, ask("team-b/source-b", "0 6 * * *"), now=LATER)
    assert other.conflict is not None
    assert (other.opened, other.closed) == ((other.conflict,), (conflict,))
    assert withdraw(first.desired, B.source).closed == (conflict,)
    handed = hand_over(first.desired, "team-b")
    assert [it.source for it in handed.opened] == [A.source]
    assert handed.closed == (conflict,)
    assert reconcile(first.desired, [], now=LATER).closed == (conflict,)
    unread = reconcile(first.desired, [A], now=MUCH_LATER, unreadable=[B.source])
    assert (unread.conflicts, unread.opened, unread.closed) == ({B.source: conflict}, (), ())


class Shown:
    """A policy that permits nobody, and notes what it is shown."""

    name = "shown"

    def __init__(self) -> None:
        self.states: list[CronJobState] = []

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Note the state."""
        assert challenger in state.claims
        self.states.append(state)
        return False


def test_a_policy_is_shown_every_claim_of_the_list_and_no_mark() -> None:
    """An owner, the claims as they will be stored, and what follows from them: counted anew, not remembered."""
    before = decided(A, B, ask("team-c/source-c", "0 6 * * *"), ask("team-d/source-d"))
    wanted = {"a": "0 4 * * *", "b": "0 4 * * *", "c": None, "d": "@hourly", "e": "0 6 * * *"}
    policy = Shown()
    reconcile(before, [ask(f"team-{it}/source-{it}", text) for it, text in wanted.items()], now=LATER, policy=policy)
    assert len(policy.states) == 7  # three are news; four ask for another schedule, and may be marked
    for state in policy.states:
        preferences = {str(schedule): count for schedule, count in state.preferences.items()}
        assert preferences == {"0 4 * * *": 2, "@hourly": 1, "0 6 * * *": 1}
        assert (state.owner, state.policy, state.conflicts) == ("team-a", None, ())


def test_the_error_of_another_repository_names_the_source() -> None:
    """Whichever function is asked."""
    other = ask("team-a/source-a", repository=Repository("another-secret"))
    for decide in (
        lambda: resolve(decided(A), other, now=NOW),
        lambda: reconcile(decided(A), [other], now=NOW),
        lambda: reconcile(None, [B, other], now=NOW),
    ):
        with pytest.raises(RepositoryMismatch, match="another-secret") as caught:
            decide()
        assert caught.value.source == other.source
