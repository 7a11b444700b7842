"""What are the things that the decision is about? Values: checked when built, never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from enum import Enum
from functools import cached_property, lru_cache
from hashlib import sha256
from json import dumps
from typing import Any, TypeVar

from attrs import Attribute, field, frozen
from attrs.converters import optional

from ._errors import InvalidSchedule, InvalidValue, shown
from ._schedule import DEFAULT_SCHEDULE, Schedule

K = TypeVar("K")
V = TypeVar("V")

CRON_JOB_PREFIX = "kopia-maintenance-"

# Kubernetes' own rules for names, apimachinery/pkg/util/validation. Lengths are checked first.
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_KINDS_OF_NAME = {
    "namespace": (63, re.compile(_LABEL), "lower-case letters, digits and '-', with a letter or digit at both ends"),
    "name": (253, re.compile(rf"{_LABEL}(?:\.{_LABEL})*"), "lower-case letters, digits, '-' and '.', as in a DNS name"),
    "key": (253, re.compile(r"(?!\.\.?$|\.\.)[-._a-zA-Z0-9]+"), "letters, digits, '-', '_' and '.'"),
    "policy": (63, re.compile(r"[a-z0-9-]+"), "lower-case letters, digits and '-'"),
    "repository hash": (16, re.compile(r"[0-9a-f]{16}"), "16 hexadecimal digits"),
}
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_CONFLICT = re.compile(
    r"(?:Last conflict: )?Schedule '?(.+?)'? requested from namespace '?([^' ]+)'? at ([^ ()]+)"
    r"(?: \(rejected(?: - ([^ ()]+) strategy)?\))?"
)
_CONFLICT_LENGTH = 1024


def check_name(value: object, kind: str, what: str) -> str:
    """Return *value* if Kubernetes would accept it as this kind of name, raise InvalidValue otherwise."""
    length, pattern, allowed = _KINDS_OF_NAME[kind]
    if type(value) is not str:
        if not isinstance(value, str):
            raise InvalidValue(f"{what} must be a string, not {shown(value)}")
        value = str.__str__(value)
    if not value or len(value) > length or not pattern.fullmatch(value):
        raise InvalidValue(f"{what} {shown(value)} is not valid: 1 to {length} characters, {allowed}")
    return value


def utc_seconds(value: datetime) -> datetime:
    """Return an aware datetime in UTC, cut to whole seconds, raise InvalidValue for anything else."""
    if type(value) is datetime and value.tzinfo is timezone.utc:
        return value.replace(microsecond=0) if value.microsecond else value
    if not isinstance(value, datetime):
        raise InvalidValue(f"a time must be a datetime, not {shown(value)}")
    if value.utcoffset() is None:
        raise InvalidValue("a time must be aware: a naive datetime does not say which instant it is")
    try:
        utc = value.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidValue("a time must be within the years 1 to 9999 in UTC") from None
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, tzinfo=timezone.utc)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time stamp, as Kubernetes writes them, into UTC and whole seconds."""
    found = _RFC3339.fullmatch(text) if len(text) <= 64 else None
    if found is not None:
        date, time, zone = found.groups()
        try:
            return utc_seconds(datetime.fromisoformat(f"{date}T{time}{'+00:00' if zone in 'Zz' else zone}"))
        except ValueError:
            pass
    raise InvalidValue(f"{shown(text)} is not an RFC 3339 time with a zone, such as 2024-01-15T10:30:00Z")


def format_time(value: datetime) -> str:
    """Write a time in UTC as Kubernetes does, such as ``2024-01-15T10:30:00Z``."""
    return value.isoformat()[:19] + "Z"


def _refuse(*_: object, **__: object) -> Any:
    raise TypeError("this mapping is part of a value and cannot be changed")


class FrozenMapping(dict[K, V]):
    """A dict that cannot be changed: what the values keep their mappings in."""

    __slots__ = ()

    __setitem__: Any = _refuse
    __delitem__: Any = _refuse
    __ior__: Any = _refuse
    clear: Any = _refuse
    pop: Any = _refuse
    popitem: Any = _refuse
    setdefault: Any = _refuse
    update: Any = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (dict(self),)


# --- checks that attrs runs on every value ---------------------------------------


def _is(kind: type, *, optional: bool = False) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, kind) and not (optional and value is None):
            or_none = " or None" if optional else ""
            raise InvalidValue(f"{attribute.name} must be a {kind.__name__}{or_none}, not {shown(value)}")

    return check


@lru_cache(maxsize=1024)
def _known_namespace(value: str) -> str:
    return check_name(value, "namespace", "namespace")


def _namespace(value: str) -> str:
    """Check a namespace; there are few, with many sources each, so that one string serves them all."""
    return _known_namespace(value) if type(value) is str else check_name(value, "namespace", "namespace")


def _owner(value: str | None) -> str | None:
    return None if value is None else check_name(value, "namespace", "owner")


def _name(value: str) -> str:
    return check_name(value, "name", "name")


def _repository(value: str) -> str:
    return check_name(value, "name", "repository")


def _name_or_none(value: str | None) -> str | None:
    return None if value is None else check_name(value, "name", "name")


def _name_or_empty(value: str) -> str:
    return "" if value == "" else check_name(value, "name", "name")


def _key_or_empty(value: str) -> str:
    return "" if value == "" else check_name(value, "key", "key")


def _policy(value: str) -> str:
    return check_name(value, "policy", "policy")


def _hash(value: str) -> str:
    return check_name(value, "repository hash", "repository hash")


# --- what a tenant asks for ------------------------------------------------------


@frozen(weakref_slot=False)
class CustomCA:
    """
    The certificate authority that a repository's server is checked against; all empty: none.

    Attributes:
        secret_name: The Secret that holds it.
        config_map_name: The ConfigMap that holds it.
        key: The key inside the Secret or ConfigMap.
    """

    secret_name: str = field(default="", converter=_name_or_empty)
    config_map_name: str = field(default="", converter=_name_or_empty)
    key: str = field(default="", converter=_key_or_empty)


@frozen
class Repository:
    """
    A Kopia repository: the name of its Secret and its CA. Namespace and schedule are no part of it.

    Attributes:
        secret_name: The name of the repository's Secret.
        custom_ca: The CA configuration.
    """

    secret_name: str = field(converter=_repository)
    custom_ca: CustomCA = field(default=CustomCA(), validator=_is(CustomCA))

    @cached_property
    def hash(self) -> str:
        """The identity: 16 hex digits of the SHA-256 of the JSON that the fork's Go code writes."""
        ca = self.custom_ca
        members = {"secretName": ca.secret_name, "configMapName": ca.config_map_name, "key": ca.key}
        identity = {"repository": self.secret_name, "customCA": {k: v for k, v in members.items() if v}}
        return sha256(dumps(identity, separators=(",", ":")).encode()).hexdigest()[:16]

    @property
    def cron_job_name(self) -> str:
        """The name of the one maintenance CronJob of this repository."""
        return CRON_JOB_PREFIX + self.hash


@frozen(order=True, weakref_slot=False)
class SourceRef:
    """Which ReplicationSource: its namespace (the tenant) and its name."""

    namespace: str = field(converter=_namespace)
    name: str = field(converter=_name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@frozen(weakref_slot=False)
class SourceRequest:
    """
    What one source asks for.

    Attributes:
        source: Who asks.
        repository: The repository it writes to.
        schedule: The maintenance schedule it wants; None: no preference.
        enabled: Whether it takes part at all.
        created_at: When the source was created, if known; it orders ``reconcile``.

    Raises:
        InvalidSchedule: With code ``never-fires``, for a schedule that matches no date:
            one tenant must not switch off everybody's maintenance.
    """

    source: SourceRef = field(validator=_is(SourceRef))
    repository: Repository = field(validator=_is(Repository))
    schedule: Schedule | None = field(default=None, validator=_is(Schedule, optional=True))
    enabled: bool = field(default=True, validator=_is(bool))
    created_at: datetime | None = field(default=None, converter=optional(utc_seconds))

    def __attrs_post_init__(self) -> None:
        if self.schedule is not None and self.schedule.never_fires:
            raise InvalidSchedule(f"the schedule {shown(self.schedule.text)} never fires", code="never-fires")


# --- what is stored --------------------------------------------------------------


@frozen(weakref_slot=False)
class Claim:
    """
    What a source last asked for.

    Attributes:
        schedule: The wanted schedule; None: no preference.
        since: When it first asked for this (UTC, whole seconds).
    """

    schedule: Schedule | None = field(validator=_is(Schedule, optional=True))
    since: datetime = field(converter=utc_seconds)


@frozen(kw_only=True)
class Conflict:
    """
    The record of a rejected claim.

    Attributes:
        namespace: The namespace that asked.
        schedule: What it asked for, and does not get.
        since: When it first asked for this (UTC, whole seconds).
        name: The source's name; None where only an annotation is known.
        policy: The name of the policy that rejected it.
    """

    namespace: str = field(converter=_namespace)
    schedule: Schedule = field(validator=_is(Schedule))
    since: datetime = field(converter=utc_seconds)
    name: str | None = field(default=None, converter=_name_or_none)
    policy: str = field(default="first-wins", converter=_policy)

    @property
    def source(self) -> SourceRef | None:
        """Who asked, where its name is known."""
        return None if self.name is None else SourceRef(self.namespace, self.name)

    @property
    def message(self) -> str:
        """The text of the annotation ``volsync.backube/schedule-conflict``, on one line."""
        return (
            f"Last conflict: Schedule '{self.schedule}' requested from namespace '{self.namespace}'"
            f" at {format_time(self.since)} (rejected - {self.policy} strategy)"
        )

    @classmethod
    def parse(cls, text: str) -> Conflict:
        """
        Read the annotation's text, tolerantly: broken lines, no quotes and no closing clause are fine.

        Raises:
            InvalidValue: The text is none of the forms that releases have written.
        """
        if not isinstance(text, str):
            raise InvalidValue(f"a conflict's text must be a string, not {shown(text)}")
        found = _CONFLICT.fullmatch(" ".join(text.split())) if len(text) <= _CONFLICT_LENGTH else None
        if found is None:
            raise InvalidValue(f'{shown(text)} is not the record of a conflict, such as "Last conflict: Schedule …"')
        schedule, namespace, since, policy = found.groups()
        return cls(
            namespace=namespace,
            schedule=Schedule.parse(schedule),
            since=parse_time(since),
            policy=policy or "first-wins",
        )


class Claims(FrozenMapping[SourceRef, Claim]):
    """Claims that have been checked."""

    __slots__ = ()


def _claims(claims: Mapping[SourceRef, Claim]) -> Claims:
    if isinstance(claims, Claims):
        return claims
    if not isinstance(claims, Mapping):
        raise InvalidValue(f"claims must be a mapping from SourceRef to Claim, not {shown(claims)}")
    for source, claim in claims.items():
        if not isinstance(source, SourceRef) or not isinstance(claim, Claim):
            raise InvalidValue(f"claims must map SourceRef to Claim, not {shown(source)} to {shown(claim)}")
    return Claims(claims)


@frozen
class CronJobState:
    """
    What is stored on the maintenance CronJob of one repository.

    Attributes:
        repository_hash: Which repository this is.
        schedule: The established schedule.
        owner: The namespace whose word counts under first-wins; None: unknown.
        claims: What each source last asked for.
        latest_conflict: The outstanding rejected claim with the latest ``since``, if any.
        repository_name: The name of the repository's Secret, when known.
    """

    repository_hash: str = field(converter=_hash)
    schedule: Schedule = field(validator=_is(Schedule))
    owner: str | None = field(converter=_owner)
    claims: Mapping[SourceRef, Claim] = field(converter=_claims)
    latest_conflict: Conflict | None = field(default=None, validator=_is(Conflict, optional=True))
    repository_name: str | None = field(default=None, converter=_name_or_none)

    @property
    def cron_job_name(self) -> str:
        """The CronJob's name."""
        return CRON_JOB_PREFIX + self.repository_hash

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """The namespaces that have a claim."""
        return frozenset(source.namespace for source in self.claims)

    @property
    def orphaned(self) -> bool:
        """Whether the owner has no claim any more: its schedule persists until somebody hands over."""
        return self.owner is not None and self.owner not in self.namespaces

    @cached_property
    def preferences(self) -> Mapping[Schedule, int]:
        """Each wanted schedule, and how many claims want it. Claims without a preference do not count."""
        return FrozenMapping(count_preferences(self.claims.values()))


def count_preferences(claims: Iterable[Claim]) -> dict[Schedule, int]:
    """Count how many *claims* want each schedule."""
    counts: dict[Schedule, int] = {}
    for claim in claims:
        if claim.schedule is not None:
            counts[claim.schedule] = counts.get(claim.schedule, 0) + 1
    return counts


# --- what is decided -------------------------------------------------------------


class Verdict(Enum):
    """What became of a request."""

    ESTABLISHED = "established"
    AGREED = "agreed"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    DISABLED = "disabled"


class Action(Enum):
    """What became of the state."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"


class _Decision:
    """What both kinds of decision can tell from the state before and after."""

    __slots__ = ()
    current: CronJobState | None
    desired: CronJobState | None

    @property
    def action(self) -> Action:
        """What became of the state. Whether the cluster needs a write is the patch's to say."""
        if self.current is self.desired or self.current == self.desired:
            return Action.NONE
        if self.current is None:
            return Action.CREATE
        return Action.DELETE if self.desired is None else Action.UPDATE

    @property
    def changed(self) -> bool:
        """Whether the desired state differs from the current one."""
        return self.action is not Action.NONE


@frozen(kw_only=True)
class Resolution(_Decision):
    """
    The answer to one request.

    Attributes:
        request: The request that was decided.
        current: The state before.
        desired: The state that should be stored; the current one itself where nothing changed.
        verdict: What became of the request.
        conflict: The record of the rejection; there if and only if the verdict is REJECTED.
    """

    request: SourceRequest
    current: CronJobState | None
    desired: CronJobState | None
    verdict: Verdict
    conflict: Conflict | None

    @property
    def explanation(self) -> str:
        """One sentence to log, or to put into an Event."""
        request, state = self.request, self.desired
        asked = "no particular schedule" if request.schedule is None else f"schedule '{request.schedule}'"
        if self.verdict is Verdict.DISABLED or state is None:
            return f"{request.source} takes no part in the maintenance of repository {request.repository.secret_name}."
        stands = f"'{state.schedule}'"
        if self.verdict is Verdict.ESTABLISHED:
            default = f" (the default, {DEFAULT_SCHEDULE})" if request.schedule is None else ""
            return f"{request.source} established the schedule {stands}{default} of {state.cron_job_name}."
        if self.verdict is Verdict.AGREED:
            return f"{request.source} asks for {asked} and agrees with {stands} of {state.cron_job_name}."
        owner = f"owned by namespace {state.owner}" if state.owner else "owned by nobody"
        if self.verdict is Verdict.SUPERSEDED:
            return (
                f"{request.source} asked for {asked} before; {stands} of {state.cron_job_name}"
                f" ({owner}) was established since and stands until somebody asks for something new."
            )
        policy = "" if self.conflict is None else f" under the {self.conflict.policy} policy"
        return (
            f"{request.source} asks for {asked}, which is rejected{policy}:"
            f" {stands} of {state.cron_job_name} ({owner}) stands."
        )


def _frozen_verdicts(verdicts: Mapping[SourceRef, Verdict]) -> FrozenMapping[SourceRef, Verdict]:
    return FrozenMapping(verdicts)


@frozen(kw_only=True)
class Reconciliation(_Decision):
    """
    The answer to the whole list of sources of one repository.

    Attributes:
        current: The state before.
        desired: The state that should be stored; None: there should be no CronJob.
        verdicts: How each source stands at the end: AGREED, SUPERSEDED, REJECTED or DISABLED.
            An unreadable source stands as its claim does, and is absent without one.
        conflicts: One record for each rejected source, ordered by source.
        before: The conflicts that stood before this decision: in ``current``, under the same policy.
    """

    current: CronJobState | None
    desired: CronJobState | None
    verdicts: Mapping[SourceRef, Verdict] = field(converter=_frozen_verdicts)
    conflicts: tuple[Conflict, ...]
    before: tuple[Conflict, ...] = ()

    @property
    def opened(self) -> tuple[Conflict, ...]:
        """The conflicts that began with this decision: each deserves one Event."""
        stood = set(self.before)
        return tuple(conflict for conflict in self.conflicts if conflict not in stood)

    @property
    def closed(self) -> tuple[Conflict, ...]:
        """The conflicts that ended with this decision. One that asks for something else ends, and begins anew."""
        stand = set(self.conflicts)
        return tuple(conflict for conflict in self.before if conflict not in stand)
