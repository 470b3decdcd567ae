#!/usr/bin/python3
"""./dev soak: half an hour of mixed load, and whether anything grew.

    tests/bench/soak.py [--minutes N] [--build DIR] [--record] [--png FILE] [--json FILE]

A farm with two workers gets submits over HTTP and in batches over the DEALER, lists, followers of logs, real programs that write lines,
fail, are tried again and are aborted, and a schedule (load.py). Tasks are made anew every minute and removed two minutes later with their
runs, and few events and keys are kept: so the database reaches a steady state within minutes. Every few seconds each process's memory,
descriptors and threads are read, the database's size and the latencies of what was done since.

At the end the slope of each figure is told, per hour, of what came after the first minutes, in which everything that has a limit fills
up (under twenty minutes, or on a slow machine, it does not, and that is said). It is held to have grown when the slope times the measured time is more than the figure's
own noise makes likely, and more than a floor.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import pathlib
import queue
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

SAMPLE_SECONDS = 3
ROUND_SECONDS = 60  # new tasks
KEPT_ROUNDS = 2
FILL_SECONDS = 540  # until the database is in its steady state, whatever the load
KEYS, EVENTS, RESULTS = 5000, 20000, 65536  # kept at most: two settings, and what the scheduler remembers of results
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- what `./dev soak --record` writes -->\n", "<!-- end of the soak -->\n"

# unit, what growth is nothing over the measured time, what a pattern of names means
FIGURES = {"anonymous": ("MB", 0.5), "rss": ("MB", 6.0), "descriptors": ("", 3), "threads": ("", 1), "database": ("MB", 8.0), "used": ("MB", 8.0),
           "submit": ("ms", 3.0), "batch": ("ms", 6.0), "list": ("ms", 3.0), "health": ("ms", 5.0), "dispatch": ("ms", 3.0)}


class Soak:
    def __init__(self, options):
        from tests.bench import farms, load
        from tests import bus
        self.farms, self.load, self.bus, self.options = farms, load, bus, options
        self.samples = []  # (seconds, {figure: value})
        self.troubles = []
        self.counts = {}
        self.full = None  # seconds, from which on everything that has a limit is full
        self.waiting = {}  # latency -> values since the last sample

    # -- tasks of the minute --

    def rounds(self, farm, tasks, over):
        """Makes the tasks of each minute and removes those of earlier ones."""
        client, kept, number = self.load.Client(farm.port), [], 0
        while not over.is_set():
            made = {}
            for name, fields in self.load.TASKS.items():
                status, answer = client.request("POST", "/api/tasks", dict(fields, name=f"{name}-{number}"))
                if status == 201:
                    made[name] = answer["data"]["id"]
                else:
                    self.troubles.append(f"a task was answered {status} {answer}")
            tasks.update(made)
            if kept and "tick" in kept[-1]:
                client.request("POST", f"/api/tasks/{kept[-1]['tick']}/pause")
            kept.append(made)
            while len(kept) > KEPT_ROUNDS:
                for task in kept.pop(0).values():
                    self.remove(client, task, over)
            number += 1
            over.wait(ROUND_SECONDS)

    def remove(self, client, task, over):
        for _ in range(60):
            status, answer = client.request("DELETE", f"/api/tasks/{task}")
            if status != 409 or over.wait(0.5):  # 409: runs of it are not final yet
                break
        if status >= 400 and not over.is_set():
            self.troubles.append(f"removing a task was answered {status} {answer}")

    # -- samples --

    def sample(self, farm, store, names):
        values = {}
        for name in names:
            pid = farm.pid(name)
            folder = pathlib.Path(f"/proc/{pid}")
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
            values[f"anonymous {name}"] = self.farms.anonymous_bytes(pid) / 1e6
            values[f"rss {name}"] = int(status["VmRSS"].split()[0]) * 1024 / 1e6
            values[f"threads {name}"] = int(status["Threads"])
            values[f"descriptors {name}"] = len(os.listdir(folder / "fd"))
        values["database file"] = sum(path.stat().st_blocks * 512 for path in (farm.data / "store").iterdir()) / 1e6
        name, pong = store.ask("ping")
        counts = {count["name"]: count.get("value", 0) for count in pong.get("counts", [])}
        values["used database"] = counts.get("used_bytes", 0) / 1e6
        for name, got in self.waiting.items():
            if got:
                got.sort()
                values[f"{name} p50"] = got[len(got) // 2]
                values[f"{name} p99"] = got[min(len(got) - 1, len(got) * 99 // 100)]
                got.clear()
        return values

    def runs(self):
        """Submitted so far; what has a key is fewer, what makes events more."""
        return self.counts.get("submit", 0) + 50 * self.counts.get("batch", 0)

    def gather(self, figures):
        """Takes what the load has said so far."""
        while True:
            try:
                name, value = figures.get_nowait()
            except queue.Empty:
                return
            self.counts[name] = self.counts.get(name, 0) + 1
            if name == "trouble":
                self.troubles.append(value)
            else:
                self.waiting.setdefault(name, []).append(value)
            if name == "followed":
                self.waiting[name].clear()

    # -- the whole --

    def run(self):
        settings = {"events_max": EVENTS, "keys_max": KEYS, "retry_base_ms": 200, "store_log_lines": 1000, "log_level": "warn"}
        context = multiprocessing.get_context("fork")
        with self.farms.harness.Farm(workers=2, **settings) as farm:
            over, figures = context.Event(), context.Queue()
            with context.Manager() as manager:
                tasks = manager.dict()
                about = {"port": farm.port, "workers": farm.endpoint("workers")}
                makers = threading.Thread(target=self.rounds, args=(farm, tasks, over), daemon=True)
                makers.start()
                processes = [context.Process(target=self.load.process_main, args=(kind, about, tasks, figures, over), daemon=True)
                             for kind in self.load.KINDS]
                for process in processes:
                    process.start()
                try:
                    self.watch(farm, figures, processes)
                finally:
                    over.set()
                    for process in processes:
                        process.join(15)
                        if process.is_alive():
                            process.kill()
                    makers.join(40)
                    self.gather(figures)

    def watch(self, farm, figures, processes):
        names = ["store", "scheduler", "gateway"] + farm.workers
        began = time.monotonic()
        due = began
        with self.bus.Peer(farm.endpoint("store")) as store:
            while time.monotonic() < began + self.options.minutes * 60:
                due += SAMPLE_SECONDS
                time.sleep(max(0.0, due - time.monotonic()))
                self.gather(figures)
                values = self.sample(farm, store, names)
                self.samples.append((time.monotonic() - began, values))
                if self.full is None and self.counts.get("submit", 0) > KEYS and self.runs() > max(EVENTS, RESULTS):
                    self.full = max(FILL_SECONDS, self.samples[-1][0])
                if not all(process.is_alive() for process in processes):
                    raise AssertionError("a process of the load ended")
                if len(self.samples) % 20 == 0:
                    last = self.samples[-1][1]
                    print(f"{self.samples[-1][0] / 60:5.1f} min  " + "  ".join(f"{name} {last[f'anonymous {name}']:.1f} MB" for name in names) +
                          f"  database {last['database file']:.0f} MB", file=sys.stderr, flush=True)


# ---- what grew ----


def slope(points):
    """(a second's growth, how far points are from the line) by Theil and Sen: what most pairs say, whatever single ones do."""
    step = max(1, len(points) // 150)
    some = points[::step]
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(some) for x2, y2 in some[i + 1:]]
    if not slopes:
        return 0.0, 0.0
    growth = statistics.median(slopes)
    rest = [y - growth * x for x, y in points]
    return growth, statistics.median(abs(value - statistics.median(rest)) for value in rest)


def measured_from(samples, full):
    """Seconds. full: when everything that has a limit was full; None: never."""
    end = samples[-1][0]
    return max(end / 3, min(full or end, end / 2))


def verdicts(samples, full):
    """[{figure, unit, median, first, last, per_hour, grown}] of the part that is measured."""
    start = measured_from(samples, full)
    found = []
    for figure in sorted({name for _, values in samples for name in values}):
        points = [(at, values[figure]) for at, values in samples if at >= start and figure in values]
        if len(points) < 5:
            continue
        unit, floor = FIGURES[figure.split()[0]]
        growth, noise = slope(points)
        span = points[-1][0] - points[0][0]
        middle = statistics.median(y for _, y in points)
        grown = growth * span > max(floor, 3 * noise, 0.05 * middle)
        found.append({"figure": figure, "unit": unit, "median": middle, "first": points[0][1], "last": points[-1][1],
                      "per_hour": growth * 3600, "grown": grown})
    return found


def lines_of(soak, found):
    minutes = soak.samples[-1][0] / 60
    yield (f"{minutes:.0f} minutes on {datetime.date.today().isoformat()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; "
           f"{soak.counts.get('submit', 0)} submits over HTTP, {50 * soak.counts.get('batch', 0)} in batches, {soak.counts.get('list', 0)} lists, "
           f"{soak.counts.get('followed', 0)} runs followed, {soak.counts.get('dispatch', 0)} dispatches timed; "
           f"{len(soak.troubles)} troubles, {sum(row['grown'] for row in found)} of {len(found)} figures grew.")
    start = measured_from(soak.samples, soak.full)
    yield (f"Slopes are from minute {start / 60:.0f} on." if soak.full and soak.full <= start else
           f"Slopes are from minute {start / 60:.0f} on, when not everything that has a limit was full: too short a run, or too slow a machine, "
           "to tell that from growth.")
    yield ""
    yield "| figure | median | per hour | |"
    yield "|---|--:|--:|---|"
    for row in found:
        unit = f" {row['unit']}" if row["unit"] else ""
        yield f"| {row['figure']} | {row['median']:.2f}{unit} | {row['per_hour']:+.2f}{unit} | {'**grew**' if row['grown'] else 'steady'} |"


def plot(soak, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    panels = [("anonymous memory, MB", "anonymous "), ("resident memory, MB", "rss "), ("descriptors", "descriptors "), ("threads", "threads "),
              ("database, MB", ("database ", "used ")), ("latency p50, ms", " p50"), ("latency p99, ms", " p99")]
    figure, axes = pyplot.subplots(len(panels), 1, figsize=(10, 18), sharex=True)
    for axis, (title, words) in zip(axes, panels):
        for name in sorted({name for _, values in soak.samples for name in values}):
            if not (name.startswith(words) if not isinstance(words, str) or words.endswith(" ") else name.endswith(words)):
                continue
            points = [(at / 60, values[name]) for at, values in soak.samples if name in values]
            axis.plot([x for x, _ in points], [y for _, y in points], linewidth=0.8, label=name)
        axis.set_title(title, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, ncol=3, loc="lower right")
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main():
    parser = argparse.ArgumentParser(prog="./dev soak")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--build", default=str(ROOT / "build"), help=argparse.SUPPRESS)
    parser.add_argument("--png", metavar="FILE", help="the curves")
    parser.add_argument("--json", metavar="FILE", help="every sample")
    parser.add_argument("--record", action="store_true", help="write docs/soak.png, and the slopes into docs/performance.md")
    options = parser.parse_args()
    os.environ["GANTRY_BUILD"] = options.build
    os.environ["GANTRY_TEST_SLOW"] = "10"
    soak = Soak(options)
    soak.run()
    found = verdicts(soak.samples, soak.full)
    text = "\n".join(lines_of(soak, found)) + "\n"
    print(text)
    for trouble in soak.troubles[:20]:
        print(f"trouble: {trouble}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"samples": soak.samples, "verdicts": found, "troubles": soak.troubles}))
    if options.record:
        options.png = str(ROOT / "docs" / "soak.png")
        head, rest = PAGE.read_text().split(BEGIN, 1)
        PAGE.write_text(head + BEGIN + "\n" + text + "\n" + END + rest.split(END, 1)[1])
    if options.png:
        plot(soak, options.png)
    return 1 if soak.troubles or any(row["grown"] for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
