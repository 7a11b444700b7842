"""
What does one YAML document hold, and how is one written? PyYAML, made safe and made to agree with Kubernetes.

PyYAML's C loader ends the process on deep nesting, and aliases multiply. The
events of a document, which cost constant stack, are therefore checked first.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from .._errors import InvalidManifest, shown
from .._manifest import MAX_DEPTH

# Aliases may make a document this much larger than it is written, in nodes.
_GROWTH, _ALLOWANCE = 10, 10_000

_BASE: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Kubernetes has no timestamps, and "=" is a string there (CRDs of kube-prometheus list it).
_FOREIGN_TAGS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_LOADER: Any = type(
    "Loader",
    (_BASE,),
    {
        "yaml_implicit_resolvers": {
            first: [(tag, pattern) for tag, pattern in resolvers if tag not in _FOREIGN_TAGS]
            for first, resolvers in _BASE.yaml_implicit_resolvers.items()
        }
    },
)


class InvalidYaml(InvalidManifest):
    """
    A document that is not YAML, or YAML that is refused.

    Attributes:
        line: The line of the fault, counted from 0; None: unknown.
    """

    line: int | None = None


def read(text: str) -> Any:
    """
    Return the value of a text with one YAML document. Timestamps stay strings.

    Raises:
        InvalidYaml: The text is not one YAML document, nests too deeply, grows too much, or has a key twice.
    """
    try:
        _check(text)
        return yaml.load(text, _LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise _fault(f"is not YAML: {message}", mark) from None
    except yaml.YAMLError as error:
        raise _fault(f"is not YAML: {getattr(error, 'reason', None) or error}", None) from None
    except (ValueError, LookupError, AttributeError) as error:  # how PyYAML takes "!!int x", and 5,000 digits
        if isinstance(error, InvalidYaml):
            raise
        raise _fault(f"is not YAML: a value does not fit its type ({shown(str(error))})", None) from None


def lines(text: str) -> dict[str, int]:
    """Return the line, from 0, where each field of a document begins, by its path; of what cannot be read, nothing."""
    found: dict[str, int] = {}

    def note(node: Any, path: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                step = f"[{key.value}]" if "/" in key.value else f".{key.value}"
                found[member := f"{path}{step}".removeprefix(".")] = key.start_mark.line
                note(value, member)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                found[member := f"{path}[{index}]"] = item.start_mark.line
                note(item, member)

    text = text.replace("\t", " ")  # JSON may be indented with tabs; lines stay where they are
    try:
        _check(text)
        note(yaml.compose(text, _LOADER), "")
    except (InvalidManifest, yaml.YAMLError):
        return {}
    return found


def _fault(message: str, mark: Any) -> InvalidYaml:
    error = InvalidYaml(message)
    error.line = None if mark is None else mark.line
    return error


class _Open:
    """A collection whose end is still to come: its size so far, aliases followed, and the keys of a mapping."""

    __slots__ = ("anchor", "at_key", "keys", "size")

    def __init__(self, anchor: str | None, is_mapping: bool) -> None:
        self.anchor = anchor
        self.size = 1
        self.keys: set[str] | None = set() if is_mapping else None
        self.at_key = True

    def add(self, event: Any, size: int) -> None:
        """Count a member in; where it is a key, it must be new."""
        self.size += size
        if self.keys is None:
            return
        if self.at_key and isinstance(event, yaml.ScalarEvent):
            if event.value in self.keys:
                raise _fault(f"the key {shown(event.value)} is there twice", event.start_mark)
            self.keys.add(event.value)
        self.at_key = not self.at_key


def _check(text: str) -> None:
    """Refuse a document that is deep, grows by its aliases, contains itself, or has a key twice."""
    sizes: dict[str, int | None] = {}  # of what has an anchor; None: not complete yet
    path: list[_Open] = []
    nodes = 0
    for event in yaml.parse(text, _LOADER):
        size, anchor = 1, None
        if isinstance(event, yaml.CollectionStartEvent):
            nodes += 1
            path.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            if event.anchor:
                sizes[event.anchor] = None
            if len(path) > MAX_DEPTH:
                raise _fault(f"nests more than {MAX_DEPTH} deep", event.start_mark)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            ended = path.pop()
            size, anchor = ended.size, ended.anchor
        elif isinstance(event, yaml.AliasEvent):
            nodes += 1
            known = sizes.get(event.anchor or "", 1)  # an unknown one is the loader's to refuse
            if known is None:
                raise _fault(f"the alias {shown(event.anchor)} contains itself", event.start_mark)
            size = known
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
            anchor = event.anchor
        else:
            continue
        if anchor:
            sizes[anchor] = size
        if path:
            path[-1].add(event, size)
            if path[-1].size > _GROWTH * nodes + _ALLOWANCE:
                raise _fault("its aliases multiply: it would grow beyond all measure", event.start_mark)


class _Dumper(yaml.SafeDumper):
    """Quotes what Kubernetes' reader would not take for a string, and keeps lines as lines."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)[eE][-+]?[0-9]+|0o[0-7]+"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]$"), list("yYnN"))
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text and text.isascii() else None
    ),
)


def write(value: Any) -> str:
    """Return *value* as one YAML document with a marker at its beginning."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=2**20, explicit_start=True)
    return text
