"""/api/system/stats, metrics and logs: every value against what was done."""

import json
import os
import re
import shutil
import subprocess
import time
import unittest
import urllib.request

from tests.bus import Peer
from tests.contract import examples
from tests.contract.base import Contract
from tests.farm import ROOT, wait_for

SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')


def samples(text):
    """{name: {labels: value}} of what /system/metrics answers."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            found.setdefault(name, {})[labels or ""] = float(value)
    return found


class Measured(Contract):
    options = {"workers": 1, "types": ["shell"], "log_level": "info"}

    def fresh(self, path, holds, what):
        """Answers are kept for a second: asks until holds(value) is true."""
        got = {}

        def look():
            answer = self.farm.get(path)
            if answer.status == 503:
                return False  # a process that does not answer this moment
            got["value"] = samples(answer.body) if isinstance(answer.body, str) else self.data(answer)
            return holds(got["value"])

        wait_for(look, what=what)
        return got["value"]

    def stats(self, holds=lambda stats: True, what="the statistics"):
        return self.fresh("/api/system/stats", holds, what)

    def metrics(self, holds=lambda found: True, what="the metrics"):
        """Of all three processes: whoever does not answer this moment is left out of them."""
        return self.fresh("/api/system/metrics", lambda found: set(found["gantry_up"].values()) == {1} and holds(found), what)


class Stats(Measured):
    def test_counts_are_of_what_was_done(self):
        empty = self.stats()
        self.check_shape(empty, examples.STATS)
        self.assertEqual(empty["task_runs"], dict.fromkeys(examples.STATS["task_runs"], 0))
        self.assertEqual((empty["performance"]["average_execution_time"], empty["performance"]["success_rate"]), (None, None))
        began = time.monotonic()
        good, bad = self.farm.task("good", "sleep 0.2"), self.farm.task("bad", "exit 3")
        self.data(self.farm.post(f"/api/tasks/{self.farm.task('paused')}/pause"))
        for task in (good, good, good, bad):
            self.farm.wait_run(self.farm.trigger(task))
        unserved = self.farm.task("unserved", task_type="mainframe")
        aborted, waits = self.farm.trigger(unserved), self.farm.trigger(unserved)
        self.data(self.farm.post(f"/api/runs/{aborted}/abort"))
        once = self.data(self.farm.post("/api/runs", {"name": "once", "task_type": "shell", "command": "true"}), 201)["run_id"]
        self.farm.wait_run(once)
        flag = self.farm.data / "go-on"
        held = self.farm.trigger(self.farm.task("held", f"while [ ! -e {flag} ]; do sleep 0.05; done"))
        self.farm.wait_run(held, "running")
        got = self.stats(lambda stats: stats["task_runs"]["total"] == 8 and stats["task_runs"]["running"] == 1, "the counts of runs")
        self.check_shape(got, examples.STATS)
        self.assertEqual(got["task_runs"], {"total": 8, "pending": 1, "running": 1, "completed": 4, "failed": 1, "aborted": 1})
        self.assertEqual(got["tasks"], {"total": 6, "active": 3, "paused": 1, "completed": 1, "failed": 1})
        self.assertEqual({k: got["workers"][k] for k in ("total", "active", "offline", "draining")},
                         {"total": 1, "active": 1, "offline": 0, "draining": 0})
        performance = got["performance"]
        self.assertEqual(performance["success_rate"], round(100 * 4 / 6, 2))
        if time.monotonic() - began < 55:
            self.assertEqual(performance["tasks_per_minute"], 6)
        self.assertLessEqual(performance["tasks_per_minute"], 6)
        # Three of five attempts took 0.2 s and more.
        self.assertGreaterEqual(performance["average_execution_time"], 0.12)
        self.assertLess(performance["average_execution_time"], time.monotonic() - began)
        self.assertRegex(performance["system_uptime"], r"^0d 0h \d+m$")
        flag.touch()
        self.farm.wait_run(held)
        self.ended = time.monotonic()
        self.data(self.farm.post(f"/api/runs/{waits}/abort"))
        done = self.stats(lambda stats: stats["task_runs"]["aborted"] == 2, "the abort")
        self.assertEqual((done["task_runs"]["pending"], done["task_runs"]["completed"]), (0, 5))
        self.check_restart_keeps_it(done)

    def check_restart_keeps_it(self, before):
        """What is counted is not lost with a process; runs of the last minute neither."""
        for name in ("scheduler", "store", "gateway"):
            self.farm.restart(name)
        self.farm.wait_ready()
        after = self.stats()
        self.assertEqual((after["tasks"], after["task_runs"]), (before["tasks"], before["task_runs"]))
        self.assertEqual(after["performance"]["average_execution_time"], before["performance"]["average_execution_time"])
        if time.monotonic() - self.ended < 55:
            self.assertGreater(after["performance"]["tasks_per_minute"], 0)

    def test_resources(self):
        usage = self.stats()["resource_usage"]
        self.assertGreaterEqual(usage["cpu_usage"], 0)
        self.assertLessEqual(usage["cpu_usage"], 100)
        total = int(re.search(r"MemTotal: +(\d+)", open("/proc/meminfo").read())[1]) // 1024
        self.assertGreater(usage["memory_usage"], 0)
        self.assertLess(usage["memory_usage"], total)
        disk = shutil.disk_usage(self.farm.data)
        self.assertAlmostEqual(usage["disk_usage"], 100 * (1 - disk.free / disk.total), delta=5)

    def test_measured_at_most_once_a_second(self):
        answers = [self.stats()["task_runs"] for _ in range(20)]
        self.assertTrue(all(answer == answers[0] for answer in answers))


class MetricsOfRuns(Measured):
    """On a farm of its own: numbers are compared."""

    def test_the_seeds_names(self):
        task = self.farm.task("measured", "sleep 0.2")
        self.farm.task("second")
        for _ in range(2):
            self.farm.wait_run(self.farm.trigger(task))
        found = self.metrics(lambda found: found["scheduler_task_execution_duration_seconds_count"][""] == 2, "the durations")
        self.assertEqual(found["scheduler_tasks_total"], {"": 2})
        self.assertEqual(found["scheduler_tasks_active"], {"": 2})
        self.assertEqual(found["scheduler_workers_total"], {"": 1})
        buckets = found["scheduler_task_execution_duration_seconds_bucket"]
        for bound in ("0.1", "0.5", "1.0", "5.0", "10.0", "+Inf"):
            self.assertIn(f'le="{bound}"', buckets)
        self.assertEqual((buckets['le="0.1"'], buckets['le="+Inf"']), (0, 2))
        self.assertGreaterEqual(found["scheduler_task_execution_duration_seconds_sum"][""], 0.4)
        self.check_ours(found)

    def check_ours(self, found):
        self.assertEqual(found["gantry_up"], {f'process="{name}"': 1 for name in ("gateway", "scheduler", "store")})
        self.assertEqual(found["gantry_runs"]['status="completed"'], 2)
        self.assertEqual(found["gantry_runs_ended_total"]['status="completed"'], 2)
        self.assertEqual(set(found["gantry_queue_depth"]), {f'priority="{p}"' for p in ("low", "normal", "high", "critical")})
        self.assertEqual(found["gantry_dispatch_latency_seconds_count"][""], 2)
        self.assertGreater(found["gantry_commit_latency_seconds_count"][""], 0)
        self.assertGreater(found["gantry_database_commit_seconds_count"][""], 0)
        self.assertGreater(found["gantry_worker_slots"][""], 0)
        self.assertEqual(found["gantry_worker_slots_busy"][""], 0)
        for name in ("gantry_store_database_bytes", "gantry_store_redo_bytes", "gantry_store_disk_bytes"):
            self.assertGreater(found[name][""], 0, name)
        for process in ("gateway", "scheduler", "store"):
            for name in ("gantry_process_resident_memory_bytes", "gantry_process_open_fds", "gantry_process_cpu_seconds_total",
                         "gantry_process_start_time_seconds", "gantry_bus_messages_received_total", "gantry_bus_messages_sent_total",
                         "gantry_log_lines_total"):
                self.assertGreater(found[name][f'process="{process}"'], 0, f"{name} of {process}")
            self.assertEqual(found["gantry_log_lines_unsent_total"][f'process="{process}"'], 0)
        requests = found["gantry_http_request_duration_seconds_count"]
        self.assertEqual(requests['method="POST",route="/api/tasks",status="201"'], 2)
        self.assertEqual(requests['method="POST",route="/api/tasks/{id}/trigger",status="201"'], 2)


class Metrics(Measured):
    def test_unknown_paths_are_one_route(self):
        for n in range(3):
            self.farm.get(f"/api/nowhere/{n}")
        name = ("gantry_http_request_duration_seconds_count", 'method="any",route="none",status="404"')
        found = self.metrics(lambda found: name[1] in found[name[0]], "a row of them")
        self.assertEqual(found[name[0]][name[1]], 3)

    def test_counters_only_grow(self):
        def counters(found):
            return {(name, labels): value for name, some in found.items() for labels, value in some.items()
                    if name.endswith(("_bucket", "_count", "_sum")) or (name.endswith("_total") and not name.startswith("scheduler_"))}

        before = counters(self.metrics())
        self.farm.wait_run(self.farm.trigger(self.farm.task("grows")))
        name = ("gantry_runs_ended_total", 'status="completed"')
        after = counters(self.metrics(lambda found: found[name[0]][name[1]] > before[name], "one more run"))
        self.assertEqual([key for key, value in before.items() if after[key] < value], [])

    def test_promtool_finds_nothing(self):
        answer = self.farm.get("/api/system/metrics")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        promtool = shutil.which("promtool") or str(ROOT / "build" / "tools" / "promtool")
        if not os.path.exists(promtool):
            self.fail("promtool is not there: ./dev deps test unpacks it (package prometheus)")
        checked = subprocess.run([promtool, "check", "metrics"], input=answer.body, capture_output=True, text=True, timeout=600)
        said = sorted(line for line in (checked.stdout + checked.stderr).splitlines() if line)
        # The two names are the API's own.
        self.assertEqual([re.match(r"(\w+) .*_total", line)[1] if re.match(r"(\w+) .*_total", line) else line for line in said],
                         ["scheduler_tasks_total", "scheduler_workers_total"])


class Logs(Measured):
    options = dict(Measured.options, log_level="debug")

    def logs(self, query=""):
        return self.data(self.farm.get("/api/system/logs" + ("?" + query if query else "")))

    def wait_logs(self, query, holds, what):
        return wait_for(lambda: (lambda page: page if holds(page) else None)(self.logs(query)), what=what)

    def test_the_example(self):
        got = self.wait_logs("", lambda page: page["total"] > 0, "lines")
        self.assertEqual((got["page"], got["size"]), (1, 50))
        for item in got["items"]:
            self.assertEqual(set(item), {"id", "timestamp", "level", "service", "message", "metadata"})
            self.check_shape(dict(item, metadata={}), dict(examples.SYSTEM_LOGS["items"][0], id="1"))
            self.assertIsInstance(item["metadata"], dict)
        stamps = [item["timestamp"] for item in got["items"]]
        self.assertEqual(stamps, sorted(stamps, reverse=True))
        self.assertEqual(set(got), set(examples.SYSTEM_LOGS))

    def test_each_process(self):
        for service, code in (("store", "GTY-STORE-READY"), ("scheduler", "GTY-SCHEDULER-READY"), ("gateway", "GTY-HTTP-LISTEN"),
                              ("worker", "GTY-WORKER-START")):
            page = self.wait_logs(f"service={service}&level=info&order=asc&size=1000",
                                  lambda page, code=code: any(item["metadata"].get("code") == code for item in page["items"]), f"lines of {service}")
            self.assertEqual({item["service"] for item in page["items"]}, {service})
        self.assertEqual({item["metadata"]["worker_id"] for item in page["items"]}, {"worker-001"})
        self.assertEqual(self.logs("service=worker&worker_id=worker-001&level=info")["total"] >= 1, True)
        self.assertEqual(self.logs("worker_id=worker-999")["total"], 0)
        self.assertEqual(self.logs("service=nobody")["items"], [])

    def test_levels_are_that_one_and_worse(self):
        order = ["debug", "info", "warn", "error"]
        self.wait_logs("service=scheduler", lambda page: page["total"] > 3, "lines")
        self.wait_logs("level=debug&size=1000", lambda page: "debug" in {item["level"] for item in page["items"]}, "lines of debugging")
        totals = []
        for number, level in reversed(list(enumerate(order))):  # lines come meanwhile: what is asked for later has no fewer for that
            page = self.logs(f"level={level}&size=1000")
            totals.append(page["total"])
            self.assertLessEqual({item["level"] for item in page["items"]}, set(order[number:]))
        self.assertEqual(totals, sorted(totals))

    def test_what_a_line_says(self):
        run = self.farm.trigger(self.farm.task("said"))
        self.farm.wait_run(run)

        def ended(page):
            return [item for item in page["items"] if item["metadata"].get("code") == "GTY-RUN-END" and item["metadata"]["run_id"] == run]

        page = self.wait_logs("service=scheduler&level=info&size=1000", ended, "the run's end")
        line = ended(page)[0]
        self.assertEqual((line["metadata"]["attempt"], line["metadata"]["status"]), (1, "completed"))
        self.assertEqual(line["message"], f"run={run} attempt=1 status=completed")

    def test_a_request_is_followed_through(self):
        name = "followed-" + str(self.farm.port)
        self.data(self.farm.post("/api/tasks", {"name": "followed", "task_type": "shell", "executor": "shell", "command": "true"},
                                 headers={"X-Request-Id": name}), 201)
        page = self.wait_logs(f"request_id={name}", lambda page: page["total"] > 0, "lines of the request")
        self.assertEqual({item["metadata"]["request_id"] for item in page["items"]}, {name})
        self.assertEqual(self.logs("request_id=never")["total"], 0)

    def test_lines_of_any_kind(self):
        """Whatever a process says, the answer is JSON with each name once."""
        many = " ".join(f"k{chr(97 + n % 26)}{chr(97 + n // 26)}={n}" for n in range(40))
        texts = ["", "a=1 a=2 b", "code=fake request_id=fake worker_id=7", many, "=x", "a=", "run=007 n=9007199254740993 m=12", 'q="x\\" 中=1',
                 "x" * 4096, "key_of_more_than_twenty_eight_bytes=1"]
        with Peer(self.farm.endpoint("store")) as peer:
            now = int(time.time() * 1000)
            entries = [{"at": now + n, "level": 3, "service": "odd", "code": "GTY-ODD", "text": text} for n, text in enumerate(texts)]
            self.assertEqual(peer.ask("log_lines", entries=entries), ("log_taken", {}))
        self.wait_logs("service=odd", lambda page: page["total"] == len(texts), "the lines")
        raw = urllib.request.urlopen(f"http://127.0.0.1:{self.farm.port}/api/system/logs?service=odd&order=asc", timeout=120).read()

        def once(pairs):
            self.assertEqual(len({key for key, _ in pairs}), len(pairs))
            return dict(pairs)

        items = json.loads(raw, object_pairs_hook=once)["data"]["items"]
        self.assertEqual([item["message"] for item in items], ["GTY-ODD"] + texts[1:])
        self.assertEqual({item["metadata"]["code"] for item in items}, {"GTY-ODD"})
        self.assertEqual(items[1]["metadata"], {"code": "GTY-ODD", "a": 1})
        self.assertEqual(items[2]["metadata"], {"code": "GTY-ODD", "request_id": "fake", "worker_id": 7})
        self.assertGreater(len(items[3]["metadata"]), 20)
        self.assertEqual(items[6]["metadata"], {"code": "GTY-ODD", "run_id": "007", "n": "9007199254740993", "m": 12})
        self.assertEqual(items[7]["metadata"], {"code": "GTY-ODD", "q": '"x\\"'})

    def test_times_and_pages(self):
        self.wait_logs("", lambda page: page["total"] > 4, "lines")
        until = self.logs("size=1")["items"][0]["timestamp"]
        every = self.logs(f"end_time={until}&size=1000&order=asc")
        self.assertEqual([item["timestamp"] for item in every["items"]], sorted(item["timestamp"] for item in every["items"]))
        first = every["items"][0]["timestamp"]
        self.assertGreater(self.logs(f"start_time={first}&end_time={first}")["total"], 0)
        self.assertEqual(self.logs("end_time=2001-01-01T00:00:00Z")["total"], 0)
        self.assertEqual(self.logs("start_time=2900-01-01")["items"], [])
        paged = [item["id"] for page in (1, 2) for item in self.logs(f"end_time={first}&size=1&page={page}")["items"]]
        self.assertEqual(len(set(paged)), len(paged))
        self.assertEqual(self.logs("page=100000")["items"], [])
        self.assertEqual(self.logs("size=5000&level=error")["size"], 1000)

    def test_wrong_queries(self):
        for query, field in [("level=loud", "level"), ("start_time=yesterday", "start_time"), ("end_time=1", "end_time"), ("page=0", "page"),
                             ("size=x", "size"), ("sort=level", "sort"), ("order=up", "order"), ("service=" + "x" * 33, "service"),
                             ("request_id=" + "x" * 65, "request_id"), ("level=info&level=warn", "level")]:
            with self.subTest(query=query):
                self.error(self.farm.get("/api/system/logs?" + query), 400, "VALIDATION_ERROR", field)
        for path in ("stats", "metrics", "logs"):
            self.error(self.farm.post(f"/api/system/{path}", {}), 405, "VALIDATION_ERROR")


class Away(Contract):
    """What is answered when a process is not there."""

    def of_those(self, *there):
        """The metrics, once they are of the gateway and these: answers are kept for a second."""
        wanted = {f'process="{name}"': float(name in ("gateway", *there)) for name in ("gateway", "scheduler", "store")}
        return wait_for(lambda: (lambda found: found if found["gantry_up"] == wanted else None)(samples(self.farm.get("/api/system/metrics").body)),
                        what=f"metrics of {there}")

    def test_store_and_scheduler_away(self):
        self.farm.kill("store")
        gone = wait_for(lambda: (lambda answer: answer if answer.status == 503 else None)(self.farm.get("/api/system/health")), what="a 503")
        self.assertIs(gone.body["success"], True)
        self.assertEqual((gone.body["data"]["status"], gone.body["data"]["components"]["database"]["status"]), ("unhealthy", "unhealthy"))
        self.assertIsNone(gone.body["data"]["components"]["database"]["response_time"])
        self.error(self.farm.get("/api/system/stats"), 503, "DATABASE_ERROR")
        found = self.of_those("scheduler")
        self.assertNotIn("scheduler_tasks_total", found)
        self.assertEqual(found["scheduler_workers_total"], {"": 1})
        self.farm.start("store")
        self.farm.wait_ready()
        self.farm.kill("scheduler")
        gone = wait_for(lambda: (lambda answer: answer if answer.status == 503 else None)(self.farm.get("/api/system/stats")), what="a 503")
        self.error(gone, 503, "MESSAGE_QUEUE_ERROR")
        found = self.of_those("store")
        self.assertEqual(found["scheduler_tasks_total"], {"": 0})
        self.data(self.farm.get("/api/system/logs"))
        self.farm.start("scheduler")
        self.farm.wait_ready()


if __name__ == "__main__":
    unittest.main()
