"""What was wrong, and where? The one family of errors that this library raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ._model import SourceRef

_Error = TypeVar("_Error", bound="KopiaMaintError")


class KopiaMaintError(ValueError):
    """
    The base of every error that kopia-maint raises for what it was given.

    ``str(error)`` is the whole sentence, field path first.

    Attributes:
        message: What is wrong and what is allowed, without the path.
        code: What kind of fault this is, in kebab-case, as on the conformance wire.
        path: The field path inside the manifest that was read, or ``""``.
        source: The source the fault belongs to, where it is known: name it in
            ``unreadable`` of :func:`reconcile`.
    """

    code: str = "error"

    def __init__(
        self, message: str, *, code: str | None = None, path: str = "", source: SourceRef | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.path: str = path
        self.source = source

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,), dict(self.__dict__)

    def within(self: _Error, path: str, source: SourceRef | None = None) -> _Error:
        """Return this error, with *path* put in front of its own and *source* named."""
        separator = "." if path and self.path and not self.path.startswith("[") else ""
        self.path = f"{path}{separator}{self.path}"
        self.source = self.source or source
        return self


class InvalidValue(KopiaMaintError):
    """A value or function was given something it refuses: a name, a naive datetime, a source twice."""

    code = "invalid-value"


class InvalidSchedule(InvalidValue):
    """
    A schedule that Kubernetes, or this library, refuses.

    The code is ``syntax``, ``time-zone``, ``too-long`` or ``unprintable``; and
    ``never-fires`` where one that parses, but matches no date, is asked for.

    Attributes:
        span: Start and end of the fault in the schedule as written (white space
            folded), where one place is at fault.
        hint: What to write instead, for the faults that people commonly make.
    """

    code = "syntax"
    span: tuple[int, int] | None = None
    hint: str = ""

    @property
    def reason(self) -> str:
        """Why it is refused: the same as ``code``."""
        return self.code


class InvalidManifest(KopiaMaintError):
    """A manifest or one of its annotations has a shape that cannot be understood."""

    code = "invalid-manifest"


class RepositoryMismatch(KopiaMaintError):
    """A request, a state or a manifest is about another repository than the one it was used with."""

    code = "repository-mismatch"


class StateTooLarge(KopiaMaintError):
    """
    The claims do not fit into the annotations that Kubernetes allows for one object.

    The message says how many bytes and sources there are, which namespace has the largest share, and what to do.
    """

    code = "state-too-large"


def shown(value: object) -> str:
    """Return *value* as an error message may show it: on one line, printable, and short."""
    if isinstance(value, str):
        return ascii(value[:60]) + ("…" if len(value) > 60 else "")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"a value of type {type(value).__name__}"
