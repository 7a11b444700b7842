"""Does a newcomer get on with the command: its help, its examples, its hints?"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import kopia_maint
from kopia_maint.cli._main import cli

from .command_line import EXAMPLE, tree


def told(*arguments: str) -> str:
    """Return what the command says of itself."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    return result.stdout


def examples(command: str) -> list[str]:
    """Return the examples in the help of a command."""
    return [line.strip() for line in re.split(r"Examples?:\n", told(*command.split(), "--help"))[1].splitlines()]


@pytest.mark.parametrize("example", [it for command in ("", *cli.commands) for it in examples(command)])
def test_the_examples_in_the_help_work(example: str, tmp_path: Path) -> None:
    """Each runs as it stands, where there is what it names; kubectl and an adapter are played."""
    for folder in ("apps", "clusters/production"):
        shutil.copytree(EXAMPLE, tmp_path / folder)
    serve = f"#!/bin/sh\nexec {sys.executable} -m kopia_maint.cli serve\n"
    programs = {
        "kopia-maint": f'#!/bin/sh\nexec {sys.executable} -m kopia_maint.cli "$@"\n',
        "kubectl": f"#!/bin/sh\ncat {EXAMPLE}/team-a.yaml\n",
        "my-adapter": serve,
        "go": serve,
    }
    tree(tmp_path, programs)
    for name in programs:
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["sh", "-c", example], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == (1 if "apps/" in example and "kubectl" not in example else 0), result.stderr
    assert result.stdout or result.stderr


def test_commands_and_options_say_what_they_are_for() -> None:
    """Each command's sentence is short enough for its line in the list; -h is what people try first."""
    shown = told("--help")
    assert told("-h") == shown
    for name, command in cli.commands.items():
        assert re.search(rf"^ +{name} +{re.escape(command.get_short_help_str(1000))}$", shown, re.MULTILINE)
        assert all(it.help for it in command.params if isinstance(it, click.Option))
    assert told("--version") == f"kopia-maint {kopia_maint.__version__}\n"
