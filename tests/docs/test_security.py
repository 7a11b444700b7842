"""The threat model says what is so: every test that it names exists, every bound is the code's, and YAML is plain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import kopia_maint
from kopia_maint import _cron, _manifest, _model, _objects
from kopia_maint.cli import _load, _yaml
from kopia_maint.conformance import _answer

from .pages import ROOT

PAGE = ROOT.joinpath("docs", "security.md").read_text("utf-8")


def test_every_claim_names_a_test() -> None:
    """All that a tenant cannot do is shown by something that exists."""
    claims = PAGE.partition("## What a tenant cannot do")[2].partition("\n## ")[0].split("\n- ")[1:]
    assert len(claims) >= 10
    assert [claim for claim in claims if not re.search(r"Shown\s+by\s+`tests/", claim)] == []
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE):
        assert re.search(rf"^def {name}\(", ROOT.joinpath(file).read_text("utf-8"), re.MULTILINE), name


def test_the_bounds_are_the_codes() -> None:
    """Row by row."""
    lengths = {kind: length for kind, (length, *_) in _model._KINDS_OF_NAME.items()}
    rows = {
        "characters of a schedule": f"{_cron.MAX_LENGTH}",
        "characters of a namespace's name": f"{lengths['namespace']}",
        "characters of another name": f"{lengths['name']}",
        "bytes of all annotations of one CronJob": f"{_manifest.ANNOTATIONS_LIMIT:,}",
        "levels of nesting in a manifest from a file or the wire": f"{_objects.MAX_DEPTH}",
        "levels of `List` inside `List` in a file": f"{_load._MAX_NESTED_LISTS}",
        "nodes that aliases add to a YAML document": f"{_yaml._ALLOWANCE:,}, and {_yaml._GROWTH} times what is written",
        "bytes of a line of the conformance wire format": f"{_answer.MAX_LENGTH:,}",
    }
    table = ["| what | at most |", "| --- | --- |", *(f"| {what} | {most} |" for what, most in rows.items())]
    assert "\n".join(table) in PAGE.partition("% begin: bounds\n")[2].partition("% end: bounds")[0]


@pytest.mark.parametrize("tag", ["python/name:os.getcwd", "python/object/apply:os.getcwd []"])
def test_yaml_builds_no_objects(tag: str) -> None:
    """A tag that asks for one is refused."""
    with pytest.raises(_yaml.InvalidYaml, match=f"is not YAML: .*{tag.partition(' ')[0]}"):
        _yaml.read(f"a: !!{tag}")


def test_no_other_loader_is_used() -> None:
    """Scalars are PyYAML's safe ones, with fewer types, over events that build nothing; nothing else builds objects."""
    assert issubclass(_yaml._Scalars, yaml.SafeLoader)
    assert _yaml._EVENTS in {yaml.BaseLoader, getattr(yaml, "CBaseLoader", None)}
    for path in Path(kopia_maint.__file__).parent.rglob("*.py"):
        builds = re.search(r"\byaml\.\w*load|\b(?:pickle|marshal|shelve)\b|\beval\(|\bexec\(", path.read_text("utf-8"))
        assert builds is None, path
