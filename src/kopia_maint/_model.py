"""What are the things that the decision is about? Values: checked when built, never changed."""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cached_property, lru_cache
from hashlib import sha256
from json import dumps
from typing import Any, TypeVar

from attrs import Attribute, field, frozen

from ._errors import InvalidSchedule, InvalidValue, characters, expect, shown
from ._schedule import Schedule

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
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def check_name(value: object, kind: str, what: str = "") -> str:
    """Return *value* if Kubernetes would accept it as this kind of name, raise InvalidValue otherwise."""
    if not isinstance(value, str):
        raise InvalidValue(f"{what or kind} must be a string, not {shown(value)}")
    return _checked(characters(value), kind, what or kind)


@lru_cache(maxsize=4096)  # the same names are read again and again; what is refused is not kept
def _checked(value: str, kind: str, what: str) -> str:
    length, pattern, allowed = _KINDS_OF_NAME[kind]
    if not 0 < len(value) <= length or not pattern.fullmatch(value):
        raise InvalidValue(f"{what} {shown(value)} is not valid: 1 to {length} characters, {allowed}")
    return value


def utc_seconds(value: datetime, what: str = "a time") -> datetime:
    """Return an aware datetime in UTC, cut to whole seconds, raise InvalidValue for anything else."""
    if type(value) is datetime and value.tzinfo is timezone.utc:  # nearly always, and ten times as fast
        return value.replace(microsecond=0) if value.microsecond else value
    expect(value, datetime, what)
    if value.utcoffset() is None:
        raise InvalidValue(f"{what} must be aware: a naive datetime does not say which instant it is")
    try:
        utc = value.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidValue(f"{what} must be within the years 1 to 9999 in UTC") from None
    return datetime(*utc.timetuple()[:6], tzinfo=timezone.utc)  # of a subclass, a plain datetime


@lru_cache(maxsize=4096)  # so are the same times
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
    return value.isoformat()[:19] + "Z"  # strftime does not pad years before 1000


def _refuse(*_: object, **__: object) -> Any:
    raise TypeError("this mapping is part of a value and cannot be changed")


class FrozenMapping(dict[K, V]):
    """A dict that cannot be changed: what the values keep their mappings in."""

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


def instance_of(kind: type, *, optional: bool = False) -> Any:
    """Return a validator of attrs that refuses other types."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if not isinstance(value, kind) and not (optional and value is None):
            expect(value, kind, attribute.name, "None is allowed, too" if optional else "")

    return check


def _text(value: str) -> str:
    return characters(value) if isinstance(value, str) else value


def _text_or_none(value: str | None) -> str | None:
    return None if value is None else _text(value)


def _name(kind: str, *besides: str | None) -> Any:
    """Return a validator of attrs that refuses what is no name of this kind, but for what is allowed *besides*."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if value not in besides:
            check_name(value, kind, attribute.name)

    return check


def _since(value: datetime) -> datetime:
    return utc_seconds(value, "since")


def _created_at(value: datetime | None) -> datetime | None:
    return None if value is None else utc_seconds(value, "created_at")


def _refuse_never_firing(schedule: Schedule | None) -> None:
    if schedule is not None and schedule.never_fires:
        raise InvalidSchedule(f"the schedule {shown(schedule.text)} never fires", code="never-fires")


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

    secret_name: str = field(default="", converter=_text, validator=_name("name", ""))
    config_map_name: str = field(default="", converter=_text, validator=_name("name", ""))
    key: str = field(default="", converter=_text, validator=_name("key", ""))


@frozen
class Repository:
    """
    A Kopia repository: the name of its Secret and its CA. Namespace and schedule are no part of it.

    Attributes:
        secret_name: The name of the repository's Secret.
        custom_ca: The CA configuration.
    """

    secret_name: str = field(converter=_text, validator=_name("name"))
    custom_ca: CustomCA = field(default=CustomCA(), validator=instance_of(CustomCA))

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

    namespace: str = field(converter=_text, validator=_name("namespace"))
    name: str = field(converter=_text, validator=_name("name"))

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
        created_at: When the source was created, if known; it orders :func:`reconcile`.

    Raises:
        InvalidSchedule: With code ``never-fires``, for a schedule that matches no date:
            one tenant must not switch off everybody's maintenance.
    """

    source: SourceRef = field(validator=instance_of(SourceRef))
    repository: Repository = field(validator=instance_of(Repository))
    schedule: Schedule | None = field(default=None, validator=instance_of(Schedule, optional=True))
    enabled: bool = field(default=True, validator=instance_of(bool))
    created_at: datetime | None = field(default=None, converter=_created_at)

    def __attrs_post_init__(self) -> None:
        _refuse_never_firing(self.schedule)


# --- what is stored --------------------------------------------------------------


@frozen(weakref_slot=False)
class Claim:
    """
    What a source last asked for.

    Attributes:
        schedule: The wanted schedule; None: no preference.
        since: When the source first asked for this (UTC, whole seconds).
        rejected: Whether the last decision marked it: it asks for another schedule
            than the established one, and the policy does not permit that.

    Raises:
        InvalidValue: A claim without a preference is marked.
        InvalidSchedule: The schedule never fires.
    """

    schedule: Schedule | None = field(validator=instance_of(Schedule, optional=True))
    since: datetime = field(converter=_since)
    rejected: bool = field(default=False, validator=instance_of(bool))

    def __attrs_post_init__(self) -> None:
        _refuse_never_firing(self.schedule)
        if self.rejected and self.schedule is None:
            raise InvalidValue("a claim without a preference cannot be rejected: leave rejected out")


@frozen(kw_only=True)
class Conflict:
    """
    The record of a rejected claim.

    Attributes:
        namespace: The namespace of the source that asked.
        name: Its name.
        schedule: The schedule that it asked for.
        since: When it first asked for it (UTC, whole seconds).
        policy: The name of the policy that does not permit it.
    """

    namespace: str = field(converter=_text, validator=_name("namespace"))
    name: str = field(converter=_text, validator=_name("name"))
    schedule: Schedule = field(validator=instance_of(Schedule))
    since: datetime = field(converter=_since)
    policy: str = field(converter=_text, validator=_name("policy"))

    @property
    def source(self) -> SourceRef:
        """Whose claim it is."""
        return SourceRef(self.namespace, self.name)

    @property
    def message(self) -> str:
        """The text of the annotation ``volsync.backube/schedule-conflict``, on one line."""
        return (
            f"Last conflict: Schedule '{self.schedule}' requested from namespace '{self.namespace}'"
            f" at {format_time(self.since)} (rejected - {self.policy} strategy)"
        )


class Claims(FrozenMapping[SourceRef, Claim]):
    """
    The claims of one repository, checked, and what follows from them.

    Attributes:
        namespaces: The namespaces that have a claim.
        rejected: The sources whose claims are marked.
    """

    def __init__(self, claims: Mapping[SourceRef, Claim] = FrozenMapping()) -> None:
        super().__init__(claims)
        self.namespaces = frozenset([source.namespace for source in claims])
        self.rejected = frozenset([source for source, claim in claims.items() if claim.rejected])

    @cached_property
    def preferences(self) -> Mapping[Schedule, int]:
        """Each wanted schedule, and how many claims want it."""
        counts: dict[Schedule, int] = {}
        for claim in self.values():
            if claim.schedule is not None:
                counts[claim.schedule] = counts.get(claim.schedule, 0) + 1
        return FrozenMapping(counts)


def _claims(claims: Mapping[SourceRef, Claim]) -> Claims:
    if isinstance(claims, Claims):
        return claims
    expect(claims, Mapping, "claims", "pass a mapping from SourceRef to Claim")  # type: ignore[type-abstract]
    for source, claim in claims.items():
        expect(source, SourceRef, "a key of claims")
        expect(claim, Claim, "a value of claims")
    return Claims(claims)


def by_name(source: SourceRef) -> tuple[str, str]:
    """Sort as sources do, twenty times as fast as by comparing the objects."""
    return source.namespace, source.name


@frozen
class CronJobState:
    """
    What is stored on the maintenance CronJob of one repository.

    Attributes:
        repository_hash: Which repository this is.
        schedule: The established schedule.
        owner: The namespace whose word counts under first-wins; None: unknown.
        claims: What each source last asked for.
        policy: The name of the policy that rejects the marked claims; None where no claim is marked.
        secret_name: The name of the repository's Secret, where it is known.

    Raises:
        InvalidValue: A claim is marked and *policy* is None, or the other way round.
    """

    repository_hash: str = field(converter=_text, validator=_name("repository hash"))
    schedule: Schedule = field(validator=instance_of(Schedule))
    owner: str | None = field(converter=_text_or_none, validator=_name("namespace", None))
    claims: Mapping[SourceRef, Claim] = field(converter=_claims)
    policy: str | None = field(default=None, converter=_text_or_none, validator=_name("policy", None))
    secret_name: str | None = field(default=None, converter=_text_or_none, validator=_name("name", None))

    def __attrs_post_init__(self) -> None:
        if bool(self.rejected) is (self.policy is None):
            raise InvalidValue("policy must name the policy that rejects the marked claims, and be None without any")

    @property
    def cron_job_name(self) -> str:
        """The CronJob's name."""
        return CRON_JOB_PREFIX + self.repository_hash

    @property
    def rejected(self) -> frozenset[SourceRef]:
        """The sources whose claims are marked."""
        return self.claims.rejected  # type: ignore[attr-defined, no-any-return] # they are Claims; a Mapping to others

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces that have a claim."""
        return self.claims.namespaces  # type: ignore[attr-defined, no-any-return]

    @property
    def orphaned(self) -> bool:
        """Whether the owner has no claim any more: its schedule persists until an administrator hands over."""
        return self.owner is not None and self.owner not in self.namespaces

    @property
    def preferences(self) -> Mapping[Schedule, int]:
        """Each wanted schedule, and how many claims want it. Claims without a preference do not count."""
        return self.claims.preferences  # type: ignore[attr-defined, no-any-return]

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The record of each marked claim, ordered by source."""
        return tuple(self._conflict(source) for source in sorted(self.rejected, key=by_name))

    @property
    def latest_conflict(self) -> Conflict | None:
        """The conflict with the latest ``since`` (of one instant: the last by namespace and name), if there is any."""
        marked = self.rejected
        return self._conflict(max(marked, key=self.asking_order)) if marked else None

    def conflict_of(self, source: SourceRef) -> Conflict | None:
        """Return the record of this source's claim, None where it has none or it is not marked."""
        return self._conflict(source) if source in self.rejected else None

    def _conflict(self, source: SourceRef) -> Conflict:
        claim, policy = self.claims[source], self.policy
        assert claim.schedule is not None and policy is not None  # noqa: PT018 - of a marked claim, both are checked
        return Conflict(
            namespace=source.namespace, name=source.name, schedule=claim.schedule, since=claim.since, policy=policy
        )

    def asking_order(self, source: SourceRef) -> tuple[datetime, tuple[str, str]]:
        """Sort sources by when they asked, then by name: the last one is the latest."""
        return self.claims[source].since, by_name(source)

    @cached_property
    def _unmarked(self) -> "CronJobState":
        claims = {
            it: Claim(claim.schedule, claim.since) if claim.rejected else claim for it, claim in self.claims.items()
        }
        return CronJobState(self.repository_hash, self.schedule, self.owner, Claims(claims), None, self.secret_name)

    @property
    def unmarked(self) -> "CronJobState":
        """The same state without marks, as policies see it."""
        return self._unmarked if self.rejected else self
