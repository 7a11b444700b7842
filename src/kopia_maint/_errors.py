"""What was wrong, and where? The one family of errors that this library raises."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

    from ._model import SourceRef

T = TypeVar("T")


class KopiaMaintError(ValueError):
    """
    The base of every error that kopia-maint raises for what it was given.

    ``str(error)`` is the whole sentence, field path first.

    Attributes:
        message: What is wrong and what is allowed, without the path.
        code: What kind of fault this is, in kebab-case, as on the conformance wire.
        path: The field path inside the object that was read, or ``""``.
        source: The source that the fault belongs to, where its names can be read.
        secret_name: The Secret that this source names, where that can be read.
    """

    code: str = "error"

    def __init__(
        self, message: str, *, code: str | None = None, path: str = "", source: "SourceRef | None" = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.path = path
        self.source = source
        self.secret_name: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidValue(KopiaMaintError):
    """A value or function was given what it refuses: a name, a naive datetime, a source twice."""

    code = "invalid-value"


class InvalidSchedule(InvalidValue):
    """
    A schedule that Kubernetes, or this library, refuses.

    The code is ``syntax``, ``time-zone``, ``too-long`` or ``unprintable``; and
    ``never-fires`` where one that parses, but matches no date, is asked for.

    Attributes:
        text: The schedule as written, white space folded, where one place in it is at fault.
        span: Start and end of the fault in ``text``.
        hint: What to write instead, for the faults that people commonly make.
    """

    code = "syntax"
    text = ""

    def __init__(self, message: str, *, span: tuple[int, int] | None = None, hint: str = "", **others: Any) -> None:
        super().__init__(f"{message} ({hint})" if hint else message, **others)
        self.span = span
        self.hint = hint

    @property
    def drawn(self) -> str:
        """The schedule with the fault underlined, on two lines; ``""`` where no place is at fault."""
        if self.span is None or not self.text.isprintable():
            return ""
        start, end = self.span
        return f"{self.text}\n{' ' * start}{'^' * max(end - start, 1)}"


class InvalidManifest(KopiaMaintError):
    """An object or one of its annotations has a shape that cannot be understood, or is no object at all."""

    code = "invalid-manifest"


class RepositoryMismatch(KopiaMaintError):
    """A request, a state or an object is about another repository than the one it was used with."""

    code = "repository-mismatch"


class StateTooLarge(KopiaMaintError):
    """
    The claims do not fit into the annotations that Kubernetes allows for one object.

    The message says how many bytes and sources there are, which namespace has the largest share, and what to do.
    """

    code = "state-too-large"


class at:  # noqa: N801 - it reads as a statement
    """``with at("spec.schedule"):`` puts a field path in front of that of an error that is raised inside."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: "TracebackType | None") -> None:
        if isinstance(error, KopiaMaintError):
            error.path = joined(self.path, error.path)


def joined(path: str, key: str) -> str:
    """Return the path of what stands at *key* in what stands at *path*, as ``kubectl explain`` writes it."""
    if "/" in key and "[" not in key:
        key = f"[{key}]"
    return f"{path}.{key}" if path and key and not key.startswith("[") else f"{path}{key}"


def characters(value: str) -> str:
    """Return the characters only of a subclass of str, such as a YAML loader's: its own text could be another."""
    return value if type(value) is str else str.__str__(value)


def shown(value: object) -> str:
    """Return *value* as an error message may show it: on one line, printable, and short."""
    if isinstance(value, str):
        text = characters(value)
        return ascii(text[:60]) + ("…" if len(text) > 60 else "")
    if value is None or isinstance(value, bool):
        return {None: "None", True: "true", False: "false"}[value]
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a value of type {type(value).__name__}"


def expect(value: Any, kind: type[T], argument: str, instead: str = "") -> T:
    """
    Return the *argument* of a function if it is of this type.

    Raises:
        InvalidValue: It is not; the message names the argument and says what to pass *instead*.
    """
    if isinstance(value, kind):
        return value
    if hasattr(type(value), "desired"):  # a Decision, which is defined above this module
        instead = "pass its .desired"
    hint = f": {instead}" if instead else ""
    raise InvalidValue(f"{argument} must be a {kind.__name__}, not {shown(value)}{hint}")


def expect_all(values: Any, kind: type[T], argument: str) -> list[T]:
    """Return the *argument* of a function as a list, if it is a collection, and each of its members of this type."""
    return [expect(value, kind, f"a member of {argument}") for value in iterated(values, argument, kind.__name__)]


def iterated(values: Any, argument: str, of: str) -> Iterable[Any]:
    """Return the *argument* of a function if it is a collection: neither a mapping nor a text counts as one."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidValue(f"{argument} must be a collection of {of}, not {shown(values)}")
    return values
