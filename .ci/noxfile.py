"""Does it work on every Python, with the oldest dependencies, and as the package that is published?"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parents[1]

OLDEST = (
    "attrs==24.1.0",
    "croniter==6.1.0",
    "click==8.2.0",
    "cron-descriptor==2.1.0",
    "pyyaml==6.0.1",
    "hypothesis==6.100.0",
)
OPERATOR = ("3.11", "3.12", "3.13")
"""Where the clients and the operator framework that the examples use can be installed."""

DECISION = """
from datetime import datetime, timezone
from kopia_maint import CronJobState, Repository, Schedule, SourceRef, SourceRequest, resolve

now, repository = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc), Repository("shared-repo-secret")
state = CronJobState(repository.hash, Schedule.parse("0 2 * * *"), "team-a", {})
request = SourceRequest(SourceRef("team-b", "source-b"), repository, Schedule.parse("0 4 * * *"))
print(resolve(state, request, now=now).explanation)
print("next run", *state.schedule.next_runs(now, 1))
"""
"""What the package has to be able to do with no extras."""


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Pass the tests with the newest dependencies."""
    session.chdir(ROOT)
    groups = ["tests", "operator"] if session.python in OPERATOR else ["tests"]
    session.install("--editable", ".[cli,testing]", *(part for group in groups for part in ("--group", group)))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python="3.10")
def oldest(session: nox.Session) -> None:
    """Pass the tests with the oldest dependencies that are allowed."""
    session.chdir(ROOT)
    session.install("--editable", ".[cli,testing]", "--group", "tests", *OLDEST)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build what is published, look into it, and use it in an environment that has nothing else."""
    session.chdir(ROOT)
    session.install("build", "twine")
    dist = Path("dist").absolute()
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    check_content(session, wheel)
    empty = Path(session.create_tmp()).absolute() / "empty"
    session.run("python", "-m", "venv", "--clear", str(empty))
    programs = empty / "bin"
    session.run(str(programs / "pip"), "install", "--quiet", str(wheel), external=True)
    session.chdir(empty)
    session.run(str(programs / "python"), "-c", DECISION, external=True)
    session.run(str(programs / "kopia-maint"), external=True, success_codes=[2])  # it names the extra that it needs


def check_content(session: nox.Session, wheel: Path) -> None:
    """Compare the wheel with the package's folder: every file, and nothing else."""
    source = Path("src/kopia_maint")
    files = {path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {path.relative_to("src").as_posix() for path in files}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    if names != expected:
        session.error(f"the wheel and the package differ: {sorted(names ^ expected)}")
    session.log(f"{len(names)} files in the wheel")
