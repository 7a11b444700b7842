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


def choices(text: str) -> list[str]:
    """Return the texts between bars and ends of lines."""
    return re.split(r"[|\n]", text)


GO = Path(__file__).parents[2] / "docs/examples/go"
CLUSTERS = 500
GROUP = "volsync.backube"
OPERATOR = "volsync-system"

NAMESPACES = ["team-a", "team-b", "team-c"]
NAMES = ["one", "two", "source.three"]
SECRETS = ["shared", "other"]
AUTHORITIES = [*[{}] * 9, {"secretName": "ca", "key": "ca.crt"}, {"configMapName": "ca"}]
SCHEDULES = choices(r"""0 2 * * *|00 2 * * ?|@daily|0 4 * * *|0 4 * * 0-6|*/5 * * * *|* * * * *|0 0 1 * *|@weekly
0 0 29 2 *|@every 90m|@every 5400s|0 0 31 1-3 *|0 0 13 * fri|*-" 4 * * *|0  5   * * *|*-\ 3 * * *""")
BROKEN_SCHEDULES = choices("""0 0 30 2 *|0 , * * *|@every 50000h|0 24 * * *|typo|| |TZ=UTC 0 2 * * *|0 2 * * *\0
@reboot|0 2 * * é|0 2 * * * *|@every 1d|${SCHEDULE}|0 2 * * sunday|5-1 * * * *|\u00a0@daily""")
BROKEN_SCHEDULES.append("0 2 * * 1" + ",1" * 130)
TIMES = [f"2024-01-15T10:{minute:02}:{second:02}Z" for minute in (29, 30, 31) for second in (0, 7, 59)]
ODD_TIMES = choices("""2024-01-15t12:30:00.999+02:00|2024-01-15 10:30:00z|2024-02-30T00:00:00Z|2024-01-15T10:30:00|now||
2024-01-15T24:00:00Z|2016-12-31T23:59:60Z
2024-01-15T10:30:00,5Z|0001-01-01T00:00:00+01:00|9999-12-31T23:59:59-01:00|2024-01-15T1:30:00Z|0000-01-01T00:00:00Z
0001-01-01T00:00:00Z|2024-01-15T10:30:00+24:00|2024-01-15T10:30:60Z|2024-01-15T10:30:00.Z""")
BOUNDED: dict[str, Any] = {"name": "bounded", "policy": "first-wins"}
POLICIES: list[Any] = [*["first-wins"] * 3, "consensus", {**BOUNDED, "shortest": "1h"}]
POLICIES.append({"name": "bounded", "policy": "consensus", "shortest": "10m", "longest": "744h"})
BROKEN_POLICIES: list[Any] = ["last-wins", "", None, 5, [], {}, {"name": "bounded"}, BOUNDED]
BROKEN_POLICIES.extend({**BOUNDED, "longest": longest} for longest in ("1d", "", "-1h", "99999h", "0s", "1.5h", 5))
BROKEN_POLICIES.extend({**BOUNDED, key: "bounded", "shortest": "2h", "longest": "1h"} for key in ("name", "policy"))
JUNK: list[Any] = [None, True, False, 0, 1, -1, 7, 31, 7.0, 1.5, 1e300, 10**30, "A" * 300]
JUNK.extend(([], {}, [None], [[]], ["x"], {"a": 1}, {"": {}}, {"name": "x"}))
JUNK.extend(
    choices(f"""| |x|Team_A|a/b|${{X}}|é|-|a.b|true|null|List|CronJob|ReplicationSource|v1|batch/v1
batch/v1beta1|..|..x|{GROUP}/v1alpha1|{GROUP}/v2|rejected|first-wins|2024-01-15T10:30:00Z|0 2 * * *""")
)
KEYS = "resource_version api_version items kind object policy metadata x deletionTimestamp claims".split()
TEARS = """" { } [ ] , : 0 - e9 .5 NaN Infinity 1e999 \\ \\u0041 \\ud800 \\x \u2028 a \0 \ufeff null é \ud800""".split(
    " "
)
TEARS.extend(("", " ", "\n", '{"version":1}', "[" * 120 + "]" * 120, "7" * 5000))


class Cluster:
    """What happens in one cluster, from a seed of its own."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.cron_jobs: dict[str, Any] = {}
        self.op = ""

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

    def source(self, secret: str | None = None, with_ca: bool = True) -> Any:
        """Return a ReplicationSource."""
        kopia = self.repository(secret)
        if not with_ca:
            kopia.pop("customCA", None)
        if self.often(0.75):
            kopia["maintenanceCronJob"] = block = {"schedule": self.schedule()}
            if self.often(0.3):
                block["enabled"] = self.one([True, True, False])
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
            secrets = [*[repository.secret_name] * 4, "other", "No Name", ""]
            annotations[f"{GROUP}/repository-config"] = self.one(secrets)
        if self.often(0.3):
            annotations[CONFLICT_ANNOTATION] = "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b'"
        if self.often(0.7):
            annotations[CLAIMS_ANNOTATION] = self.claims()
        if self.often(0.01):
            annotations["foreign"] = "x" * self.one([261_000, 262_144, 262_500])
        metadata: dict[str, Any] = {"name": repository.cron_job_name, "namespace": OPERATOR}
        metadata |= {"labels": labels, "annotations": annotations}
        if self.often(0.8):
            metadata |= {"uid": "u", "resourceVersion": str(self.random.randrange(100))}
        if self.often(0.05):
            metadata["namespace"] = "team-a"
        if self.often(0.05):
            others = ["kopia-maint-0123456789abcdef", "kopia-maintenance-x", f"{repository.cron_job_name}0"]
            metadata["name"] = self.one(others)
        manifest = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata}
        return self.perhaps_broken({**manifest, "spec": {"schedule": self.schedule(), "suspend": False}}, 0.08)

    def claims(self) -> str:
        """Return the claims annotation, well-formed as a rule."""
        marked = False
        claims: dict[str, dict[str, list[Any]]] = {}
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
                key = self.one(KEYS)
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
        return text[:at] + str(self.one(TEARS)) + text[at + self.one([0, 0, 1, 9]) :]

    def question(self) -> str:
        """Return the next line of this cluster."""
        self.op = self.one(["resolve", "reconcile", "plan", "handOver", "withdraw"])
        asked: dict[str, Any] = {"op": self.op, "policy": self.one(BROKEN_POLICIES if self.often(0.03) else POLICIES)}
        if self.op in ("resolve", "reconcile", "plan"):
            asked["now"] = self.time()
        asked |= self.plan() if self.op == "plan" else self.decision()
        line = json.dumps(self.perhaps_broken(asked, 0.04), ensure_ascii=self.often(0.5))
        return self.torn(line).replace("\n", " ") if self.often(0.01) else line

    def plan(self) -> dict[str, Any]:
        """Return what the op plan needs, one object twice now and then."""
        cron_jobs = [*self.cron_jobs.values(), *(self.cron_job() for _ in range(self.one([0, 0, 1, 2])))]
        sources = [self.source() for _ in range(self.random.randrange(7))]
        for objects in (cron_jobs, sources):
            if objects and self.often(0.1):
                objects.append(self.perhaps_broken(self.one(objects), 0.5))
        self.random.shuffle(cron_jobs)
        listed = {"cronJobs": cron_jobs, "replicationSources": sources}
        return {**listed, "operatorNamespace": OPERATOR, "complete": self.often(0.7)}

    def decision(self) -> dict[str, Any]:
        """Return what an op about one CronJob needs: its sources name its Secret as a rule."""
        known = list(self.cron_jobs.values())
        current = self.one(known) if known and self.often(0.8) else self.cron_job()
        secret = next((it for it in SECRETS if f'/repository-config": "{it}"' in json.dumps(current)), None)
        secret = secret if self.often(0.9) else None
        asked: dict[str, Any] = {"current": None if self.often(0.1) else current}
        if self.op == "resolve":
            asked["request"] = self.source(secret, self.often(0.1))
        elif self.op == "reconcile":
            asked["requests"] = [self.source(secret, self.often(0.02)) for _ in range(self.random.randrange(6))]
        elif self.op == "handOver":
            asked["namespace"] = self.one([*NAMESPACES, "team-d"])
        else:
            asked["source"] = f"{self.one(NAMESPACES)}/{self.one(NAMES)}"
        return asked

    def learn(self, answer: dict[str, Any]) -> None:
        """Keep the CronJobs of an answer."""
        if self.often(0.1):
            self.cron_jobs = {}
        cron_jobs = answer.get("cronJobs", {"": answer.get("cronJob")})
        self.cron_jobs |= {name: it for name, it in cron_jobs.items() if isinstance(it, dict) and "error" not in answer}


class Program:
    """A process that answers lines."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, questions: list[str]) -> list[Any]:
        """Return the answers to *questions*."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        lines = [question.encode("utf-8", "surrogatepass") + b"\n" for question in questions]
        writer = Thread(target=lambda: (stdin.writelines(lines), stdin.flush()), daemon=True)
        writer.start()
        answers = [json.loads(stdout.readline()) for _ in lines]
        writer.join()
        return answers


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5, help="how many differences to print")
    chosen = parser.parse_args()
    ops, outcomes, counts = Counter[str](), Counter[str](), Counter[str]()
    clusters = [Cluster(chosen.seed * CLUSTERS + number) for number in range(CLUSTERS)]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["go", "build", "-o", folder, "./cmd/kopia-maint-serve"], cwd=GO, check=True)
        ours, theirs = Program(sys.executable, "-m", "kopia_maint.cli", "serve"), Program(f"{folder}/kopia-maint-serve")
        while outcomes.total() < chosen.lines:
            questions = [cluster.question() for cluster in clusters]
            for cluster, question, one, other in zip(clusters, questions, ours.ask(questions), theirs.ask(questions)):
                outcomes[one["error"]["code"] if "error" in one else "decided"] += 1
                ops[cluster.op] += 1
                cluster.learn(one)
                if observed(one) != observed(other):
                    reason = next((it for it, applies in EXCEPTIONS.items() if applies(question)), "differences")
                    counts[reason] += 1
                    if reason == "differences" and counts[reason] <= chosen.show:
                        print(f"asked   {question!a}\nPython  {json.dumps(one)}\nGo      {json.dumps(other)}\n")
    differences = counts.pop("differences", 0)
    print(f"{outcomes.total():,} lines, seed {chosen.seed}, {differences} differences")
    for title, counter in (("ops", ops), ("outcomes", outcomes), ("excepted", counts)):
        print(f"{title}: {', '.join(f'{key} {count:,}' for key, count in counter.most_common()) or 'none'}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
