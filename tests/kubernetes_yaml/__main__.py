"""
Ask the reader of Kubernetes about strings, and record its answers in ``tests/data/yaml_strings.jsonl``.

It needs Go and its module proxy. Each string that the command line writes must be read as itself.
"""

import json
import random
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from kopia_maint.cli import _yaml

HERE = Path(__file__).parent
DATA = HERE.parent / "data" / "yaml_strings.jsonl"
HAND_PICKED = (
    *"08 0_8 -.5 0X1F 9E_6 1e3 12E5 0o7 0b1 +.inf .NaN 1:30 190:20:30 1__0 y N yes Off TRUE null ~ = << - ? *".split(),
    *"&a !b | % @daily ` 2024-01-15 2024-01-15T10:30:00Z a: ##[x] ' \" \\ a'b é \x1b --- ... inf nan".split(),
    *("", "0 2 * * *", "a: b", "a #b", " a", "a ", "a\nb", "a\n", "\na", "a\n\n", " a\nb", "a\t\nb", "##\nb", "\u2028"),
)
NUMBERS, TIMES, WORDS = ("0123456789.-+_eExX", "01_bBoOxXaAfF"), "0123456789:-T Z", "yYnNeEsSoOfFtTrRuUlLaA"
ALPHABETS = (*NUMBERS, TIMES, WORDS, "aA0.-_/:#'\"\\&*!?,[]{}% \n")
SEED, COUNT = 20240115, 600


def strings() -> list[str]:
    """Return the strings to ask about, none of them twice."""
    draw = random.Random(SEED)
    drawn = ("".join(draw.choices(alphabet, k=draw.randint(1, 9))) for alphabet in ALPHABETS for _ in range(COUNT))
    return list(dict.fromkeys([*HAND_PICKED, *drawn]))


def main() -> None:
    """Ask, compare and record."""
    texts = strings()
    asked = [json.dumps({"plain": text, "document": _yaml.write({"a": text})}) for text in texts]
    with TemporaryDirectory() as folder:
        program = Path(folder) / "program"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        done = subprocess.run([program], input="\n".join(asked), stdout=subprocess.PIPE, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]
    wrong = [text for text, (_, read) in zip(texts, answers, strict=True) if read != text]
    print(f"{len(texts)} strings; written and not read as themselves: {wrong}")
    recorded = [json.dumps([text, plain]) + "\n" for text, (plain, _) in zip(texts, answers, strict=True)]
    DATA.write_text("".join(recorded))
    print(f"{sum(plain for plain, _ in answers)} of them need no quotes; recorded in {DATA.name}")


main()
