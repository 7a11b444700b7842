"""Does a copy of the package work under any other name, with the optional parts and without?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import kopia_maint

PACKAGE = Path(kopia_maint.__file__).parent
TESTS = Path(__file__).parents[1]
CORE = ("rules", "plan", "schedule", "wrong_use")
NAME = "my_operator._vendor.maintenance"
OPTIONAL = ("cli", "conformance", "testing", "_hypothesis.py")

# What the copy's tests begin with: there is no package of the old name.
CONFTEST = "import sys; sys.modules['kopia_maint'] = None"


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with nothing but *folder* added to its path."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "HYPOTHESIS_NO_PLUGINS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_core_without_its_optional_parts_passes_its_tests(tmp_path: Path) -> None:
    """Deep inside another package, where nothing of the old name can be imported."""
    shutil.copytree(PACKAGE, tmp_path.joinpath(*NAME.split(".")), ignore=shutil.ignore_patterns(*OPTIONAL))
    tests = tmp_path / "tests"
    tests.joinpath("core").mkdir(parents=True)
    tests.joinpath("conftest.py").write_text(CONFTEST)
    for name in ("__init__", "helpers", "core/__init__", *(f"core/test_{it}" for it in CORE)):
        text = TESTS.joinpath(f"{name}.py").read_text("utf-8")
        tests.joinpath(f"{name}.py").write_text(re.sub(r"\bkopia_maint\b", NAME, text), "utf-8")
    plugins = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    done = python(tmp_path, "-m", "pytest", "-q", *plugins, "-W", "error", "--junit-xml=report.xml", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(ElementTree.parse(tmp_path / "report.xml").getroot()[0].attrib["tests"]) > 150


def test_a_whole_copy_checks_policies_answers_lines_and_runs_vectors(tmp_path: Path) -> None:
    """Its testing kit; and its command line, its vectors, and its `serve`, put to one another."""
    shutil.copytree(PACKAGE, tmp_path / "other")
    alone = "import sys; sys.modules['kopia_maint'] = None; "
    kit = "import other; from other.testing import check_policy; check_policy(other.FirstWins(), max_examples=5)"
    done = python(tmp_path, "-c", alone + kit)
    assert done.returncode == 0, done.stderr
    command_line = f"{alone}from other.cli import main; main()"
    serve = [sys.executable, "-c", command_line, "serve"]
    done = python(tmp_path, "-c", command_line, "conformance", "--output", "json", "--", *serve)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] >= 150


def test_imports_inside_the_package_are_relative() -> None:
    """No module names the package, or asks for an installed distribution."""
    absolute = re.compile(r"^\s*(?:from|import) (?:kopia_maint|importlib(?:\.| import )metadata)\b", re.MULTILINE)
    assert [file for file in PACKAGE.rglob("*.py") if absolute.search(file.read_text("utf-8"))] == []
