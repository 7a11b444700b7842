"""
What holds whatever happens? The laws, each with its sentence and its check, written once.

A check looks at one state, or at one transition, and returns what is wrong, or
None. That is enough for whole histories: every law is such that it holds always
if it holds at each step, so no check has to know what came before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, permutations
from pickle import dumps
from typing import Any, Union

from attrs import evolve, field, frozen

from .._manifest import manifest_from_state, merge_patch, patch_from_state, state_from_manifest
from .._model import Conflict, CronJobState, Repository, SourceRef, SourceRequest, Verdict, check_name
from .._policy import Consensus, FirstWins, Policy
from .._schedule import DEFAULT_SCHEDULE, Schedule
from ._history import (
    MINUTE,
    HandedOver,
    Reconciled,
    Step,
    Subject,
    Submitted,
    Transition,
    asked_for,
    meaning,
    requests_of,
    respelt,
    told,
)

REPOSITORY = Repository("shared-repo-secret")
"""The repository of every history: more than one would only multiply the cases, ``plan`` keeps them apart."""

_STRANGER = SourceRef("zz-stranger", "zz-stranger")
_RIVAL = SourceRequest(_STRANGER, REPOSITORY, Schedule.parse("59 23 * * 6"))
_PERMUTATIONS = 6
_FOREIGN: dict[str, Any] = {
    "metadata": {
        "name": REPOSITORY.cron_job_name,
        "labels": {"team": "storage"},
        "annotations": {"note": "keep"},
        "finalizers": ["a/b"],
    },
    "spec": {"suspend": False, "jobTemplate": {"spec": {"backoffLimit": 3}}},
    "status": {"active": []},
}

StateCheck = Callable[[Subject, CronJobState, Transition], Union[str, None]]
StepCheck = Callable[[Subject, Transition], Union[str, None]]


@frozen
class Law:
    """
    One law.

    Attributes:
        number: Its number in the semantics.
        name: Its name there.
        sentence: What it says.
        policy: The policy that it speaks of; None: it holds under every policy.
        of_step: Its check of one transition, if it has one.
        of_state: Its check of the state that a transition leads to, if it has one.
    """

    number: int
    name: str
    sentence: str
    policy: type[FirstWins] | type[Consensus] | None = None
    of_step: StepCheck | None = field(default=None, repr=False)
    of_state: StateCheck | None = field(default=None, repr=False)

    def speaks_of(self, policy: Policy) -> bool:
        """Whether this law says something about *policy*."""
        return self.policy is None or isinstance(policy, self.policy)

    def __str__(self) -> str:
        return f"Law {self.number}, {self.name}: {self.sentence}"


@frozen
class Violation:
    """
    A law that does not hold, and the history that shows it. As text it reads as a story.

    Attributes:
        law: Which law.
        history: The steps, the last one being the one that breaks it.
        fault: What was expected, and what happened.
        policy: The name of the policy.
    """

    law: Law
    history: tuple[Transition, ...]
    fault: str
    policy: str

    def __str__(self) -> str:
        steps = "\n".join(f"{number}. {transition}" for number, transition in enumerate(self.history, 1))
        return f"{self.law}\n\nIt does not hold under {self.policy}:\n\n{steps}\n\n{self.fault}"


def violated(subject: Subject, transition: Transition, *, states: bool = True) -> tuple[Law, str] | None:
    """Return the first law that does not hold for a transition (and for the state it leads to), and what is wrong."""
    for law in LAWS:
        if not law.speaks_of(subject.policy):
            continue
        fault = law.of_step(subject, transition) if law.of_step else None
        if fault is None and law.of_state and transition.after is not None and states:
            fault = law.of_state(subject, transition.after, transition)
        if fault is not None:
            return law, fault
    return None


def tell(subject: Subject, history: tuple[Step, ...], start: CronJobState | None, now: Any) -> Violation | None:
    """Play a history, and return the first violation of a law, or None."""
    transitions: list[Transition] = []
    state = start
    for step in history:
        if not subject.answers(step):
            continue
        transition, found = attempt(subject, state, step, now)
        transitions.append(transition)
        if found is not None:
            return Violation(found[0], tuple(transitions), found[1], subject.name)
        state, now = transition.after, now + MINUTE
    return None


def attempt(
    subject: Subject, state: CronJobState | None, step: Step, now: Any, *, states: bool = True
) -> tuple[Transition, tuple[Law, str] | None]:
    """Take one step and check it. That something raises, breaks the first law: there is no result."""
    transition = Transition(state, step, now, state)
    try:
        transition = subject.take(state, step, now)
        return transition, violated(subject, transition, states=states)
    except Exception as error:  # whatever an implementation or a policy may raise
        return transition, (PURE, f"Expected: a result.\nBut: {type(error).__name__}: {error}")


# --- the checks --------------------------------------------------------------


def _but(expected: str, got: object) -> str:
    return f"Expected: {expected}\nBut: {got}"


def _again(subject: Subject, state: CronJobState | None, step: Step, now: Any) -> Transition:
    return subject.take(state, step, now + MINUTE)


def _unchanged(expected: str, then: Step, before: CronJobState | None, after: CronJobState | None) -> str | None:
    if after is before or after == before and _manifest(after) == _manifest(before):
        return None
    return f"Then: {then}\n" + _but(expected, told(after))


def _manifest(state: CronJobState | None) -> Mapping[str, Any] | None:
    return None if state is None else manifest_from_state(state, {})


def _pure(subject: Subject, t: Transition) -> str | None:
    check_name(subject.policy.name, "policy", "the policy's name")
    for source, claim in () if t.after is None else t.after.claims.items():
        if t.after is not None and claim.schedule not in (None, t.after.schedule):
            permitted = subject.policy.permits(t.after, source)
            if not isinstance(permitted, bool):
                return _but("the policy answers True or False", repr(permitted))
    arguments = dumps((t.before, t.step))
    second = subject.take(t.before, t.step, t.now)
    if dumps((t.before, t.step)) != arguments:
        return _but("the arguments are left as they were", f"{told(t.before)}; {t.step}")
    if (second.after, dict(second.verdicts), second.conflicts) != (t.after, dict(t.verdicts), t.conflicts):
        return _but("the same result as the first time", second)
    return None


def _news(t: Transition) -> Iterator[SourceRequest]:
    """Yield the enabled requests of a step that ask for something that their source did not ask for before."""
    known = asked_for(t.before)
    requests: tuple[SourceRequest, ...] = ()
    if isinstance(t.step, Submitted):
        requests = (t.step.request,)
    elif isinstance(t.step, Reconciled):
        requests = t.step.requests
    for request in requests:
        if request.enabled and known.get(request.source, "nothing yet") != meaning(request.schedule):
            yield request


def _first_wins(_: Subject, t: Transition) -> str | None:
    if t.after is None:
        return None
    if t.before is None:
        if not isinstance(t.step, Submitted):
            return None
        expected = t.step.request.source.namespace, t.step.request.schedule or DEFAULT_SCHEDULE
        if (t.after.owner, t.after.schedule) == expected:
            return None
        return _but(f"the first, {expected[0]}, sets the schedule: '{expected[1]}'", told(t.after))
    owner, news = t.before.owner, [r for r in _news(t) if r.source.namespace == t.before.owner]
    if isinstance(t.step, HandedOver):
        owner = t.step.namespace
    elif t.after.schedule != t.before.schedule and t.after.schedule not in [r.schedule for r in news]:
        return _but(f"only the owner, {owner}, changes '{t.before.schedule}', by asking for it", told(t.after))
    wanted = [request for request in news if request.schedule is not None]
    if isinstance(t.step, Submitted) and wanted and t.after.schedule != wanted[0].schedule:
        return _but(f"the owner's news, '{wanted[0].schedule}', is established", told(t.after))
    return None if t.after.owner == owner else _but(f"the owner is {owner}", told(t.after))


def _consensus(_: Subject, t: Transition) -> str | None:
    if t.before is None or t.after is None or not isinstance(t.step, Submitted):
        return None
    wanted = set(asked_for(t.after).values()) - {None}
    agreed = len(wanted) == 1 and any(request.schedule is not None for request in _news(t))
    if agreed and t.after.schedule.canonical not in wanted:
        return _but(f"what everybody asks for, {wanted}, is established", told(t.after))
    if not agreed and t.after.schedule != t.before.schedule:
        return _but(f"'{t.before.schedule}' stands until everybody asks for one thing", told(t.after))
    return None


def _quiet(subject: Subject, state: CronJobState, t: Transition) -> str | None:
    requests = requests_of(state, REPOSITORY)
    again: list[Step] = [Submitted(request) for request in requests.values()]
    if subject.reconcile is not None and requests:
        again.append(Reconciled(tuple(requests.values())))
    for step in again:
        answer = _again(subject, state, step, t.now)
        fault = _unchanged("nothing changes, it asked for this before", step, state, answer.after)
        if fault is None and isinstance(step, Submitted) and step.request.schedule is not None:
            other = Submitted(evolve(step.request, schedule=respelt(step.request.schedule)))
            respelt_answer = _again(subject, state, other, t.now)
            fault = _unchanged("nothing changes, it means the same", other, state, respelt_answer.after)
            if respelt_answer.verdicts != answer.verdicts:
                fault = f"Then: {other}\n" + _but(f"the same verdict as for '{step.request.schedule}'", respelt_answer)
        if fault is not None:
            return fault
    return None


def _persistence(_: Subject, t: Transition) -> str | None:
    if t.before is None or t.after is None or any(_news(t)):
        return None
    if isinstance(t.step, HandedOver):
        return _handed_over(t.before, t.step.namespace, t.after)
    if (t.after.schedule, t.after.owner) == (t.before.schedule, t.before.owner):
        return None
    return _but(f"'{t.before.schedule}' of {t.before.owner} persists, nobody asked for news", told(t.after))


def _handed_over(before: CronJobState, namespace: str, after: CronJobState) -> str | None:
    wanted = [
        (claim.since, source.name, claim.schedule)
        for source, claim in before.claims.items()
        if source.namespace == namespace and claim.schedule is not None
    ]
    schedule = max(wanted)[2] if wanted and namespace != before.owner else before.schedule
    if (after.owner, after.schedule) == (namespace, schedule):
        return None
    return _but(f"{namespace} owns it, with '{schedule}', the latest that it asked for", told(after))


def _neutral_state(subject: Subject, state: CronJobState | None, t: Transition) -> str | None:
    disabled = Submitted(evolve(_RIVAL, enabled=False))
    answer = _again(subject, state, disabled, t.now)
    if answer.verdicts != {_STRANGER: Verdict.DISABLED} or answer.conflicts:
        return f"Then: {disabled}\n" + _but("DISABLED, without a conflict", answer)
    return _unchanged("nothing changes for a disabled source without a claim", disabled, state, answer.after)


def _neutral_step(subject: Subject, t: Transition) -> str | None:
    if t.before is None and (fault := _neutral_state(subject, None, t)) is not None:
        return fault
    if not isinstance(t.step, Reconciled):
        return None
    with_it = evolve(t.step, requests=(evolve(_RIVAL, enabled=False), *t.step.requests))
    after = subject.take(t.before, with_it, t.now).after
    return _unchanged("the same as without the disabled source", with_it, t.after, after)


def _visible_step(_: Subject, t: Transition) -> str | None:
    rejected = {source for source, verdict in t.verdicts.items() if verdict is Verdict.REJECTED}
    recorded = {SourceRef(c.namespace, c.name) for c in t.conflicts if c.name is not None}
    if rejected != recorded or len(t.conflicts) != len(rejected):
        return _but("one conflict record for each rejected source", [c.message for c in t.conflicts])
    requests = t.step.requests if isinstance(t.step, Reconciled) else ()
    if isinstance(t.step, Submitted):
        requests = (t.step.request,)
    for request in requests:
        got, expected = t.verdicts.get(request.source), _verdicts(request, t)
        if got not in expected:
            return _but(f"{request.source} is {' or '.join(v.value for v in expected)}", got and got.value)
    return None


def _verdicts(request: SourceRequest, t: Transition) -> tuple[Verdict, ...]:
    """Return the verdicts that fit what became of a request."""
    if not request.enabled or t.after is None:
        return (Verdict.DISABLED,)
    if request.schedule not in (None, t.after.schedule):
        return (Verdict.SUPERSEDED, Verdict.REJECTED)
    if isinstance(t.step, Submitted) and (t.before is None or t.before.schedule != t.after.schedule):
        return (Verdict.ESTABLISHED,)
    return (Verdict.AGREED,)


def _visible_state(subject: Subject, state: CronJobState, t: Transition) -> str | None:
    outstanding: list[Conflict] = []
    for request in requests_of(state, REPOSITORY).values():
        outstanding += _again(subject, state, Submitted(request), t.now).conflicts
    for conflict in outstanding:
        claim = state.claims.get(SourceRef(conflict.namespace, conflict.name or ""))
        if claim is None or (claim.schedule, claim.since) != (conflict.schedule, conflict.since):
            return _but("a record says what is claimed, and since when", conflict.message)
        if isinstance(subject.policy, FirstWins) and conflict.namespace == state.owner:
            return _but("the owner's namespace is never in conflict", conflict.message)
    if isinstance(subject.policy, FirstWins):
        dissent = {s for s, c in state.claims.items() if c.schedule not in (None, state.schedule)}
        expected = {source for source in dissent if source.namespace != state.owner}
        if {SourceRef(c.namespace, c.name or "") for c in outstanding} != expected:
            return _but(f"conflicts with {sorted(map(str, expected))}", [c.message for c in outstanding])
    latest = max(outstanding, key=lambda c: (c.since, c.namespace, c.name), default=None)
    if state.latest_conflict != latest:
        return _but(f"the latest conflict is {latest and latest.message}", told(state))
    return None


def _nothing_lost(_: Subject, t: Transition) -> str | None:
    expected = asked_for(t.before)
    if isinstance(t.step, Submitted):
        request = t.step.request
        if request.enabled:
            expected[request.source] = meaning(request.schedule)
        else:
            expected.pop(request.source, None)
    elif isinstance(t.step, Reconciled):
        expected = {source: wanted for source, wanted in expected.items() if source in t.step.unreadable}
        enabled = [request for request in t.step.requests if request.enabled]
        expected.update((request.source, meaning(request.schedule)) for request in enabled)
    if asked_for(t.after) != expected:
        told_claims = {str(source): wanted for source, wanted in expected.items()}
        return _but(f"the claims are {told_claims}", told(t.after))
    known = set() if t.before is None else set(t.before.claims.items())
    for source, claim in () if t.after is None else t.after.claims.items():
        unchanged = asked_for(t.before).get(source, "nothing yet") == asked_for(t.after)[source]
        if unchanged and (source, claim) not in known or not unchanged and claim.since != t.now:
            return _but(f"the claim of {source} keeps the time at which it was news", told(t.after))
    return None


def _order_free(subject: Subject, t: Transition) -> str | None:
    if not isinstance(t.step, Reconciled):
        return None
    for order in islice(permutations(t.step.requests[::-1]), _PERMUTATIONS):
        step = evolve(t.step, requests=order)
        other = subject.take(t.before, step, t.now)
        if (other.after, dict(other.verdicts), set(other.conflicts)) != (t.after, dict(t.verdicts), set(t.conflicts)):
            return f"Instead: {step}\n" + _but("the same result in any order of the list", other)
    enabled = [request for request in t.step.requests if request.enabled]
    if t.before is None and t.after is not None and isinstance(subject.policy, FirstWins):
        first = min(enabled, key=lambda r: (r.created_at is None, r.created_at, r.source))
        if t.after.owner != first.source.namespace:
            return _but(f"the first is {first.source}, by creation time, namespace and name", told(t.after))
    after = _again(subject, t.after, t.step, t.now).after
    return _unchanged("nothing changes, the list is the same", t.step, t.after, after)


def _deleted_exactly(_: Subject, t: Transition) -> str | None:
    if isinstance(t.step, Reconciled):
        enabled = any(request.enabled for request in t.step.requests)
        stands = enabled or t.before is not None and bool(t.step.unreadable)
    else:
        stands = t.before is not None or isinstance(t.step, Submitted) and t.step.request.enabled
    if stands == (t.after is not None):
        return None
    return _but("a CronJob" if stands else "no CronJob, no source is left", told(t.after))


def _identity(_: Subject, t: Transition) -> str | None:
    if t.after is None or t.after.repository_hash == REPOSITORY.hash:
        return None
    return _but(f"the CronJob of repository {REPOSITORY.hash}", t.after.repository_hash)


def _round_trip_state(_: Subject, state: CronJobState, t: Transition) -> str | None:
    manifest = manifest_from_state(state, _FOREIGN)
    read = state_from_manifest(manifest)
    if read != state:
        return _but(f"the manifest is read back as {told(state)}", told(read))
    if patch_from_state(state, manifest) is not None:
        return _but("nothing to write", patch_from_state(state, manifest))
    if t.before is None:
        return None
    stored = manifest_from_state(t.before, _FOREIGN)
    patched = merge_patch(stored, patch_from_state(state, stored) or {})
    if state_from_manifest(patched) != state:
        return _but(f"the patched manifest is read as {told(state)}", told(state_from_manifest(patched)))
    foreign = merge_patch(patched, _FOREIGN)
    return None if foreign == patched else _but("what is not ours survives", patched)


def _serializable(subject: Subject, t: Transition) -> str | None:
    if not isinstance(t.step, Submitted):
        return None
    mine, rival = t.step, Submitted(_RIVAL)
    serial = []
    for order in ((mine, rival), (rival, mine)):
        state = t.before
        for step in order:
            state = subject.take(state, step, t.now).after
        serial.append(state)
    # Both have read the same CronJob; the second write is refused, and its worker starts over.
    for first, second in ((mine, rival), (rival, mine)):
        subject.take(t.before, second, t.now)  # decided from what is stale by the time of the write
        state = subject.take(t.before, first, t.now).after
        state = subject.take(state, second, t.now).after
        if state not in serial:
            return f"Racing: {first}; {second}\n" + _but("what one order of the two leaves", told(state))
    return None


# --- the laws ----------------------------------------------------------------

PURE = Law(
    1,
    "Pure",
    "Same arguments, same result. No I/O, no clock, no randomness, arguments untouched.",
    of_step=_pure,
)
LAWS: tuple[Law, ...] = (
    PURE,
    Law(
        2,
        "First wins",
        "Under first-wins the schedule changes only by a request of the owner's namespace or by a hand-over;"
        " the owner only by creation or a hand-over.",
        policy=FirstWins,
        of_step=_first_wins,
    ),
    Law(
        2,
        "Consensus",
        "Under consensus a request changes the schedule exactly when it is news and every claim that states"
        " a preference asks for the same.",
        policy=Consensus,
        of_step=_consensus,
    ),
    Law(
        3,
        "Quiet",
        "After any history, submitting any recorded claim again, any number of times, in any order,"
        " changes nothing: not one byte of the manifest.",
        of_state=_quiet,
    ),
    Law(
        4,
        "Persistence",
        "Removing or disabling sources, short of the last, changes neither schedule nor owner.",
        of_step=_persistence,
    ),
    Law(
        5,
        "Neutrality",
        "A disabled source without a claim has no effect at all.",
        of_step=_neutral_step,
        of_state=_neutral_state,
    ),
    Law(
        6,
        "Visible",
        "A request is rejected if and only if there is a conflict record; the state's latest conflict is the"
        " latest of them; under first-wins it goes exactly when its source agrees, is disabled, is gone,"
        " or its namespace becomes the owner.",
        of_step=_visible_step,
        of_state=_visible_state,
    ),
    Law(
        7,
        "Nothing lost",
        "Claims are, by meaning, exactly the last enabled request of each source not since disabled or gone;"
        " unknown labels, annotations and spec fields of a manifest survive.",
        of_step=_nothing_lost,
    ),
    Law(
        8,
        "Order-free",
        "Reconciling is invariant under permutation of the list, and idempotent.",
        of_step=_order_free,
    ),
    Law(
        9,
        "Deleted exactly",
        "The CronJob is deleted exactly when no enabled and no unreadable source is left.",
        of_step=_deleted_exactly,
    ),
    Law(
        10,
        "Identity",
        "Which CronJob it is depends on the secret's name and the CA configuration only.",
        of_step=_identity,
    ),
    Law(
        11,
        "Round trip",
        "A state read back from the manifest written for it is the same state;"
        " a patch applied to the manifest it was made for gives it too.",
        of_state=_round_trip_state,
    ),
    Law(
        12,
        "Serializable",
        "Workers that race, each reading first, deciding, and writing with optimistic locking, leave a state"
        " that some one-at-a-time order of the same requests would have left.",
        of_step=_serializable,
    ),
)
"""The twelve laws; the second has a sentence for each policy that is shipped."""
