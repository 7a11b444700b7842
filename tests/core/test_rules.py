"""What do decisions tell, and what is a policy shown? What they decide is in the vectors, and in tests/reference."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from kopia_maint import (
    Action,
    Bounded,
    Consensus,
    CronJobState,
    FirstWins,
    InvalidValue,
    Repository,
    RepositoryMismatch,
    Schedule,
    SourceRef,
    SourceRequest,
    Verdict,
    hand_over,
    reconcile,
    reconcile_all,
    resolve,
    withdraw,
)
from kopia_maint._policy import POLICIES
from kopia_maint._resolver import RULES

from ..helpers import LATER, NOW, REPOSITORY, ask, source

A, B = ask("team-a/source-a", "0 3 * * *"), ask("team-b/source-b", "0 4 * * *")
OTHER = Repository("another-secret")
HOUR = timedelta(hours=1)


def decided(*requests: SourceRequest) -> CronJobState | None:
    """Return the state after these requests, one by one."""
    state = None
    for request in requests:
        state = resolve(state, request, now=NOW).desired
    return state


def test_exactly_one_row_applies_to_each_request() -> None:
    """The policy is asked about another schedule, and about no other."""
    for another, answer, news in product((False, True), repeat=3):
        permits = answer if another else None
        rows = [it for it in RULES if (it.another, it.permits) == (another, permits) and it.news in (None, news)]
        assert len(rows) == 1
    assert {rule.verdict for rule in RULES} == {
        Verdict.AGREED,
        Verdict.ESTABLISHED,
        Verdict.SUPERSEDED,
        Verdict.REJECTED,
    }


EXPLANATIONS = [
    ((), A, "Established", "THREE, and this source asks for '0 3 * * *'."),
    ((), ask("team-a/a"), "Established", "TWO, and this source asks for no particular schedule."),
    ((A,), ask("team-b/b", "0 03 * * *"), "Agreed", "THREE, and this source asks for '0 03 * * *'."),
    (
        *((ask("team-a/a", "0 4 * * *"), A), ask("team-a/a", "0 4 * * *"), "Superseded"),
        "THREE, and this source asked for '0 4 * * *' before; the same wish counts again only after the source has"
        " asked for something else, or was disabled and enabled again.",
    ),
    ((A,), B, "Rejected", "'0 4 * * *' is not permitted by the policy first-wins; THREE (owner team-a)."),
    ((A,), ask("team-b/b", enabled=False), "Disabled", "this source takes no part in maintenance."),
]


@pytest.mark.parametrize(("before", "request_", "reason", "told"), EXPLANATIONS)
def test_every_verdict_explains_itself(
    before: tuple[SourceRequest, ...], request_: SourceRequest, reason: str, told: str
) -> None:
    """One sentence for a log, and the same for the tenant, to whom an established schedule is agreed."""
    for word, hour in (("TWO", 2), ("THREE", 3)):
        told = told.replace(word, f"'0 {hour} * * *' is the schedule of {REPOSITORY.cron_job_name}")
    resolution = resolve(decided(*before), request_, now=NOW)
    assert (resolution.verdict, resolution.explanation) == (reason.lower(), f"{request_.source}: {reason}: {told}")
    standing = resolution.standing
    assert standing.reason == ("Agreed" if reason == "Established" else reason)
    assert (standing.verdict, standing.message) == (standing.reason.lower(), f"{standing.reason}: {told}")
    assert standing.conflict == resolution.conflict


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
    unread = reconcile(first.desired, [A], now=LATER, unreadable=[B.source])
    assert (unread.conflicts, unread.opened, unread.closed) == ({B.source: conflict}, (), ())


def test_a_policy_is_shown_every_claim_of_the_list_and_no_mark() -> None:
    """An owner, the claims as they will be stored, and what follows from them: counted anew, not remembered."""
    shown: list[CronJobState] = []

    def permits(state: CronJobState, challenger: SourceRef) -> bool:
        assert challenger in state.claims
        shown.append(state)
        return False

    before = decided(A, B, ask("team-c/source-c", "0 6 * * *"), ask("team-d/source-d"))
    wanted = {"a": "0 4 * * *", "b": "0 4 * * *", "c": None, "d": "@hourly", "e": "0 6 * * *"}
    requests = [ask(f"team-{it}/source-{it}", text) for it, text in wanted.items()]
    made: Any = SimpleNamespace(name="shown", permits=permits)
    reconcile(before, requests, now=LATER, policy=made)
    assert len(shown) == 7  # three are news; four ask for another schedule, and may be marked
    for state in shown:
        preferences = {str(schedule): count for schedule, count in state.preferences.items()}
        assert preferences == {"0 4 * * *": 2, "@hourly": 1, "0 6 * * *": 1}
        assert (state.owner, state.policy, state.conflicts) == ("team-a", None, ())


def test_policies_have_the_names_that_records_say() -> None:
    """Those that need no parameter are known by their names."""
    policies = FirstWins(), Consensus(), Bounded(shortest=HOUR), Bounded(Consensus(), longest=HOUR)
    assert [it.name for it in policies] == ["first-wins", "consensus", "bounded-first-wins", "bounded-consensus"]
    assert POLICIES.keys() == {"first-wins", "consensus"}


def test_bounds_can_be_asked_about_any_schedule() -> None:
    """Also about one that no request may have."""
    bounded = Bounded(shortest=HOUR)
    allowed = [bounded.allows(Schedule.parse(text)) for text in ("0 * * * *", "* * * * *", "0 0 30 2 *")]
    assert allowed == [True, False, False]


def test_the_error_of_another_repository_names_the_source() -> None:
    """Whichever function is asked."""
    other = ask("team-a/source-a", repository=OTHER)
    for decide in (
        lambda: resolve(decided(A), other, now=NOW),
        lambda: reconcile(decided(A), [other], now=NOW),
        lambda: reconcile(None, [B, other], now=NOW),
    ):
        with pytest.raises(RepositoryMismatch, match="another-secret") as caught:
            decide()
        assert caught.value.source == other.source


def test_a_source_is_of_one_repository() -> None:
    """Which of two would count? An unreadable one is of none."""
    for requests, unreadable in (([A, evolve(A, repository=OTHER)], {}), ([A], {A.source: None})):
        with pytest.raises(InvalidValue, match="team-a/source-a is listed twice") as caught:
            reconcile_all([], requests, now=NOW, unreadable=unreadable, complete=True)
        assert caught.value.source == A.source


def test_what_is_said_of_unreadable_and_unlisted_sources() -> None:
    """A Secret that is no name is none; the claim of a source that may be there stands, without a standing."""
    state = decided(A, B)
    assert state is not None
    for secret in ("Not A Name", "", None):
        unreadable = {source("team-z/z"): secret}
        (answer,) = reconcile_all([state], [], now=LATER, unreadable=unreadable, complete=True).values()
        assert (answer.action, answer.repository) == (Action.DELETE, None)
    unreadable = {source("team-z/z"): REPOSITORY.secret_name}
    (answer,) = reconcile_all([state], [], now=LATER, unreadable=unreadable, complete=True).values()
    assert (answer.action, list(answer.standings)) == (Action.UPDATE, [source("team-z/z")])
    (answer,) = reconcile_all([state], [A], now=LATER, complete=False).values()
    assert (answer.desired, answer.repository) == (state, REPOSITORY)
    assert list(answer.standings) == [A.source]
