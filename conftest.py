"""The documentation is executed: Python blocks, and console blocks with the output they show."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from doctest import ELLIPSIS
from pathlib import Path

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent
# What a schedule means is said in the words of cron-descriptor, which each of its versions may choose anew.
MEANING = re.compile("^meaning    .+", re.MULTILINE)


class ConsoleParser(CodeBlockParser):
    """Run ``$ kopia-maint …`` as a reader of the page would, in the repository's root, and compare what it prints."""

    language = "console"

    def evaluate(self, example: Example) -> str | None:
        """Run the command of a block; return the difference, if there is one."""
        command, _, expected = example.parsed.partition("\n")
        if not command.startswith("$ kopia-maint "):
            return None
        program = [sys.executable, "-m", "kopia_maint.cli", *shlex.split(command)[2:]]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
        told = f"{command}\nshows:\n{done.stdout}\n{done.stderr}\nand the page says:\n{expected}"
        return None if MEANING.sub("", done.stdout) == MEANING.sub("", expected) else told


pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), ConsoleParser()],
    patterns=["README.md", "docs/*.md"],
).pytest()
