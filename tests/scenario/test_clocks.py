"""Clocks are set while the farm runs, and the machine sleeps: leases and timeouts do not notice, schedules follow, none runs twice."""

import datetime
import time
import unittest

from tests.farm import Farm, wait_for
from tests.faults import Fault, have_shim
from tests.patience import PATIENT

HOUR = 3600 * 1000
DAY = 24 * HOUR
NAMES = ("store", "scheduler", "gateway", "worker1")
LEASE_SECONDS = 15  # more than a machine stands still for


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


@unittest.skipUnless(have_shim(), "needs the release build")
class Clocks(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(start=False, **dict(PATIENT, lease_seconds=LEASE_SECONDS, lease_heartbeat_ms=200))
        self.clock = Fault(self.farm, *NAMES)
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        for name in NAMES:
            self.farm.start(name)
        self.farm.wait_ready()

    def long_run(self):
        go = self.farm.data / "go"
        run = self.farm.trigger(self.farm.task("long", f"while ! [ -e {go} ]; do sleep 0.05; done; echo done", timeout_seconds=31000000))
        self.farm.wait_run(run, "running")
        return run, go

    def pass_term(self):
        """More than the term of a lease goes by: one that is not renewed is lost."""
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > LEASE_SECONDS + 5, 90)

    def finish(self, run, go):
        go.touch()
        done = self.farm.wait_run(run)
        self.assertEqual([a["outcome"] for a in done["attempts"]], ["completed"], done)
        self.assertEqual(done["result"], "done")

    def now(self):
        return time.time() * 1000 + self.clock.wall_ms

    def schedule(self, task):
        """When it is due next, and how many runs it has made."""
        next_run = self.farm.data_of(self.farm.get(f"/api/tasks/{task}"))["next_run_at"]
        return instant(next_run), self.farm.data_of(self.farm.get(f"/api/runs?task_id={task}"))["total"]

    def test_the_wall_clock_is_set(self):
        farm = self.farm
        run, go = self.long_run()
        hourly = farm.task("hourly", "true", schedule="0 * * * *")
        tried = farm.task("tried", "exit 1", retry_count=1)
        runs = 0
        for shift in (30 * DAY, 30 * DAY + 400 * DAY, 30 * DAY, -1000 * DAY, 0):
            ahead = shift > self.clock.wall_ms
            self.clock.wall_ms = shift
            wait_for(lambda: self.now() < self.schedule(hourly)[0] <= self.now() + HOUR + 1000, 60, "the schedule's following")
            made = self.schedule(hourly)[1]
            self.assertLessEqual(made - runs, 2 if ahead else 1)  # made up once; an hour may begin while we look
            self.assertGreaterEqual(made - runs, 1 if ahead else 0)
            runs = made
            timestamp = farm.get("/api/system/health").body["metadata"]["timestamp"]
            self.assertLess(abs(instant(timestamp) - self.now()), 60000)
        self.pass_term()
        failing = farm.trigger(tried)
        wait_for(lambda: len(farm.run(failing)["attempts"]) >= 1 and farm.run(failing)["status"] != "running", 60, "a failed attempt")
        self.clock.wall_ms = -2 * DAY  # its backoff is a length of time, and not the time of the day it would have ended
        self.assertEqual(farm.wait_run(failing)["status"], "failed")
        farm.wait_ready()
        self.finish(run, go)

    def test_a_restart_under_a_wrong_clock(self):
        farm = self.farm
        hourly = farm.task("hourly", "true", schedule="0 * * * *")
        for shift in (500 * DAY, 0, -500 * DAY):
            farm.kill("scheduler")
            self.clock.wall_ms = shift
            farm.start("scheduler")
            farm.wait_ready()
            wait_for(lambda: self.now() < self.schedule(hourly)[0] <= self.now() + HOUR + 1000, 60, "the schedule's following")

    def test_the_machine_sleeps(self):
        farm = self.farm
        run, go = self.long_run()
        for hours in (1, 9, 900):
            gaps = farm.log("scheduler").count("GTY-LOOP-GAP")
            self.clock.boot_ms = hours * HOUR
            self.clock.wall_ms = hours * HOUR
            wait_for(lambda: farm.log("scheduler").count("GTY-LOOP-GAP") > gaps, 60, "the gap's being seen")
            farm.wait_ready()
            self.assertEqual(farm.run(run)["status"], "running")
        self.pass_term()
        self.assertEqual(len(farm.run(run)["attempts"]), 1)
        other = farm.wait_run(farm.trigger(farm.task("after", "echo awake")))
        self.assertEqual(other["result"], "awake")
        self.finish(run, go)


if __name__ == "__main__":
    unittest.main()
