"""
Does a test, or a conformance vector, fail for every small change to the rules? Mutation testing of the core.

    python -m tests.campaigns.mutants [MODULE]... [--vectors] [--jobs N]

Makes every mutant that Cosmic Ray knows of the named modules (all of the core by
default), and runs the tests that cover its line, quickest first; with ``--vectors``,
only the one that puts every vector to the library. Prints each survivor as the
reviewed lists would have it, and figures; exits with status 1 where one is not in
``equivalent_mutants.yaml`` (or ``unseen_mutants.yaml``, of what no vector can see),
or where a line there describes no survivor.

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
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import unified_diff
from functools import cache, partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from tempfile import TemporaryDirectory
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

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "kopia_maint"
EQUIVALENT, UNSEEN = (Path(__file__).with_name(f"{name}_mutants.yaml") for name in ("equivalent", "unseen"))
MODULES = ("_policy", "_decision", "_schedule", "_model", "_objects", "_resolver", "_manifest", "_plan")
ON_THE_WIRE = ("_policy", "_decision", "_resolver", "_plan")
TESTS = tuple(
    f"tests/{file.relative_to(ROOT / 'tests')}"
    for folder in ("core", "conformance")
    for file in sorted((ROOT / "tests" / folder).glob("test_*.py"))
)
VECTORS = ("tests/conformance/test_vectors.py::test_the_library_passes_every_vector",)
SLOW = 3.0
"""Seconds of processor time: a test that takes longer is left out, its rule has to have a quicker one."""
PATIENCE = 15
"""Seconds that a mutant may take beyond three times those of its tests: then it hangs, and is killed."""
IDLE = 10
"""So many times as long may it take by the clock, on a busy machine."""
MEMORY = 2 << 30
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
    def line_of_the_list(self) -> dict[str, str]:
        """What the reviewed lists know it by: where, what was, what it becomes. Line numbers change all the time."""
        code = original(self.module)
        changed = list(unified_diff(code.splitlines(), self.source.splitlines(), n=0))[3:]
        was, becomes = (" ".join(line[1:].strip() for line in changed if line[0] == sign).strip() for sign in "-+")
        where = ".".join((self.module, *around(parsed(self.module), self.line)))
        return {"where": where, "was": was, "becomes": becomes}


def describes(listed: dict[str, str], survivor: dict[str, str]) -> bool:
    """Return whether a line of a list is of this survivor; without *becomes* it is of all such, deeper in too."""
    if "becomes" in listed:
        return listed.items() >= survivor.items()
    return f"{survivor['where']}.".startswith(f"{listed['where']}.") and listed.get("was", "") in survivor["was"]


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

    def write(self, file: Path) -> None:
        """Write down the seconds of each test, and the tests of each line of each module."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {module: data.contexts_by_lineno(str(PACKAGE / f"{module}.py")) for module in MODULES}
        file.write_text(json.dumps({"seconds": self.seconds, "tests": lines}))


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


def forked(work: Callable[[], bool], seconds: int) -> int:
    """Start *work* in a process that may take so many seconds; return its id. It ends with status 0 for True."""
    if process := os.fork():
        return process
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        signal.alarm(IDLE * seconds)
        os._exit(not work())
    finally:
        os._exit(1)


def watched(tests: Sequence[str], file: Path) -> bool:
    """Run the tests without a mutant, and write down what was seen; return whether they pass."""
    watch = Watch()
    passed = run(tests, watch) == 0
    watch.write(file)
    return passed


def survives(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Return whether all of the tests pass with this mutant."""
    sys.meta_path.insert(0, Mutated(mutant.module, mutant.source))
    own = f"tests/core/test_{mutant.module[1:]}.py"
    # One file after the other, its own first: to collect them all takes longer than most mutants live.
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return all(run([file], Chosen(tests)) == 0 for file in sorted(files, key=lambda file: (file != own, file)))


def campaign(wanted: Sequence[Mutant], seen: dict[str, Any], jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Try every mutant, so many at a time, and yield whether it survives."""
    seconds: dict[str, float] = seen["seconds"]
    quick = sorted((test for test in seconds if seconds[test] < SLOW), key=seconds.__getitem__)
    waiting = list(reversed(wanted))
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            covering = set(seen["tests"][mutant.module].get(str(mutant.line), ()))
            # What only runs while the module is imported, outside of every test, concerns them all.
            tests = [test for test in quick if test in covering] or quick
            allowed = PATIENCE + 3 * math.ceil(sum(seconds[test] for test in tests))
            running[forked(partial(survives, mutant, tests), allowed)] = mutant
        process, status = os.wait()
        yield running.pop(process), status == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Try every mutant of the core.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--vectors", action="store_true", help="with the vectors alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    modules = options.modules or (ON_THE_WIRE if options.vectors else MODULES)
    phases = [Phase.explicit, Phase.generate]
    profile = settings(max_examples=25, derandomize=True, database=None, deadline=None, phases=phases)
    settings.register_profile("mutants", profile)
    settings.load_profile("mutants")
    with TemporaryDirectory() as folder:
        file = Path(folder, "seen.json")
        forked(partial(watched, VECTORS if options.vectors else TESTS, file), 3600)
        if os.wait()[1] != 0:
            print("not even the original passes")
            return 2
        seen = json.loads(file.read_text())
    wanted = [mutant for module in modules for mutant in mutants(module)]
    equivalent = reviewed(EQUIVALENT, modules)
    unseen = reviewed(UNSEEN, modules) if options.vectors else []
    begin = time.monotonic()
    alive: list[dict[str, str]] = []
    unknown = 0
    for number, (mutant, survived) in enumerate(campaign(wanted, seen, options.jobs), 1):
        if survived:
            alive.append(mutant.line_of_the_list)
            if not any(describes(line, alive[-1]) for line in equivalent + unseen):
                unknown += 1
                print(f"\nalive, line {mutant.line}:\n{shown(alive[-1])}", flush=True)
        if number % 100 == 0:
            print(f"{number} of {len(wanted)}, {len(alive)} alive", file=sys.stderr, flush=True)
    stale = [line for line in unseen or equivalent if not any(describes(line, survivor) for survivor in alive)]
    for line in stale:
        print(f"\nlisted, but no survivor:\n{shown(line)}")
    nothing = sum(any(describes(line, survivor) for line in equivalent) for survivor in alive)
    print(f"{len(wanted)} mutants, {len(wanted) - len(alive)} killed, {nothing} change nothing,", end=" ")
    print(f"{len(alive) - nothing - unknown} unseen by vectors, {unknown} alive; {time.monotonic() - begin:.0f} s")
    return int(bool(stale) or unknown > 0)


def reviewed(file: Path, modules: Sequence[str]) -> list[dict[str, str]]:
    """Return a list of survivors, without the reasons, as far as it is of these modules."""
    lines = ({key: text for key, text in line.items() if key != "reason"} for line in yaml.safe_load(file.read_text()))
    return [line for line in lines if line["where"].partition(".")[0] in modules]


def shown(line: dict[str, str]) -> str:
    """Return a survivor as the reviewed lists would have it."""
    return yaml.safe_dump([line], sort_keys=False, width=1000).rstrip()


if __name__ == "__main__":
    sys.exit(main())
