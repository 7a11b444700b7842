"""
What holds whatever happens? The laws, each with its sentence and its check, written once.

A check looks at one state, or at one transition, and returns what is wrong, or
None. That is enough for whole histories: every law is such that it holds always
if it holds at each step, so no check has to know what came before.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from attrs import evolve, field, frozen

from .._decision import Verdict
from .._manifest import manifest_from_state, patch_from_state, state_from_manifest
from .._model import Claim, CronJobState, Repository, SourceRef, SourceRequest, by_name
from .._objects import merge_patch
from .._policy import FirstWins
from .._schedule import DEFAULT_SCHEDULE, Schedule
from ._history import (
    Edited,
    HandedOver,
    Raised,
    Reconciled,
    Step,
    Subject,
    Submitted,
    Transition,
    Withdrawn,
    disguised,
    in_other_words,
    moment,
    read_back,
    told,
)

REPOSITORY = Repository("shared-repo-secret")
"""The repository of every history: more than one would only multiply the cases, ``reconcile_all`` keeps them apart."""

_STRANGER = SourceRequest(SourceRef("zz-stranger", "zz-stranger"), REPOSITORY, Schedule.parse("59 23 * * 6"), False)
_LATER = timedelta(minutes=1)
_REPETITIONS = 10
_FOREIGN: dict[str, Any] = {
    "metadata": {"labels": {"team": "storage"}, "annotations": {"note": "keep"}, "finalizers": ["a/b"]},
    "spec": {"suspend": False, "jobTemplate": {"spec": {"backoffLimit": 3}}},
}

Check = Callable[[Subject, Transition], "str | None"]


@frozen
class Law:
    """
    One law: its number, name and sentence in the semantics, and its check.

    The check is given what is tested and one of its transitions, and returns what is wrong with that, or None.
    """

    number: int
    name: str
    sentence: str
    check: Check = field(repr=False)

    def __str__(self) -> str:
        return f"Law {self.number}, {self.name}: {self.sentence}"


@frozen
class Violation:
    """A law that does not hold under a policy, what is wrong, and the shortest history found; as text, a story."""

    law: Law
    history: tuple[Transition, ...]
    fault: str
    policy: str

    def __str__(self) -> str:
        steps = "\n".join(f"{number}. {transition}" for number, transition in enumerate(self.history, 1))
        return f"{self.law}\n\nIt does not hold under {self.policy}:\n\n{steps}\n\n{self.fault}"


def _dissenters(state: CronJobState) -> list[SourceRef]:
    """Return the sources whose claims ask for another schedule than the established one."""
    return [source for source, claim in state.claims.items() if claim.schedule not in (None, state.schedule)]


def tell(subject: Subject, steps: Iterable[Step]) -> Violation | None:
    """Play a history that begins with no CronJob, and return the first violation of a law, or None."""
    history: tuple[Transition, ...] = ()
    for step in filter(subject.answers, steps):
        history, violation = prolonged(subject, history, step)
        if violation is not None:
            return violation
    return None


def prolonged(
    subject: Subject, history: tuple[Transition, ...], step: Step
) -> tuple[tuple[Transition, ...], Violation | None]:
    """Take one more step, and return the longer history, and the law that the step breaks, if any."""
    before, now = history[-1].after if history else None, moment(len(history))
    untouched = before and disguised(before)
    found: tuple[Law, str] | None
    try:
        transition = subject.take(before, step, now)
    except Raised as raised:  # there is no result, and so not the same one for the same arguments
        transition, found = Transition(before, step, now, before, raised=str(raised)), (pure, _but("a result", raised))
    else:
        found = _violated(subject, transition)
        if untouched != before:
            found = pure, _but(f"the state before is left as it was, {told(untouched)}", told(before))
        elif found and any(_violated(subject, transition) != found for _ in range(_REPETITIONS)):
            # a clock, a memory or chance may show under the name of any law
            found = pure, f"Not each time, but once:\n{found[1]}"
    longer = (*history, transition)
    return longer, found and Violation(found[0], longer, found[1], subject.name)


def _violated(subject: Subject, transition: Transition) -> tuple[Law, str] | None:
    nothing = None
    for law in LAWS:
        try:
            fault = law.check(subject, transition)
        except Raised as raised:  # another law may say why
            nothing = nothing or (pure, f"Then: {raised.step}\n{_but('a result', raised)}")
        else:
            if fault is not None:
                return law, fault
    return nothing


# --- what the checks ask of a step ---------------------------------------------


def _but(expected: str, got: object) -> str:
    return f"Expected: {expected}\nBut: {got}"


def _unchanged(expected: str, then: Step, before: CronJobState | None, after: CronJobState | None) -> str | None:
    if after is before or after == before and _manifest(after) == _manifest(before):
        return None
    return f"Then: {then}\n" + _but(expected, told(after))


def _manifest(state: CronJobState | None) -> Mapping[str, Any] | None:
    return None if state is None else manifest_from_state(state, {})


def _requests(step: Step) -> list[SourceRequest]:
    """Return the requests of a step, in canonical order."""
    if isinstance(step, Submitted):
        return [step.request]
    requests = step.requests if isinstance(step, Reconciled) else ()
    return sorted(requests, key=lambda it: (it.created_at is None, it.created_at, by_name(it.source)))


def _news(t: Transition) -> list[SourceRequest]:
    """Return the enabled requests of a step that ask for something that their source did not ask for before."""
    claims: Mapping[SourceRef, Claim] = {} if t.before is None else t.before.claims
    return [
        it
        for it in _requests(t.step)
        if it.enabled and (it.source not in claims or claims[it.source].schedule != it.schedule)
    ]


def _claims(t: Transition) -> dict[SourceRef, Claim]:
    """Return the claims that a step should leave, without marks."""
    claims = {} if t.before is None else dict(t.before.unmarked.claims)
    if isinstance(t.step, Reconciled):
        listed = t.step.unreadable | {it.source for it in t.step.requests}
        claims = {source: claim for source, claim in claims.items() if source in listed}
    gone = {it.source for it in _requests(t.step) if not it.enabled}
    if isinstance(t.step, Withdrawn):
        gone.add(t.step.source)
    kept = {source: claim for source, claim in claims.items() if source not in gone}
    return {**kept, **{it.source: Claim(it.schedule, t.now) for it in _news(t)}}


def _marks(t: Transition) -> bool:
    """Whether a step marks the claims of the state that it leads to."""
    if isinstance(t.step, Submitted) and t.step.request.enabled or isinstance(t.step, Reconciled):
        return True
    if t.before is None or isinstance(t.step, Edited):
        return False
    if isinstance(t.step, HandedOver):
        return t.step.namespace != t.before.owner
    return (t.step.source if isinstance(t.step, Withdrawn) else t.step.request.source) in t.before.claims


def requests_of(state: CronJobState | None) -> dict[SourceRef, SourceRequest]:
    """Return the requests that a state's claims recorded."""
    claims: Mapping[SourceRef, Claim] = {} if state is None else state.claims
    return {source: SourceRequest(source, REPOSITORY, claim.schedule) for source, claim in claims.items()}


# --- the laws ------------------------------------------------------------------


def _law(number: int, name: str, sentence: str) -> Callable[[Check], Law]:
    return lambda check: Law(number, name, sentence, check)


@_law(
    1,
    "Pure",
    "Same arguments, same result; equal states, equal results. No I/O, no clock, no randomness, arguments untouched.",
)
def pure(subject: Subject, t: Transition) -> str | None:
    read, other = t.before and read_back(t.before), t.before and disguised(t.before)
    for circumstances, again in (
        ("as the first time", subject.take(t.before, t.step, t.now)),
        ("after a restart of the operator", subject.restarted().take(read, t.step, t.now)),
        ("for other spellings, and claims in another order", subject.take(other, in_other_words(t.step), t.now)),
    ):
        if again.result != t.result:
            return _but(f"the same result {circumstances}", again)
    if t.after is None:
        return None
    bare = t.after.unmarked
    for source in _dissenters(bare):  # asked an odd number of times, for a memory that every second question undoes
        if len({bool(subject.permits(state, source)) for state in (bare, bare, disguised(bare))}) > 1:
            return f"Then: the policy is asked about {source}\n" + _but("the same answer each time", "True and False")
    return None


@_law(
    2,
    "First wins",
    "Under FirstWins, on an owned state, the schedule changes only by a request of the owner's namespace or by"
    " `hand_over`; the owner only by `hand_over`.",
)
def first_wins(subject: Subject, t: Transition) -> str | None:
    if not isinstance(subject.policy, FirstWins) or isinstance(t.step, (Edited, HandedOver)):
        return None
    if t.before is None or t.after is None:
        return None
    owner = t.before.owner
    if t.after.owner != owner:
        return _but(f"the owner is {owner}", told(t.after))
    asked = [it.schedule for it in _requests(t.step) if it.source.namespace == owner]
    if t.after.schedule not in (t.before.schedule, *asked):
        return _but(f"only the owner, {owner}, changes '{t.before.schedule}', by asking for it", told(t.after))
    return None


@_law(
    3,
    "Permitted",
    "A request that is news and asks for another schedule than the established one changes it exactly when the"
    " policy permits it, asked with its claim recorded (in `reconcile`: with every claim of the pass recorded) and"
    " with its namespace as owner where there was none. Nothing else changes the schedule but creation (the"
    " default) and `hand_over` (to what the policy permits).",
)
def permitted(subject: Subject, t: Transition) -> str | None:
    news = [it.source for it in _news(t)]
    if t.after is None or not (news or isinstance(t.step, HandedOver)):
        return None
    bare = CronJobState(REPOSITORY.hash, DEFAULT_SCHEDULE, None, {}, None, REPOSITORY.secret_name)
    state = evolve(bare if t.before is None else t.before.unmarked, claims=_claims(t))
    if isinstance(t.step, HandedOver):
        given = t.step.namespace != state.owner
        state = evolve(state, owner=t.step.namespace)
        own = [it for it, claim in state.claims.items() if it.namespace == state.owner and claim.schedule and given]
        own.sort(key=state.asking_order, reverse=True)
        news = [it for it in own if it not in _dissenters(state) or subject.permits(state, it)][:1]
    elif state.owner is None:
        state = evolve(state, owner=next(it for it in _requests(t.step) if it.enabled).source.namespace)
    for source in news:
        schedule = state.claims[source].schedule
        if schedule not in (None, state.schedule) and subject.permits(state, source):
            state = evolve(state, schedule=schedule, owner=source.namespace)
    if (t.after.schedule, t.after.owner) == (state.schedule, state.owner):
        return None
    return _but(f"'{state.schedule}' and the owner {state.owner}, as the policy permits", told(t.after))


@_law(
    4,
    "Quiet",
    "Once a decision has marked the claims, submitting any recorded claim again, any number of times, in any order,"
    " changes nothing: not one byte of the manifest (where the Secret's name is known and right; the first request"
    " adds it).",
)
def quiet(subject: Subject, t: Transition) -> str | None:
    state = t.after
    if state is None or not _marks(t):
        return None
    requests = requests_of(state)
    again: list[Step] = [Submitted(request) for request in requests.values()]
    if subject.reconcile is not None and requests:
        again.append(Reconciled(tuple(requests.values())))
    for step in again:
        answer = subject.take(state, step, t.now + _LATER)
        fault = _unchanged("nothing changes, it asked for this before", step, state, answer.after)
        if fault is not None:
            return fault
    return None


@_law(
    5,
    "Persistence",
    "Removing, disabling or withdrawing sources, short of the last, changes neither schedule nor owner.",
)
def persistence(_: Subject, t: Transition) -> str | None:
    if t.before is None or t.after is None or isinstance(t.step, (Edited, HandedOver)) or _news(t):
        return None
    if (t.after.schedule, t.after.owner) == (t.before.schedule, t.before.owner):
        return None
    return _but(f"'{t.before.schedule}' of {t.before.owner} persists, nobody asked for news", told(t.after))


@_law(6, "Neutrality", "A disabled source without a claim has no effect at all.")
def neutrality(subject: Subject, t: Transition) -> str | None:
    state, disabled = t.after if t.before else None, Submitted(_STRANGER)
    answer = subject.take(state, disabled, t.now)
    if answer.result[1:] != ({_STRANGER.source: Verdict.DISABLED}, {}):
        return f"Then: {disabled}\n" + _but("disabled, without a conflict", answer)
    if fault := _unchanged("nothing changes for a disabled source without a claim", disabled, state, answer.after):
        return fault
    if not isinstance(t.step, Reconciled):
        return None
    with_it = evolve(t.step, requests=(_STRANGER, *t.step.requests))
    after = subject.take(t.before, with_it, t.now).after
    return _unchanged("the same as without the disabled source", with_it, t.after, after)


@_law(
    7,
    "Visible",
    "A request is REJECTED if and only if its claim is marked, if and only if there is a conflict record for it."
    " Of the others, one is ESTABLISHED if and only if it changed the schedule or created the CronJob (in `resolve`;"
    " the verdicts of `reconcile` say how each source stands at the end); else AGREED if it has no preference or asks"
    " for the established schedule; else SUPERSEDED.",
)
def visible(subject: Subject, t: Transition) -> str | None:
    marked = frozenset() if t.after is None else frozenset(conflict.source for conflict in t.after.conflicts)
    if t.after is not None and _marks(t):
        bare = t.after.unmarked
        refused = frozenset(source for source in _dissenters(bare) if not subject.permits(bare, source))
        if (marked, t.after.policy) != (refused, subject.name if refused else None):
            return _but(f"{', '.join(map(str, sorted(refused))) or 'nobody'} is rejected", told(t.after))
    requests = {request.source: request for request in _requests(t.step)}
    verdicts = {source: _verdict(request, marked, t) for source, request in requests.items()}
    if isinstance(t.step, Reconciled):
        verdicts.update(dict.fromkeys(t.step.unreadable, Verdict.UNREADABLE))
    if t.verdicts != verdicts:
        return _but(", ".join(f"{source} is {verdict}" for source, verdict in sorted(verdicts.items())), t)
    records = {} if t.after is None else {it: t.after.conflict_of(it) for it in verdicts if it in marked}
    if t.conflicts != records:
        return _but("one conflict record for each marked claim, as it is claimed", [*map(str, t.conflicts.values())])
    return None


def _verdict(request: SourceRequest, marked: frozenset[SourceRef], t: Transition) -> Verdict:
    """Return the verdict that fits what became of a request."""
    if not request.enabled or t.after is None:
        return Verdict.DISABLED
    if request.source in marked:
        return Verdict.REJECTED
    if isinstance(t.step, Submitted) and (t.before is None or t.before.schedule != t.after.schedule):
        return Verdict.ESTABLISHED
    return Verdict.AGREED if request.schedule in (None, t.after.schedule) else Verdict.SUPERSEDED


@_law(
    8,
    "Nothing lost",
    "Claims are, by meaning, exactly the last enabled request of each source not since disabled, withdrawn or gone;"
    " unknown labels, annotations and spec fields of a manifest survive.",
)
def nothing_lost(_: Subject, t: Transition) -> str | None:
    if t.after is None:
        return None
    expected = evolve(t.after.unmarked, claims=_claims(t))
    if t.after.unmarked != expected:
        return _but(told(expected), told(t.after))
    patched = _patched(t.before or t.after, t.after)
    survives = merge_patch(patched, _FOREIGN) == patched
    return None if survives else _but("what is not ours survives", "a patch changes it")


@_law(9, "Order-free", "`reconcile` is invariant under permutation of its list, and idempotent.")
def order_free(subject: Subject, t: Transition) -> str | None:
    if not isinstance(t.step, Reconciled):
        return None
    listed = t.step.requests
    for order in (listed[::-1], (*listed[1:], *listed[:1]))[: len(listed) - 1]:
        step = evolve(t.step, requests=order)
        other = subject.take(t.before, step, t.now)
        if other.result != t.result:
            return f"Instead: {step}\n" + _but("the same result in any order of the list", other)
    after = subject.take(t.after, t.step, t.now + _LATER).after
    return _unchanged("nothing changes, the list is the same", t.step, t.after, after)


@_law(
    10,
    "Deleted exactly",
    "`reconcile` deletes exactly when no enabled and no unreadable source is left; nothing else does.",
)
def deleted_exactly(_: Subject, t: Transition) -> str | None:
    stays = t.before is not None and (not isinstance(t.step, Reconciled) or bool(t.step.unreadable))
    exists = stays or any(request.enabled for request in _requests(t.step))
    if exists == (t.after is not None):
        return None
    return _but("a CronJob" if exists else "no CronJob, no source is left", told(t.after))


@_law(11, "Identity", "Which CronJob it is depends on the secret's name and the CA configuration only.")
def identity(_: Subject, t: Transition) -> str | None:
    if t.after is None or (t.after.repository_hash, t.after.secret_name) == (REPOSITORY.hash, REPOSITORY.secret_name):
        return None
    expected = f"the CronJob of repository {REPOSITORY.hash}, {REPOSITORY.secret_name}"
    return _but(expected, f"that of {t.after.repository_hash}, {t.after.secret_name}")


@_law(
    12,
    "Round trip",
    "A state read back from the manifest written for it is the same state; a patch applied to the manifest it was"
    " made for gives it too (a secret name that the state does not know is cleared).",
)
def round_trip(_: Subject, t: Transition) -> str | None:
    if t.after is None:
        return None
    read = read_back(t.after)
    if read != t.after:
        return _but(f"the manifest is read back as {told(t.after)}", told(read))
    patched = state_from_manifest(_patched(t.before or t.after, t.after))
    return None if patched == t.after else _but(f"the patched manifest is read as {told(t.after)}", told(patched))


@lru_cache(maxsize=256)
def _patched(before: CronJobState, after: CronJobState) -> dict[str, Any]:
    """Return a CronJob with much that is not ours, written for one state and patched to hold another."""
    stored = manifest_from_state(before, _FOREIGN)
    patched: dict[str, Any] = merge_patch(stored, patch_from_state(after, stored) or {})
    return patched


LAWS: tuple[Law, ...] = (
    *(pure, first_wins, permitted, quiet, persistence, neutrality),
    *(visible, nothing_lost, order_free, deleted_exactly, identity, round_trip),
)
"""The twelve laws, in the order of the semantics."""
