#!/usr/bin/python3
"""./dev bench --instructions: what the hot paths cost in instructions, held against what was recorded.

    tests/bench/instructions.py [--build DIR] [--record] [--json FILE]

Times differ from minute to minute on a shared machine; instructions hardly do. Each path of tests/bench/hot_*.c runs under callgrind,
which counts what happens inside hot_path alone. More than TOLERANCE above tests/bench/instructions.json fails; so does anything that
has no record. Compilers differ: what another one compiled is shown, and not judged.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RECORD = ROOT / "tests" / "bench" / "instructions.json"
TOLERANCE = 0.05
COUNT = 500  # HOT_COUNT
PROGRAMS = ("hot_codec", "hot_core", "hot_store", "hot_request")
AGAIN = "./dev bench --instructions --record"


def compiler(build):
    """What the programs of a build were compiled with, and how: "gcc 12.2.0 Release x86_64"."""
    cache = (build / "CMakeCache.txt").read_text()
    program = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache, re.M).group(1)
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.M).group(1)
    sanitizers = re.search(r"^GANTRY_SANITIZE:\w+=(.*)$", cache, re.M).group(1)
    words = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    family = "clang" if "clang" in words else "gcc"
    version = re.findall(r"\d+\.\d+\.\d+", words)[-1]
    return " ".join(filter(None, [family, version, kind, sanitizers, platform.machine()]))


def count(program, path):
    """Instructions of one step of a path."""
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=hot_path", "--callgrind-out-file=/dev/null", str(program), path]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}  # what is on the stack below main is the same everywhere
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    total = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not total:
        raise RuntimeError(f"{program.name} {path}: {done.stderr[-1000:]}")
    return int(total.group(1)) // COUNT


def measure(build):
    """{"hot_core submit": instructions}"""
    found = {}
    for name in PROGRAMS:
        program = build / "tests" / name
        for path in subprocess.run([program], capture_output=True, text=True, check=True).stdout.split():
            found[f"{name} {path}"] = count(program, path)
    return found


def judge(found, recorded):
    """[(path, instructions, recorded or None, ratio or None, good)]"""
    rows = []
    for path in sorted(set(found) | set(recorded)):
        now, then = found.get(path), recorded.get(path)
        ratio = now / then if now and then else None
        rows.append((path, now, then, ratio, ratio is not None and ratio <= 1 + TOLERANCE))
    return rows


def main():
    parser = argparse.ArgumentParser(prog="./dev bench --instructions")
    parser.add_argument("--build", default=str(ROOT / "build"), help=argparse.SUPPRESS)
    parser.add_argument("--record", action="store_true", help="write down what was counted as what is wanted from now on")
    parser.add_argument("--json", metavar="FILE", help="what was counted")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    if not shutil.which("valgrind"):
        print("valgrind is not installed (`./dev deps test`)", file=sys.stderr)
        return 1
    by, found = compiler(build), measure(build)
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {"compiler": "", "instructions": {}}
    same = by == recorded["compiler"]
    rows = judge(found, recorded["instructions"])
    print(f"{'instructions of one':24} {'now':>10} {'recorded':>10}")
    for path, now, then, ratio, good in rows:
        note = "" if ratio is None else f"{ratio - 1:+7.1%}"
        print(f"{path:24} {now or '-':>10} {then or '-':>10} {note} {'' if good or not same else 'MORE' if ratio else 'NEW OR GONE'}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"compiler": by, "instructions": found}, indent=1) + "\n")
    if options.record:
        RECORD.write_text(json.dumps({"compiler": by, "instructions": found}, indent=1) + "\n")
        print(f"recorded in {RECORD.relative_to(ROOT)}")
        return 0
    if not same:
        print(f"compiled by {by}, recorded with {recorded['compiler'] or 'nothing'}: not judged")
        return 0
    if all(row[4] for row in rows):
        return 0
    print(f"A hot path costs over {TOLERANCE:.0%} more than was recorded, or has no record. If that is meant, `{AGAIN}` records it anew;"
          " say in the commit what it buys.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
