"""
Does a test, or a conformance vector, fail for every small change to the rules? Mutation testing of the core.

    python -m tests.campaigns.mutants [MODULE]... [--vectors]

Makes every mutant that Cosmic Ray knows of the named modules (all of the core by
default), and runs the tests that cover its line, quickest first; with ``--vectors``,
only the one that puts every vector to the library. Prints each survivor as the
reviewed lists would have it, and figures of each module; exits with status 1 where
a survivor is not in ``equivalent_mutants.yaml`` (or ``unseen_mutants.yaml``, of what
no vector can see), or where a line there describes no survivor.

Cosmic Ray makes the mutants; they are run here, each in a fork of a process that
has everything but this library imported: thousands take minutes instead of hours.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import resource
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import unified_diff
from functools import cache, partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType

os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"  # ours would import the library before it is mutated

import pytest
import yaml
from attrs import frozen
from cosmic_ray.ast import ast_nodes, get_ast  # pyright: ignore[reportMissingImports]
from cosmic_ray.mutating import mutate_code  # pyright: ignore[reportMissingImports]
from cosmic_ray.plugins import get_operator, operator_names  # pyright: ignore[reportMissingImports]
from coverage import CoverageData
from hypothesis import Phase, settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "kopia_maint"
MODULES = "_cron _runs _schedule _model _policy _decision _objects _resolver _manifest _plan".split()
ON_THE_WIRE = ("_policy", "_decision", "_resolver", "_plan")
TESTS = ("tests/core", "tests/reference", "tests/conformance")
VECTORS = ("tests/conformance/test_vectors.py::test_the_library_passes_every_vector",)
SLOW = 3.0
"""Seconds: a test that takes longer is left out, its rule has to have a quicker one."""
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
    """Yield every mutant of a module, except in annotations, where each breaks the import."""
    annotations = [
        part
        for node in ast.walk(parsed(module))
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if part is not None
    ]
    tree = get_ast(original(module))
    for name in operator_names():
        operator = get_operator(name)
        if name.endswith(EXCLUDED) or operator.arguments():
            continue
        positions = [span for node in ast_nodes(tree) for span in operator().mutation_positions(node)]
        for occurrence, (start, _) in enumerate(positions):
            if not any((it.lineno, it.col_offset) <= start < (it.end_lineno, it.end_col_offset) for it in annotations):
                yield Mutant(module, start[0], name, occurrence)


# --- which tests cover a line, and how long they take --------------------------


class Stopwatch:
    """A pytest plugin that notes how long each test takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the set-up, the test itself or the clean-up."""
        self.seconds[report.nodeid] += report.duration


@frozen
class Seen:
    """What was seen of the tests without a mutant."""

    seconds: dict[str, float]
    tests: dict[str, dict[int, list[str]]]
    """Those of each line of each module."""

    def covering(self, mutant: Mutant) -> list[str]:
        """Return the tests that run a mutant's line, quickest first."""
        covering = self.tests[mutant.module].get(mutant.line, ())
        quick = sorted((test for test in self.seconds if self.seconds[test] < SLOW), key=self.seconds.__getitem__)
        # What only runs while the module is imported, outside of every test, concerns them all.
        return [test for test in quick if f"{test}|run" in covering] or quick


def seen(tests: Sequence[str]) -> Seen:
    """Run the tests without a mutant."""
    with TemporaryDirectory() as folder:
        forked(partial(watched, tests, Path(folder)), 3600)
        if os.wait()[1] != 0:
            sys.exit("not even the original passes")
        data = CoverageData(str(Path(folder, "lines")))
        data.read()
        lines = {module: data.contexts_by_lineno(str(PACKAGE / f"{module}.py")) for module in MODULES}
        return Seen(json.loads(Path(folder, "seconds").read_text()), lines)


def watched(tests: Sequence[str], folder: Path) -> bool:
    """Run the tests, and write down what :class:`Seen` wants; return whether they pass."""
    os.environ["COVERAGE_FILE"] = str(folder / "lines")
    watch = Stopwatch()
    passed = run([*tests, "--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"], watch)
    (folder / "seconds").write_text(json.dumps(watch.seconds))
    return passed


class Chosen:
    """A pytest plugin that runs the chosen tests only, in the order of the choice."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.order = {test: number for number, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and sort."""
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda item: self.order[item.nodeid])


def run(arguments: Iterable[str], plugin: object) -> bool:
    """Run tests in this process, up to the first failure; return whether they pass."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return pytest.main([*options, *arguments], plugins=[plugin]) == 0


# --- one mutant in one process -------------------------------------------------


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


def survives(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Return whether all of the tests pass with this mutant."""
    unchanged = SourceFileLoader.get_code

    def code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if name != f"kopia_maint.{mutant.module}":
            return unchanged(loader, name)
        # Without the future import of this file: annotations would be texts, which nothing resolves in a mutant.
        return compile(mutant.source, loader.path, "exec", dont_inherit=True)

    pytest.MonkeyPatch().setattr(SourceFileLoader, "get_code", code)
    # One file after the other, first the one with most to say: to collect them all takes longer than most mutants live.
    files = Counter(test.partition("::")[0] for test in tests)
    return all(run([file], Chosen(tests)) for file, _ in files.most_common())


def survivors(wanted: Iterable[Mutant], seen: Seen) -> Iterator[Mutant]:
    """Try every mutant, one for each processor at a time, and yield those that survive."""
    waiting = list(wanted)
    running: dict[int, Mutant] = {}
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            mutant = waiting.pop()
            tests = seen.covering(mutant)
            allowed = PATIENCE + 3 * math.ceil(sum(seen.seconds[test] for test in tests))
            running[forked(partial(survives, mutant, tests), allowed)] = mutant
        process, status = os.wait()
        mutant = running.pop(process)
        if status == 0:
            yield mutant


def campaign(module: str, seen: Seen, lists: Sequence[str]) -> bool:
    """Try every mutant of a module, print what the lists do not say, and figures; return whether they say all."""
    reviewed = {name: listed(name, module) for name in lists}
    wanted = list(mutants(module))
    alive = [mutant.line_of_the_list for mutant in survivors(wanted, seen)]
    known = Counter[str]()
    for survivor in alive:
        found = [name for name in lists if any(describes(line, survivor) for line in reviewed[name])]
        known[found[0] if found else "alive"] += 1
        if not found:
            print(f"alive:\n{shown(survivor)}")
    stale = [line for name in lists for line in reviewed[name] if not any(describes(line, it) for it in alive)]
    for line in stale:
        print(f"listed, but no survivor:\n{shown(line)}")
    figures = ", ".join(f"{known[name]} {name}" for name in (*lists, "alive"))
    print(f"{module}: {len(wanted)} tried, {len(wanted) - len(alive)} killed, {figures}", flush=True)
    return not stale and not known["alive"]


def listed(name: str, module: str) -> list[dict[str, str]]:
    """Return the lines of a reviewed list that are of a module, without the reasons."""
    lines = yaml.safe_load(Path(__file__).with_name(f"{name}_mutants.yaml").read_text())
    known = ({key: text for key, text in line.items() if key != "reason"} for line in lines)
    return [line for line in known if line["where"].partition(".")[0] == module]


def shown(line: dict[str, str]) -> str:
    """Return a survivor as the reviewed lists would have it."""
    return yaml.safe_dump([line], sort_keys=False, width=1000).rstrip()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Try every mutant of the core.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--vectors", action="store_true", help="with the vectors alone")
    options = parser.parse_args()
    phases = [Phase.explicit, Phase.generate]
    profile = settings(max_examples=25, derandomize=True, database=None, deadline=None, phases=phases)
    settings.register_profile("mutants", profile)
    settings.load_profile("mutants")
    modules = options.modules or (ON_THE_WIRE if options.vectors else MODULES)
    before = seen(VECTORS if options.vectors else TESTS)
    lists = ("equivalent", "unseen") if options.vectors else ("equivalent",)
    unlike_the_lists = [module for module in modules if not campaign(module, before, lists)]
    return int(bool(unlike_the_lists))


if __name__ == "__main__":
    sys.exit(main())
