#!/usr/bin/python3
"""Fuzzes one target and keeps what was learned; `./dev fuzz` builds first and calls this.

    tests/fuzz/fuzz.py BUILD [TARGET] [--minutes N] [--executions N]

Without a target it lists them. What covers new code goes to tests/fuzz/corpus/TARGET/ (whole runs stay in BUILD/corpus/TARGET), a
finding to tests/fuzz/regressions/TARGET/, where every test run replays it. Exit code 1: there was a finding; 2: the fuzzer failed, or ended
before so many minutes or executions.
"""

import argparse
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
INPUT_MAX = 16384
CORPUS_MAX = 200  # files of a target in the repository
SANITIZERS = "allocator_may_return_null=1:quarantine_size_mb=4:allocator_release_to_os_interval_ms=-1"


def targets():
    return sorted(path.stem[5:] for path in HERE.glob("fuzz_*.c"))


def purpose(target):
    """The first sentence of the target's file."""
    text = (HERE / f"fuzz_{target}.c").read_text().split("*/")[0]
    words = " ".join(line.strip(" */") for line in text.splitlines())
    return re.split(r"(?<=[.:;]) | \(", words.strip())[0].rstrip(".:;")


class Target:
    def __init__(self, build, name):
        self.name = name
        self.program = build / "tests" / f"fuzz_{name}"
        self.corpus = HERE / "corpus" / name
        self.regressions = HERE / "regressions" / name
        self.work = build / "corpus" / name
        self.found = build / "findings" / name
        for folder in (self.corpus, self.regressions, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.found, ignore_errors=True)
        self.found.mkdir(parents=True)

    def run(self, *arguments, echo=False):
        """The fuzzer's exit code and output; with echo the lines that say how it goes are printed as they come."""
        env = dict(os.environ, ASAN_OPTIONS=SANITIZERS)
        options = [f"-artifact_prefix={self.found}/", "-timeout=20", "-rss_limit_mb=3000", "-entropic=0", "-reload=0"]
        dictionary = HERE / "dict" / f"{self.name}.dict"
        if dictionary.exists():
            options.append(f"-dict={dictionary}")
        fuzzer = subprocess.Popen([self.program, *options, *map(str, arguments)], env=env, text=True, errors="replace",
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        lines = []
        try:
            for line in fuzzer.stderr:
                lines.append(line)
                if echo and re.search(r"pulse|ERROR|SUMMARY|INITED", line):
                    print("  " + line.rstrip(), flush=True)
        except BaseException:
            fuzzer.terminate()
            raise
        finally:
            fuzzer.stderr.close()
            code = fuzzer.wait()
        return code, "".join(lines)

    def merge(self):
        """Adds to the corpus, smallest first, what covers code that no file of it covers; answers the fuzzer's exit code, and how many
        files that were."""
        before = {path.name for path in self.corpus.iterdir()}
        with tempfile.TemporaryDirectory() as fresh:
            code, _ = self.run("-merge=1", "-use_counters=0", f"-max_len={INPUT_MAX}", fresh, self.corpus, self.regressions, self.work)
            news = sorted((path for path in pathlib.Path(fresh).iterdir()), key=lambda path: path.stat().st_size)
            known = {path.read_bytes() for folder in (self.corpus, self.regressions) for path in folder.iterdir()}
            news = [path for path in news if path.read_bytes() not in known]
            for path in news[: max(0, CORPUS_MAX - len(before))]:
                shutil.copyfile(path, self.corpus / path.name)
        return code, len({path.name for path in self.corpus.iterdir()} - before)

    def keep_findings(self):
        """Moves what was found to the regressions; answers its paths."""
        kept = []
        for path in sorted(self.found.glob("*-*")):
            if path.name.startswith("slow-unit"):
                continue
            name = path.name.split("-")[0] + "-" + hashlib.sha1(path.read_bytes()).hexdigest()[:8]
            shutil.move(path, self.regressions / name)
            kept.append(self.regressions / name)
        return kept


def number(text, pattern, default=0):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else default


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--executions", type=int, default=50_000_000)
    options = parser.parse_args()
    if options.target is None:
        for name in targets():
            print(f"{name:10} {purpose(name)}")
        return 0
    if options.target not in targets():
        parser.error(f"no target {options.target}; there are: {' '.join(targets())}")

    return fuzz(Target(options.build.resolve(), options.target), max(1, int(options.minutes * 60)), options.executions)


def fuzz(target, seconds_most, executions_most):
    """Fuzzes it that long or that often, keeps what was learned, tells; the exit code."""
    began = time.monotonic()
    code, output = target.run(f"-max_total_time={seconds_most}", f"-runs={executions_most}", "-print_final_stats=1", f"-max_len={INPUT_MAX}",
                              target.work, target.corpus, target.regressions, echo=True)
    took = time.monotonic() - began
    findings = target.keep_findings()
    executions = number(output, r"number_of_executed_units:\s*(\d+)") or number(output, r"(?m)^#(\d+)")
    merge_code, kept = target.merge()
    print(f"{number(output, r'cov: ([0-9]+)')} edges, {len(list(target.corpus.iterdir()))} files of corpus ({kept} new)")
    for path in findings:
        print(f"  finding: {path.relative_to(HERE.parent.parent)}\n    {(re.findall(r'SUMMARY: (.*)', output) or ['?'])[-1]}")
    trouble = None
    if merge_code != 0:
        trouble = f"what was learned could not be merged: the fuzzer ended with code {merge_code}"
    if code != 0 and not findings:
        trouble = f"the fuzzer ended with code {code}"
    elif not findings and took < seconds_most and executions < executions_most:
        trouble = f"the fuzzer ended before {seconds_most} s and before {executions_most} executions"
    if trouble:
        print(f"{output[-3000:]}\nfuzz {target.name}: {trouble}")
    print(f"fuzz {target.name}: {executions} executions, {took:.0f} s, {len(findings)} findings")
    return 1 if findings else 2 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
