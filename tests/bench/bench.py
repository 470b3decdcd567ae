#!/usr/bin/python3
"""./dev bench: what the farm does in a second, beside what this machine can do and beside its peers, in one run.

    tests/bench/bench.py [--build DIR] [--quick] [--only NAME,…] [--large] [--json FILE] [--record] [--list]

Everything is measured --repetitions times (3), one thing after the other and then again, so that a machine that is busy for a while is
busy for all of them; figures are medians. Load comes from gantry-bench (C, one thread); `busy` in the JSON is the share of a core its
thread used. All data lies in one temporary folder below TMPDIR: set it to where the disk is that counts.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
os.environ["GANTRY_TEST_SLOW"] = "10"  # what is waited for is not measured

PAYLOAD = json.dumps({"parameters": {"payload": "x" * 189}}, separators=(",", ":"))  # 200 bytes of msgpack
SHAPES = {"4": (4, 4, 1), "60": (60, 16, 1), "batch": (4, 4, 100)}  # submitters, workers, jobs a message
CREDIT = {"slots": 4, "credit": 16}  # of workers with short runs, beside those that hold one, as the peers' do
CONNECTIONS = (4, 64, 256)
QUIET = 1.0  # the load average of a machine whose figures count
PAGES = {"newest": "/api/runs?page=1&size=20", "failed": "/api/runs?page=1&size=20&status=failed",
         "final": "/api/runs?page=1&size=20&final=true", "by end": "/api/runs?page=1&size=20&status=completed&sort=completed_at&order=desc"}


SEARCHES = {"20 of 1,000 hits": "search=group7&size=20", "all of 1,000 hits": "search=group7&size=1000",
            "with a word that all have": "search=nightly+group7&size=1000", "two words of half of them, 500 hits": "search=odd+even&size=1000",
            "by name": "search=group7&sort=name&size=20"}


class Bench:
    def __init__(self, options, folder):
        from tests.bench import farms
        self.farms, self.options, self.folder = farms, options, folder
        self.generate = farms.Generator(farms.harness.BUILD, options.seconds)
        self.values = {}  # name of a figure -> a value of each repetition
        self.partial = options.partial
        self.left_out = []
        self.kept = {}  # rows -> folder of a database with so many

    def put(self, name, figures):
        """figures: a number, or the JSON of a measure; its numbers become <name>.<key>."""
        if isinstance(figures, dict):
            for key, value in figures.items():
                self.put(f"{name}.{key}", value)
        else:
            self.values.setdefault(name, []).append(figures)

    def get(self, name):
        """The median, or None."""
        return statistics.median(self.values[name]) if name in self.values else None

    # -- what is measured; each is a name for --only --

    def commit(self, batch=1):
        figures = self.generate("commit", data=self.folder, batch=batch)
        shutil.rmtree(self.folder / "bench.db")
        return figures

    def limits(self):
        self.put("sync", self.generate("sync", data=self.folder))
        self.put("commit.1", self.commit())
        self.put("commit.100", self.commit(batch=100))
        self.put("trip", self.generate("trip"))

    def lifecycles(self):
        """Ours and the peers' after one another, for each shape."""
        for shape, (clients, workers, batch) in SHAPES.items():
            numbers = {"clients": clients, "workers": workers, "batch": batch}
            with self.farms.BenchFarm() as farm:
                self.put(f"lives.{shape}", self.generate("lives", farm, farm.data, **numbers))
            if shape == "60":
                with self.farms.BenchFarm() as farm:
                    self.put("lives.credit", self.generate("lives", farm, farm.data, **numbers, **CREDIT))
            if self.have("redis-server"):
                with self.farms.Redis(self.folder) as redis:
                    self.put(f"redis.{shape}", self.generate("redis", redis, at=redis.at(), **numbers))
            if self.have("beanstalkd"):
                with self.farms.Beanstalkd(self.folder) as beanstalkd:
                    self.put(f"beanstalkd.{shape}", self.generate("beanstalk", beanstalkd, at=beanstalkd.at(), **numbers))
            if shape != "4" and self.have("redis-server") and self.have("bullmq"):
                with self.farms.Redis(self.folder) as redis:
                    before = self.farms.cpu_seconds(redis.process.pid)
                    words = [redis.port, self.options.seconds, clients, workers, batch]
                    got = self.generate.run(["node", str(ROOT / "tests/bench/peers/bullmq.js"), *map(str, words)])
                    used = self.farms.cpu_seconds(redis.process.pid) - before  # its start and warming up included: a little too much
                    got["cpu_us"]["redis"] = used * 1e6 / max(1, got["count"]) * got["seconds"] / (got["seconds"] + 1)
                    self.put(f"bullmq.{shape}", got)

    def dispatch(self):
        self.put("dispatch.commit", self.commit())  # what it is held against, in the same minute
        self.put("dispatch.trip", self.generate("trip"))
        with self.farms.BenchFarm() as farm:
            self.put("dispatch", self.generate("dispatch", farm, farm.data))

    def reports(self):
        self.put("router", self.generate("router"))
        with self.farms.BenchFarm() as farm:
            self.put("heartbeats", self.generate("heartbeats", farm, farm.data))
            self.put("progress", self.generate("progress", farm, farm.data, at=farm.at()))

    def events(self):
        """The same load without anybody who watches, and with 1,000 streams and 100 webhooks that never answer; turn about, as the machine drifts."""
        clients, workers, batch = SHAPES["60"]
        load = {"clients": clients, "workers": workers, "batch": batch}
        with self.farms.BenchFarm(http_connections=2400) as farm:  # those that left are noticed by what is sent to them
            for turn in range(4):
                watched = turn in (1, 2)
                with self.farms.Audience(farm, 1000, 100) if watched else contextlib.nullcontext():
                    self.put("events.watched" if watched else "events.alone", self.generate("lives", farm, farm.data, **load))
                for webhook in farm.data_of(farm.get("/api/webhooks?size=1000"))["items"]:
                    farm.delete(f"/api/webhooks/{webhook['id']}")

    def rest(self):
        for connections in CONNECTIONS:
            if connections == 64:  # what it is held against, in the same minute
                self.put("rest.64.commit", self.commit())
            request = {"body": PAYLOAD, "status": 201, "clients": connections}
            with self.farms.Constant(self.generate.program) as constant:
                self.put(f"constant.{connections}", self.generate("requests", constant, at=constant.at(), path="/api/x", **request))
            with self.farms.BenchFarm() as farm:
                path = f"/api/tasks/{farm.task('bench', task_type='nobody')}/trigger"
                self.put(f"rest.{connections}", self.generate("requests", farm, at=farm.at(), path=path, **request))

    def idle(self):
        from tests.up import Up
        with Up("--log-level", "warn") as up:
            up.wait_ready()
            pids = [up.process.pid] + self.farms.harness.descendants(up.process.pid)
            time.sleep(2)  # what starting leaves to do
            began, used = time.monotonic(), sum(map(self.farms.cpu_seconds, pids))
            time.sleep(3 if self.options.quick else 20)
            share = (sum(map(self.farms.cpu_seconds, pids)) - used) / (time.monotonic() - began)
            self.put("idle.cpu_percent", share * 100)
            self.put("idle.memory_mb", sum(map(self.farms.anonymous_bytes, pids)) / 1e6)

    def cron(self):
        """A thousand due in one second, among many; and what very many cost that are not due."""
        rows, idle = (10000, 50000) if self.options.quick else (100000, 1000000)
        with self.farms.BenchFarm() as farm:
            self.put("cron", self.generate("schedules", farm, farm.data, rows=rows, batch=1000))
        with self.farms.BenchFarm() as farm:
            before = self.farms.anonymous_bytes(farm.pid("scheduler"))
            self.put("cron.idle", self.generate("schedules", farm, farm.data, rows=idle, pending=True))
            self.put("cron.idle.bytes", (self.farms.anonymous_bytes(farm.pid("scheduler")) - before) / idle)
            pid = farm.pid("scheduler")
            time.sleep(2)  # what making them leaves to do
            began, used = time.monotonic(), self.farms.cpu_seconds(pid)
            time.sleep(3 if self.options.quick else 20)
            self.put("cron.idle.cpu_percent", (self.farms.cpu_seconds(pid) - used) / (time.monotonic() - began) * 100)

    def pending(self):
        """Starts a scheduler on rows waiting runs; and on none, to know what the runs cost."""
        rows = 100000 if self.options.quick else 1000000
        empty = self.started(self.database(0, "waiting"))
        full = self.started(self.database(rows, "waiting", pending=True))
        with_keys = self.started(self.database(rows, "keys", pending=True, keys=rows))
        self.put("pending.rows", rows)
        self.put("pending.recovery_ms", full["ms"])
        self.put("pending.recovery_keys_ms", with_keys["ms"])
        self.put("pending.bytes", (full["bytes"] - empty["bytes"]) / rows - 200)
        self.put("pending.mb", full["bytes"] / 1e6)
        self.put("pending.key_bytes", (with_keys["bytes"] - full["bytes"]) / rows)

    def rows(self):
        """Lists, writes and start on databases of finished runs."""
        sizes = [1000, 100000] if self.options.quick else [1000, 1000000]
        for rows in sizes + ([10000000] if self.options.large else []):
            folder = self.copied(self.database(rows, "final"))
            started = self.started(folder)
            self.put(f"rows.{rows}.start_ms", started["ms"] + started["store_ms"])
            with self.farms.BenchFarm(folder) as farm:
                for name, path in PAGES.items():
                    self.put(f"rows.{rows}.{name}", self.generate("requests", farm, at=farm.at(), path=path, clients=1))
                there = farm.data_of(farm.get("/api/runs?page=1&size=1"))["total"]
                last = f"/api/runs?page={-(-there // 20)}&size=20"
                self.put(f"rows.{rows}.last", self.generate("requests", farm, at=farm.at(), path=last, clients=1))
                clients, workers, batch = SHAPES["60"]
                self.put(f"rows.{rows}.lives", self.generate("lives", farm, farm.data, clients=clients, workers=workers, batch=batch))
            shutil.rmtree(folder)

    def search(self):
        """Searches over many tasks."""
        tasks = 100000 if self.options.quick else 1000000
        with self.farms.BenchFarm(self.copied(self.database(tasks, "words", tasks=tasks))) as farm:
            self.put("search.tasks", tasks)
            for name, query in SEARCHES.items():
                self.put(f"search.{name}", self.generate("requests", farm, at=farm.at(), path=f"/api/tasks?{query}", clients=1))
        shutil.rmtree(self.folder / f"words-{tasks}-copy")

    # -- databases --

    def copied(self, kept):
        """The database as it was filled in, for once: what is measured on it adds to it. Synced, so that nobody pays for the copying."""
        folder = self.folder / f"{kept.name}-copy"
        subprocess.run(["cp", "-r", "--sparse=always", str(kept), str(folder)], check=True)
        os.sync()
        return folder

    def database(self, rows, kind, **options):
        """A folder with a database of so many runs, made once."""
        folder = self.folder / f"{kind}-{rows}"
        if folder not in self.kept:
            folder.mkdir()
            print(f"filling in {rows} runs ({kind})", file=sys.stderr)
            self.kept[folder] = self.generate("fill", data=folder, **({} if "tasks" in options else {"rows": rows}), **options)
            self.put(f"fill.{kind}.{rows}", self.kept[folder])
        return folder

    def started(self, folder):
        """Starts a store and a scheduler there; how long each took until it served, and the scheduler's memory then. The database is in the
        page cache, as it is where one of them is started anew: the figure is of our work, not of a disk that wakes up."""
        subprocess.run(["cat", *folder.glob("store/*.mdb")], check=True, stdout=subprocess.DEVNULL)
        with self.farms.BenchFarm(folder, start=False, log_level="info") as farm:
            took = {}
            for name, word in (("store", "GTY-STORE-READY"), ("scheduler", "GTY-SCHEDULER-READY")):
                began = time.monotonic()
                farm.start(name)
                while word not in farm.log(name):
                    if not farm.running(name) or time.monotonic() - began > 600:
                        raise self.farms.Trouble(f"the {name} did not come up: {farm.log(name)[-300:]}")
                    time.sleep(0.002)
                took[name] = (time.monotonic() - began) * 1000
            return {"ms": took["scheduler"], "store_ms": took["store"], "bytes": self.farms.anonymous_bytes(farm.pid("scheduler"))}

    # -- the whole --

    def have(self, peer):
        there = (ROOT / "tests/bench/peers/node_modules/bullmq").is_dir() and shutil.which("node") if peer == "bullmq" else shutil.which(peer)
        if not there and peer not in self.left_out:
            self.left_out.append(peer)
        return bool(there)

    def run(self, names):
        for repetition in range(self.options.repetitions):
            for name in names:
                print(f"{repetition + 1}/{self.options.repetitions} {name}", file=sys.stderr)
                try:
                    getattr(self, name)()
                except (self.farms.Trouble, AssertionError) as trouble:
                    print(f"bench: {name}: {trouble}", file=sys.stderr)
                    self.put("troubles", 1)
                    shutil.rmtree(self.folder / "bench.db", ignore_errors=True)


GROUPS = ["limits", "lifecycles", "dispatch", "reports", "events", "rest", "idle", "cron", "pending", "rows", "search"]


def refusal(options, load):
    """Why these figures are not to be recorded; None when they may be."""
    if options.record and options.partial:
        return "--record takes a whole run: without --only and --quick"
    if options.record and load > QUIET and not options.anyway:
        return f"--record on a busy machine (load average {load:.1f}, over {QUIET:.1f}) would record what others do; --anyway does"
    return None


def verdict(bench, misses):
    """The exit code: a part of it, or a quick look, is not judged by its targets."""
    if bench.partial:
        misses = []
    for miss in misses:
        print(f"bench: {miss}", file=sys.stderr)
    return 1 if misses or "troubles" in bench.values else 0


def main():
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--build", default=str(ROOT / "build"), help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="once, a second each, and small databases: to see that it works")
    parser.add_argument("--repetitions", type=int, help="3; 1 with --quick")
    parser.add_argument("--seconds", type=float, help="of each measure: 3; 1 with --quick")
    parser.add_argument("--only", help=f"some of {', '.join(GROUPS)}, separated by commas")
    parser.add_argument("--large", action="store_true", help="also 10,000,000 finished runs: minutes, and some 12 GB below TMPDIR")
    parser.add_argument("--json", metavar="FILE", help="every figure of every repetition")
    parser.add_argument("--record", action="store_true", help="write the table into docs/performance.md: of a whole run without troubles, on a quiet machine")
    parser.add_argument("--anyway", action="store_true", help="record also on a machine that is busy")
    options = parser.parse_args()
    options.repetitions = options.repetitions or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 3)
    names = options.only.split(",") if options.only else GROUPS
    if set(names) - set(GROUPS):
        parser.error(f"--only takes {', '.join(GROUPS)}")
    options.partial = bool(options.quick or options.only)
    load = [os.getloadavg()[0]]
    refused = refusal(options, load[0])
    if refused:
        parser.error(refused)
    os.environ["GANTRY_BUILD"] = options.build
    from tests.bench import table

    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    try:
        bench = Bench(options, folder)
        began = time.monotonic()
        bench.run([name for name in GROUPS if name in names])
        load.append(os.getloadavg()[0])
        machine = table.machine(folder, load, options, time.monotonic() - began)
        rows = table.rows(bench)
        table.show(rows, machine, bench.left_out)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps({"machine": machine, "left_out": bench.left_out, "rows": rows, "values": bench.values}, indent=1))
        if options.record and "troubles" in bench.values:
            print("bench: nothing is recorded: there were troubles", file=sys.stderr)
        elif options.record:
            table.record(rows, machine, bench.left_out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return verdict(bench, table.misses(rows))


if __name__ == "__main__":
    sys.exit(main())
