"""Which pages are there, and what Python is on them? What readers copy is run, and type-checked, as it stands."""

from __future__ import annotations

import sys
from doctest import Example as Doctest
from pathlib import Path
from shutil import rmtree

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").glob("*.md"))]
# A prompt shows a value by naming it.
_SETTINGS = "# pyright: reportUnusedExpression=false\n"
_PYTHON = Sybil(parsers=[PythonCodeBlockParser()], patterns=["*.md"])


def python_of(page: Path) -> str:
    """Return the Python of a page, without prompts and output; each line has the number that it has on the page."""
    lines: list[str] = []
    for example in _PYTHON.parse(page).examples():
        prompted = isinstance(example.parsed, Doctest)
        lines += [""] * (example.line - prompted - len(lines))
        lines += (example.parsed.source if prompted else example.parsed).splitlines()
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write the Python of each page into a folder, for type checkers."""
    rmtree(folder, ignore_errors=True)  # a page that is gone, too
    folder.mkdir(parents=True)
    for page in PAGES:
        module = folder / f"page_{page.stem.replace('-', '_').lower()}.py"  # operator would hide the library's
        module.write_text(python_of(page) + _SETTINGS, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
