"""Does the Go program of the docs pass every vector, and does the fork fail those that the docs say it fails?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kopia_maint.conformance import Outcome, load, run
from kopia_maint.conformance import _vectors as vectors

if shutil.which("go") is None:
    pytest.skip("go is not installed", allow_module_level=True)

ROOT = Path(__file__).parent.parent
FOLDER = Path(vectors.__file__).with_name("vectors")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the built program."""
    program = tmp_path_factory.mktemp("go") / "adapter"
    environment = {**os.environ, "GO111MODULE": "on", "GOFLAGS": "", "GOPROXY": "off"}
    source = ROOT / "docs/examples/go-adapter"
    for command in (["vet", "."], ["build", "-o", str(program), "."]):
        subprocess.run(["go", *command], cwd=source, env=environment, check=True)
    return str(program)


@pytest.fixture(scope="module")
def fork(adapter: str) -> list[Outcome]:
    """Return what became of the vectors when it decides as the fork does."""
    return list(run([adapter, "-fork"], load()))


def section(name: str) -> list[str]:
    """Return the lines between two marks of the page."""
    text = ROOT.joinpath("docs/conformance.md").read_text("utf-8")
    found = re.search(rf"% begin: {name}\n(.*?)\n?% end: {name}", text, re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def test_it_passes_every_vector(adapter: str) -> None:
    """It implements the rules itself, in another language, from the page alone."""
    assert [(it.vector.area, it.vector.name, it.differences) for it in run([adapter], load()) if it.differences] == []


def test_it_is_formatted() -> None:
    """As gofmt has it."""
    source = ROOT / "docs/examples/go-adapter"
    assert subprocess.run(["gofmt", "-l", source], capture_output=True, text=True, check=True).stdout == ""


def test_the_table_of_what_the_fork_fails(fork: list[Outcome]) -> None:
    """Area by area; a harness that passed everything would be worth nothing."""
    rows = ["| area | | vectors | failed |", "| --- | --- | ---: | ---: |"]
    for file in sorted(FOLDER.glob("*.json")):
        about = json.loads(file.read_text("ascii"))["about"]
        mine = [it for it in fork if it.vector.area == file.stem]
        rows.append(f"| `{file.stem}` | {about} | {len(mine)} | {sum(bool(it.differences) for it in mine)} |")
    assert section("fork") == rows


def test_the_published_statements_that_the_fork_fails(fork: list[Outcome]) -> None:
    """Its own document, held against its own code, and what is the first to differ."""
    rows = ["| statement | example | step | differs |", "| --- | --- | ---: | --- |"]
    for it in fork:
        if it.vector.area == "published" and it.differences:
            differs = it.differences[0].what
            rows.append(f"| {it.vector.sentence} | {it.vector.name} | {it.step} | {differs} |")
    assert section("fork-published") == rows
