"""
Which mistakes must the kit and the vectors find? Implementations and policies, each wrong in one plausible way.

An implementation here is the library with one change: to what is asked, to the policy
that is asked, or to what is answered.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from attrs import evolve, frozen

import kopia_maint
from kopia_maint import (
    DEFAULT_SCHEDULE,
    CronJobState,
    Decision,
    Policy,
    Reconciliation,
    Resolution,
    Schedule,
    SourceRef,
    SourceRequest,
    Verdict,
)

State = CronJobState
Decide = Callable[..., Any]
FUNCTIONS = ("resolve", "reconcile", "hand_over", "withdraw")
MINUTE = timedelta(minutes=1)


@frozen
class Implementation:
    """Four functions, and the name of the law that their shortest history breaks."""

    law: str
    resolve: Decide = kopia_maint.resolve
    reconcile: Decide | None = kopia_maint.reconcile
    hand_over: Decide = kopia_maint.hand_over
    withdraw: Decide = kopia_maint.withdraw


def made(permits: Callable[[State, SourceRef], Any], name: Any = "made") -> Any:
    """Return a policy made from one function."""
    return type("Made", (), {"name": name, "permits": lambda _, state, challenger: permits(state, challenger)})()


def asking(law: str, change: Callable[[SourceRequest], SourceRequest]) -> Implementation:
    """Change every request before it is decided."""
    return Implementation(
        law,
        lambda current, request, **how: kopia_maint.resolve(current, change(request), **how),
        lambda current, requests, **how: kopia_maint.reconcile(current, map(change, requests), **how),
    )


def under(law: str, other: Callable[[Policy, State | None, Any], Policy]) -> Implementation:
    """Ask another policy, chosen by the state and the time."""

    def changed(decide: Decide) -> Decide:
        return lambda current, *given, policy, now=None, **how: decide(
            current, *given, policy=other(policy, current, now), **({"now": now} if now else {}), **how
        )

    return Implementation(law, **{name: changed(getattr(kopia_maint, name)) for name in FUNCTIONS[:3]})


def answering(law: str, after: Callable[[Any, State], State | None], *functions: str) -> Implementation:
    """Change the desired state of every decision that has one, or of those of some functions."""

    def changed(decide: Decide) -> Decide:
        def decided(*given: Any, **how: Any) -> Any:
            decision = decide(*given, **how)
            return evolve(decision, desired=decision.desired and after(decision, decision.desired))

        return decided

    return Implementation(law, **{name: changed(getattr(kopia_maint, name)) for name in functions or FUNCTIONS})


def saying(law: str, change: Callable[[Resolution], Resolution]) -> Implementation:
    """Change what ``resolve`` says."""
    return Implementation(law, lambda *given, **how: change(kopia_maint.resolve(*given, **how)))


# --- mistakes --------------------------------------------------------------------


def verdict_of(decision: Decision) -> Verdict | None:
    return decision.verdict if isinstance(decision, Resolution) else None


def marked(state: State, sources: Collection[SourceRef], policy: str) -> State:
    """Return a state whose marked claims are these."""
    claims = {it: evolve(claim, rejected=it in sources) for it, claim in state.claims.items()}
    return evolve(state, claims=claims, policy=policy if any(claim.rejected for claim in claims.values()) else None)


def kept(state: State, keep: Callable[[SourceRef], bool]) -> State:
    """Return a state with some of its claims, and without marks."""
    return evolve(state, claims={it: c for it, c in state.unmarked.claims.items() if keep(it)}, policy=None)


def never_clears(decision: Decision, state: State) -> State:
    before = decision.current.conflicts if decision.current else ()
    still = {
        it.source for it in before if it.source in state.claims and state.claims[it.source].schedule == it.schedule
    }
    return marked(state, still | {it.source for it in state.conflicts}, "first-wins")


def refreshes_times(current: State | None, request: SourceRequest, *, now: Any, policy: Policy) -> Resolution:
    decision = kopia_maint.resolve(current, request, now=now, policy=policy)
    if decision.desired is None or not request.enabled:
        return decision
    claim = evolve(decision.desired.claims[request.source], since=now)
    return evolve(decision, desired=evolve(decision.desired, claims={**decision.desired.claims, request.source: claim}))


def takes_turns(current: State | None, request: SourceRequest, *, now: Any, policy: Policy) -> Resolution:
    claim = current.claims.get(request.source) if current else None
    bare = current and kopia_maint.withdraw(current, request.source, policy=policy).desired
    since = claim.since if claim and claim.schedule == request.schedule else now
    return evolve(kopia_maint.resolve(bare, request, now=since, policy=policy), current=current)


def records_one_by_one(current: State | None, requests: Any, *, now: Any, policy: Policy, unreadable: Any) -> Any:
    state = current
    for request in sorted(requests, key=lambda it: (it.created_at is None, it.created_at, it.source)):
        state = kopia_maint.resolve(state, request, now=now, policy=policy).desired
    return evolve(
        kopia_maint.reconcile(state, requests, now=now, policy=policy, unreadable=unreadable), current=current
    )


def list_order(current: State | None, requests: Any, *, now: Any, **how: Any) -> Reconciliation:
    listed = [evolve(request, created_at=now + number * MINUTE) for number, request in enumerate(requests)]
    return kopia_maint.reconcile(current, listed, now=now, **how)


def never_deletes(current: State | None, *given: Any, **how: Any) -> Reconciliation:
    decision = kopia_maint.reconcile(current, *given, **how)
    return evolve(decision, desired=decision.desired or (current and kept(current, lambda _: False)))


def marks_its_argument(current: State | None, request: SourceRequest, **how: Any) -> Resolution:
    if current is not None:
        object.__setattr__(current, "owner", request.source.namespace)
    return kopia_maint.resolve(current, request, **how)


def earliest(decision: Decision, state: State) -> State:
    own = [it for it, claim in state.claims.items() if it.namespace == state.owner and claim.schedule]
    if not own or not decision.changed:
        return state
    first: Any = state.claims[min(own, key=lambda it: state.claims[it].since)].schedule
    return evolve(state, schedule=first)


def withdraws_the_namespace(decision: Any, state: State) -> State:
    gone = {it.namespace for it in decision.current.claims.keys() - state.claims.keys()}
    return kept(state, lambda it: it.namespace not in gone) if gone else state


def asker(decision: Any, *verdicts: Verdict) -> str:
    """Return the namespace of a request that got one of these verdicts, or else the owner."""
    asked = verdict_of(decision) in verdicts
    return str(decision.request.source.namespace if asked else decision.desired.owner)


def is_short(request: SourceRequest) -> bool:
    return request.schedule is not None and request.schedule.text.startswith("@")


IMPLEMENTATIONS = {
    "writes into its argument": Implementation("Pure", marks_its_argument, None),
    "takes @daily for no preference": asking("Pure", lambda it: evolve(it, schedule=None) if is_short(it) else it),
    "compares text": saying(
        "Pure",
        lambda it: (
            evolve(it, verdict=Verdict.SUPERSEDED)
            if it.verdict is Verdict.AGREED
            and it.desired
            and it.request.schedule
            and it.request.schedule.text != it.desired.schedule.text
            else it
        ),
    ),
    "lets everybody win at odd seconds": under(
        "First wins", lambda policy, _, now: made(lambda *_: True, policy.name) if now and now.second % 2 else policy
    ),
    "takes the default when the owner goes": answering(
        "First wins", lambda _, state: evolve(state, schedule=DEFAULT_SCHEDULE) if state.orphaned else state
    ),
    "never replaces a schedule": under("Permitted", lambda policy, *_: made(lambda *_: False, policy.name)),
    "does not ask about the first schedule": under(
        "Permitted", lambda policy, current, _: policy if current else made(lambda *_: True, policy.name)
    ),
    "hands over without asking": Implementation(
        "Quiet",
        hand_over=lambda current, to, policy: kopia_maint.hand_over(
            current, to, policy=made(lambda *_: True, policy.name)
        ),
    ),
    "hands over to the earliest claim": answering("Permitted", earliest, "hand_over"),
    "hands over the owner only": Implementation(
        "Permitted",
        hand_over=lambda current, to, policy: Decision(
            current=current, desired=current if current.owner == to else evolve(current.unmarked, owner=to)
        ),
    ),
    "records one claim after the other": Implementation("Permitted", reconcile=records_one_by_one),
    "ignores when sources were created": asking("Permitted", lambda it: evolve(it, created_at=None)),
    "has another default": answering(
        "Permitted",
        lambda it, state: (
            state if it.current or state.preferences else evolve(state, schedule=Schedule.parse("0 3 * * *"))
        ),
    ),
    "makes the next namespace the owner when the owner goes": answering(
        "Permitted",
        lambda _, state: evolve(state, owner=min(state.namespaces)) if state.orphaned and state.claims else state,
    ),
    "makes everybody the owner, as the fork does": answering(
        "Quiet", lambda it, state: evolve(state, owner=asker(it, *set(Verdict) - {Verdict.DISABLED}))
    ),
    "makes everybody the owner that agrees": answering(
        "Quiet", lambda it, state: evolve(state, owner=asker(it, Verdict.AGREED))
    ),
    "dates each request anew": Implementation("Quiet", refreshes_times),
    "forgets what it rejects": answering(
        "Visible", lambda _, state: kept(state, lambda it: not state.claims[it].rejected)
    ),
    "deletes with the owner": answering(
        "Quiet", lambda it, state: None if isinstance(it, Reconciliation) and state.orphaned else state
    ),
    "takes every request for news": Implementation("Persistence", takes_turns),
    "answers for disabled sources that it agreed": saying(
        "Neutrality", lambda it: evolve(it, verdict=Verdict.AGREED) if it.verdict is Verdict.DISABLED else it
    ),
    "makes a disabled source the owner": answering(
        "Neutrality", lambda it, state: evolve(state, owner=asker(it, Verdict.DISABLED))
    ),
    "overlooks enabled: false": asking("Neutrality", lambda it: evolve(it, enabled=True)),
    "rejects without a record": saying("Visible", lambda it: evolve(it, conflict=None)),
    "dates the record when it is reported": saying(
        "Visible", lambda it: evolve(it, conflict=it.conflict and evolve(it.conflict, since=it.conflict.since + MINUTE))
    ),
    "establishes, and says that it agreed": saying(
        "Visible", lambda it: evolve(it, verdict=Verdict.AGREED) if it.verdict is Verdict.ESTABLISHED else it
    ),
    "keeps a mark as long as the claim": answering("Visible", never_clears),
    "marks no other claim when one is withdrawn": answering(
        "Quiet", lambda it, state: marked(state, it.current.rejected, it.current.policy), "withdraw"
    ),
    "withdraws the namespace": answering("Quiet", withdraws_the_namespace, "withdraw"),
    "takes unreadable sources for gone": Implementation(
        "Visible",
        reconcile=lambda *given, now, policy, unreadable: kopia_maint.reconcile(*given, now=now, policy=policy),
    ),
    "takes no preference for the default": asking(
        "Nothing lost", lambda it: evolve(it, schedule=it.schedule or DEFAULT_SCHEDULE)
    ),
    "dates claims a minute later": Implementation(
        "Nothing lost", lambda *given, now, policy: kopia_maint.resolve(*given, now=now + MINUTE, policy=policy)
    ),
    "drops the claim that a hand-over establishes": answering(
        "Nothing lost",
        lambda it, state: kept(state, lambda source: source.namespace != state.owner) if it.changed else state,
        "hand_over",
    ),
    "lets the list's order decide": Implementation("Order-free", reconcile=list_order),
    "never deletes": Implementation("Deleted exactly", reconcile=never_deletes),
    "gives each namespace a CronJob": answering("Identity", lambda _, state: evolve(state, repository_hash="0" * 16)),
    "does not write down the Secret": answering("Identity", lambda _, state: evolve(state, secret_name=None)),
}


# --- policies --------------------------------------------------------------------


class Remembers:
    """Permits the first namespace that it was ever asked about."""

    name = "remembers"
    first: str | None = None

    def permits(self, state: State, challenger: SourceRef) -> bool:
        self.first = self.first or challenger.namespace
        return challenger.namespace == self.first


class Toggles:
    """Permits every second question."""

    name = "toggles"
    asked = 0

    def permits(self, state: State, challenger: SourceRef) -> bool:
        self.asked += 1
        return self.asked % 2 == 0


def wanted(state: State, challenger: SourceRef) -> str:
    return str(state.claims[challenger].schedule)


QUESTIONS = itertools.count()
POLICIES: dict[str, Policy] = {
    "has a memory": Remembers(),
    "has a memory that the next question undoes": Toggles(),
    "reads the clock": made(lambda *_: time.time_ns() // 1_000_000 % 2 == 1),
    "depends on the order of preferences": made(
        lambda state, it: str(next(iter(state.preferences))) == wanted(state, it)
    ),
    "depends on the order of claims": made(lambda state, it: next(iter(state.claims)).namespace == it.namespace),
    "depends on the challenger's spelling": made(lambda state, it: not wanted(state, it).startswith("@")),
    "depends on the established spelling": made(lambda state, it: str(state.schedule) > "0 3"),
    "fails at the tenth question": made(lambda *_: 1 // (next(QUESTIONS) - 9) == 2),
    "raises": made(lambda state, it: {"0 4 * * *": True}[wanted(state, it)]),
    "answers with a text": made(lambda *_: "no"),
    "has no name": made(lambda *_: True, None),
}
