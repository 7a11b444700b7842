"""Each row of the table that `resolve` follows, as an example; and that `hand_over` does what it says."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from kopia_maint import (
    DEFAULT_SCHEDULE,
    Action,
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    InvalidValue,
    Repository,
    RepositoryMismatch,
    Schedule,
    SourceRef,
    Verdict,
    hand_over,
    reconcile,
    resolve,
)
from kopia_maint._resolver import RULES

from .helpers import LATER, MUCH_LATER, NOW, REPOSITORY, ask, source

TWO = Schedule.parse("0 2 * * *")
FOUR = Schedule.parse("0 4 * * *")
SIX = Schedule.parse("0 6 * * *")


def state(owner: str | None = "team-a", **claims: str | None) -> CronJobState:
    """Return a state at 02:00 with claims such as ``team_b="0 4 * * *"``, each since NOW."""
    known = {
        source(f"{namespace.replace('_', '-')}/source-{namespace[-1]}"): Claim(
            None if text is None else Schedule.parse(text), NOW
        )
        for namespace, text in claims.items()
    }
    return CronJobState(REPOSITORY.hash, TWO, owner, known, None, "shared-repo-secret")


def test_none_enabled() -> None:
    """No CronJob, enabled: it is created with the request's schedule and namespace."""
    resolution = resolve(None, ask("team-a/source-a", "0 4 * * *"), now=NOW)
    assert (resolution.verdict, resolution.action, resolution.conflict) == (Verdict.ESTABLISHED, Action.CREATE, None)
    assert resolution.desired == CronJobState(
        REPOSITORY.hash, FOUR, "team-a", {source("team-a/source-a"): Claim(FOUR, NOW)}, None, "shared-repo-secret"
    )


def test_none_enabled_without_preference() -> None:
    """No CronJob, no preference: the default is established, and the claim still says "no preference"."""
    desired = resolve(None, ask("team-a/source-a"), now=NOW).desired
    assert desired is not None
    assert desired.schedule == DEFAULT_SCHEDULE
    assert desired.claims[source("team-a/source-a")].schedule is None


def test_none_disabled() -> None:
    """No CronJob, disabled: nothing."""
    resolution = resolve(None, ask("team-a/source-a", enabled=False), now=NOW)
    assert (resolution.verdict, resolution.action, resolution.desired) == (Verdict.DISABLED, Action.NONE, None)


def test_any_disabled_drops_the_claim_and_its_conflict() -> None:
    """Disabled: the claim goes, and with it the conflict; schedule and owner stay, the CronJob too."""
    before = resolve(state(team_a="0 2 * * *"), ask("team-b/source-b", "0 4 * * *"), now=NOW).desired
    assert before is not None
    assert before.latest_conflict is not None
    resolution = resolve(before, ask("team-b/source-b", enabled=False), now=LATER)
    assert resolution.verdict is Verdict.DISABLED
    assert resolution.desired == state(team_a="0 2 * * *")
    last = resolve(resolution.desired, ask("team-a/source-a", enabled=False), now=LATER).desired
    assert last is not None
    assert last == state()
    assert last.orphaned


@pytest.mark.parametrize(
    ("wanted", "verdict", "schedule"),
    [("0 4 * * *", Verdict.ESTABLISHED, FOUR), ("0 6 * * *", Verdict.AGREED, SIX), (None, Verdict.AGREED, SIX)],
)
def test_owner_unknown(wanted: str | None, verdict: Verdict, schedule: Schedule) -> None:
    """Owner unknown, enabled: its namespace becomes the owner; its schedule, if any, is established."""
    before = evolve(state(owner=None), schedule=SIX)
    resolution = resolve(before, ask("team-b/source-b", wanted), now=NOW)
    assert resolution.verdict is verdict
    assert resolution.desired is not None
    assert (resolution.desired.owner, resolution.desired.schedule) == ("team-b", schedule)


def test_owner_unknown_is_found_again_without_news() -> None:
    """Where an edit took the owner away, a source that asks for what it asked for before brings one back."""
    before = state(owner=None, team_b="0 2 * * *")
    resolution = resolve(before, ask("team-b/source-b", "0 2 * * *"), now=LATER)
    assert resolution.verdict is Verdict.AGREED
    assert resolution.desired == evolve(before, owner="team-b")


def test_owner_unknown_disabled() -> None:
    """Owner unknown, disabled: nobody becomes the owner."""
    assert resolve(state(owner=None), ask("team-b/source-b", enabled=False), now=NOW).desired == state(owner=None)


@pytest.mark.parametrize("wanted", [None, "0 2 * * *", "00 02 * * *", "0 2 * * 0-6"])
def test_agreement_is_by_meaning(wanted: str | None) -> None:
    """No preference, or what stands in whatever spelling: AGREED, the claim is recorded."""
    resolution = resolve(state(team_a="0 2 * * *"), ask("team-b/source-b", wanted), now=LATER)
    assert (resolution.verdict, resolution.conflict) == (Verdict.AGREED, None)
    assert resolution.desired is not None
    assert resolution.desired.claims[source("team-b/source-b")].since == LATER
    assert resolution.desired.schedule.text == "0 2 * * *"


def test_permitted_news_is_established() -> None:
    """Differs, news, permitted: claim, schedule and owner become the request's."""
    resolution = resolve(state(team_a="0 2 * * *"), ask("team-a/source-a", "0 4 * * *"), now=LATER)
    assert resolution.verdict is Verdict.ESTABLISHED
    assert resolution.desired is not None
    assert resolution.desired.schedule == FOUR
    assert resolution.desired.claims == {source("team-a/source-a"): Claim(FOUR, LATER)}


def test_under_consensus_the_schedule_and_the_owner_move_together() -> None:
    """Consensus permits what all with a preference ask for, and then the challenger's namespace owns it."""
    before = state(team_a=None, team_b=None)
    desired = resolve(before, ask("team-b/source-b", "0 4 * * *"), now=LATER, policy=Consensus()).desired
    assert desired is not None
    assert (desired.schedule, desired.owner) == (FOUR, "team-b")
    assert resolve(before, ask("team-b/source-b", "0 4 * * *"), now=LATER).verdict is Verdict.REJECTED


def test_permitted_but_no_news_is_superseded() -> None:
    """Two sources of one namespace that differ do not take turns: what was asked before is superseded."""
    before = resolve(state(team_a="0 2 * * *"), ask("team-a/other", "0 4 * * *"), now=LATER).desired
    assert before is not None
    for now in (LATER, MUCH_LATER):
        resolution = resolve(before, ask("team-a/source-a", "0 2 * * *"), now=now)
        assert (resolution.verdict, resolution.conflict) == (Verdict.SUPERSEDED, None)
        assert resolution.desired is before


def test_not_permitted_is_rejected_with_a_record_every_time() -> None:
    """Differs, not permitted: REJECTED; the record keeps the time of the first asking."""
    resolution = resolve(state(team_a="0 2 * * *"), ask("team-b/source-b", "0 4 * * *"), now=LATER)
    again = resolve(resolution.desired, ask("team-b/source-b", "0 4 * * *"), now=MUCH_LATER)
    for each in (resolution, again):
        assert each.verdict is Verdict.REJECTED
        assert each.conflict == Conflict(namespace="team-b", name="source-b", schedule=FOUR, since=LATER)
    assert again.desired is resolution.desired


def test_a_rejected_claim_keeps_the_time_when_it_still_agreed() -> None:
    """`since` says when this was asked for, even if that was before it came into conflict."""
    agreed = resolve(state(team_a="0 2 * * *"), ask("team-b/source-b", "0 2 * * *"), now=LATER).desired
    moved = resolve(agreed, ask("team-a/source-a", "0 6 * * *"), now=MUCH_LATER).desired
    assert moved is not None
    assert moved.latest_conflict == Conflict(namespace="team-b", name="source-b", schedule=TWO, since=LATER)


def test_the_latest_conflict_is_the_latest_and_ties_go_to_the_greatest() -> None:
    """Several outstanding: the latest `since`; at the same time the greatest source."""
    before = state(team_a="0 2 * * *")
    for who in ("team-c/source-c", "team-b/source-b"):
        after = resolve(before, ask(who, "0 4 * * *"), now=LATER).desired
        assert after is not None
        before = after
    assert before.latest_conflict is not None
    assert before.latest_conflict.namespace == "team-c"
    after = resolve(before, ask("team-b/source-b", "0 6 * * *"), now=MUCH_LATER).desired
    assert after is not None
    assert after.latest_conflict is not None
    assert after.latest_conflict.namespace == "team-b"


@pytest.mark.parametrize("secret", ["another-secret", "secret-5"])  # hashes below and above the state's
def test_another_repository_is_an_error_not_a_verdict(secret: str) -> None:
    """A request for another repository than the state's is refused, and the error names the source."""
    with pytest.raises(RepositoryMismatch, match=secret) as caught:
        resolve(state(), ask("team-a/source-a", repository=Repository(secret)), now=NOW)
    assert caught.value.source == source("team-a/source-a")


NAME = f"kopia-maintenance-{REPOSITORY.hash}"
EXPLANATIONS = {
    "ESTABLISHED, a schedule": (
        None,
        ask("team-b/source-b", "0 4 * * *"),
        f"team-b/source-b established the schedule '0 4 * * *' of {NAME}.",
    ),
    "ESTABLISHED, the default": (
        None,
        ask("team-b/source-b"),
        f"team-b/source-b established the schedule '0 2 * * *' (the default, 0 2 * * *) of {NAME}.",
    ),
    "AGREED, no preference": (
        state(),
        ask("team-b/source-b"),
        f"team-b/source-b asks for no particular schedule and agrees with '0 2 * * *' of {NAME}.",
    ),
    "AGREED, by meaning": (
        state(),
        ask("team-b/source-b", "0 02 * * *"),
        f"team-b/source-b asks for schedule '0 02 * * *' and agrees with '0 2 * * *' of {NAME}.",
    ),
    "SUPERSEDED": (
        state(team_b="0 4 * * *", owner="team-b"),
        ask("team-b/source-b", "0 4 * * *"),
        f"team-b/source-b asked for schedule '0 4 * * *' before; '0 2 * * *' of {NAME} (owned by namespace team-b)"
        " was established since and stands until somebody asks for something new.",
    ),
    "REJECTED": (
        state(),
        ask("team-b/source-b", "0 4 * * *"),
        "team-b/source-b asks for schedule '0 4 * * *', which is rejected under the first-wins policy:"
        f" '0 2 * * *' of {NAME} (owned by namespace team-a) stands.",
    ),
    "DISABLED": (
        state(),
        ask("team-b/source-b", enabled=False),
        "team-b/source-b takes no part in the maintenance of repository shared-repo-secret.",
    ),
}


@pytest.mark.parametrize("case", EXPLANATIONS)
def test_every_verdict_explains_itself(case: str) -> None:
    """One sentence for a log or an Event: who, what was asked for, what stands, and why."""
    current, request, explanation = EXPLANATIONS[case]
    resolution = resolve(current, request, now=NOW)
    assert resolution.verdict.name == case.partition(",")[0]
    assert resolution.explanation == explanation


def test_every_verdict_is_explained() -> None:
    """None is left out above."""
    assert {case.partition(",")[0] for case in EXPLANATIONS} == {verdict.name for verdict in Verdict}


def test_the_table_names_every_verdict() -> None:
    """The table of rules is complete: it leads to each verdict."""
    assert {rule.verdict for rule in RULES} == set(Verdict)


# --- hand-over ---------------------------------------------------------------------


def test_hand_over_establishes_the_latest_claim_of_the_new_owner() -> None:
    """The namespace becomes the owner, and what it asked for last stands; its conflict ends."""
    before = evolve(
        state(team_a="0 2 * * *"),
        claims={
            source("team-a/source-a"): Claim(TWO, NOW),
            source("team-b/x"): Claim(FOUR, NOW),
            source("team-b/y"): Claim(SIX, LATER),
            source("team-b/z"): Claim(None, MUCH_LATER),
        },
    )
    after = hand_over(before, "team-b")
    assert (after.owner, after.schedule, after.claims) == ("team-b", SIX, before.claims)
    assert after.latest_conflict is not None
    assert after.latest_conflict.namespace == "team-a"


@pytest.mark.parametrize(("namespace", "schedule"), [("team-a", FOUR), ("team-c", SIX)])
def test_hand_over_hears_the_new_owner_and_nobody_else(namespace: str, schedule: Schedule) -> None:
    """Claims of other namespaces, later ones and greater or smaller names among them, do not count."""
    claims = {
        source("team-a/x"): Claim(FOUR, NOW),
        source("team-b/x"): Claim(Schedule.parse("@hourly"), MUCH_LATER),
        source("team-c/x"): Claim(SIX, NOW),
    }
    after = hand_over(evolve(state("team-b"), claims=claims), namespace)
    assert (after.owner, after.schedule) == (namespace, schedule)


def test_hand_over_ties_go_to_the_greatest_name() -> None:
    """Claims of the same time: the greatest name's is established."""
    claims = {source("team-b/x"): Claim(FOUR, NOW), source("team-b/y"): Claim(SIX, NOW)}
    assert hand_over(evolve(state(), claims=claims), "team-b").schedule == SIX


def test_hand_over_to_a_namespace_without_a_preference_keeps_the_schedule() -> None:
    """Nothing was asked for, so what stands stays."""
    after = hand_over(state(team_a="0 2 * * *"), "team-z")
    assert (after.owner, after.schedule, after.orphaned) == ("team-z", TWO, True)


def test_hand_over_to_the_present_owner_does_nothing() -> None:
    """Even where its latest claim is another: that would be a new decision."""
    before = state(team_a="0 4 * * *")
    assert hand_over(before, "team-a") is before


def test_hand_over_refuses_what_is_no_namespace() -> None:
    """The name is checked as Kubernetes checks it."""
    with pytest.raises(InvalidValue, match="Team B"):
        hand_over(state(), "Team B")
    with pytest.raises(InvalidValue, match="must be a CronJobState"):
        hand_over(None, "team-b")  # type: ignore[arg-type]


# --- reconcile -----------------------------------------------------------------------


def test_reconcile_creates_in_canonical_order() -> None:
    """Creation time, unknown last, then namespace and name: that one is the first to create the CronJob."""
    requests = [
        ask("team-a/source-a", "0 2 * * *"),
        ask("team-c/source-c", "0 6 * * *", created_at=NOW),
        ask("team-b/source-b", "0 4 * * *", created_at=NOW),
    ]
    answer = reconcile(None, requests, now=LATER)
    assert answer.desired is not None
    assert (answer.desired.owner, answer.desired.schedule) == ("team-b", FOUR)
    assert answer.verdicts == {
        source("team-a/source-a"): Verdict.REJECTED,
        source("team-b/source-b"): Verdict.AGREED,
        source("team-c/source-c"): Verdict.REJECTED,
    }
    assert [conflict.namespace for conflict in answer.conflicts] == ["team-a", "team-c"]
    assert answer.opened == answer.conflicts
    assert answer.closed == ()


def test_reconcile_tells_what_began_and_what_ended() -> None:
    """A conflict opens once and closes once; one that asks for something else ends, and begins anew."""
    a, b = ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *")
    first = reconcile(None, [a, b], now=NOW)
    second = reconcile(first.desired, [a, b], now=LATER)
    assert (second.changed, second.opened, second.closed) == (False, (), ())
    assert second.conflicts == first.conflicts
    third = reconcile(second.desired, [a, ask("team-b/source-b", "0 6 * * *")], now=LATER)
    assert [conflict.schedule for conflict in third.opened] == [SIX]
    assert [conflict.schedule for conflict in third.closed] == [FOUR]
    fourth = reconcile(third.desired, [a], now=LATER)
    assert [conflict.schedule for conflict in fourth.closed] == [SIX]


def test_reconcile_drops_the_claims_of_the_gone_before_it_applies_the_rest() -> None:
    """Under consensus a dissenter that is gone does not hold back what the rest ask for anew."""
    before = state(team_a="0 2 * * *", team_b=None)
    answer = reconcile(before, [ask("team-b/source-b", "0 4 * * *")], now=LATER, policy=Consensus())
    assert answer.desired is not None
    assert answer.desired.schedule == FOUR


def test_under_consensus_a_schedule_moves_only_on_news() -> None:
    """A dissenter leaves, the rest agree on something else: it stands until one of them asks anew."""
    before = state(team_a="0 2 * * *", team_b="0 4 * * *")
    answer = reconcile(before, [ask("team-b/source-b", "0 4 * * *")], now=LATER, policy=Consensus())
    assert answer.desired is not None
    assert answer.desired.schedule == TWO
    assert answer.verdicts == {source("team-b/source-b"): Verdict.SUPERSEDED}


class CountsAgain:
    """A policy that permits nobody, and holds what it is shown against the claims."""

    name = "counts-again"
    asked = 0

    def permits(self, state: CronJobState, challenger: SourceRef) -> bool:
        """Count the preferences once more."""
        wanted = (claim.schedule for claim in state.claims.values())
        assert state.preferences == Counter(schedule for schedule in wanted if schedule is not None)
        assert challenger in state.claims
        self.asked += 1
        return False


def test_a_policy_is_shown_the_preferences_as_they_are_by_then() -> None:
    """Before each request of a list: claims that are new, that change, and that state no preference any more."""
    before = state(team_a="0 2 * * *", team_b="0 4 * * *", team_c="0 4 * * *", team_d="0 6 * * *", team_e=None)
    wanted = {"a": "0 6 * * *", "b": "0 6 * * *", "c": None, "d": "@hourly", "e": "0 4 * * *", "f": "@hourly"}
    requests = [ask(f"team-{name}/source-{name}", schedule) for name, schedule in wanted.items()]
    policy = CountsAgain()
    answer = reconcile(before, requests, now=LATER, policy=policy)
    assert list(answer.verdicts.values()).count(Verdict.REJECTED) == 5
    assert policy.asked > 10


def test_an_unreadable_source_stands_as_it_is() -> None:
    """Its claim and its conflict stay, it keeps the CronJob alive, and the others go on."""
    before = reconcile(None, [ask("team-a/source-a"), ask("team-b/source-b", "0 4 * * *")], now=NOW).desired
    answer = reconcile(before, [], now=LATER, unreadable={source("team-b/source-b")})
    assert answer.desired is not None
    assert set(answer.desired.claims) == {source("team-b/source-b")}
    assert [conflict.namespace for conflict in answer.conflicts] == ["team-b"]
    assert (answer.opened, answer.closed) == ((), ())


@pytest.mark.parametrize("unreadable", [(), [source("team-z/unknown")]])
def test_what_nobody_changed_is_the_same_state(unreadable: list[SourceRef]) -> None:
    """Whoever is listed asks for what it asked for: not an equal state comes back, but the one that was given."""
    requests = [ask("team-a/source-a"), ask("team-b/source-b", "0 4 * * *")]
    before = reconcile(None, requests, now=NOW).desired
    assert reconcile(before, requests, now=LATER, unreadable=unreadable).desired is before


def test_an_unreadable_source_creates_nothing() -> None:
    """There is no CronJob for a source that nobody can read."""
    answer = reconcile(None, [], now=NOW, unreadable=[source("team-a/source-a")])
    assert (answer.desired, answer.action) == (None, Action.NONE)


@pytest.mark.parametrize(
    ("requests", "unreadable", "message"),
    [
        ([ask("team-a/source-a"), ask("team-a/source-a", "0 4 * * *")], (), "team-a/source-a is listed twice"),
        ([ask("team-a/source-a")], [source("team-a/source-a")], "team-a/source-a is listed twice"),
    ],
)
def test_a_source_listed_twice_is_an_error(requests: list, unreadable: list, message: str) -> None:  # type: ignore[type-arg]
    """Which of the two would count?"""
    with pytest.raises(InvalidValue, match=message):
        reconcile(None, requests, now=NOW, unreadable=unreadable)


def test_unreadable_sources_are_named_not_given() -> None:
    """Text, or a manifest, is an error of our own family: it would protect no claim."""
    with pytest.raises(InvalidValue, match="unreadable must hold SourceRefs, not 'team-a/source-a'"):
        reconcile(None, [], now=NOW, unreadable=["team-a/source-a"])  # type: ignore[list-item]


def test_two_repositories_are_an_error() -> None:
    """`reconcile` is for one repository, in whatever order they come; `plan` keeps several apart."""
    other = Repository("other")
    for one, two in ((REPOSITORY, other), (other, REPOSITORY)):
        names = f"{one.secret_name} and {two.secret_name}"
        for alike in (1, 2):
            listed = [ask(f"team-a/source-{n}", repository=one) for n in range(alike)]
            with pytest.raises(RepositoryMismatch, match=f"about two repositories, {names}$") as caught:
                reconcile(None, [*listed, ask("team-a/other", repository=two)], now=NOW)
            assert caught.value.source == source("team-a/other")


@pytest.mark.parametrize(
    "bad",
    [
        {"current": {}},
        {"request": {}},
        {"now": NOW.replace(tzinfo=None)},
        {"now": "today"},
        {"policy": Consensus},
        {"policy": "first-wins"},
    ],
)
def test_wrong_arguments_are_refused(bad: dict[str, object]) -> None:
    """Manifests instead of values, naive times: an error of our own family."""
    arguments: dict[str, object] = {"current": None, "request": ask("team-a/source-a"), "now": NOW, **bad}
    with pytest.raises(InvalidValue):
        resolve(**arguments)  # type: ignore[arg-type]
