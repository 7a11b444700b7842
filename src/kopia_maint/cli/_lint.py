"""What deserves a look in one object, although it can be read?"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timezone, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from attrs import frozen

from .._errors import InvalidManifest, at, shown
from ._load import Place

_URGENT = ("unknown-field", "embedded", "elsewhere", "no-job-template", "never-fires")
_OTHERS = ("suspend", "resources", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
_FIELDS = {  # by what they are in
    "spec.kopia.maintenanceCronJob": ("enabled", "schedule", *_OTHERS),
    "spec.kopia.customCA": ("secretName", "configMapName", "key"),
    # There are more of these in every release: only what is nearly one of ours is worth a word.
    "spec.kopia": ("maintenanceCronJob", "maintenanceIntervalDays", "customCA"),
}


@frozen
class Note:
    """What deserves a look, although it can be read."""

    code: str
    message: str
    repository_hash: str | None = None  # where it is about one repository
    place: Place | None = None  # where the cause is in one place
    command: str = ""  # what an administrator can run; the message leads up to it

    @property
    def urgent(self) -> bool:
        """Whether something is not done that somebody most likely wants."""
        return self.code in _URGENT

    @property
    def whole(self) -> str:
        return f"{self.message} {self.command}".strip()


def misspelt(kopia: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield path and message for each field that was meant for us, and that the API server drops without a word."""
    for path, known in _FIELDS.items():
        fields = kopia if path == "spec.kopia" else kopia.get(path.rpartition(".")[2])
        for name in (it for it in fields if it not in known) if isinstance(fields, Mapping) else ():
            meant = nearest(name, known)
            if meant or path != "spec.kopia":
                hint = f" ({meant}?)" if meant else ""
                yield f"{path}.{name}", f"VolSync has no field {shown(name)}{hint}: the API server drops it silently"


@lru_cache(maxsize=1024)  # sources are alike, and to look for what was meant takes longer than to read one
def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that somebody may have meant, whatever its case."""
    lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), lower, 1, 0.8)
    return lower[near[0]] if near else None


def ignored(kopia: Mapping[str, Any]) -> Sequence[str]:
    """Return the fields that ask for something nobody decides about: they belong to the CronJob's administrator."""
    fields = kopia.get("maintenanceCronJob")
    return [name for name in ("suspend", "resources") if isinstance(fields, Mapping) and fields.get(name)]


def embeds_source(value: Any) -> bool:
    """Return whether a Kopia source is inside another object: in a chart's values, or in a template's text."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            spec = value.get("spec")
            if value.get("kind") == "ReplicationSource" and isinstance(spec, dict) and "kopia" in spec:
                return True
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str) and "kind: ReplicationSource" in value and "kopia:" in value:
            return True
    return False


def zone(key: object) -> tzinfo:
    """Return the time zone of this name, raise InvalidManifest where it is not known."""
    if not isinstance(key, str):
        raise InvalidManifest(f"must be a string, not {shown(key)}")
    try:
        return ZoneInfo(key)
    except (ValueError, LookupError, OSError):
        near = nearest(key, frozenset(available_timezones()))
        hint = f"; {near} is" if near else ""
        raise InvalidManifest(f"{shown(key)} is not a known time zone{hint}") from None


def zone_of(cron_job: Mapping[str, Any]) -> tzinfo:
    """Return the time zone of a CronJob, UTC where it states none; the error has the field's path."""
    key = (cron_job.get("spec") or {}).get("timeZone")
    with at("spec.timeZone"):
        return timezone.utc if key is None else zone(key)
