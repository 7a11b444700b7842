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

import pytest

import kopia_maint

PACKAGE = Path(kopia_maint.__file__).parent
TESTS = Path(__file__).parents[1]
CORE = ("rules", "manifest", "plan", "policy", "reconcile_all", "schedule")
NAME = "my_operator._vendor.maintenance"
OPTIONAL = ("cli", "conformance", "testing", "_hypothesis.py")

# What the copy's tests begin with: there is no package of the old name, and no installed distribution is asked about.
CONFTEST = """
import importlib.metadata, sys
sys.modules["kopia_maint"] = None
installed = importlib.metadata.distribution
def distribution(name):
    assert name.replace("_", "-") != "kopia-maint"
    return installed(name)
importlib.metadata.distribution = distribution
"""


def copy_package(copy: Path, *without: str) -> None:
    """Copy the package, some of its parts left out."""
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", *without))


@pytest.fixture(params=["with the optional parts", "without them"])
def vendored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder that holds a package with the copy deep inside, and the core's tests for it."""
    whole = request.param == "with the optional parts"
    copy_package(tmp_path.joinpath(*NAME.split(".")), *(() if whole else OPTIONAL))
    tests = tmp_path / "tests"
    tests.joinpath("core").mkdir(parents=True)
    core = (*CORE, "model") if whole else CORE
    for name in ("__init__", "helpers", "core/__init__", *(f"core/test_{it}" for it in core)):
        text = TESTS.joinpath(f"{name}.py").read_text("utf-8")
        tests.joinpath(f"{name}.py").write_text(re.sub(r"\bkopia_maint\b", NAME, text), "utf-8")
    tests.joinpath("conftest.py").write_text(CONFTEST)
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with nothing but *folder* added to its path."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "HYPOTHESIS_NO_PLUGINS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_copy_passes_the_cores_tests(vendored: Path) -> None:
    """Under another name, where nothing of the old name can be imported."""
    plugins = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    done = python(vendored, "-m", "pytest", "-q", *plugins, "-W", "error", "--junit-xml=report.xml", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(ElementTree.parse(vendored / "report.xml").getroot()[0].attrib["tests"]) > 150


def test_a_copy_answers_lines_and_runs_vectors(tmp_path: Path) -> None:
    """The command line of a copy, its vectors, and its `serve`, put to one another."""
    copy_package(tmp_path / "other", "testing")
    block = "import sys; sys.modules['kopia_maint'] = None; from other.cli import main; main()"
    serve = [sys.executable, "-c", block, "serve"]
    done = python(tmp_path, "-c", block, "conformance", "--output", "json", "--", *serve)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] >= 150


def test_imports_inside_the_package_are_relative() -> None:
    """No module names the package, or asks for an installed distribution."""
    absolute = re.compile(r"^\s*(?:from|import) (?:kopia_maint|importlib\.metadata)\b", re.MULTILINE)
    assert [file for file in PACKAGE.rglob("*.py") if absolute.search(file.read_text("utf-8"))] == []
