"""A full pool, and runs that wait for their rate or their time, over the end of each process."""

import datetime
import fcntl
import unittest

from tests.farm import Farm, wait_for
from tests.patience import PATIENT


class Pools(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(**dict(PATIENT, worker_slots=8))
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        self.addCleanup(self.farm.print_logs)  # shown where a test fails
        self.locks = [self.farm.data / "lock1", self.farm.data / "lock2"]
        self.go, self.exceeded = self.farm.data / "go", self.farm.data / "exceeded"
        for lock in self.locks:
            lock.touch()

    def pooled(self, name):
        """A task of which two runs find a lock each, and a third tells that it found none."""
        one, two = self.locks
        command = (f"exec 9>{one}; flock -n 9 || {{ exec 9>{two}; flock -n 9; }} || touch {self.exceeded}; "
                   f"while ! [ -e {self.go} ]; do sleep 0.02; done")
        return self.farm.task(name, command, pool="pair")

    def running(self, runs):
        """The attempts that run."""
        shown = [self.farm.run(run) for run in runs]
        return {(run["id"], run["attempt"]) for run in shown if run["status"] == "running"}

    def unlocked(self):
        """No process of a run lives any more."""
        for lock in self.locks:
            with open(lock, "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return False
        return True

    def expect_full(self, runs):
        pool = self.farm.data_of(self.farm.get("/api/pools/pair"))
        self.assertEqual((pool["limit"], pool["running"], pool["waiting"]), (2, 2, len(runs) - 2))
        running = {run for run, _ in self.running(runs)}
        self.assertEqual(len(running), 2)
        waits = next(run for run in runs if run not in running)
        # It is another while links come up again.
        wait_for(lambda: self.farm.run(waits)["reason"] == "pool pair is full: 2 of 2 run", what="its reason")

    def test_each_process_ends_while_it_is_full(self):
        farm = self.farm
        farm.data_of(farm.put("/api/pools/pair", {"limit": 2}))
        tasks = [self.pooled("one"), self.pooled("two")]
        runs = [farm.trigger(tasks[n % 2]) for n in range(6)]
        wait_for(lambda: len(self.running(runs)) == 2, what="two that run")
        for name in ("scheduler", "store", "gateway"):
            farm.kill(name)
            farm.start(name)
            farm.wait_ready()
            self.expect_full(runs)
        farm.kill("scheduler")  # together, and in the other order
        farm.kill("store")
        farm.start("scheduler")
        farm.start("store")
        farm.wait_ready()
        self.expect_full(runs)
        before = self.running(runs)
        farm.kill("worker1")
        wait_for(self.unlocked, what="the end of its runs")
        farm.start("worker1")
        farm.wait_ready()
        wait_for(lambda: len(now := self.running(runs)) == 2 and not now & before, what="two that run again")
        self.expect_full(runs)
        self.go.touch()
        for run in runs:
            self.assertEqual(farm.wait_run(run)["status"], "completed")
        self.assertFalse(self.exceeded.exists())
        self.assertEqual(farm.data_of(farm.get("/api/pools/pair"))["running"], 0)

    def next_start(self, run):
        """When the run's task may start next, in seconds, as its reason says."""
        reason = wait_for(lambda: (r := self.farm.run(run)["reason"]) and " next at " in r and r, what="its reason")
        self.assertIn("its task may start 1 times a minute, next at ", reason)
        return datetime.datetime.fromisoformat(reason.split(" at ")[1].replace("Z", "+00:00")).timestamp()

    def test_a_rate_over_a_restart(self):
        farm = self.farm
        task = farm.task("rated", "true", rate=1)
        first, second = farm.trigger(task), farm.trigger(task)
        farm.wait_run(first)
        until = self.next_start(second)
        farm.kill("scheduler")
        farm.start("scheduler")
        farm.wait_ready()
        self.assertLess(abs(self.next_start(second) - until), 0.1)  # what was started before the restart counts
        farm.data_of(farm.put(f"/api/tasks/{task}", {"rate": 0}))
        self.assertEqual(farm.wait_run(second)["status"], "completed")

    def test_delays_over_restarts(self):
        farm = self.farm
        task = farm.task("later", "true")
        soon = farm.trigger(task, delay_seconds=2)
        late = farm.trigger(task, delay_seconds=3600)
        at = farm.trigger(task, run_at="2100-01-01T00:00:00Z")
        batch = farm.data_of(farm.post(f"/api/tasks/{task}/trigger-batch", {"items": [{"delay_seconds": 3600}, {"run_at": "2020-01-01T00:00:00Z"}]}))
        for name in ("scheduler", "store"):
            farm.kill(name)
            farm.start(name)
            farm.wait_ready()
        self.assertEqual(farm.wait_run(soon)["status"], "completed")
        self.assertEqual(farm.wait_run(batch["run_ids"][1])["status"], "completed")  # its time has been
        self.assertEqual(farm.run(at)["reason"], "delayed until 2100-01-01T00:00:00.000Z")
        for run in (late, at, batch["run_ids"][0]):
            got = farm.run(run)
            self.assertEqual(got["status"], "pending")
            self.assertIn("delayed until", got["reason"])
            self.assertIsNotNone(got["due_at"])
            farm.data_of(farm.post(f"/api/runs/{run}/abort"))
