"""
What does one YAML document hold, and how is one written? PyYAML, made safe and made to agree with Kubernetes.

PyYAML's C loader ends the process on deep nesting, and aliases multiply. Values are
therefore built from the events of a document, which cost constant stack, and PyYAML
only says what each scalar is. That is faster than its own loader, too.
"""

import re
from functools import lru_cache
from typing import Any

import yaml

from .._errors import InvalidManifest, joined, shown
from .._objects import MAX_DEPTH

# Aliases may make a document this much larger than it is written, in nodes.
_GROWTH, _ALLOWANCE = 10, 10_000
_TAG = "tag:yaml.org,2002:"
_MERGE, _NO_KEY = object(), object()
_EVENTS: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Scalars(yaml.SafeLoader):
    """Kubernetes has no timestamps, and "=" is a string there (CRDs of kube-prometheus list it)."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_TAG + "timestamp", _TAG + "value")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_SCALARS: Any = _Scalars("")


class InvalidYaml(InvalidManifest):
    """A document that is not YAML, or YAML that is refused; ``line`` is that of the fault, from 0, None: unknown."""

    line: int | None = None


def read(text: str, lines: dict[str, int] | None = None) -> tuple[Any, InvalidYaml | None]:
    """
    Return the value of a text with one YAML document, and a fault that only Kubernetes objects must not have.

    That fault is a key that is no string. *lines* gets the line, from 0, where each field begins, by its path.

    Raises:
        InvalidYaml: The text is not one YAML document, nests too deeply, grows too much, or has a key twice.
    """
    reader, event = _Reader(lines), None
    try:
        next_event = _EVENTS(text).get_event
        while type(event := next_event()) is not yaml.StreamEndEvent:
            if take := _TAKE.get(type(event)):
                take(reader, event)
    except yaml.MarkedYAMLError as error:
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise _fault(f"is not YAML: {message}", error.problem_mark or error.context_mark) from None
    except yaml.YAMLError as error:
        raise _fault(f"is not YAML: {getattr(error, 'reason', None) or error}", None) from None
    except (ValueError, LookupError, AttributeError) as error:  # how PyYAML takes "!!int x", and 5,000 digits
        if isinstance(error, InvalidYaml):
            raise
        mark = getattr(event, "start_mark", None)
        raise _fault(f"is not YAML: a value does not fit its type ({shown(str(error))})", mark) from None
    return (reader.document.value or [None])[0], reader.odd


def _fault(message: str, mark: Any) -> InvalidYaml:
    error = InvalidYaml(message)
    error.line = None if mark is None else mark.line
    return error


class _Open:
    """A collection whose end is still to come: what it holds so far, where it is, and the document's size before it."""

    __slots__ = ("before", "key", "merged", "path", "start", "value")

    def __init__(self, value: Any, start: Any = None, path: str = "", before: int = 0) -> None:
        self.value, self.start, self.path, self.before = value, start, path, before
        self.key: Any = _NO_KEY  # of a mapping, while its value is still to come
        self.merged: list[Any] = []

    def member(self) -> str:
        """Return the path of the next member."""
        return joined(self.path, f"[{len(self.value)}]" if self.key is _NO_KEY else str(self.key))


class _Reader:
    """Takes the events of one document, and builds its value."""

    def __init__(self, lines: dict[str, int] | None) -> None:
        self.lines = lines
        self.odd: InvalidYaml | None = None
        self.document = _Open([])
        self._open = [self.document]
        self._anchors: dict[str, tuple[Any, int] | None] = {}  # value and size; None: not complete yet
        self._nodes = self._size = 0  # as written, and with aliases followed

    def scalar(self, event: Any) -> None:
        self._nodes += 1
        self._size += 1
        value = _plain(event.value) if event.tag is None and event.implicit[0] else _tagged(event)
        if event.anchor:
            self._anchors[event.anchor] = value, 1
        self._add(event, value)

    def start(self, event: Any) -> None:
        value: Any = {} if type(event) is yaml.MappingStartEvent else []
        if event.tag not in (None, "!", _TAG + ("map" if value == {} else "seq")):
            raise _fault(f"is not YAML: the tag {shown(event.tag)} is not known", event.start_mark)
        if len(self._open) > MAX_DEPTH:
            raise _fault(f"nests more than {MAX_DEPTH} deep", event.start_mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        parent = self._open[-1]
        path = "" if self.lines is None or parent is self.document else parent.member()
        self._open.append(_Open(value, event, path, self._size))
        self._nodes += 1
        self._size += 1

    def end(self, event: Any) -> None:
        ended = self._open.pop()
        for merged in ended.merged:
            if not isinstance(merged, dict):
                raise _fault("is not YAML: a merge key names something else than mappings", event.start_mark)
            ended.value.update({key: value for key, value in merged.items() if key not in ended.value})
        if ended.start.anchor:
            self._anchors[ended.start.anchor] = ended.value, self._size - ended.before
        self._add(ended.start, ended.value)

    def alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise _fault(f"is not YAML: the alias {shown(event.anchor)} is not defined", event.start_mark)
        known = self._anchors[event.anchor]
        if known is None:
            raise _fault(f"the alias {shown(event.anchor)} contains itself", event.start_mark)
        value, size = known
        self._nodes += 1
        self._size += size
        if self._size > _GROWTH * self._nodes + _ALLOWANCE:
            raise _fault("its aliases multiply: it would grow beyond all measure", event.start_mark)
        self._add(event, value)

    def begin(self, event: Any) -> None:
        if self.document.value:
            raise _fault("is not YAML: another document begins without '---'", event.start_mark)

    def _add(self, event: Any, value: Any) -> None:
        """Put a value where it belongs; in a mapping, keys and values take turns."""
        parent = self._open[-1]
        if type(parent.value) is list:
            if self.lines is not None:
                self.lines[parent.member()] = event.start_mark.line
            parent.value.append("<<" if value is _MERGE else value)
        elif parent.key is not _NO_KEY:
            if parent.key is _MERGE:
                parent.merged += value if isinstance(value, list) else [value]
            else:
                parent.value[parent.key] = "<<" if value is _MERGE else value
            parent.key = _NO_KEY
        else:
            if type(value) is not str and value is not _MERGE:
                if isinstance(value, (dict, list)):
                    raise _fault("is not YAML: a key must not be a collection", event.start_mark)
                self.odd = self.odd or _fault(f"the key {value!r} is not a string: quote it", event.start_mark)
            if value in parent.value:
                raise _fault(f"the key {shown(value)} is there twice", event.start_mark)
            parent.key = value
            if self.lines is not None:
                self.lines[parent.member()] = event.start_mark.line


_TAKE: dict[type, Any] = {
    yaml.ScalarEvent: _Reader.scalar,
    yaml.MappingStartEvent: _Reader.start,
    yaml.SequenceStartEvent: _Reader.start,
    yaml.MappingEndEvent: _Reader.end,
    yaml.SequenceEndEvent: _Reader.end,
    yaml.AliasEvent: _Reader.alias,
    yaml.DocumentStartEvent: _Reader.begin,
}


def _tagged(event: Any) -> Any:
    """Return what a scalar with quotes or a tag is."""
    if event.tag in (None, "!", _TAG + "str"):
        return event.value
    return _SCALARS.construct_document(yaml.ScalarNode(event.tag, event.value, event.start_mark))


@lru_cache(maxsize=4096)  # most texts are there again and again
def _plain(text: str) -> Any:
    """Return what a text without quotes and tag is."""
    tag = _SCALARS.resolve(yaml.ScalarNode, text, (True, False))
    if tag == _TAG + "str":
        return text
    return _MERGE if tag == _TAG + "merge" else _SCALARS.construct_document(yaml.ScalarNode(tag, text))


# --- written -----------------------------------------------------------------

# What Kubernetes' reader can take for nothing but a string: everything else is quoted.
_STRING = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z/][-a-z0-9._/]*", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):
    """Quotes strings that need it, and keeps lines as lines."""


def _string(dumper: Any, text: str) -> Any:
    style = None if _STRING.fullmatch(text) else "'"
    if "##" in text:
        style = '"'
    elif "\n" in text and text.isascii():
        style = "|"
    return dumper.represent_scalar(_TAG + "str", text, style=style)


_Dumper.add_representer(str, _string)


def write(value: Any) -> str:
    """Return *value* as one YAML document with a marker at its beginning, and nothing in it that a CI log obeys."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=2**20, explicit_start=True)
    return text.replace("##", "#\\x23")  # all of them are between double quotes
