"""
What do the generated vectors expect? The answers of those who know, which ``make vectors`` writes again.

What is asked is in the files of the vectors; it was drawn at random, and from the records. Identities are answered from
the record of Go's own ``encoding/json``, schedules from that of the real robfig/cron, and histories by the reference
model, which shares no code with the library. ``python -m tests.conformance.generate --record`` asks Go for the
identities first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import kopia_maint
from kopia_maint import Schedule
from kopia_maint._objects import merge_patch

from ..core import robfig
from ..core.schedule_cases import FIVE_YEARS, day_matches, refusal
from ..reference.decisions import KINDS
from .model import answer

VECTORS = Path(kopia_maint.__file__).parent / "conformance" / "vectors"
IDENTITIES = robfig.DATA / "identities.jsonl"

Json = dict[str, Any]


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each generated file, and what should be in it."""
    for area, expectations in (("identity", _identities), ("schedules", _schedules), ("histories", _histories)):
        path = VECTORS / f"{area}.json"
        content = json.loads(path.read_text(encoding="ascii"))
        for vector in content["vectors"]:
            for step, expect in zip(vector["steps"], expectations(vector["steps"]), strict=True):
                step["expect"] = expect
        yield path, f"{layout(content)}\n"


def layout(content: Mapping[str, Any], indent: str = "") -> str:
    """Return a file of vectors as text: each member on a line, but for lists of vectors and of steps."""
    members = []
    for key, value in content.items():
        text = json.dumps(value)
        if key in ("vectors", "steps"):
            items = ",\n".join(layout(item, f"{indent}    ") for item in value)
            text = f"[\n{items}\n{indent}  ]"
        members.append(f"{indent}  {json.dumps(key)}: {text}")
    return f"{indent}{{\n" + ",\n".join(members) + f"\n{indent}}}"


# --- identities ------------------------------------------------------------------


def _recorded() -> list[Json]:
    _provenance, *lines = IDENTITIES.read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines]


def record_identities() -> str:
    """Ask Go for every identity on record, and return its answers as the record's text."""
    done = subprocess.run(
        ["go", "run", Path(__file__).with_name("identities.go")],
        input="".join(json.dumps(line["identity"]) for line in _recorded()),
        env={**os.environ, "GO111MODULE": "off"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    version = subprocess.run(["go", "version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    provenance = {"recorded by": "python -m tests.conformance.generate --record", "with": [version]}
    return f"{json.dumps(provenance)}\n{done.stdout}"


def _identities(steps: Sequence[Json]) -> Iterator[Json]:
    recorded = _recorded()
    for step in steps:
        kopia = step["send"]["request"]["spec"]["kopia"]
        identity = {"repository": kopia["repository"], "customCA": kopia.get("customCA", {})}
        (known,) = (line["hash"] for line in recorded if line["identity"] == identity)
        metadata = {
            "name": f"kopia-maintenance-{known}",
            "labels": {"volsync.backube/repository-hash": known},
            "annotations": {"volsync.backube/repository-config": kopia["repository"]},
        }
        yield {"verdict": "established", "cronJob": {"holds": {"metadata": metadata}}}


# --- schedules -------------------------------------------------------------------


READ = {request.text: answer.read for request, answer in robfig.recorded("schedules.jsonl")}


@cache
def _meaning(text: str) -> Any:
    """Return what decides when a schedule fires, or None if it never does, from what robfig/cron read."""
    read = READ[text]
    if read is None or isinstance(read, int):
        return read if read and read <= FIVE_YEARS else None
    minutes, hours = read[0] % (1 << 60), read[1] % (1 << 24)  # without the bits that say that there was a star
    fires = tuple(day_matches(read, *day) for day in sorted(KINDS))
    return (minutes, hours, fires) if minutes and hours and any(fires) else None


def _schedules(steps: Sequence[Json]) -> Iterator[Json]:
    """Yield whether each schedule is refused, or means the same as the first."""
    established = ""
    for step in steps:
        manifest, now = step["send"]["request"], step["send"]["now"]
        text = manifest["spec"]["kopia"]["maintenanceCronJob"]["schedule"]
        namespace = manifest["metadata"]["namespace"]
        if refusal(text) or not _meaning(text):
            yield {"error": refusal(text) or "never-fires"}
            continue
        verdict = "agreed" if established else "established"
        established, conflict = established or text, None
        if _meaning(text) != _meaning(established):
            wish = f"Schedule '{Schedule.parse(text).text}' requested from namespace '{namespace}' at {now}"
            verdict, conflict = "rejected", f"Last conflict: {wish} (rejected - first-wins strategy)"
        cron_job = {"schedule": established, "owner": "team-a", "conflict": conflict}
        again = verdict == "agreed" and namespace == "team-a"
        yield {"verdict": verdict, **({"unchanged": True} if again else {"cronJob": cron_job})}


# --- histories -------------------------------------------------------------------


def _histories(steps: Sequence[Json]) -> Iterator[Json]:
    """Yield what the reference model answers; of a cluster its CronJobs go by name, a single one has none."""
    current: Json = {}
    for step in steps:
        plans = step["send"]["op"] == "plan"
        edit = step.get("edit", {})
        current = merge_patch(current, edit if plans or not edit else {"": edit})
        given = {"cronJobs": [*current.values()]} if plans else {"current": current.get("")}
        told = answer({**step["send"], **given})
        decided = told.pop("cronJobs") if plans else {"": told.pop("cronJob")}
        after = {name: cron_job for name, cron_job in {**current, **decided}.items() if cron_job is not None}
        observed = {name: _observable(cron_job) for name, cron_job in decided.items()}
        unchanged = {"unchanged": current == after}
        yield {"cronJobs": observed, **told, **unchanged} if plans else {**told, **unchanged, "cronJob": observed[""]}
        current = after


def _observable(cron_job: Json | None) -> Json | None:
    if cron_job is None:
        return None
    labels, annotations = cron_job["metadata"]["labels"], cron_job["metadata"]["annotations"]
    prefix = "source-namespace.volsync.backube/"
    return {
        "schedule": cron_job["spec"]["schedule"],
        "owner": labels.get("volsync.backube/source-namespace"),
        "conflict": annotations.get("volsync.backube/schedule-conflict"),
        "namespaces": sorted(label[len(prefix) :] for label in labels if label.startswith(prefix)),
    }


if __name__ == "__main__":
    if "--record" in sys.argv[1:]:
        IDENTITIES.write_text(record_identities(), encoding="ascii")
    for path, text in generated():
        path.write_text(text, encoding="ascii")
