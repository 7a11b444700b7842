"""
Does the Go package decide as this one does, on well-formed and on broken input?

``make port`` puts the same lines to ``kopia-maint serve`` and to the Go program of
docs/examples/go, and compares verdicts, error codes and CronJobs. Many clusters are
played side by side: the CronJobs of an answer are in the cluster's next question.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from kopia_maint import CLAIMS_ANNOTATION, CONFLICT_ANNOTATION, CustomCA, Repository

from ..core.schedule_cases import schedule
from ..mischief import ODD, PIECES, broken, torn

GO = Path(__file__).parents[2] / "docs/examples/go"
CLUSTERS = 2_000
SHOWN = 5
GROUP = "volsync.backube"
OPERATOR = "volsync-system"

# --- shapes: see `made` -------------------------------------------------------

NAMESPACES = ["team-a", "team-b", "team-c"]
NAMES = ["one", "two", "source.three"]
SECRETS = ["shared", "other"]
AUTHORITIES = [*[CustomCA()] * 9, CustomCA(secret_name="ca", key="ca.crt"), CustomCA(config_map_name="ca")]
SCHEDULES = [
    *("0 2 * * *", "00 2 * * ?", "@daily", "0 4 * * *", "0 4 * * 0-6", "*/5 * * * *", "* * * * *", "0 0 1 * *"),
    *("@weekly", "0 0 29 2 *", "@every 90m", "@every 5400s", "0 0 31 1-3 *", "0 0 13 * fri", "0  5   * * *"),
    *('*-" 4 * * *', "*-\\ 3 * * *"),
]
BROKEN_SCHEDULES = ["0 0 30 2 *", "@every 50000h", "", "${SCHEDULE}"]
SCHEDULE = [*[SCHEDULES] * 24, BROKEN_SCHEDULES, [schedule(Random(number)) for number in range(1_000)]]
TIMES = [f"2024-01-15T10:{minute}:{second}Z" for minute in (29, 30, 31) for second in ("00", "07", "59")]
ODD_TIMES = [
    *("2024-01-15t12:30:00.999+02:00", "2024-01-15 10:30:00z", "2024-02-30T00:00:00Z", "2024-01-15T10:30:00", "now"),
    *("", "2024-01-15T24:00:00Z", "2016-12-31T23:59:60Z", "2024-01-15T10:30:00,5Z", "0001-01-01T00:00:00+01:00"),
    *("9999-12-31T23:59:59-01:00", "2024-01-15T1:30:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    *("2024-01-15T10:30:00+24:00", "2024-01-15T10:30:60Z", "2024-01-15T10:30:00.Z"),
]
TIME = [*[TIMES] * 32, ODD_TIMES]
BOUNDED = {"name": "bounded", "policy": "first-wins"}
POLICY = [
    *[*["first-wins"] * 3, "consensus", {**BOUNDED, "shortest": "1h"}] * 6,
    *({**BOUNDED, "policy": "consensus", "shortest": "10m", "longest": "744h"} for _ in range(6)),
    [{**BOUNDED, "shortest?30": "2h", "longest": longest} for longest in ("1d", "", "-1h", "99999h", "0s", "1.5h", 5)],
    ["last-wins", "", {**BOUNDED, "policy": "bounded"}, {**BOUNDED, "shortest": "2h", "longest": "1h"}],
]
SOURCE = {
    "apiVersion?95": f"{GROUP}/v1alpha1",
    "kind?95": "ReplicationSource",
    "metadata": {"namespace": NAMESPACES, "name": NAMES, "creationTimestamp?50": TIME, "deletionTimestamp?5": TIME},
    "spec": {
        "kopia": {
            "repository": SECRETS,
            "customCA?27": [{}, {"secretName": "ca", "key": "ca.crt"}, {"configMapName": "ca"}],
            "maintenanceCronJob?75": {"schedule?90": SCHEDULE, "enabled?30": [True, True, False]},
            "maintenanceIntervalDays?15": [0, 1, 7, 30, 31, 12, -1, 10**20],
        },
        "sourcePVC": "data",
    },
}
CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {
        "name": "",  # and the hash label are the repository's: see Cluster.cron_job
        "namespace": [*[OPERATOR] * 19, "team-a"],
        "uid?90": "u",
        "resourceVersion?90": [*"123"],
        "labels": {
            f"{GROUP}/kopia-maintenance": "true",
            f"{GROUP}/source-namespace?80": [NAMESPACES, NAMESPACES, NAMESPACES, ""],
            "foreign": "stays",
        },
        "annotations": {
            f"{GROUP}/source-namespace?80": [*[NAMESPACES] * 3, "Team_A", ""],
            f"{GROUP}/repository-config?40": [*SECRETS, "No Name", ""],
            f"{CONFLICT_ANNOTATION}?30": "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b'",
            "foreign?1": ["x" * 261_000, "x" * 262_144, "x" * 262_500],
        },
    },
    "spec": {"schedule": SCHEDULE, "suspend": False},
}


def made(shape: object, rng: Random) -> Any:
    """Return one of a list; of a dict all members, but one that is called NAME?N in N of 100 cases only."""
    if isinstance(shape, list):
        return made(rng.choice(shape), rng)
    if isinstance(shape, dict):
        names = [(key, *key.partition("?")[::2]) for key in shape]
        return {name: made(shape[key], rng) for key, name, often in names if 100 * rng.random() < int(often or 100)}
    return shape


class Cluster:
    """What happens in one cluster."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.cron_jobs: dict[str, Any] = {}

    def often(self, probability: float) -> bool:
        """Return True in this share of all cases."""
        return self.rng.random() > 1 - probability

    def one(self, *shapes: Any) -> Any:
        """Return one of these."""
        return made([*shapes], self.rng)

    def perhaps_broken(self, value: Any, probability: float) -> Any:
        """Return *value*, or a copy with a member or more replaced, removed, or added."""
        while self.often(probability):
            value, probability = broken(value, ODD, self.rng), 0.3
        return value

    def source(self, secret: str | None = None) -> Any:
        """Return a ReplicationSource; of the repository of this Secret without a CA, if one is named."""
        source = made(SOURCE, self.rng)
        if secret:
            source["spec"]["kopia"] |= {"repository": secret, "customCA": {}}
        return self.perhaps_broken(source, 0.08)

    def cron_job(self) -> Any:
        """Return a CronJob: the fork's, ours, or one that somebody edited."""
        repository = Repository(self.one(SECRETS), self.one(AUTHORITIES))
        manifest, name = made(CRON_JOB, self.rng), repository.cron_job_name
        metadata = manifest["metadata"]
        metadata["name"] = self.one(*[name] * 57, "kopia-maint-0123456789abcdef", "kopia-maintenance-x", f"{name}0")
        metadata["labels"][f"{GROUP}/repository-hash"] = repository.hash
        if self.often(0.7):
            metadata["annotations"].setdefault(f"{GROUP}/repository-config", repository.secret_name)
        if self.often(0.7):
            metadata["annotations"][CLAIMS_ANNOTATION] = self.claims()
        return self.perhaps_broken(manifest, 0.08)

    def claims(self) -> str:
        """Return the claims annotation, well-formed as a rule."""
        claims: dict[str, dict[str, list[Any]]] = {}
        for namespace in self.rng.sample(NAMESPACES, self.rng.randrange(4)):
            claims[namespace] = {}
            for name in self.rng.sample(NAMES, self.rng.randrange(1, 3)):
                wanted = self.one(*[SCHEDULES] * 15, SCHEDULE, *[None] * 4)
                mark = ["rejected"] if wanted is not None and self.often(0.3) else []
                claims[namespace][name] = [wanted, self.one(TIME), *mark]
        marked = "rejected" in str(claims)
        policy = {"policy": self.one("first-wins", "consensus")} if marked != self.often(0.03) else {}
        document = self.perhaps_broken({"version": 1, **policy, "claims": claims}, 0.06)
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=self.often(0.5))
        return torn(text, PIECES, self.rng) if self.often(0.04) else text

    def question(self) -> str:
        """Return the next line of this cluster."""
        op = self.one("resolve", "reconcile", "plan", "handOver", "withdraw")
        asked = {"op": op, "policy": self.one(POLICY), "now": self.one(TIME)}
        asked |= self.plan() if op == "plan" else self.decision(op)
        line = json.dumps(self.perhaps_broken(asked, 0.04), ensure_ascii=self.often(0.5))
        return torn(line, PIECES, self.rng).replace("\n", " ") if self.often(0.01) else line

    def plan(self) -> dict[str, Any]:
        """Return what the op plan needs, one object twice now and then."""
        cron_jobs = [*self.cron_jobs.values(), *(self.cron_job() for _ in range(self.one(0, 0, 1, 2)))]
        sources = [self.source() for _ in range(self.rng.randrange(7))]
        for objects in (cron_jobs, sources):
            if objects and self.often(0.1):
                objects.append(self.perhaps_broken(self.rng.choice(objects), 0.5))
        self.rng.shuffle(cron_jobs)
        listed = {"cronJobs": cron_jobs, "replicationSources": sources}
        return {**listed, "operatorNamespace": OPERATOR, "complete": self.often(0.7)}

    def decision(self, op: str) -> dict[str, Any]:
        """Return what an op about one CronJob needs: its sources name its Secret as a rule."""
        known = list(self.cron_jobs.values())
        current = self.rng.choice(known) if known and self.often(0.8) else self.cron_job()
        secret = next((it for it in SECRETS if f'/repository-config": "{it}"' in json.dumps(current)), None)
        needed: dict[str, Callable[[], Any]] = {
            "resolve": lambda: {"request": self.source(secret if self.often(0.9) else None)},
            "reconcile": lambda: {"requests": [self.source(secret) for _ in range(self.rng.randrange(6))]},
            "handOver": lambda: {"namespace": self.one(*NAMESPACES, "team-d")},
            "withdraw": lambda: {"source": f"{self.one(NAMESPACES)}/{self.one(NAMES)}"},
        }
        return {"current": None if self.often(0.1) else current, **needed[op]()}

    def learn(self, answer: dict[str, Any]) -> None:
        """Keep the CronJobs of an answer."""
        if self.often(0.1):
            self.cron_jobs = {}
        cron_jobs = answer.get("cronJobs", {"": answer.get("cronJob")})
        self.cron_jobs |= {name: it for name, it in cron_jobs.items() if isinstance(it, dict) and "error" not in answer}


# --- both programs ------------------------------------------------------------


def ask(command: Sequence[str], questions: Iterable[str]) -> list[Any]:
    """Return the program's answers to *questions*."""
    lines = "".join(f"{question}\n" for question in questions).encode("utf-8", "surrogatepass")
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def observed(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what is compared: of an error its code only, for messages and paths may differ."""
    return {**answer, "error": answer["error"]["code"]} if "error" in answer else answer


def respelt(question: str) -> bool:
    """Return whether a plan lists two objects that Python takes for equal, such as 0 and false, and JSON does not."""
    try:
        asked = json.loads(question)
        listed = [*asked["cronJobs"], *asked["replicationSources"]]
    except (ValueError, LookupError, TypeError):
        return False
    texts = [json.dumps(it, sort_keys=True) for it in listed]
    return any(one == other and texts[i] != texts[j] for i, one in enumerate(listed) for j, other in enumerate(listed))


# What may differ, and why.
EXCEPTIONS: dict[str, Callable[[str], object]] = {
    "Go's strings hold no lone surrogate": re.compile(r"\\u[dD][89a-fA-F]").search,
    "Go's zero time is no time": re.compile("0001-01-01T00:00:00Z").search,
    "Python reads no integer of over 4,300 digits": re.compile("[0-9]{4301}").search,
    "Python takes 0 and false, 7 and 7.0 for equal": respelt,
}


def main() -> int:
    """Put lines to both until there were enough, and say what differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    outcomes, differences = Counter[str](), Counter[str]()
    clusters = [Cluster(Random(f"{chosen.seed}-{number}")) for number in range(CLUSTERS)]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["go", "build", "-o", folder, "./cmd/kopia-maint-serve"], cwd=GO, check=True)
        ours, theirs = [sys.executable, "-m", "kopia_maint.cli", "serve"], [f"{folder}/kopia-maint-serve"]
        while outcomes.total() < chosen.lines:
            questions = [cluster.question() for cluster in clusters]
            both = ask(ours, questions), ask(theirs, questions)
            for cluster, question, one, other in zip(clusters, questions, *both):
                outcomes[one["error"]["code"] if "error" in one else "decided"] += 1
                cluster.learn(one)
                if observed(one) != observed(other):
                    reason = next((it for it, applies in EXCEPTIONS.items() if applies(question)), "not excepted")
                    differences[reason] += 1
                    if reason == "not excepted" and differences[reason] <= SHOWN:
                        print(f"asked   {question!a}\nPython  {json.dumps(one)}\nGo      {json.dumps(other)}\n")
    print(f"{outcomes.total():,} lines, seed {chosen.seed}, {differences['not excepted']} differences")
    for title, counter in (("outcomes", outcomes), ("differences", differences)):
        print(f"{title}: {', '.join(f'{key} {count:,}' for key, count in counter.most_common())}")
    return int(differences["not excepted"] > 0)


if __name__ == "__main__":
    sys.exit(main())
