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
        """Run every command of a block; return the difference, if there is one."""
        for block in example.parsed.removeprefix("$ ").split("\n$ "):
            command, _, expected = block.partition("\n")
            words = shlex.split(command)
            if words[0] != "kopia-maint":
                continue
            command_line = [sys.executable, "-m", "kopia_maint.cli", *words[1:]]
            done = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, check=False)
            shown = "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip()
            if MEANING.sub("", shown) != MEANING.sub("", expected.strip()) or "Traceback" in done.stderr:
                return f"{command}\nshows:\n{shown}\n{done.stderr}\nand the page says:\n{expected}"
        return None


pytest_collect_file = Sybil(
    parsers=[SkipParser(), PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), ConsoleParser()],
    patterns=["README.md", "docs/*.md"],
).pytest()
