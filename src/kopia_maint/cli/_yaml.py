"""
What does one YAML document hold, and how is one written? PyYAML, made safe and made to agree with Kubernetes.

PyYAML's C loader ends the process on deep nesting, and aliases multiply. Values are
therefore built from the events of a document, which cost constant stack; PyYAML
resolves the scalars. That is faster than its own loader, too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

from .._errors import InvalidManifest, shown
from .._objects import MAX_DEPTH

# Aliases may make a document this much larger than it is written, in nodes.
_GROWTH, _ALLOWANCE = 10, 10_000
_TAG = "tag:yaml.org,2002:"
_MERGE, _NONE = object(), object()
_STARTS = {
    yaml.MappingStartEvent: (None, "!", _TAG + "map"),
    yaml.SequenceStartEvent: (None, "!", _TAG + "seq"),
}
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)

_EVENTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Scalars(yaml.SafeLoader):
    """Kubernetes has no timestamps, and "=" is a string there (CRDs of kube-prometheus list it)."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_TAG + "timestamp", _TAG + "value")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_SCALARS: Any = _Scalars("")


class InvalidYaml(InvalidManifest):
    """
    A document that is not YAML, or YAML that is refused.

    Attributes:
        line: The line of the fault, counted from 0; None: unknown.
    """

    line: int | None = None


class _Open:
    """A collection whose end is still to come: what it holds so far, aliases followed, and where it is."""

    __slots__ = ("anchor", "key", "merged", "path", "size", "value")

    def __init__(self, value: Any, anchor: str | None = None, path: str = "") -> None:
        self.value, self.anchor, self.path = value, anchor, path
        self.key: Any = _NONE  # the last one of a mapping, while it has no value
        self.merged: Any = None
        self.size = 1

    def member(self) -> str:
        """Return the path of the next member."""
        if self.key is _NONE:
            return f"{self.path}[{len(self.value)}]"
        return f"{self.path}[{self.key}]" if "/" in str(self.key) else f"{self.path}.{self.key}".removeprefix(".")


def read(text: str, lines: dict[str, int] | None = None) -> tuple[Any, InvalidYaml | None]:
    """
    Return the value of a text with one YAML document. Timestamps stay strings.

    Args:
        text: The document.
        lines: Filled with the line, from 0, where each field begins, by its path.

    Returns:
        The value; and the fault that Kubernetes objects must not have and others may: a key that is no string.

    Raises:
        InvalidYaml: The text is not one YAML document, nests too deeply, grows too much, or has a key twice.
    """
    try:
        return _read(text, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise _fault(f"is not YAML: {message}", mark) from None
    except yaml.YAMLError as error:
        raise _fault(f"is not YAML: {getattr(error, 'reason', None) or error}", None) from None


def _fault(message: str, mark: Any) -> InvalidYaml:
    error = InvalidYaml(message)
    error.line = None if mark is None else mark.line
    return error


def _read(text: str, lines: dict[str, int] | None) -> tuple[Any, InvalidYaml | None]:
    next_event = _EVENTS(text).get_event
    anchors: dict[str, _Open | None] = {}  # None: not complete yet
    document = _Open([])
    path = [document]
    nodes = 0
    odd: InvalidYaml | None = None
    while (kind := type(event := next_event())) is not yaml.StreamEndEvent:
        parent, size, anchor = path[-1], 1, None
        if kind is yaml.ScalarEvent:
            value, anchor = _scalar(event), event.anchor
        elif kind in _STARTS:
            if event.tag not in _STARTS[kind]:
                raise _fault(f"is not YAML: the tag {shown(event.tag)} is not known", event.start_mark)
            if len(path) > MAX_DEPTH:
                raise _fault(f"nests more than {MAX_DEPTH} deep", event.start_mark)
            where = ""
            if lines is not None and parent is not document:
                lines.setdefault(where := parent.member(), event.start_mark.line)
            path.append(_Open({} if kind is yaml.MappingStartEvent else [], event.anchor, where))
            if event.anchor:
                anchors[event.anchor] = None
            nodes += 1
            continue
        elif kind in _ENDS:
            ended = path.pop()
            parent, value, size, anchor = path[-1], ended.value, ended.size, ended.anchor
            if ended.merged is not None:
                _merge(value, ended.merged, event)
        elif kind is yaml.AliasEvent:
            known = anchors.get(event.anchor, document)
            if known is document:
                raise _fault(f"is not YAML: the alias {shown(event.anchor)} is not defined", event.start_mark)
            if known is None:
                raise _fault(f"the alias {shown(event.anchor)} contains itself", event.start_mark)
            value, size = known.value, known.size
        elif kind is yaml.DocumentStartEvent and document.value:
            raise _fault("is not YAML: another document begins without '---'", event.start_mark)
        else:
            continue
        nodes += kind not in _ENDS
        if anchor:
            anchors[anchor] = known = _Open(value)
            known.size = size
        parent.size += size
        if parent.size > _GROWTH * nodes + _ALLOWANCE:
            raise _fault("its aliases multiply: it would grow beyond all measure", event.start_mark)
        held = parent.value
        if type(held) is list:
            if lines is not None and kind not in _ENDS and parent is not document:
                lines[parent.member()] = event.start_mark.line
            held.append("<<" if value is _MERGE else value)
        elif parent.key is not _NONE:
            if parent.key is _MERGE:
                parent.merged = value
            else:
                held[parent.key] = "<<" if value is _MERGE else value
            parent.key = _NONE
        else:
            if type(value) is not str and value is not _MERGE:
                if isinstance(value, (dict, list)):
                    raise _fault("is not YAML: a key must be a string, not a collection", event.start_mark)
                odd = odd or _fault(f"the key {value!r} is not a string: quote it", event.start_mark)
            if value in held:
                raise _fault(f"the key {shown(value)} is there twice", event.start_mark)
            parent.key = value
            if lines is not None:
                lines[parent.member()] = event.start_mark.line
    return (document.value or [None])[0], odd


def _merge(into: dict[Any, Any], merged: Any, event: Any) -> None:
    """Put in what a merge key names, one mapping or several, where it is not there already."""
    for it in merged if isinstance(merged, list) else [merged]:
        if not isinstance(it, dict):
            raise _fault("is not YAML: what a merge key names must be a mapping", event.start_mark)
        into.update({key: member for key, member in it.items() if key not in into})


def _scalar(event: Any) -> Any:
    """Return the value of a scalar."""
    if event.tag is None and event.implicit[0]:
        try:
            return _plain(event.value)
        except ValueError as error:  # 5,000 digits
            raise _fault(
                f"is not YAML: a value does not fit its type ({shown(str(error))})", event.start_mark
            ) from None
    if event.tag in (None, "!", _TAG + "str"):
        return event.value
    node = yaml.ScalarNode(event.tag, event.value, event.start_mark, event.end_mark)
    try:
        return _SCALARS.construct_document(node)
    except (ValueError, LookupError, AttributeError) as error:  # how PyYAML takes "!!int x"
        raise _fault(f"is not YAML: a value does not fit its type ({shown(str(error))})", event.start_mark) from None


@lru_cache(maxsize=4096)  # most texts are there again and again
def _plain(text: str) -> Any:
    """Return what a scalar without quotes and tag is."""
    tag = _SCALARS.resolve(yaml.ScalarNode, text, (True, False))
    if tag == _TAG + "str":
        return text
    return _MERGE if tag == _TAG + "merge" else _SCALARS.construct_document(yaml.ScalarNode(tag, text))


# --- written -----------------------------------------------------------------

_SAFE = re.compile(r"[A-Za-z/][-A-Za-z0-9._/]*")
_WORDS = frozenset("y n yes no on off true false null".split())


class _Dumper(yaml.SafeDumper):
    """Quotes whatever Kubernetes' reader could take for anything but a string, and keeps lines as lines."""


def _string(dumper: Any, text: str) -> Any:
    style = None if _SAFE.fullmatch(text) and text.lower() not in _WORDS else "'"
    if "##" in text:
        style = '"'
    elif "\n" in text and text.isascii():
        style = "|"
    return dumper.represent_scalar(_TAG + "str", text, style=style)


_Dumper.add_representer(str, _string)


def write(value: Any) -> str:
    """Return *value* as one YAML document with a marker at its beginning, and with no text that a CI log would obey."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=2**20, explicit_start=True)
    return text.replace("##", "#\\x23")  # all of them are in double quotes
