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
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from kopia_maint import CLAIMS_ANNOTATION, CONFLICT_ANNOTATION, CustomCA, Repository

GO = Path(__file__).parents[2] / "docs/examples/go"
CLUSTERS = 500
GROUP = "volsync.backube"
OPERATOR = "volsync-system"

NAMESPACES = ["team-a", "team-b", "team-c"]
NAMES = ["one", "two", "source.three"]
SECRETS = ["shared", "other"]
AUTHORITIES = [*[{}] * 9, {"secretName": "ca", "key": "ca.crt"}, {"configMapName": "ca"}]
SCHEDULES = [
    *("0 2 * * *", "00 2 * * ?", "@daily", "0 4 * * *", "0 4 * * 0-6", "*/5 * * * *", "* * * * *", "0 0 1 * *", "@weekly"),
    *("0 0 29 2 *", "@every 90m", "@every 5400s", "0 0 31 1-3 *", "0 0 13 * fri", '*-" 4 * * *', "0  5\t* * *", "*-\\ 3 * * *"),
]
BROKEN_SCHEDULES = [
    *("0 0 30 2 *", "0 , * * *", "@every 50000h", "0 24 * * *", "typo", "", " ", "TZ=UTC 0 2 * * *", "0 2 * * *\0", "0 2 * * é"),
    *("0 2 * * * *", "@reboot", "@every 1d", "0 2 * * 1" + ",1" * 130, "${SCHEDULE}", "0 2 * * sunday", "5-1 * * * *", "\u00a0@daily"),
]
TIMES = [f"2024-01-15T10:{minute:02}:{second:02}Z" for minute in (29, 30, 31) for second in (0, 7, 59)]
ODD_TIMES = [
    *("2024-01-15t12:30:00.999+02:00", "2024-01-15 10:30:00z", "2024-02-30T00:00:00Z", "2024-01-15T10:30:00", "now", ""),
    *("2024-01-15T10:30:00,5Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2024-01-15T1:30:00Z", "0000-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00Z", "2024-01-15T10:30:00+24:00", "2024-01-15T24:00:00Z", "2024-01-15T10:30:60Z", "2024-01-15T10:30:00.Z", "2016-12-31T23:59:60Z"),
]
POLICIES: list[Any] = [
    *("first-wins", "first-wins", "first-wins", "consensus", {"name": "bounded", "policy": "first-wins", "shortest": "1h"}),
    {"name": "bounded", "policy": "consensus", "shortest": "10m", "longest": "744h"},
]
BROKEN_POLICIES: list[Any] = [
    *("last-wins", "", None, 5, [], {}, {"name": "bounded"}, {"name": "bounded", "policy": "first-wins"}),
    {"name": "bounded", "policy": "first-wins", "shortest": "2h", "longest": "1h"},
    {"name": "bounded", "policy": "first-wins", "shortest": "1d"},
    {"name": "bounded", "policy": "bounded", "shortest": "1h"},
    {"name": "bounded", "policy": "first-wins", "longest": "-1h"},
    {"name": "bounded", "policy": "first-wins", "longest": 5},
    {"name": "other", "policy": "first-wins", "longest": "1h"},
    {"name": "bounded", "policy": "first-wins", "longest": "99999h"},
    {"name": "bounded", "policy": "first-wins", "shortest": "0s", "longest": "1h"},
]
JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 31, 7.0, 1.5, 1e300, 10**30, "", " ", "x", "Team_A", "a/b", "${X}", "é", "-", "a.b", "A" * 300),
    *([], {}, [None], [[]], ["x"], {"a": 1}, {"": {}}, {"name": "x"}, "true", "null", "batch/v1beta1", "List", "CronJob", "ReplicationSource"),
    *("v1", "batch/v1", f"{GROUP}/v1alpha1", f"{GROUP}/v2", "rejected", "first-wins", "2024-01-15T10:30:00Z", "0 2 * * *", "..", "..x"),
]

TEARS = [
    *('"', "{", "}", "[", "]", ",", ":", " ", "\n", "0", "-", "e9", ".5", "NaN", "Infinity", "1e999", "\\", "\\u0041", "\\ud800", "\\x"),
    *('{"version":1}', "\u2028", "a", "\0", "\ufeff", "[" * 120 + "]" * 120, "7" * 5000, "null", "é", "\ud800"),
]


class Drawing:
    """What is drawn for one cluster, from its own seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.cron_jobs: dict[str, Any] = {}

    def often(self, probability: float) -> bool:
        """Return True in this share of all cases."""
        return self.random.random() < probability

    def one(self, of: Sequence[Any]) -> Any:
        """Return one of these."""
        return self.random.choice(of)

    def schedule(self) -> str:
        """Return a schedule, a good one as a rule."""
        return str(self.one(BROKEN_SCHEDULES if self.often(0.06) else SCHEDULES))

    def time(self) -> str:
        """Return a time, a good one as a rule."""
        return str(self.one(ODD_TIMES if self.often(0.03) else TIMES))

    def repository(self, secret: str | None = None) -> dict[str, Any]:
        """Return the part of spec.kopia that says which repository it is."""
        found = {"repository": secret or self.one(SECRETS)}
        return {**found, "customCA": ca} if (ca := self.one(AUTHORITIES)) or self.often(0.1) else found

    def source(self, secret: str | None = None, authority: bool = True) -> Any:
        """Return a ReplicationSource."""
        kopia = self.repository(secret)
        if not authority:
            kopia.pop("customCA", None)
        if self.often(0.75):
            kopia["maintenanceCronJob"] = block = {"schedule": self.schedule()}
            if self.often(0.3):
                block["enabled"] = self.one([True, True, False])  # type: ignore[assignment]
            if self.often(0.1):
                del block["schedule"]
        if self.often(0.15):
            kopia["maintenanceIntervalDays"] = self.one([0, 1, 7, 30, 31, 12, -1, 10**20])
        metadata = {"namespace": self.one(NAMESPACES), "name": self.one(NAMES)}
        if self.often(0.5):
            metadata["creationTimestamp"] = self.time()
        if self.often(0.05):
            metadata["deletionTimestamp"] = self.time()
        manifest = {"metadata": metadata, "spec": {"kopia": kopia, "sourcePVC": "data"}}
        if self.often(0.9):
            manifest |= {"apiVersion": f"{GROUP}/v1alpha1", "kind": "ReplicationSource"}  # type: ignore[dict-item]
        return self.perhaps_broken(manifest, 0.08)

    def cron_job(self) -> Any:
        """Return a CronJob: the fork's, ours, or one that somebody edited."""
        kopia = self.repository()
        ca = kopia.get("customCA", {})
        known = {"secret_name": "secretName", "config_map_name": "configMapName", "key": "key"}
        repository = Repository(kopia["repository"], CustomCA(**{name: ca.get(key, "") for name, key in known.items()}))
        owner, annotations = self.one(NAMESPACES), {}
        labels = {f"{GROUP}/kopia-maintenance": "true", f"{GROUP}/repository-hash": repository.hash, "foreign": "stays"}
        if self.often(0.8):
            labels[f"{GROUP}/source-namespace"] = self.one([owner, owner, "team-c", ""])
        if self.often(0.8):
            annotations[f"{GROUP}/source-namespace"] = self.one([owner, owner, owner, "Team_A", ""])
        if self.often(0.8):
            annotations[f"{GROUP}/repository-config"] = self.one([repository.secret_name] * 4 + ["other", "No Name", ""])
        if self.often(0.3):
            annotations[CONFLICT_ANNOTATION] = "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b'"
        if self.often(0.7):
            annotations[CLAIMS_ANNOTATION] = self.claims()
        if self.often(0.01):
            annotations["foreign"] = "x" * self.one([261_000, 262_144, 262_500])
        metadata = {"name": repository.cron_job_name, "namespace": OPERATOR, "labels": labels, "annotations": annotations}
        if self.often(0.8):
            metadata |= {"uid": "u", "resourceVersion": str(self.random.randrange(100))}
        if self.often(0.05):
            metadata["namespace"] = "team-a"
        if self.often(0.05):
            metadata["name"] = self.one(["kopia-maint-0123456789abcdef", "kopia-maintenance-x", f"{repository.cron_job_name}0"])
        manifest = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata}
        return self.perhaps_broken({**manifest, "spec": {"schedule": self.schedule(), "suspend": False}}, 0.08)

    def claims(self) -> str:
        """Return the claims annotation, well-formed as a rule."""
        marked, claims = False, {}
        for namespace in self.random.sample(NAMESPACES, self.random.randrange(4)):
            by_name = claims[namespace] = {}
            for name in self.random.sample(NAMES, self.random.randrange(1, 3)):
                wanted = None if self.often(0.2) else self.schedule() if self.often(0.05) else self.one(SCHEDULES)
                by_name[name] = [wanted, self.time()]
                if wanted is not None and self.often(0.3):
                    by_name[name].append("rejected")
                    marked = True
        document: dict[str, Any] = {"version": 1}
        if marked != self.often(0.03):
            document["policy"] = self.one(["first-wins", "consensus", "bounded-first-wins"])
        document["claims"] = claims
        text = json.dumps(self.perhaps_broken(document, 0.06), separators=(",", ":"), ensure_ascii=self.often(0.5))
        if self.often(0.04):
            text = self.torn(text)
        return text

    def perhaps_broken(self, value: Any, probability: float) -> Any:
        """Return *value*, or a copy with one or two members replaced, removed, or added."""
        if not self.often(probability):
            return value
        for _ in range(self.one([1, 1, 2])):
            value = self.broken(json.loads(json.dumps(value)))
        return value

    def broken(self, value: Any) -> Any:
        """Change one place of a JSON value."""
        if not isinstance(value, (dict, list)) or not value or self.often(0.12):
            if isinstance(value, dict) and self.often(0.5):
                key = self.one(["resource_version", "api_version", "items", "kind", "object", "policy", "metadata", "x", "deletionTimestamp"])
                return {**value, key: self.one(JUNK)}
            return {"type": "ADDED", "object": value} if self.often(0.05) else self.one(JUNK)
        key = self.one(list(value) if isinstance(value, dict) else range(len(value)))
        if self.often(0.15):
            del value[key]
        elif self.often(0.03) and isinstance(value, dict):
            value[key.upper()] = value.pop(key)
        else:
            value[key] = self.broken(value[key])
        return value

    def torn(self, text: str) -> str:
        """Change one place of a text."""
        at = self.random.randrange(len(text) + 1)
        return text[:at] + self.one(TEARS) + text[at + self.one([0, 0, 1, 9]) :]

    def question(self) -> str:
        """Return the next line of this cluster."""
        op = self.one(["resolve", "reconcile", "plan", "handOver", "withdraw"])
        asked: dict[str, Any] = {"op": op, "policy": self.one(BROKEN_POLICIES if self.often(0.03) else POLICIES)}
        current = self.one(list(self.cron_jobs.values())) if self.cron_jobs and self.often(0.8) else self.cron_job()
        if op in ("resolve", "reconcile", "plan"):
            asked["now"] = self.time()
        secret = current.get("metadata") if isinstance(current, dict) else None
        secret = (secret.get("annotations") or {}) if isinstance(secret, dict) else {}
        secret = secret.get(f"{GROUP}/repository-config") if isinstance(secret, dict) and self.often(0.9) else None
        secret = secret if secret in SECRETS else None
        if op == "plan":
            asked["cronJobs"] = [*self.cron_jobs.values(), *(self.cron_job() for _ in range(self.one([0, 0, 1, 2])))]
            asked["replicationSources"] = [self.source() for _ in range(self.random.randrange(7))]
            for listed in ("cronJobs", "replicationSources"):
                if asked[listed] and self.often(0.1):
                    again = self.one(asked[listed])
                    asked[listed].append(self.perhaps_broken(again, 0.5))
            self.random.shuffle(asked["cronJobs"])
            asked |= {"operatorNamespace": OPERATOR, "complete": self.often(0.7)}
        else:
            asked["current"] = None if self.often(0.1) else current
        if op == "resolve":
            asked["request"] = self.source(secret, self.often(0.1))
        elif op == "reconcile":
            asked["requests"] = [self.source(secret, self.often(0.02)) for _ in range(self.random.randrange(6))]
        elif op == "handOver":
            asked["namespace"] = self.one([*NAMESPACES, "team-d"])
        elif op == "withdraw":
            asked["source"] = f"{self.one(NAMESPACES)}/{self.one(NAMES)}"
        line = json.dumps(self.perhaps_broken(asked, 0.04), ensure_ascii=self.often(0.5))
        return self.torn(line).replace("\n", " ") if self.often(0.01) else line

    def learn(self, answer: dict[str, Any]) -> None:
        """Keep the CronJobs of an answer."""
        if self.often(0.1):
            self.cron_jobs = {}
        cron_jobs = answer.get("cronJobs", {"": answer.get("cronJob")})
        self.cron_jobs |= {name: it for name, it in cron_jobs.items() if isinstance(it, dict) and "error" not in answer}


class Program:
    """A process that answers lines."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, lines: list[bytes]) -> list[Any]:
        """Return the answers to *lines*."""
        assert self.process.stdin is not None and self.process.stdout is not None
        stdin = self.process.stdin
        writer = Thread(target=lambda: (stdin.writelines(lines), stdin.flush()))
        writer.start()
        answers = [self.process.stdout.readline() for _ in lines]
        writer.join()
        return [json.loads(answer) for answer in answers]


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Put lines to both until there were enough, and say what differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5, help="how many differences to print")
    chosen = parser.parse_args(arguments)
    ops, outcomes, excepted, differences, lines = Counter[str](), Counter[str](), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/serve"
        subprocess.run(["go", "build", "-o", program, "./cmd/kopia-maint-serve"], cwd=GO, check=True)
        ours, theirs = Program([sys.executable, "-m", "kopia_maint.cli", "serve"]), Program([program])
        clusters = [Drawing(chosen.seed * CLUSTERS + number) for number in range(CLUSTERS)]
        while lines < chosen.lines:
            questions = [cluster.question() for cluster in clusters]
            encoded = [question.encode("utf-8", "surrogatepass") + b"\n" for question in questions]
            for cluster, question, one, other in zip(clusters, questions, ours.ask(encoded), theirs.ask(encoded)):
                lines += 1
                ops[question[8:14]] += 1
                outcomes[one["error"]["code"] if "error" in one else "decided"] += 1
                cluster.learn(one)
                if observed(one) == observed(other):
                    continue
                reason = next((reason for reason, applies in EXCEPTIONS.items() if applies(question)), None)
                if reason is not None:
                    excepted[reason] += 1
                    continue
                differences += 1
                if differences <= chosen.show:
                    open("/tmp/diffs.jsonl","a").write(json.dumps([question,one,other])+"\n")
    print(f"{lines:,} lines, {differences} differences; {dict(outcomes)}; excepted: {dict(excepted)}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
