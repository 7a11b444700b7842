"""How are the pages built? ``make docs``: Sphinx, without the network; every warning is an error."""

from __future__ import annotations

import re
from pathlib import Path
from types import FunctionType
from unittest.mock import patch

import attrs  # noqa: F401 - before the patch
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

with patch("functools.cached_property", property):  # of a cached one attrs would keep no docstring
    import kopia_maint

import kopia_maint.conformance
import kopia_maint.testing

project = "kopia-maint"
author = "the kopia-maint authors"
project_copyright = author
version = release = kopia_maint.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = project
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True

nitpick_ignore_regex = [
    ("py:.*", r"(collections|datetime|pathlib|hypothesis)(\..*)?"),  # intersphinx would need the network
    ("py:class", r"kopia_maint\.testing\._history\..*"),  # shapes of arguments; what they stand in for is linked
]

# A public name is documented where people import it from, and Sphinx finds there what its own module says of members.
for module in (kopia_maint, kopia_maint.testing, kopia_maint.conformance):
    said = ModuleAnalyzer.for_module(module.__name__)
    said.analyze()
    for source in sorted(Path(module.__file__ or "").parent.glob("_*.py")):
        part = ModuleAnalyzer.for_module(f"{module.__name__}.{source.stem}".removesuffix(".__init__"))
        part.analyze()
        said.attr_docs.update(part.attr_docs)
        said.tagorder.update(part.tagorder)
    for name in module.__all__:
        public = getattr(module, name)
        if isinstance(public, (type, FunctionType)):
            public.__module__ = module.__name__


def without_types(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep napoleon from taking what precedes a colon for a type: here types stand in the signatures."""
    for number, line in enumerate(lines):
        if lines[number - 1] == "Returns:" if number else what in ("property", "attribute"):
            text = line.lstrip()
            lines[number] = f"{line[: -len(text)]}: {text}"


def plainly(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Show a signature as people would write it; none for what they do not call: errors and protocols."""
    if signature is None:
        return None
    if what == "exception" or signature == "(*args, **kwargs)":
        return "", returns
    return re.sub(r"<function (\w+)>", r"\1", signature.replace("NOTHING", "...")), returns


def inline_diagrams(app: Sphinx, doctree: nodes.document) -> None:
    """Make diagrams part of the page, so that they take its colours, in light and in dark."""
    for image in list(doctree.findall(nodes.image)):
        file, path = app.env.relfn2path(image["uri"])
        if file.endswith(".svg"):
            app.env.note_dependency(file)
            image.replace_self(nodes.raw("", Path(path).read_text("utf-8"), format="html"))


def keep_together(app: Sphinx, doctree: nodes.document) -> None:
    """Mark what is not to break inside: schedules, times and names."""
    for literal in doctree.findall(nodes.literal):
        if len(literal.astext()) <= 26:
            literal["classes"].append("short")


def setup(app: Sphinx) -> None:
    """Come before napoleon, and before images are copied."""
    app.connect("autodoc-process-docstring", without_types, priority=400)
    app.connect("autodoc-process-signature", plainly)
    app.connect("doctree-read", inline_diagrams, priority=400)
    app.connect("doctree-read", keep_together)
