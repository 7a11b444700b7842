"""Is this one Kubernetes object, and what do its fields hold?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ._errors import InvalidManifest, KopiaMaintError, characters, joined, shown

T = TypeVar("T")

MAX_DEPTH = 100
"""How deep an object may nest that the command line and the wire read: what handles it recurses."""

_ABSENT: Mapping[str, Any] = {}
_SNAKE_CASE = frozenset({"api_version", "resource_version", "creation_timestamp", "deletion_timestamp"})


class Fields:
    """
    A mapping inside an object that knows where it is: every refusal has the field's path.

    An absent or null mapping reads as an empty one.
    """

    __slots__ = ("key", "members", "parent")

    def __init__(self, members: Mapping[str, Any], parent: "Fields | None" = None, key: str = "") -> None:
        self.members, self.parent, self.key = members, parent, key

    @property
    def absent(self) -> bool:
        """Whether the object does not have this mapping, not even an empty one."""
        return self.members is _ABSENT

    def path(self, key: str) -> str:
        """Return the path of a member."""
        return key if self.parent is None else joined(self.parent.path(self.key), key)

    def get(self, key: str, kind: type, article: str) -> Any:
        """Return a member, None where it is absent or null, if it is of this type."""
        value = self.members.get(key)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise InvalidManifest(f"must be {article}, not {shown(value)}", path=self.path(key))
        return value

    def mapping(self, key: str) -> "Fields":
        """Return a member that is a mapping."""
        value = self.members.get(key)
        if type(value) is not dict:  # nearly always it is, and a check less tells in every decision
            value = self.get(key, Mapping, "a mapping")
        return Fields(_ABSENT if value is None else value, self, key)

    def string(self, key: str, *, variables: bool = True) -> str | None:
        """Return a member that is a string; with *variables*, one that no tool has substituted is refused."""
        value = self.members.get(key)
        if type(value) is not str:
            value = self.get(key, str, "a string")
            if value is None:
                return None
            value = characters(value)
        if variables and "${" in value:
            raise InvalidManifest(
                f"{shown(value)} holds a variable that was not substituted:"
                " give the rendered manifests, as 'kustomize build' with 'flux envsubst' or the cluster have them",
                path=self.path(key),
            )
        return value

    def required(self, key: str, *, variables: bool = True) -> str:
        """Return a member that must be a string with at least one character."""
        value = self.string(key, variables=variables)
        if not value:
            raise InvalidManifest("is missing", path=self.path(key))
        return value

    def read(self, key: str, convert: Callable[..., T], *args: object, variables: bool = True) -> T:
        """Return what *convert* makes of a string that must be there."""
        value = self.required(key, variables=variables)
        try:
            return convert(value, *args)
        except KopiaMaintError as error:
            error.path = joined(self.path(key), error.path)
            raise


class Manifest(Fields):
    """
    The fields of one Kubernetes object, as the API server sends it.

    Attributes:
        kind: None where it is absent, as in the items of raw lists.
        api_version: None where it is absent.
        metadata: Where its names are.

    Raises:
        InvalidManifest: It is no object; the message says what to pass instead.
    """

    __slots__ = ("api_version", "kind", "metadata")

    def __init__(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            hint = ": pass what client.ApiClient().sanitize_for_serialization() makes of it" * hasattr(value, "to_dict")
            raise InvalidManifest(f"an object must be a mapping, not {shown(value)}{hint}")
        super().__init__(value)
        self.kind = self.string("kind", variables=False)
        self.api_version = self.string("apiVersion", variables=False)
        if "items" in value and (self.kind is None or self.kind.endswith("List")):
            raise InvalidManifest("is a list of objects: pass each of its items")
        if "object" in value and "metadata" not in value:
            raise InvalidManifest("is a watch event: pass its object")
        self.metadata = self.mapping("metadata")
        if not (_SNAKE_CASE.isdisjoint(value) and _SNAKE_CASE.isdisjoint(self.metadata.members)):
            key = min(_SNAKE_CASE & {*value, *self.metadata.members})
            raise InvalidManifest(f"has the key {key}: pass the object as the API server sends it, with camelCase keys")
        if self.metadata.absent:
            raise InvalidManifest("is missing: pass the whole object, not a part of it", path="metadata")
        if "" in (self.kind, self.api_version):
            raise InvalidManifest("must not be empty", path="kind" if self.kind == "" else "apiVersion")

    def has_kind(self, kind: str) -> bool:
        """Return whether the object is of this kind, as far as it says so; refuse a client's own spelling of it."""
        if self.kind not in (None, kind) and self.kind.lower() == kind.lower():
            raise InvalidManifest(f"must be spelt {kind}: pass the object as the API server sends it", path="kind")
        return self.kind in (None, kind)


def attempt(read: Callable[..., T], *args: Any) -> T | None:
    """Return what *read* returns, None where it refuses."""
    try:
        return read(*args)
    except KopiaMaintError:
        return None


def is_deep(value: Any) -> bool:
    """Return whether a JSON value nests more than ``MAX_DEPTH`` deep, on every interpreter the same."""
    level = [value]
    for _ in range(MAX_DEPTH):
        members = (it.values() if isinstance(it, dict) else it for it in level if isinstance(it, (dict, list)))
        level = [member for it in members for member in it]
    return bool(level)


def plain(value: Any) -> Any:
    """
    Copy an object of any mappings and sequences into dicts and lists.

    What is shared stays shared: a copy for each use could grow without bound.
    """
    copies: dict[int, tuple[Any, Any]] = {}  # the original, too: while it lives, no other has its id

    def copy(value: Any) -> Any:
        if not isinstance(value, (Mapping, Sequence)) or isinstance(value, (str, bytes)):
            return value
        if id(value) not in copies:
            if isinstance(value, Mapping):
                copied: Any = {key: copy(value[key]) for key in value}
            else:
                copied = [copy(member) for member in value]
            copies[id(value)] = value, copied
        return copies[id(value)][1]

    try:
        return copy(value)
    except RecursionError:
        raise InvalidManifest("the object is nested too deeply") from None


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch as RFC 7386 says, without changing *target*."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def minimal(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a JSON merge patch would change *target*."""
    changes = {}
    for key, value in patch.items():
        present = target.get(key)
        if not isinstance(value, dict):
            if present != value:
                changes[key] = value
        elif inner := minimal(present if isinstance(present, Mapping) else {}, value):
            changes[key] = inner
    return changes
