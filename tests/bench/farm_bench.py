"""What the benches of the single farms share: groups that repeat themselves, options, and a table with a place of its own in docs/performance.md."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
os.environ["GANTRY_TEST_SLOW"] = "10"  # what is waited for is not measured

from tests.bench import bench as whole, table  # noqa: E402


class FarmBench(whole.Bench):
    """As of ./dev bench; but each of its groups sees to its repetitions itself, as what it prepares takes longer than what it measures."""

    FARM = ""  # ./dev bench --FARM
    TITLE = ""  # "the … farm"
    GROUPS = ()  # names of methods, in their order

    def __init__(self, options, folder):
        super().__init__(options, folder)
        self.times = range(options.repetitions)

    def trouble(self, text):
        raise self.farms.Trouble(text)

    def seconds_of(self, command, **more):
        """How long a command takes, on the wall."""
        began = time.monotonic()
        done = subprocess.run(command, **dict({"stdin": subprocess.DEVNULL}, **more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            self.trouble(f"{command[0]} ended with {done.returncode}")
        return time.monotonic() - began

    def run(self, names):
        for name in names:
            print(name, file=sys.stderr)
            try:
                getattr(self, name)()
            except (self.farms.Trouble, AssertionError, OSError, subprocess.SubprocessError) as trouble:
                print(f"bench: {name}: {trouble}", file=sys.stderr)
                self.put("troubles", 1)

    def rows_found(self):
        """The table's, of what was measured."""
        raise NotImplementedError


def marks(farm):
    """Between which its table stands in docs/performance.md."""
    return f"<!-- what `./dev bench --{farm.FARM} --record` writes -->\n", f"<!-- end of {farm.TITLE}'s figures -->\n"


def record(farm, found, at, page=table.PAGE):
    table.record(found, at, [], marks(farm), page)


def options_read(farm):
    parser = argparse.ArgumentParser(prog=f"./dev bench --{farm.FARM}")
    parser.add_argument("--quick", action="store_true", help="once, a second each, and little of it: to see that it works")
    parser.add_argument("--repetitions", type=int, help="3; 1 with --quick")
    parser.add_argument("--seconds", type=float, help="of each measure by requests: 5; 1 with --quick")
    parser.add_argument("--only", help=f"some of {', '.join(farm.GROUPS)}, separated by commas")
    parser.add_argument("--json", metavar="FILE", help="every figure of every repetition")
    parser.add_argument("--record", action="store_true", help="write the table into docs/performance.md: of a whole run without troubles, on a quiet machine")
    parser.add_argument("--anyway", action="store_true", help="record also on a machine that is busy")
    options = parser.parse_args()
    options.repetitions = options.repetitions or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 5)
    options.names = options.only.split(",") if options.only else farm.GROUPS
    if set(options.names) - set(farm.GROUPS):
        parser.error(f"--only takes {', '.join(farm.GROUPS)}")
    options.partial = bool(options.quick or options.only)
    options.load = [os.getloadavg()[0]]
    refused = whole.refusal(options, options.load[0])
    if refused:
        parser.error(refused)
    return options


def main(farm):
    """The exit code of ./dev bench --FARM."""
    options = options_read(farm)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    try:
        bench = farm(options, folder)
        began = time.monotonic()
        bench.run([name for name in farm.GROUPS if name in options.names])
        load = options.load + [os.getloadavg()[0]]
        machine = table.machine(folder, load, options, time.monotonic() - began)
        rows = bench.rows_found()
        table.show(rows, machine, [])
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps({"machine": machine, "rows": rows, "values": bench.values}, indent=1))
        if options.record and "troubles" in bench.values:
            print("bench: nothing is recorded: there were troubles", file=sys.stderr)
        elif options.record:
            record(farm, rows, machine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return whole.verdict(bench, table.misses(rows))
