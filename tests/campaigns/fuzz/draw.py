"""What do bytes stand for? Text and manifests, mostly right and somewhere wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, TypeVar

T = TypeVar("T")

SCHEDULE_WORDS = (
    *"* ? / - , 0 1 2 5 7 15 29 30 31 59 60 + @ . h m s ns us d L W # TZ= CRON_TZ= _".split(),
    *(" ", "  ", "\t", "\u00a0", "\u2003", "\x1c", "\uff10", "\ud800", "\x1b[2J", "'", '"'),
    *("0 2 * * *", "*/5 * * * *", "@daily", "@every ", "@every 1h30m", "jan", "MON", "sun", "*-", "0 0 30 2 *", "1-5"),
    *("9223372036854775808", "9223372036.854775807", "00000000000000000000000000000000000001", "99999999999999999999"),
)
CLAIMS_WORDS = (
    *(
        '{"version":1,',
        '"claims":{',
        '"policy":"first-wins",',
        '"team-a/source-a"',
        '"team-a":{',
        '"source-a":',
        "null",
        "}",
    ),
    *(
        '["0 2 * * *","2024-01-15T10:30:00Z"]',
        '["0 4 * * *","2024-01-15T10:30:00Z","rejected"]',
        '[null,"2024-01-15T10:30:00Z"]',
        "[",
        "]",
        "{",
        ",",
        ":",
        '"',
        "1",
        "2",
    ),
    *("true", "NaN", "1e999", "\\ud800", '"\\u0000"', "1" * 5000, "[" * 3000, '{"a":' * 3000, "\n"),
)
YAML_WORDS = (
    *(
        "---\n",
        "\n",
        "  ",
        "- ",
        ": ",
        "&a ",
        "*a",
        "<<: *a",
        "!!python/object/apply:os.system [id]",
        "!!binary ",
        "!x ",
    ),
    *(
        "apiVersion: v1\nkind: List\nitems:\n",
        "kind: ReplicationSource\n",
        "metadata: {name: a, namespace: b}\n",
        "|\n",
        "%",
    ),
    *(
        "spec:\n",
        "  kopia: {repository: repo}\n",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "'",
        '"',
        "\t",
        "2024-01-15",
        "1e3",
    ),
    *("&a [" * 30, "[" * 2000, "0o17", ".nan", "~", "\ufeff", "\x00", "\ud800", "${NAME}", "kind: CronJob\n"),
)
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        7,
        31,
        -1,
        2**70,
        1.5,
        float("nan"),
        float("inf"),
        "",
        " ",
        "x",
        "${NAME}",
        "\ud800",
        "\x00",
    ),
    *("a" * 300, b"bytes", [], {}, [None], {"a": {"b": []}}, {1: 2}, {None: 3}, {("a",): []}, (), object(), type),
    *(datetime(2024, 1, 15), datetime(2024, 1, 15, tzinfo=timezone.utc), datetime.max, datetime.min),  # noqa: DTZ001, DTZ901
    *(
        "Team-A",
        "team-a",
        "team-b",
        "0 4 * * *",
        "0 0 30 2 *",
        "@every 1h",
        "CronJob",
        "batch/v1",
        "volsync.backube/v1",
    ),
    *(MappingProxyType({}), MappingProxyType({"name": "a"}), range(3), {"x": "y" * 300_000}),
)


class Draw:
    """Choices, one after the other, from bytes; where they end, the first of each."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int) -> int:
        """Return a number from 0 to *below*, exclusive."""
        size = (below.bit_length() + 7) // 8
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "big") % below

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.number(len(options))]

    def text(self, words: Sequence[str], most: int = 24) -> str:
        """Return words in a row, and other characters among them."""
        pieces = range(self.number(most))
        return "".join(self.pick(words) if self.number(5) else chr(self.number(0x110000)) for _ in pieces)

    def rest(self) -> bytes:
        """Return what is left."""
        return self._data[self._at :]

    def odd(self) -> Any:
        """Return a value that is hardly what is expected, maybe a deep one."""
        kind = self.number(16)
        if kind == 0:
            return self.text(SCHEDULE_WORDS)
        if kind == 1:
            nested: Any = self._new(ODD)
            for _ in range(self.pick((1, 2, 50, 99, 101, 500))):
                nested = {"a": nested} if self.number(2) else [nested]
            return nested
        return self._new(ODD)

    def _new(self, options: Sequence[Any]) -> Any:
        """Return one of the options, or a copy where it could be changed."""
        value = self.pick(options)
        return deepcopy(value) if isinstance(value, (dict, list)) else value

    def spoilt(self, manifest: T) -> T:
        """Return the manifest, in which now a few things are replaced, missing, or too much."""
        for _ in range(self.number(5)):
            node: Any = manifest
            while True:
                keys = list(node) if isinstance(node, dict) else list(range(len(node)))
                if not keys:
                    break
                key = self.pick(keys)
                if isinstance(node[key], (dict, list)) and self.number(4):
                    node = node[key]
                    continue
                edit = self.number(4)
                if edit == 0:
                    del node[key]
                elif edit == 1 and isinstance(node, dict):
                    node[self.pick(("extra", 5, None, "kind", "labels", "annotations"))] = self.odd()
                elif edit == 2 and isinstance(node[key], str):
                    node[key] += self.text(SCHEDULE_WORDS, 4)
                else:
                    node[key] = self.odd()
                break
        return manifest

    def source(self) -> dict[str, Any]:
        """Return a ReplicationSource, or what is left of one."""
        return self.spoilt(
            {
                "apiVersion": "volsync.backube/v1alpha1",
                "kind": "ReplicationSource",
                "metadata": {
                    "namespace": self.pick(("team-a", "team-b", "team-c")),
                    "name": self.pick(("source-a", "source-b")),
                    "creationTimestamp": "2024-01-15T10:30:00Z",
                },
                "spec": {
                    "kopia": {
                        "repository": "shared-repo-secret",
                        "customCA": {"secretName": "ca", "configMapName": "", "key": "ca.crt"}
                        if self.number(2)
                        else {},
                        "maintenanceCronJob": {"enabled": True, "schedule": self.pick(("0 2 * * *", "0 4 * * *", ""))},
                        "maintenanceIntervalDays": 7,
                    }
                },
            }
        )

    def cron_job(self) -> dict[str, Any]:
        """Return a maintenance CronJob, or what is left of one."""
        return self.spoilt(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {
                    "name": "kopia-maintenance-f11df99437a0f538",
                    "namespace": "volsync-system",
                    "resourceVersion": "5",
                    "labels": {
                        "volsync.backube/kopia-maintenance": "true",
                        "volsync.backube/repository-hash": "f11df99437a0f538",
                        "volsync.backube/source-namespace": "team-a",
                        "source-namespace.volsync.backube/team-a": "",
                        "team": "storage",
                    },
                    "annotations": {
                        "volsync.backube/repository-config": "shared-repo-secret",
                        "volsync.backube/source-namespace": "team-a",
                        "volsync.backube/schedule-conflict": "Last conflict: Schedule '0 4 * * *' requested from"
                        " namespace 'team-b' at 2024-01-15T10:30:00Z (rejected - first-wins strategy)",
                        "volsync.backube/schedule-claims": self.claims(),
                    },
                },
                "spec": {"schedule": self.pick(("0 2 * * *", "@daily")), "suspend": False, "jobTemplate": {"spec": {}}},
                "status": {"active": []},
            }
        )

    def claims(self) -> str:
        """Return the annotation of the claims, or what is left of it."""
        if self.number(3) == 0:
            return self.text(CLAIMS_WORDS)
        times = ("2024-01-15T10:30:00Z", "2024-01-15T10:31:00+02:00", "9999-12-31T23:59:59-01:00")
        marks = (["rejected"], []) if self.number(2) else ([],)
        document = {
            "version": 1,
            "policy": "first-wins",
            "claims": {
                namespace: {
                    name: [
                        self.pick(("0 2 * * *", "0 4 * * *", None, "0 0 30 2 *")),
                        self.pick(times),
                        *self.pick(marks),
                    ]
                    for name in ("source-a", "source-b")[: self.number(3)]
                }
                for namespace in ("team-a", "team-b", "Team-C")[: self.number(4)]
            },
        }
        if len(marks) == 1:
            del document["policy"]
        return written(self.spoilt(document))


def written(value: Any) -> str:
    """Return JSON of whatever can be written as such."""
    try:
        return json.dumps(plain(value), default=str, skipkeys=True)
    except RecursionError:
        return "[" * 5000


def plain(value: Any) -> Any:
    """Return mappings of other types as dicts."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list) else value
