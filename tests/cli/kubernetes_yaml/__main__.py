"""
Ask the reader of Kubernetes again about every string in ``tests/data/yaml_strings.jsonl``, and record its answers.

It needs Go and its module proxy. Each string that the command line writes must be read as itself. To ask about another
string, add a line with it.
"""

import json
import subprocess
from pathlib import Path

from kopia_maint.cli import _yaml

from ..command_line import ROOT

RECORD = ROOT / "tests" / "data" / "yaml_strings.jsonl"

texts = [json.loads(line)[0] for line in RECORD.read_text().splitlines()]
asked = [json.dumps({"plain": text, "document": _yaml.write({"a": text})}) for text in texts]
program, given = Path(__file__).parent, "\n".join(asked)
done = subprocess.run(["go", "run", "."], cwd=program, input=given, stdout=subprocess.PIPE, text=True, check=True)
answers = [json.loads(line) for line in done.stdout.splitlines()]
assert [read for _, read in answers] == texts
RECORD.write_text("".join(json.dumps([text, plain]) + "\n" for text, (plain, _) in zip(texts, answers, strict=True)))
