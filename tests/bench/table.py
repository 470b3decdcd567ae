"""The table of `./dev bench`: figures side by side, ratios, targets."""

import datetime
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- what `./dev bench --record` writes -->\n", "<!-- end of the figures -->\n"


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def latencies(bench, name):
    p50, p99 = bench.get(f"{name}p50_us"), bench.get(f"{name}p99_us")
    return f"{number(p50)} / {number(p99)}" if p50 is not None else ""


def cpu(bench, name):
    """CPU in µs for each that was done, by process."""
    found = {key.rsplit(".", 1)[1]: bench.get(key) for key in bench.values if key.startswith(f"{name}.cpu_us.")}
    return {who: us for who, us in found.items() if us >= 0.05}


def farm_cpu(bench, name):
    return sum(us for who, us in cpu(bench, name).items() if who in ("store", "scheduler", "gateway")) or None


class Rows:
    def __init__(self, bench):
        self.bench, self.rows = bench, []

    def figure(self, name):
        value = self.bench.get(f"{name}.rate")
        return self.bench.get(name) if value is None else value

    def add(self, section, what, name, unit, latency=".", beside=None, targets=()):
        """name.rate is the figure unless name is a figure itself; so of beside: (words, name). targets: (words, value or None, limit, at
        least?). What has a target is shown also when it was not measured, unless only a part was to be."""
        bench = self.bench
        value = self.figure(name)
        if value is None and (bench.partial or not targets):
            return
        judged = [dict(words=words, value=got, limit=limit, least=least, reached=got is not None and (got >= limit if least else got <= limit))
                  for words, got, limit, least in targets]
        share = cpu(bench, name)
        ratio = over(value, self.figure(beside[1])) if beside else None
        self.rows.append({"section": section, "what": what, "value": value, "unit": unit, "latency": latencies(bench, f"{name}{latency}"),
                          "cpu": " ".join(f"{who} {number(us)}" for who, us in share.items()),
                          "beside": beside[0] if ratio is not None else "", "ratio": ratio, "targets": judged})


def over(top, bottom):
    return top / bottom if top is not None and bottom else None


def times(value, factor):
    return value * factor if value is not None and factor is not None else None


def add_limits(rows):
    rows.add("limits", "fdatasync of 4 KiB appended", "sync", "/s")
    rows.add("limits", "LMDB: a life's records, one a commit", "commit.1", "lives/s")
    rows.add("limits", "LMDB: a life's records, 100 a commit", "commit.100", "lives/s")
    rows.add("limits", "ZeroMQ there and back, ipc", "trip", "/s")
    rows.add("limits", "bare ROUTER, 4 DEALERs", "router", "messages/s")
    for connections in (4, 64, 256):
        rows.add("limits", f"libmicrohttpd, a constant, {connections} connections", f"constant.{connections}", "/s")


def add_lifecycles(rows, bench):
    words = {"4": "4+4, one at a time", "60": "60+16, one at a time", "batch": "4+4, batches of 100"}
    for shape, how in words.items():
        rate = bench.get(f"lives.{shape}.rate")
        targets = []
        if shape == "60":
            targets = [("× Redis", over(rate, bench.get("redis.60.rate")), 2, True)]
        if shape == "batch":
            targets = [("/s", rate, 20000, True), ("× beanstalkd", over(rate, bench.get("beanstalkd.batch.rate")), 3, True),
                       ("µs of CPU", farm_cpu(bench, "lives.batch"), 60, False)]
        rows.add("durable lives of runs, DEALER", f"Gantry, {how}", f"lives.{shape}", "lives/s", ".life_", targets=targets)
        if shape == "60":
            rows.add("durable lives of runs, DEALER", "Gantry, 60+16, workers of 4 slots that hold up to 16", "lives.credit", "lives/s", ".life_")
        for peer in ("redis", "beanstalkd", "bullmq"):
            rows.add("durable lives of runs, DEALER", f"{peer}, {how}", f"{peer}.{shape}", "lives/s", beside=("Gantry", f"lives.{shape}"))


def add_rest(rows, bench):
    for connections in (4, 64, 256):
        name = f"rest.{connections}"
        targets = []
        if connections == 64:
            share = over(bench.get("rest.64.rate"), bench.get("constant.64.rate"))
            targets = [("× a constant", share, 0.25, True),
                       ("commits (p99)", over(bench.get("rest.64.p99_us"), bench.get("rest.64.commit.p50_us")), 10, False)]
        rows.add("durable submits over REST", f"{connections} keep-alive connections", name, "submits/s",
                 beside=("a constant", f"constant.{connections}"), targets=targets)


def add_reports(rows, bench):
    router = bench.get("router.rate")
    rows.add("reports of workers, DEALER", "heartbeats handled", "heartbeats", "/s", beside=("bare ROUTER", "router"),
             targets=[("× bare ROUTER", over(bench.get("heartbeats.rate"), router), 0.3, True)])
    rows.add("reports of workers, DEALER", "progress handled; age when read", "progress", "/s", ".age_", beside=("bare ROUTER", "router"),
             targets=[("× bare ROUTER", over(bench.get("progress.rate"), router), 0.3, True),
                      ("ms until read (p99)", over(bench.get("progress.age_p99_us"), 1000), 250, False)])
    least = None
    if bench.get("dispatch.commit.p50_us") and bench.get("dispatch.trip.p50_us"):
        least = bench.get("dispatch.commit.p50_us") + 2 * bench.get("dispatch.trip.p50_us")
    rows.add("latency", "submit until an idle worker holds the run", "dispatch", "/s, one after the other", ".dispatch_",
             targets=[("× (commit + 2 round trips), p50", over(bench.get("dispatch.dispatch_p50_us"), least), 1.5, False)])


def add_events(rows, bench):
    rows.add("live events", "lives, 60+16, nobody watches", "events.alone", "lives/s", ".life_")
    share = over(bench.get("events.watched.rate"), bench.get("events.alone.rate"))
    rows.add("live events", "the same beside 1,000 streams and 100 webhooks that never answer", "events.watched", "lives/s", ".life_",
             targets=[("× alone", share, 0.95, True)])


def add_state(rows, bench):
    count = bench.get("pending.rows")
    scale = over(1000000, count)
    each = f"{count or 1000000:,.0f} runs that wait"
    rows.add("much of it", f"{each}: rebuilt in", "pending.recovery_ms", "ms",
             targets=[("ms for 1,000,000", times(bench.get("pending.recovery_ms"), scale), 5000, False)])
    rows.add("much of it", f"{each} and as many keys: rebuilt in", "pending.recovery_keys_ms", "ms",
             targets=[("ms for 1,000,000", times(bench.get("pending.recovery_keys_ms"), scale), 5000, False)])
    rows.add("much of it", f"{each}: memory each, beside 200 B of payload", "pending.bytes", "bytes",
             targets=[("bytes", bench.get("pending.bytes"), 300, False)])
    rows.add("much of it", f"{each}: an idempotency key beside each", "pending.key_bytes", "bytes")
    rows.add("much of it", f"{each}: the scheduler's memory", "pending.mb", "MB")
    measured = {int(name.split(".")[1]) for name in bench.values if name.startswith("rows.")}
    sizes = sorted(measured | (set() if bench.partial else {1000, 1000000}))
    for size in sizes:
        base = f"rows.{size}"
        first = f"rows.{sizes[0]}"

        def unchanged(figure, most=1.3, which=""):
            if size == sizes[0]:
                return []
            return [(f"× that of {sizes[0]:,}{which}", over(bench.get(f"{base}.{figure}"), bench.get(f"{first}.{figure}")), most, False)]

        for page in ("newest", "failed", "final", "by end", "last"):
            rows.add("much of it", f"{size:,} final runs: page, {page}", f"{base}.{page}", "/s",
                     targets=unchanged(f"{page}.p50_us") + unchanged(f"{page}.p99_us", 2, " (p99)"))
        rows.add("much of it", f"{size:,} final runs: lives, 60+16", f"{base}.lives", "lives/s", ".life_",
                 targets=[(f"× that of {sizes[0]:,}", over(bench.get(f"{base}.lives.rate"), bench.get(f"{first}.lives.rate")), 0.8, True),
                          (f"× CPU of {sizes[0]:,}", over(farm_cpu(bench, f"{base}.lives"), farm_cpu(bench, f"{first}.lives")), 1.3, False)]
                 if size != sizes[0] else [])
        rows.add("much of it", f"{size:,} final runs: start of store and scheduler", f"{base}.start_ms", "ms", targets=unchanged("start_ms"))
    for search in ("20 of 1,000 hits", "all of 1,000 hits", "with a word that all have", "two words of half of them, 500 hits", "by name"):
        figure = bench.get(f"search.{search}.p50_us")
        rows.add("much of it", f"{bench.get('search.tasks') or 1000000:,.0f} tasks: search, {search}", f"search.{search}", "/s",
                 targets=[("ms", times(figure, 0.001), 100, False)])
    rows.add("idle", "store, scheduler, gateway, worker, gantry up", "idle.cpu_percent", "% of a core",
             targets=[("%", bench.get("idle.cpu_percent"), 1, False)])
    rows.add("idle", "their anonymous memory", "idle.memory_mb", "MB", targets=[("MB", bench.get("idle.memory_mb"), 40, False)])


def add_cron(rows, bench):
    tasks, due = bench.get("cron.tasks") or 99000, bench.get("cron.due") or 1000
    rows.add("schedules", f"{tasks + due:,.0f} tasks, {due:,.0f} due in one second: with a worker within it", "cron", "runs", ".late_",
             targets=[("runs", bench.get("cron.rate"), due, True)])
    idle = bench.get("cron.idle.tasks") or 1000000
    rows.add("schedules", f"{idle:,.0f} tasks that are not due: the scheduler", "cron.idle.cpu_percent", "% of a core",
             targets=[("%", bench.get("cron.idle.cpu_percent"), 1, False)])
    rows.add("schedules", f"{idle:,.0f} tasks: the scheduler's memory for each, with its key", "cron.idle.bytes", "bytes")


def rows(bench):
    found = Rows(bench)
    add_limits(found)
    add_lifecycles(found, bench)
    add_rest(found, bench)
    add_reports(found, bench)
    add_events(found, bench)
    add_cron(found, bench)
    add_state(found, bench)
    return found.rows


def judgement(target):
    wanted = f"{target['words']} ({'at least' if target['least'] else 'at most'} {number(target['limit'])})"
    if target["value"] is None:
        return f"{wanted}: not measured"
    return f"{number(target['value'])} {wanted}: {'reached' if target['reached'] else 'NOT reached'}"


def judged(row):
    return ", ".join(map(judgement, row["targets"]))


def misses(found):
    """What was to be reached and was not, or not measured."""
    return [f"{row['what']}: {judgement(target)}" for row in found for target in row["targets"] if not target["reached"]]


def machine(folder, load, options, seconds):
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True).stdout.strip()
    model = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {"at": datetime.date.today().isoformat(), "cores": os.cpu_count(), "cpu": model[0] if model else platform.machine(),
            "kernel": platform.release(), "filesystem": kind, "load": load, "repetitions": options.repetitions,
            "window_seconds": options.seconds, "took_seconds": round(seconds)}


def machine_words(at):
    return (f"{at['cores']} cores ({at['cpu']}), Linux {at['kernel']}, {at['filesystem']}; load average before {at['load'][0]:.1f}, "
            f"after {at['load'][1]:.1f}; medians of {at['repetitions']}, {at['window_seconds']:g} s each; "
            f"it took {at['took_seconds']} s; {at['at']}")


def show(found, at, left_out):
    print(machine_words(at))
    section = ""
    for row in found:
        if row["section"] != section:
            section = row["section"]
            print(f"\n{section:58} {'figure':>11} {'':12} {'p50 / p99 µs':>18}  ratio to")
        ratio = f"{row['ratio']:6.2f} × {row['beside']}" if row["ratio"] is not None else ""
        print(f"  {row['what']:56} {number(row['value']):>11} {row['unit']:12} {row['latency']:>18}  {ratio}")
        if row["cpu"]:
            print(f"  {'':56}   CPU µs each: {row['cpu']}")
        if row["targets"]:
            print(f"  {'':56}   {judged(row)}")
    if left_out:
        print(f"\nleft out, not installed: {', '.join(left_out)} (`./dev deps bench`)")


def markdown(found, at, left_out):
    lines = [machine_words(at) + ".", ""]
    section = ""
    for row in found:
        if row["section"] != section:
            section = row["section"]
            lines += ["", f"### {section[0].upper()}{section[1:]}", "", "| | figure | p50 / p99 µs | CPU µs each | ratio | must reach |", "|---|--:|--:|---|--:|---|"]
        ratio = f"{number(row['ratio'])} × {row['beside']}" if row["ratio"] is not None else ""
        lines.append(f"| {row['what']} | {number(row['value'])} {row['unit']} | {row['latency']} | {row['cpu']} | {ratio} | {judged(row)} |")
    if left_out:
        lines += ["", f"Left out, not installed: {', '.join(left_out)}."]
    return "\n".join(lines) + "\n"


def record(found, at, left_out, marks=(BEGIN, END), page=PAGE):
    """Puts the table between these marks of the page."""
    begin, end = marks
    head, rest = page.read_text().split(begin, 1)
    page.write_text(head + begin + "\n" + markdown(found, at, left_out) + "\n" + end + rest.split(end, 1)[1])
