"""Processes that stall instead of dying, a second scheduler, and process trees whose worker is gone."""

import os
import time
import unittest

from tests.bus import ScriptedWorker
from tests.farm import Farm, alive, descendants, wait_for
from tests.patience import PATIENT

LEASE = dict(PATIENT, lease_seconds=15, lease_heartbeat_ms=300)  # for who has to lose one: more than a machine stands still for


class Frozen(unittest.TestCase):
    def test_worker_past_its_lease(self):
        """Its run goes elsewhere; resumed, it is told to stop, its late result is refused and changes nothing."""
        with Farm(workers=2, **LEASE) as farm:
            effects, go = farm.data / "effects", farm.data / "go"
            waits = f"until [ -e {go} ]; do sleep 0.05; done"
            task = farm.task("frozen", f"echo start $GANTRY_ATTEMPT >>{effects}; {waits}; echo end $GANTRY_ATTEMPT >>{effects}")
            run = farm.trigger(task)
            wait_for(lambda: effects.exists() and effects.read_text(), 60, "the start")
            first = farm.run(run)["worker_id"]
            trees = {name: descendants(farm.pid(name)) for name in farm.workers}
            frozen = next(name for name in farm.workers if trees[name])
            farm.stop(frozen)
            moved = wait_for(lambda: (lambda r: r if r["worker_id"] not in (None, first) else None)(farm.run(run)), 90, "the move")
            self.assertEqual(moved["attempts"][0]["outcome"], "lost")
            farm.cont(frozen)
            wait_for(lambda: not any(alive(pid) for pid in trees[frozen]), 60, "the end of the first attempt's processes")
            go.touch()
            done = farm.wait_run(run, timeout=90)
            self.assertEqual(done["status"], "completed")
            self.assertEqual(done["attempts"][-1]["attempt"], 2)
            self.assertEqual([a["outcome"] for a in done["attempts"]], ["lost", "completed"])
            self.assertEqual(effects.read_text(), "start 1\nstart 2\nend 2\n")

    def test_late_result_is_refused(self):
        with Farm(workers=0, **LEASE) as farm:
            body = {"name": "late", "task_type": "scripted", "executor": "exec", "command": "none"}
            task = farm.data_of(farm.post("/api/tasks", body))["id"]
            run = farm.trigger(task)
            late = ScriptedWorker(farm.endpoint("workers"))
            late.hello()
            self.assertEqual(late.assignment()["attempt"], 1)
            late.tell("accept", leases=[{"run_id": run, "attempt": 1}])
            wait_for(lambda: farm.run(run)["status"] == "pending", 60, "the lost lease")  # it says nothing more
            self.assertEqual(farm.run(run)["attempts"][0]["outcome"], "lost")
            prompt = ScriptedWorker(farm.endpoint("workers"))
            prompt.hello()
            self.assertEqual(prompt.assignment()["attempt"], 2)
            prompt.tell("accept", leases=[{"run_id": run, "attempt": 2}])
            late.result(run, 1, result="late", exit_code=0)
            self.assertEqual(late.expect("error")["rule"], "hello")  # its session is over: it has to say what it holds
            drop = late.hello(running=[{"run_id": run, "attempt": 1}])["drop"]
            self.assertEqual([(lease["run_id"], lease["attempt"]) for lease in drop], [(run, 1)])
            late.result(run, 1, result="late", exit_code=0)
            refused = late.expect("refused", where=lambda f: f["leases"][0]["run_id"] == run)
            self.assertEqual(refused["leases"][0]["attempt"], 1)
            prompt.heartbeat([{"run_id": run, "attempt": 2}])
            prompt.result(run, 2, result="prompt", exit_code=0)
            prompt.expect("result_ack")
            self.assertEqual(farm.run(run)["result"], "prompt")
            late.__exit__()
            prompt.__exit__()

    def test_scheduler_frozen_and_resumed_loses_no_lease(self):
        with Farm(**LEASE) as farm:
            effects = farm.data / "effects"
            task = farm.task("steady", f"echo start >>{effects}; while ! [ -e {farm.data}/go ]; do sleep 0.1; done")
            run = farm.trigger(task)
            wait_for(lambda: effects.exists(), 60, "the start")
            farm.stop("scheduler")
            frozen_at = time.monotonic()
            wait_for(lambda: time.monotonic() - frozen_at > 2 * LEASE["lease_seconds"] + 1, 90)  # more than two terms
            farm.cont("scheduler")
            farm.wait_ready()
            (farm.data / "go").touch()
            done = farm.wait_run(run, timeout=90)
            self.assertEqual([a["outcome"] for a in done["attempts"]], ["completed"])
            self.assertEqual(effects.read_text(), "start\n")

    def test_store_frozen_holds_answers_back(self):
        with Farm(**PATIENT) as farm:
            task = farm.task("held", "true")
            farm.terminate("gateway")
            farm.settings["bus_deadline_ms"] = 1500
            farm.start("gateway")
            farm.wait_ready()
            farm.stop("store")
            key = {"Idempotency-Key": "held-1"}
            answer = farm.post(f"/api/tasks/{task}/trigger", {}, headers=key)
            self.assertEqual(answer.status, 503, answer)
            self.assertIn("retry-after", answer.headers)
            farm.cont("store")
            farm.wait_ready()

            def again():  # as it was told to; a store that takes its time is away again
                answer = farm.post(f"/api/tasks/{task}/trigger", {}, headers=key)
                return answer if answer.status != 503 else None

            run = farm.data_of(wait_for(again, 60, "an answer"))["run_id"]
            farm.wait_run(run)
            self.assertEqual(farm.data_of(farm.get("/api/runs"))["total"], 1)


class SecondScheduler(unittest.TestCase):
    def test_the_older_one_exits(self):
        with Farm(workers=1, **PATIENT) as farm:
            task = farm.task("taken_over", "echo ok")
            farm.start("scheduler2")
            self.assertEqual(farm.exit_code("scheduler"), 3, farm.log("scheduler"))
            farm.wait_ready()
            done = farm.wait_run(farm.trigger(task))
            self.assertEqual(done["result"], "ok")

    def test_the_older_one_leaves_the_newer_ones_sockets_alone(self):
        with Farm(workers=1, **PATIENT) as farm:
            farm.stop("scheduler")
            farm.start("scheduler2")
            wait_for(lambda: "GTY-SCHEDULER-READY" in farm.log("scheduler2"), 60, "the newer one")
            farm.cont("scheduler")
            self.assertEqual(farm.exit_code("scheduler"), 3)
            farm.restart("gateway")  # whoever connects now has to find the newer one
            farm.wait_ready()
            with ScriptedWorker(farm.endpoint("workers")) as late:
                late.hello()

    def test_a_run_in_progress_is_kept(self):
        with Farm(workers=1, **PATIENT) as farm:
            go = farm.data / "go"
            run = farm.trigger(farm.task("kept", f"while ! [ -e {go} ]; do sleep 0.05; done; echo kept"))
            farm.wait_run(run, "running")
            farm.start("scheduler2")
            self.assertEqual(farm.exit_code("scheduler"), 3)
            go.touch()
            done = farm.wait_run(run)
            self.assertEqual((done["result"], len(done["attempts"])), ("kept", 1), done)


class Orphans(unittest.TestCase):
    LONG = f"600.{os.getpid()}"  # seconds; nobody else's sleep is as long

    def check(self, command):
        with Farm(**PATIENT) as farm:
            marker = farm.data / "started"
            run = farm.trigger(farm.task("orphan", command.replace("MARKER", str(marker))))
            farm.wait_run(run, "running")
            wait_for(marker.exists, 60, "the start")
            tree = descendants(farm.pid("worker1"))
            self.assertGreaterEqual(len(tree), 2)
            farm.seen_pids.update(tree)
            farm.kill("worker1")
            wait_for(lambda: not any(alive(pid) for pid in tree), 60, "the end of the whole tree")
            wait_for(lambda: not self.strays(), 60, "the end of what it had begun meanwhile")

    def strays(self):
        """Whatever of ours sleeps still, below whomever."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if f"sleep\0{self.LONG}".encode() in file.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def test_shell_with_a_child(self):
        self.check(f"touch MARKER; sh -c 'sleep {self.LONG}; true'; true")

    def test_daemonised_child(self):
        self.check(f"setsid sh -c 'sleep {self.LONG} & sleep {self.LONG}' & touch MARKER; sleep {self.LONG}")


if __name__ == "__main__":
    unittest.main()
