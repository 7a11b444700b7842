"""
Does a test, or a conformance vector, fail for every small change to the rules? Mutation testing of the core.

    python -m tests.campaigns.mutants [MODULE]... [--vectors] [--jobs N]

Makes every mutant that Cosmic Ray knows of the named modules (all of the core by
default), and runs the tests that cover its line, quickest first; with ``--vectors``,
nothing but the vectors. Prints figures and each survivor as a difference; exits with
status 1 where one is not in ``equivalent_mutants.yaml`` (``unseen_mutants.yaml``), or
where a line there describes no survivor.

Cosmic Ray makes the mutants; they are run here, each in a fork of a process that
has everything but this library imported: thousands take minutes instead of hours.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import json
import math
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import unified_diff
from functools import cache, partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"  # ours would import the library before it is mutated

import coverage
import pytest
import yaml
from attrs import frozen
from cosmic_ray.ast import ast_nodes, get_ast  # pyright: ignore[reportMissingImports]
from cosmic_ray.mutating import mutate_code  # pyright: ignore[reportMissingImports]
from cosmic_ray.plugins import get_operator, operator_names  # pyright: ignore[reportMissingImports]
from hypothesis import Phase, settings

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "kopia_maint"
REVIEWED = Path(__file__).with_name("equivalent_mutants.yaml")
UNSEEN = Path(__file__).with_name("unseen_mutants.yaml")
MODULES = ("_policy", "_decision", "_schedule", "_model", "_objects", "_resolver", "_manifest", "_plan")
ON_THE_WIRE = ("_policy", "_decision", "_resolver", "_plan")
OFF_THE_WIRE = {
    "write_for": "what it refuses beyond what a plan writes",
    "reconcile_all": "a plan does the same with what it has read",
    "permitted": "the policies of the wire answer True or False",
    "Policy": "a protocol",
    **dict.fromkeys(("check_policy", "Bounded.__attrs_post_init__"), "the wire makes its policies itself"),
    **dict.fromkeys(("_check_state", "_listed", "_iterated", "_check_request"), "the wire passes no wrong arguments"),
    **dict.fromkeys(("Decision", "_added", "Reconciliation.conflicts"), "actions and conflict records"),
    **dict.fromkeys(("Resolution", "_told"), "sentences"),
}
"""Functions and classes that no vector reaches, and why."""
LINES_OFF_THE_WIRE = {
    "expect(": "the wire passes no wrong arguments",
    "assert ": "what a type checker is told",
    "kw_only": "how a value is built",
    "_MESSAGE_LENGTH": "sentences",
    **dict.fromkeys(
        ("standing.conflict", "if verdict is Verdict.REJECTED:", "for source in unreadable & "),
        "the conflict of a standing",
    ),
}
"""Parts of such lines, and why."""
TESTS = tuple(
    str(file.relative_to(ROOT))
    for folder in ("core", "conformance")
    for file in sorted((ROOT / "tests" / folder).glob("test_*.py"))
)
"""In the order in which they are tried: those that are quick to import come first."""
SLOW = 3.0
"""Seconds of processor time: a test that takes longer is left out, its rule has to have a quicker one."""
PATIENCE = 15
"""Seconds that a mutant may take beyond three times those of its tests: then it hangs, and is killed."""
IDLE = 10
"""So many times as long may it take by the clock, on a busy machine."""
MEMORY = 2 << 30
Key = tuple[str, str, str]
EXCLUDED = (
    "NoOp",  # changes nothing
    "Is_Eq", "IsNot_NotEq",  # with None and enumerations, identity is equality
    "Eq_Is", "NotEq_IsNot",  # whether equal strings and numbers are identical is the interpreter's business
)  # fmt: skip
"""Ends of the names of operators whose mutants say nothing."""


@frozen
class Mutant:
    """One change of one module: the nth place where an operator of Cosmic Ray can be applied."""

    module: str
    line: int
    operator: str
    occurrence: int

    @property
    def source(self) -> str:
        """The module with the change."""
        mutated: str = mutate_code(original(self.module), get_operator(self.operator)(), self.occurrence)
        return mutated

    @property
    def key(self) -> Key:
        """What the reviewed list knows it by: where, what was, what it becomes. Line numbers change all the time."""
        code = original(self.module)
        changed = list(unified_diff(code.splitlines(), self.source.splitlines(), n=0))[3:]
        was, becomes = (" ".join(line[1:].strip() for line in changed if line[0] == sign).strip() for sign in "-+")
        return ".".join((self.module, *around(parsed(self.module), self.line))), was, becomes


Attempt = Callable[[Mutant], tuple[Callable[[], bool], int]]
"""What is to be done to learn whether a mutant survives, and in how many seconds."""


def original(module: str) -> str:
    """Return a module as it is."""
    return (PACKAGE / f"{module}.py").read_text()


@cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module as it is."""
    return ast.parse(original(module))


def around(node: ast.AST, line: int) -> Iterator[str]:
    """Yield the names of the classes and functions around a line, decorators included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
            first = min(part.lineno for part in (child, *child.decorator_list))
            if first <= line <= (child.end_lineno or first):
                yield child.name
                yield from around(child, line)


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, annotations aside: they are not evaluated."""
    skipped = set(unevaluated(original(module)))
    tree = get_ast(original(module))
    for name in operator_names():
        operator = get_operator(name)
        if name.endswith(EXCLUDED) or operator.arguments():
            continue
        positions = [span for node in ast_nodes(tree) for span in operator().mutation_positions(node)]
        for occurrence, (start, _) in enumerate(positions):
            if start not in skipped:
                yield Mutant(module, start[0], name, occurrence)


def unevaluated(code: str) -> Iterator[tuple[int, int]]:
    """Yield every position inside an annotation."""
    for node in ast.walk(ast.parse(code)):
        for kind in ("annotation", "returns"):
            part = getattr(node, kind, None)
            if part is not None:
                lines = range(part.lineno, part.end_lineno + 1)
                yield from ((line, column) for line in lines for column in range(part.col_offset, part.end_col_offset))


# --- which tests cover a line, and how long they take --------------------------


class Watch:
    """A pytest plugin that notes which lines each test runs, and for how long."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.coverage = coverage.Coverage(data_file=None, source=[str(PACKAGE)])
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note the lines of one test."""
        begin = time.process_time()
        self.coverage.switch_context(item.nodeid)
        yield
        self.coverage.switch_context("")
        self.seconds[item.nodeid] = time.process_time() - begin

    def told(self) -> dict[str, Any]:
        """Return the seconds of each test, and the tests of each line of each module."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {module: data.contexts_by_lineno(str(PACKAGE / f"{module}.py")) for module in MODULES}
        return {"seconds": self.seconds, "tests": lines}


class Chosen:
    """A pytest plugin that runs the chosen tests only, in the order of the choice."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {test: number for number, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and sort."""
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda item: self.order[item.nodeid])


def run(files: Iterable[str], plugin: object) -> int:
    """Run tests in this process, up to the first failure."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *files], plugins=[plugin]))


# --- one mutant in one process -------------------------------------------------


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of the module."""

    def __init__(self, module: str, source: str) -> None:
        self.name = f"kopia_maint.{module}"
        self.path = str(PACKAGE / f"{module}.py")
        self.source = source

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """Find the one module."""
        return importlib.util.spec_from_loader(fullname, self, origin=self.path) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's source."""
        exec(compile(self.source, self.path, "exec"), module.__dict__)


def forked(work: Callable[[], object]) -> tuple[int, int]:
    """Start *work* in a process of its own; return its id, and the end of the pipe that its answer comes from."""
    ours, theirs = os.pipe()
    process = os.fork()
    if process:
        os.close(theirs)
        return process, ours
    os.close(ours)
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    try:
        with os.fdopen(theirs, "w") as pipe:
            json.dump(work(), pipe)
    finally:
        os._exit(0)


def limited(seconds: int) -> None:
    """Allow this process so many seconds of processor time, and not all of the memory."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def survives(mutant: Mutant, tests: Sequence[str], seconds: int) -> bool:
    """Return whether all of the tests pass with this mutant, in so many seconds of processor time."""
    limited(seconds)
    sys.meta_path.insert(0, Mutated(mutant.module, mutant.source))
    own = f"tests/core/test_{mutant.module[1:]}.py"
    # One file after the other, its own first: to collect them all takes longer than most mutants live.
    for file in sorted(TESTS, key=lambda file: file != own):
        chosen = [test for test in tests if test.partition("::")[0] == file]
        if chosen and run([file], Chosen(chosen)) != 0:
            return False
    return True


def unseen(mutant: Mutant | None) -> bool:
    """Return whether every vector passes with this mutant."""
    limited(PATIENCE)
    if mutant:
        sys.meta_path.insert(0, Mutated(mutant.module, mutant.source))
    from kopia_maint.conformance import answer, load
    from kopia_maint.conformance._runner import outcome

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        return answer(json.dumps(question))

    vectors = sorted(load(), key=lambda vector: vector.area in ("histories", "identity", "limits", "schedules"))
    return not any(outcome(vector, ask).differences for vector in vectors)


def by_vectors() -> Attempt | None:
    """Return what tries a mutant with the vectors, and for how long; None: they fail without one."""
    _, pipe = forked(partial(unseen, None))
    with os.fdopen(pipe) as answer:
        passed = answer.read() == "true"
    os.wait()
    return (lambda mutant: (partial(unseen, mutant), PATIENCE)) if passed else None


def watched() -> dict[str, Any]:
    """Run the tests once without a mutant."""
    watch = Watch()
    failed = run(TESTS, watch)
    return {} if failed else watch.told()


def by_tests() -> Attempt | None:
    """Return what tries a mutant with the tests that cover its line, and for how long; None: they fail without one."""
    process, pipe = forked(watched)
    with os.fdopen(pipe) as answer:
        seen = json.loads(answer.read() or "{}")
    os.waitpid(process, 0)
    if not seen:
        return None
    seconds = seen["seconds"]
    quick = sorted((test for test in seconds if seconds[test] < SLOW), key=seconds.__getitem__)

    def attempt(mutant: Mutant) -> tuple[Callable[[], bool], int]:
        covering = set(seen["tests"][mutant.module].get(str(mutant.line), ()))
        # What only runs while the module is imported, outside of every test, concerns them all.
        tests = [test for test in quick if test in covering] or quick
        allowed = PATIENCE + 3 * math.ceil(sum(seconds[test] for test in tests))
        return partial(survives, mutant, tests, allowed), allowed

    return attempt


def campaign(wanted: Sequence[Mutant], attempt: Attempt, jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Try every mutant, so many at a time, and yield whether it survives."""
    waiting = list(reversed(wanted))
    running: dict[int, tuple[Mutant, int, float]] = {}  # until when each may take
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            work, allowed = attempt(mutant)
            process, pipe = forked(work)
            running[pipe] = mutant, process, time.monotonic() + IDLE * allowed
        for pipe in select.select(list(running), [], [], 1)[0]:
            mutant, process, _ = running.pop(pipe)
            with os.fdopen(pipe) as answer:
                survived = answer.read() == "true"
            os.waitpid(process, 0)
            yield mutant, survived
        for _, process, end in running.values():
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)


def of(key: Key) -> str:
    """Return the module that a mutant is of."""
    return key[0].partition(".")[0]


def shown(key: Key) -> str:
    """Return a survivor as the reviewed list would have it."""
    where, was, becomes = map(json.dumps, key)
    return f"- where: {where}\n  was: {was}\n  becomes: {becomes}"


def left_out(mutant: Mutant) -> bool:
    """Return whether no vector reaches a mutant, or it only says how a function may be called."""
    where = ".".join(around(parsed(mutant.module), mutant.line))
    line = original(mutant.module).splitlines()[mutant.line - 1].strip()
    signature = mutant.operator.endswith("Mul_Div") and "*," in line
    named = any(f"{where}.".startswith(f"{name}.") for name in OFF_THE_WIRE)
    return signature or named or any(part in line for part in LINES_OFF_THE_WIRE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Try every mutant of the core.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--vectors", action="store_true", help="with the vectors alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    modules = options.modules or (ON_THE_WIRE if options.vectors else MODULES)
    settings.register_profile(
        "mutants",
        max_examples=25,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
    )
    settings.load_profile("mutants")
    wanted = [mutant for module in modules for mutant in mutants(module)]
    if options.vectors:
        made, wanted = len(wanted), [mutant for mutant in wanted if not left_out(mutant)]
        print(f"{made - len(wanted)} of {made} mutants are left out, for no vector reaches them:")
        for name, why in (OFF_THE_WIRE | LINES_OFF_THE_WIRE).items():
            print(f"  {name}: {why}")
    attempt = by_vectors() if options.vectors else by_tests()
    if attempt is None:
        print("not even the original passes")
        return 2
    equivalent, reviewed = listed(REVIEWED), listed(UNSEEN) if options.vectors else set()
    begin = time.monotonic()
    alive: list[Key] = []
    for number, (mutant, survived) in enumerate(campaign(wanted, attempt, options.jobs), 1):
        if survived:
            alive.append(mutant.key)
            if mutant.key not in equivalent | reviewed:
                print(f"\n{shown(mutant.key)}  # line {mutant.line}", flush=True)
        if number % 100 == 0:
            print(f"{number} of {len(wanted)}, {len(alive)} alive", file=sys.stderr, flush=True)
    expected = reviewed if options.vectors else equivalent
    stale = sorted(key for key in expected.difference(alive) if of(key) in modules)
    for key in stale:
        print(f"\nlisted, but no survivor:\n{shown(key)}")
    print(f"\n{time.monotonic() - begin:.0f} s with {options.jobs} processes")
    for module in modules:
        tried = sum(mutant.module == module for mutant in wanted)
        left = [key for key in alive if of(key) == module]
        told = ", ".join(
            f"{sum(key in keys for key in left)} {word}"
            for word, keys in (("equivalent", equivalent), ("alive and listed", reviewed))
        )
        unknown = sum(key not in equivalent | reviewed for key in left)
        print(f"{module}: {tried} mutants, {tried - len(left)} killed, {told}, {unknown} alive")
    return int(bool(stale) or not (equivalent | reviewed).issuperset(alive))


def listed(file: Path) -> set[Key]:
    """Return the survivors that a file gives the reasons of."""
    return {(each["where"], each["was"], each["becomes"]) for each in yaml.safe_load(file.read_text())}


if __name__ == "__main__":
    sys.exit(main())
