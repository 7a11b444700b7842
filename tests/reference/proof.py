"""
Do the laws hold for any number of tenants and under any policy? A proof: ``python -m tests.reference.proof``.

It proves what laws 2 to 8 say of one ``resolve``, ``withdraw`` or ``hand_over`` of any state; so they hold after any
history. The rows are the library's own; the steps around them are modelled here. Then each cell of the table is changed
in every way: a law must refute the change, or no answer differs. Else the exit status is 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import product
from operator import eq
from typing import Any

import z3  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
from z3 import And, Const, Consts, If, Implies, Not, Or, Store  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from kopia_maint import Verdict
from kopia_maint._resolver import RULES, Rule

NAMESPACE, SOURCE, SCHEDULE = map(z3.DeclareSort, ("team", "source", "schedule"))
_claim = z3.Datatype("Claim")
_claim.declare("absent")
_claim.declare("claim", ("wish", SCHEDULE), ("since", z3.IntSort()))
CLAIM = _claim.create()
CLAIMS = z3.ArraySort(SOURCE, CLAIM)
SAID = dict(zip([*Verdict, None], z3.EnumSort("Verdict", [*(it.value for it in Verdict), "no verdict"])[1]))

permits = z3.Function("permits", SCHEDULE, NAMESPACE, CLAIMS, SOURCE, z3.BoolSort())  # any policy
namespace_of = z3.Function("namespace_of", SOURCE, NAMESPACE)
source, now = Const("source", SOURCE), z3.Int("now")  # who asks, and when
wish, default, nothing = Consts("wish default nothing", SCHEDULE)  # nothing: no preference, or no CronJob
namespace, nobody = Consts("namespace nobody", NAMESPACE)  # namespace: who is handed over to; nobody: owner unknown
exists, enabled, chosen = z3.Bools("exists enabled chosen")


def either(condition: Any, one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(If(condition, *both) for both in zip(one, other))


def differs(wish: Any, schedule: Any) -> Any:
    return And(wish != nothing, wish != schedule)


# A state is the schedule, the owner and the claims: what a decision marks follows from these.
STORED = Const("schedule", SCHEDULE), Const("owner", NAMESPACE), Const("claims", CLAIMS)
CURRENT = either(exists, STORED, (nothing, nobody, z3.K(SOURCE, CLAIM.absent)))
WITHDRAWN = *CURRENT[:2], Store(CURRENT[2], source, CLAIM.absent)
AXIOMS = [default != nothing, STORED[0] != nothing, namespace != nobody, namespace_of(source) != nobody]


def hand_over(schedule: Any, owner: Any, claims: Any) -> tuple[Any, ...]:
    """Establish any claim of the namespace that it may, or none: which is the latest does not matter to the laws."""
    theirs = And(claims[source] != CLAIM.absent, namespace_of(source) == namespace)
    takes = And(chosen, theirs, CLAIM.wish(claims[source]) != nothing, permits(schedule, namespace, claims, source))
    handed = If(takes, CLAIM.wish(claims[source]), schedule), namespace, claims
    return either(owner == namespace, (schedule, owner, claims), handed)


def resolve(rules: tuple[Rule, ...]) -> tuple[Any, list[Any], tuple[Any, ...]]:
    """Return what the policy would say, which rows apply, and the answer: the verdict, and the desired state."""
    schedule, owner, claims = CURRENT
    news = Or(claims[source] == CLAIM.absent, CLAIM.wish(claims[source]) != wish)
    schedule, owner = If(exists, schedule, default), If(owner == nobody, namespace_of(source), owner)
    claims = If(news, Store(claims, source, CLAIM.claim(wish, now)), claims)
    asked = differs(wish, schedule), permits(schedule, owner, claims, source), news
    rows = [And(*(fact == cell for fact, cell in zip(asked, rule) if cell is not None)) for rule in rules]
    verdict, desired = SAID[None], (schedule, owner, claims)
    taken = If(wish == nothing, schedule, wish), namespace_of(source), claims
    for applies, rule in zip(rows, rules):
        verdict = If(applies, SAID[rule.verdict], verdict)
        desired = either(And(applies, rule.takes), taken, desired)
    verdict = If(And(Not(exists), verdict == SAID[Verdict.AGREED]), SAID[Verdict.ESTABLISHED], verdict)
    return asked[1], rows, either(enabled, (verdict, *desired), (SAID[Verdict.DISABLED], *WITHDRAWN))


def laws(rules: tuple[Rule, ...]) -> Iterator[tuple[str, Any]]:
    """Yield each law, as far as it speaks of one step."""
    schedule, owner, claims = CURRENT
    _, rows, (verdict, *desired) = resolve(rules)
    repeated = And(claims[source] != CLAIM.absent, CLAIM.wish(claims[source]) == wish)
    recorded = CLAIM.claim(wish, If(repeated, CLAIM.since(claims[source]), now))
    begun, holder = If(exists, schedule, default), If(owner == nobody, namespace_of(source), owner)
    permitted = permits(begun, holder, Store(claims, source, recorded), source)
    wins = And(differs(wish, begun), Not(repeated), permitted)
    handed, same = hand_over(*CURRENT), And(*map(eq, desired, CURRENT))
    yield "exactly one row applies", Implies(enabled, z3.PbEq([(applies, 1) for applies in rows], 1))
    first_wins = And(owner != nobody, permitted == (namespace_of(source) == owner))
    moves = Or(desired[0] == schedule, And(enabled, namespace_of(source) == owner))
    yield "law 2, first wins", Implies(first_wins, And(desired[1] == owner, moves))
    yield "law 3, permitted", Implies(enabled, desired[0] == If(wins, wish, begun))
    yield "the owner comes with the schedule", Implies(enabled, desired[1] == If(wins, namespace_of(source), holder))
    granted = handed[0] == CLAIM.wish(claims[source]), permits(schedule, namespace, claims, source)
    yield "law 3, of a hand-over", Or(handed[0] == schedule, And(namespace_of(source) == namespace, *granted))
    yield "law 4, quiet", Implies(And(enabled, owner != nobody, repeated), same)
    kept, left = (And(*map(eq, after, CURRENT[:2])) for after in (desired, WITHDRAWN))
    yield "law 5, persistence", And(Or(enabled, kept), left)
    yield "law 6, neutrality", Implies(And(Not(enabled), claims[source] == CLAIM.absent), same)
    marked = And(differs(wish, desired[0]), Not(permits(*desired, source)))  # its claim is there: law 8
    told = If(differs(wish, desired[0]), SAID[Verdict.SUPERSEDED], SAID[Verdict.AGREED])
    told = If(marked, SAID[Verdict.REJECTED], If(desired[0] != schedule, SAID[Verdict.ESTABLISHED], told))
    yield "law 7, visible", verdict == If(enabled, told, SAID[Verdict.DISABLED])
    last = Store(claims, source, If(enabled, recorded, CLAIM.absent))
    yield "law 8, nothing lost", And(desired[2] == last, handed[2] == claims)


def counterexample(law: Any) -> Any:
    """Return a case that breaks the law; None: there is none, which is proved."""
    solver = z3.Solver()
    solver.add(*AXIOMS, Not(law))
    return None if solver.check() == z3.unsat else solver.model()


def story(case: Any, rules: tuple[Rule, ...]) -> str:
    policy, rows, answer = resolve(rules)
    before = If(CURRENT[2][source] == CLAIM.absent, nothing, CLAIM.wish(CURRENT[2][source]))
    terms = nothing, nobody, default, *CURRENT[:2], namespace_of(source), wish, before, policy, *answer[:3], *rows
    values = [str(case.eval(term, model_completion=True)).replace("!val!", "-") for term in terms]
    names = dict(zip(values, ("nothing", "nobody", "the default")))
    was, whose, who, asks, asked, may, said, then, its, *applies = (names.get(value, value) for value in values[3:])
    applied = [number for number, here in enumerate(applies, 1) if here == "True"]
    return f"""\
    Established is {was} of {whose}. A source of {who} asks for {asks}; before, it asked for {asked}.
    The policy says {may}, so rows {applied} apply: {said}. Now established is {then} of {its}."""


def main() -> int:
    holes = 0
    for law, formula in laws(RULES):
        begin, case = time.perf_counter(), counterexample(formula)
        took = 1000 * (time.perf_counter() - begin)
        print(f"{law}: proved in {took:.1f} ms" if case is None else f"{law}: BROKEN\n{story(case, RULES)}")
        holes += case is not None
    cells: tuple[Any, ...] = *[(True, False, None)] * 3, Verdict, (True, False)
    for (number, rule), (cell, values) in product(enumerate(RULES), zip(Rule._fields, cells)):
        for value in sorted({*values} - {getattr(rule, cell)}, key=str):
            rules = (*RULES[:number], rule._replace(**{cell: value}), *RULES[number + 1 :])
            unchanged = And(*map(eq, resolve(rules)[2], resolve(RULES)[2]))
            cases = ((law, counterexample(formula)) for law, formula in (*laws(rules), ("NO LAW", unchanged)))
            law, case = next((each for each in cases if each[1] is not None), ("", None))
            told = f"refuted by {law}\n{story(case, rules)}" if law else "no answer differs, which is proved"
            print(f"row {number + 1}, {cell} {value}: {told}")
            holes += law == "NO LAW"
    return min(holes, 1)


if __name__ == "__main__":
    sys.exit(main())
