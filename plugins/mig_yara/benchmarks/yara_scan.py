"""How fast files are scanned with 1,000 rules: whole process against whole process, same rules and files, same answer.

``python plugins/mig_yara/benchmarks/yara_scan.py [--small 100000] [--large 400] [--rounds 3]``. Peers: YARA-X's Python
API called bare over the same list of files, and yara-python (``MIG_YARA_PYTHON`` names a Python that has it; left out
when unset). Rules have a public set's size and shape: literals, some wide or without case, hex strings, regular
expressions, and conditions over them. Ends with status 1 when answers differ or a bound is not held.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = 1.3
"""At most this many times what the bare engine takes."""
YARA = 3.0
"""At least this many times faster than yara-python."""
WORDS = "the quick brown fox jumps over lazy dogs while servers answer requests and write lines to their logs".split()  # noqa: SIM905  # a text
_BARE = """
import os, sys
import yara_x
rules = yara_x.compile(open(sys.argv[1]).read())
scanner = yara_x.Scanner(rules)
hits = 0
for folder, _, names in os.walk(sys.argv[2]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            hits += len(scanner.scan(file.read()).matching_rules)
print(hits)
"""
_YARA = """
import os, sys
import yara
rules = yara.compile(sys.argv[1])
hits = 0
for folder, _, names in os.walk(sys.argv[2]):
    for name in names:
        hits += len(rules.match(os.path.join(folder, name)))
print(hits)
"""
_MODULE = """
import sys, time
from mig_core.plugin.module import Context
from mig_yara import YaraModule
module = YaraModule()
asked = module.parse_parameters({"rules": [open(sys.argv[1]).read()], "paths": [sys.argv[2]]})
result = module.run(asked, Context(deadline=time.monotonic() + 3600))
assert result.coverage.complete, result.coverage
print(len(list(module.rows(result))))
"""


def rules(count: int, chance: random.Random) -> str:
    """Rules of the usual kinds; every hundredth looks for what a few files have."""
    found = []
    for number in range(count):
        word = f"planted{number:04}" if number % 100 == 0 else _text(chance, 8, 24)
        found.append(
            f"rule r{number:04} {{\n"
            f'    meta:\n        author = "generator"\n        score = {number % 100}\n'
            "    strings:\n"
            f'        $a = "{word}"\n'
            f'        $b = "{_text(chance, 6, 16)}" {chance.choice(("", "nocase", "wide ascii", "fullword"))}\n'
            f"        $c = {{ {_hex(chance, 6)} [2-8] {_hex(chance, 4)} ?? {_hex(chance, 2)} }}\n"
            f"        $d = /{_text(chance, 5, 9)}[a-z0-9_]{{2,20}}{_text(chance, 3, 5)}/\n"
            f"    condition:\n        $a or (2 of ($b, $c, $d) and filesize < {chance.choice((1, 5, 20))}MB)\n}}\n"
        )
    return "".join(found)


def _text(chance: random.Random, least: int, most: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
    return "".join(chance.choice(letters) for _ in range(chance.randint(least, most)))


def _hex(chance: random.Random, count: int) -> str:
    return " ".join(f"{chance.randrange(256):02x}" for _ in range(count))


def plant_small(folder: Path, count: int, chance: random.Random) -> None:
    """Text files of half a kilobyte to 8 KiB, some with a sign."""
    text = " ".join(chance.choice(WORDS) for _ in range(4000)).encode()
    for number in range(count):
        if number % 1000 == 0:
            (folder / f"{number // 1000:03}").mkdir()
        start, length = chance.randrange(10_000), chance.randrange(512, 8192)
        data = text[start : start + length]
        if number % 500 == 0:
            data += f"planted{number % 1000:04}".encode()
        (folder / f"{number // 1000:03}" / f"f{number}.txt").write_bytes(data)


def plant_large(folder: Path, megabytes: int, chance: random.Random) -> None:
    """Files of 40 MB: text, random bytes, and both."""
    text = (" ".join(chance.choice(WORDS) for _ in range(100_000)) + "\n").encode()
    for number in range(max(1, megabytes // 40)):
        with open(folder / f"large{number}", "wb") as file:
            for part in range(40):
                random_bytes = number % 3 == 1 or (number % 3 == 2 and part % 2)
                file.write(chance.randbytes(1 << 20) if random_bytes else (text * 2)[: 1 << 20])
            file.write(b"planted0300")


def race(source: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Medians in seconds, by competitor."""
    competitors = {"bare yara-x": (sys.executable, _BARE), "mig yara": (sys.executable, _MODULE)}
    if peer := os.environ.get("MIG_YARA_PYTHON"):
        competitors["yara-python"] = (peer, _YARA)
    times: dict[str, list[float]] = {name: [] for name in competitors}
    answers = set()
    for _ in range(rounds):
        for name, (python, code) in competitors.items():
            started = time.perf_counter()
            done = subprocess.run([python, "-c", code, source, folder], capture_output=True, text=True, check=True)
            times[name].append(time.perf_counter() - started)
            answers.add(done.stdout.strip())
    if len(answers) != 1:
        raise SystemExit(f"the answers differ: {answers}")
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    """Runs both races; the status says whether the bounds are held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    held = True
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "rules.yar"
        source.write_text(rules(1000, random.Random(1)), encoding="utf-8")  # noqa: S311  # data to look at
        for title, plant, amount in (("small", plant_small, options.small), ("large", plant_large, options.large)):
            folder = Path(name) / title
            folder.mkdir()
            plant(folder, amount, random.Random(2))  # noqa: S311  # data to look at
            medians = race(source, folder, options.rounds)
            against = {one: medians["mig yara"] / seconds for one, seconds in medians.items()}
            sys.stdout.write(json.dumps({"files": title, "seconds": medians, "times": against}, indent=2) + "\n")
            held &= against["bare yara-x"] <= BARE and against.get("yara-python", 0) <= 1 / YARA
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
