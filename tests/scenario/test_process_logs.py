"""Processes' logs on their way to the store: they outlive restarts, are bounded everywhere, and what is dropped is told."""

import json
import pathlib
import re
import subprocess
import unittest

from tests.bus import Peer, ScriptedWorker
from tests.farm import BUILD, Farm, clean_environment, wait_for
from tests.faults import have_shim
from tests.patience import PATIENT


def lines(farm, query):
    return farm.data_of(farm.get("/api/system/logs?size=1000&" + query))["items"]


def wait_code(farm, service, code, count=1):
    """Waits until so many lines of a process have that code; answers them."""
    def look():
        found = [item for item in lines(farm, f"service={service}&level=info") if item["metadata"].get("code") == code]
        return found if len(found) >= count else None
    return wait_for(look, what=f"{count} times {code} of {service}")


def memory_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class ProcessLogs(unittest.TestCase):
    def test_lines_outlive_restarts_of_each(self):
        with Farm(**PATIENT) as farm:
            starts = (("store", "store", "GTY-STORE-READY"), ("scheduler", "scheduler", "GTY-SCHEDULER-READY"),
                      ("gateway", "gateway", "GTY-HTTP-LISTEN"), ("worker", "worker1", "GTY-WORKER-START"))
            for service, _, code in starts:  # what is under way when a process is killed may be lost
                wait_code(farm, service, code)
            for service, name, code in starts:
                farm.restart(name)
                farm.wait_ready()
                wait_code(farm, service, code, 2)
            # An end that is no crash leaves its last words, too.
            farm.terminate("scheduler")
            farm.start("scheduler")
            farm.wait_ready()
            wait_code(farm, "scheduler", "GTY-STOP")
            farm.terminate("store")
            farm.start("store")
            farm.wait_ready()
            wait_code(farm, "store", "GTY-STOP")
            farm.terminate("worker1")
            wait_code(farm, "worker", "GTY-WORKER-DRAIN")
            for name in ("gateway", "scheduler", "store"):
                farm.terminate(name)
            checked = subprocess.run([BUILD / "gantry", "fsck", "--data", farm.data], capture_output=True, text=True, env=clean_environment(),
                                     timeout=120)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_what_happened_while_the_store_was_away_is_told(self):
        with Farm(**PATIENT) as farm:
            wait_code(farm, "worker", "GTY-WORKER-START")
            farm.kill("store")
            wait_for(lambda: "GTY-STORE-AWAY" in farm.log("scheduler"), what="the outage")
            farm.start("store")
            farm.wait_ready()
            wait_code(farm, "scheduler", "GTY-STORE-AWAY")

    def test_only_the_newest_are_kept(self):
        with Farm(workers=0, store_syslog_mb=1) as farm, Peer(farm.endpoint("store")) as peer:
            text = "x" * 900
            for n in range(40):
                entries = [{"at": 0, "level": 1, "service": "tester", "text": f"number={n * 100 + i} {text}"} for i in range(60)]
                wait_for(lambda entries=entries: not peer.ask("log_lines", entries=entries)[1].get("dropped"), what="room for lines")

            def newest():
                items = lines(farm, "service=tester")
                return items if items and items[0]["metadata"]["number"] == 3959 else None

            items = wait_for(newest, what="the newest line")
            kept = farm.data_of(farm.get("/api/system/logs?service=tester"))["total"]
            self.assertLess(kept, 40 * 60)
            self.assertGreater(kept, 500)
            self.assertEqual(items[0]["metadata"]["number"], 3959)

    def test_a_flood_is_dropped_and_counted(self):
        with Farm(workers=0) as farm, Peer(farm.endpoint("store")) as peer:
            for service, code in (("store", "GTY-STORE-READY"), ("scheduler", "GTY-SCHEDULER-READY"), ("gateway", "GTY-HTTP-LISTEN")):
                wait_code(farm, service, code)  # or theirs are among those that find no room
            entries = [{"at": 0, "level": 1, "service": "tester", "text": "x" * 1000} for _ in range(1000)]
            dropped = rounds = 0
            while rounds < 8 or (dropped == 0 and rounds < 1000):  # it may have written them as fast as they came, while we stood still
                rounds += 1
                _, fields = peer.ask("log_lines", entries=entries)
                dropped += fields.get("dropped", 0)
            self.assertGreater(dropped, 0)
            counted = r"^gantry_store_log_lines_dropped_total (\d+)$"
            wait_for(lambda: int(re.search(counted, farm.get("/api/system/metrics").body, re.M)[1]) >= dropped, what="the count")
            self.assertEqual(int(re.search(counted, farm.get("/api/system/metrics").body, re.M)[1]), dropped)

    def test_a_stopped_store_does_not_make_others_grow(self):
        with Farm(start=False, log_level="debug") as farm:
            for name in ("scheduler", "gateway", "worker1"):
                farm.environments[name] = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=1"}  # a sanitizer keeps what is freed
            farm.start_all()
            wait_code(farm, "worker", "GTY-WORKER-START")
            farm.stop("store")
            wait_for(lambda: farm.get("/api/system/health").status == 503, what="the store being missed")
            before = {name: memory_kb(farm.pid(name)) for name in ("scheduler", "gateway", "worker1")}
            for _ in range(4000):  # each is a line of the gateway's log
                farm.get("/api/nowhere")
            for name, kb in before.items():
                self.assertLess(memory_kb(farm.pid(name)) - kb, 4096 if have_shim() else 16384, name)  # and surrounds all there is
            unsent = r'^gantry_log_lines_unsent_total\{process="gateway"\} (\d+)$'
            wait_for(lambda: int(re.search(unsent, farm.get("/api/system/metrics").body, re.M)[1]) > 0, what="dropped lines")
            farm.cont("store")
            farm.wait_ready()
            told = wait_code(farm, "gateway", "GTY-LOG-DROPPED")
            self.assertGreater(told[-1]["metadata"]["lines"], 0)

    def test_the_scheduler_says_whose_lines_they_are(self):
        """A worker may say what it likes, but not as somebody else."""
        with Farm(workers=0) as farm, ScriptedWorker(farm.endpoint("workers")) as worker:
            worker.hello()
            name, fields = worker.ask("log_lines", entries=[{"at": 0, "level": 2, "service": "pretender", "source": "worker-999", "code": "GTY-T",
                                                             "text": "run=7 said"}])
            self.assertEqual((name, fields), ("log_taken", {}))
            line = wait_code(farm, "worker", "GTY-T")[0]
            self.assertEqual((line["service"], line["metadata"]["worker_id"], line["metadata"]["run_id"]), ("worker", "worker-001", 7))

    def test_no_session_no_lines(self):
        with Farm(workers=0) as farm, Peer(farm.endpoint("workers")) as peer:
            name, fields = peer.ask("log_lines", entries=[{"service": "x"}])
            self.assertEqual((name, fields["rule"]), ("error", "hello"))


class Command(unittest.TestCase):
    def gantry(self, farm, *args, **more):
        return subprocess.run([BUILD / "gantry", "logs", *args, "--url", f"http://127.0.0.1:{farm.port}"], capture_output=True, text=True,
                              env=clean_environment(), timeout=60, **more)

    def test_logs_of_the_system(self):
        with Farm() as farm:
            wait_code(farm, "worker", "GTY-WORKER-START")
            wait_code(farm, "store", "GTY-STORE-READY")
            said = self.gantry(farm, "--system", "--service", "store", "--level", "info")
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertRegex(said.stdout, r"(?m)^\S+ \S+ info +store +GTY-STORE-READY version=")
            said = self.gantry(farm, "--system", "--json", "-n", "3")
            rows = [json.loads(line) for line in said.stdout.splitlines()]
            self.assertEqual(len(rows), 3)
            self.assertEqual(rows, sorted(rows, key=lambda row: int(row["id"])))
            self.assertRegex(self.gantry(farm, "--system", "--service", "worker").stdout, r"worker-001 +GTY-WORKER-START ")
            for args, word in ((["--system", "7"], "--system"), ([], "--system"), (["--level", "info", "7"], "--system"),
                               (["--system", "--level", "loud"], "loud"), (["--system", "-n", "0"], "tail")):
                wrong = self.gantry(farm, *args)
                self.assertEqual(wrong.returncode, 2, args)
                self.assertIn(word, wrong.stderr)

    def test_following(self):
        with Farm() as farm:
            follower = subprocess.Popen([BUILD / "gantry", "logs", "--system", "-f", "--service", "scheduler", "--url", f"http://127.0.0.1:{farm.port}"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment())
            try:
                run = farm.trigger(farm.task("followed"))
                seen = 0
                for line in follower.stdout:
                    seen += f"GTY-RUN-END run={run} " in line
                    if seen:
                        break
                self.assertEqual(seen, 1)
            finally:
                follower.terminate()
                out, err = follower.communicate(timeout=30)
            self.assertEqual(follower.returncode, 143, err)
            self.assertNotIn(f"GTY-RUN-END run={run} ", out)  # each once


if __name__ == "__main__":
    unittest.main()
