"""
Does the Go package decide as this one does, on well-formed and on broken input?

``make port`` puts the same lines to ``kopia-maint serve`` and to the Go program of
docs/examples/go, and compares verdicts, error codes and CronJobs. The lines are the
vectors', with members exchanged among them and some broken; the CronJobs of the
answers are asked about next.
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

from ..mischief import MEMBERS, ODD, PIECES, QUESTIONS, broken, exchanged, torn

GO = Path(__file__).parents[2] / "docs/examples/go"
BATCH = 2_000
SHOWN = 5


def question(rng: Random) -> str:
    """Return a line, a well-formed one as a rule."""
    asked = rng.choice(QUESTIONS)
    for _ in range(rng.choice((0, 1, 2, 3, 5))):
        asked = exchanged(asked, MEMBERS, rng)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        asked = broken(asked, ODD, rng)
    line = json.dumps(asked, ensure_ascii=rng.random() < 0.5)
    return torn(line, PIECES, rng).replace("\n", " ") if rng.random() > 0.98 else line


def learn(answer: dict[str, Any], rng: Random) -> None:
    """Ask about the CronJobs of an answer, in place of others."""
    cron_jobs = answer.get("cronJobs", {"": answer.get("cronJob")})
    for cron_job in filter(None, cron_jobs.values()):
        MEMBERS["current"][rng.randrange(len(MEMBERS["current"]))] = cron_job
    if "cronJobs" in answer:
        MEMBERS["cronJobs"][rng.randrange(len(MEMBERS["cronJobs"]))] = [*filter(None, cron_jobs.values())]


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
    rng = Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["go", "build", "-o", folder, "./cmd/kopia-maint-serve"], cwd=GO, check=True)
        ours, theirs = [sys.executable, "-m", "kopia_maint.cli", "serve"], [f"{folder}/kopia-maint-serve"]
        while outcomes.total() < chosen.lines:
            asked = [question(rng) for _ in range(BATCH)]
            for line, one, other in zip(asked, ask(ours, asked), ask(theirs, asked)):
                outcomes[one["error"]["code"] if "error" in one else "decided"] += 1
                learn(one, rng)
                if observed(one) != observed(other):
                    reason = next((it for it, applies in EXCEPTIONS.items() if applies(line)), "not excepted")
                    differences[reason] += 1
                    if reason == "not excepted" and differences[reason] <= SHOWN:
                        print(f"asked   {line!a}\nPython  {json.dumps(one)}\nGo      {json.dumps(other)}\n")
    print(f"{outcomes.total():,} lines, seed {chosen.seed}, {differences['not excepted']} differences")
    for title, counter in (("outcomes", outcomes), ("differences", differences)):
        print(f"{title}: {', '.join(f'{key} {count:,}' for key, count in counter.most_common())}")
    return int(differences["not excepted"] > 0)


if __name__ == "__main__":
    sys.exit(main())
