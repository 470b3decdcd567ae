"""Schedules over the ends of processes: each due time is told once, catch-up and overlap hold, and the command line shows both."""

import datetime
import json
import subprocess
import time
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.faults import Fault, have_shim
from tests.patience import PATIENT

HOUR = 3600 * 1000


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Schedules(unittest.TestCase):
    def start(self, **settings):
        self.farm = Farm(**dict(PATIENT, **settings))
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        return self.farm

    def fires(self, task, query=""):
        return self.farm.data_of(self.farm.get(f"/api/tasks/{task}/fires?size=1000&order=asc{query}"))["items"]

    def due_times(self, task):
        """Every due time that was told, in order; each entry covers `count` of them at one a second."""
        found = []
        for fire in self.fires(task):
            first, last = instant(fire["due_at"]), instant(fire["last_due_at"])
            self.assertEqual(last - first + 1, fire["count"], fire)
            found.extend(first + i for i in range(fire["count"]))
        return found

    def check_told(self, task):
        """None is missing, none is there twice, and the runs are those of the ledger."""
        times = self.due_times(task)
        self.assertEqual(times, [times[0] + i for i in range(len(times))])
        told = [fire["run_id"] for fire in self.fires(task) if fire["run_id"]]
        runs = self.farm.data_of(self.farm.get(f"/api/runs?task_id={task}&size=1000&sort=id&order=asc"))["items"]
        self.assertEqual(told, [run["id"] for run in runs][:len(told)])
        self.assertLessEqual(len(runs) - len(told), 1)  # one may have come between the two looks

    def away(self, name, seconds):
        """The process is gone for a while."""
        self.farm.kill(name)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > seconds, seconds + 60)
        self.farm.start(name)
        self.farm.wait_ready()

    def test_every_process_is_killed(self):
        farm = self.start()
        tasks = {policy: farm.task(policy, "true", schedule="* * * * * *", metadata={"catchup": policy}) for policy in ("one", "all", "none")}
        for name in ("scheduler", "store", "worker1", "gateway", "scheduler"):
            count = len(self.due_times(tasks["one"]))
            self.away(name, 2)
            wait_for(lambda: len(self.due_times(tasks["one"])) > count + 2, what="due times after the restart")
        for task in tasks.values():
            farm.post(f"/api/tasks/{task}/pause")
            self.check_told(task)
        self.assertEqual({fire["outcome"] for fire in self.fires(tasks["all"])} - {"ran", "late"}, set())
        self.assertEqual({fire["reason"] for fire in self.fires(tasks["one"], "&outcome=skipped")}, {"catchup_one"})

    def test_missed_for_long(self):
        """Over ten seconds: with `none` they are left out, with the others made up late, and all of it is told."""
        farm = self.start()
        tasks = {policy: farm.task(policy, "true", schedule="* * * * * *", metadata={"catchup": policy}) for policy in ("one", "all", "none")}
        wait_for(lambda: all(self.fires(task) for task in tasks.values()), what="due times")
        self.away("scheduler", 12)
        for task in tasks.values():
            wait_for(lambda task=task: self.fires(task)[-1]["outcome"] == "ran" and len(self.due_times(task)) > 13, what="going on")
            farm.post(f"/api/tasks/{task}/pause")
            self.check_told(task)
        self.assertTrue(self.fires(tasks["all"], "&outcome=late"))
        self.assertEqual(self.fires(tasks["all"], "&outcome=skipped"), [])
        self.assertEqual({fire["reason"] for fire in self.fires(tasks["none"], "&outcome=skipped")}, {"catchup_none"})
        self.assertEqual(self.fires(tasks["none"], "&outcome=late"), [])

    def behind_the_first(self, task):
        """What was told behind its first run: that may have made up for some before it."""
        fires = self.fires(task)
        first = next((n for n, fire in enumerate(fires) if fire["outcome"] == "ran"), len(fires))
        self.assertLessEqual({fire["reason"] for fire in fires[:first]}, {"catchup_one"})
        return fires[first + 1:]

    def test_overlap_over_restarts(self):
        farm = self.start()
        go = farm.data / "go"
        command = f"while ! [ -e {go} ]; do sleep 0.05; done"
        forbid = farm.task("forbid", command, schedule="* * * * * *", metadata={"concurrency_policy": "forbid"})
        replace = farm.task("replace", "sleep 600", schedule="*/2 * * * * *", metadata={"concurrency_policy": "replace"}, retry_count=0)
        wait_for(lambda: self.behind_the_first(forbid), what="a run, and what it keeps from running")
        for name in ("scheduler", "store"):
            self.away(name, 1)
            seen = self.fires(forbid)[-1]["last_due_at"]
            wait_for(lambda: self.fires(forbid)[-1]["last_due_at"] > seen, what="further due times")
        self.assertEqual(farm.data_of(farm.get(f"/api/runs?task_id={forbid}"))["total"], 1)
        self.assertEqual({fire["reason"] for fire in self.behind_the_first(forbid)}, {"overlap_forbidden"})
        go.touch()
        wait_for(lambda: self.fires(forbid)[-1]["outcome"] == "ran", what="a run once the first has ended")
        wait_for(lambda: farm.data_of(farm.get(f"/api/runs?task_id={replace}"))["total"] > 1, what="one that is replaced")
        farm.post(f"/api/tasks/{replace}/pause")
        live = farm.data_of(farm.get(f"/api/runs?task_id={replace}&size=1000"))["items"]
        self.assertLessEqual(sum(run["status"] in ("pending", "running") for run in live), 1)
        farm.post(f"/api/tasks/{forbid}/pause")
        self.check_told(forbid)

    def cli(self, *words):
        return subprocess.run([str(BUILD / "gantry"), *words, f"--url=http://127.0.0.1:{self.farm.port}"], capture_output=True, text=True, timeout=60 * SLOW,
                              env=clean_environment())

    def test_the_command_line(self):
        farm = self.start()
        task = farm.task("nightly", "true", schedule="0 3 * * *", metadata={"timezone": "Asia/Kolkata"})
        seconds = farm.task("seconds", "true", schedule="@every 1s")
        wait_for(lambda: len(self.fires(seconds)) >= 2, what="due times")
        farm.post(f"/api/tasks/{seconds}/pause")
        shown = self.cli("fires", "seconds", "--outcome", "ran", "--size", "1")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""), shown)
        self.assertIn("ran", shown.stdout)
        data = json.loads(self.cli("fires", str(seconds), "--json").stdout)
        self.assertEqual(data["items"][0]["task_id"], seconds)
        times = self.cli("fires", "--next", "nightly", "--count", "2", "--after", "2030-01-01T00:00:00Z")
        self.assertEqual(times.stdout, "2030-01-01T21:30:00Z  2030-01-02T03:00:00+05:30\n2030-01-02T21:30:00Z  2030-01-03T03:00:00+05:30\n")
        self.assertEqual(json.loads(self.cli("fires", "--next", "nightly", "--json").stdout)["task_id"], task)
        times = self.cli("preview", "0 12 L * *", "--timezone", "Europe/London", "-n", "1", "--after", "2030-02-01")
        self.assertEqual(times.stdout, "2030-02-28T12:00:00Z  2030-02-28T12:00:00+00:00\n")
        once = self.cli("preview", "@at 2099-01-01")
        self.assertIn("never due again", once.stderr)
        self.assertIn("paused", self.cli("fires", "--next", "seconds").stderr)
        for words, code, text in ((("fires", "nobody"), 1, "no task"), (("preview", "61 * * * *"), 2, "minute"), (("fires", "nightly", "--count", "2"), 2, "--next"),
                                  (("fires", "nightly", "--next", "--since", "2030-01-01"), 2, "--since"), (("fires",), 2, "TASK"), (("fires", "nightly", "--outcome", "maybe"), 2, "ran")):
            with self.subTest(words=words):
                done = self.cli(*words)
                self.assertEqual(done.returncode, code, done)
                self.assertIn(text, done.stderr)


@unittest.skipUnless(have_shim(), "needs the release build")
class Clocks(unittest.TestCase):
    """The host's clock is set while the farm runs."""

    def setUp(self):
        names = ("store", "scheduler", "gateway", "worker1")
        self.farm = Farm(start=False, **PATIENT)
        self.clock = Fault(self.farm, *names)
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        for name in names:
            self.farm.start(name)
        self.farm.wait_ready()

    def told(self, task):
        return self.farm.data_of(self.farm.get(f"/api/tasks/{task}/fires?size=1000&order=asc"))["items"]

    def test_an_hour_back_and_forward(self):
        farm = self.farm
        task = farm.task("each second", "true", schedule="* * * * * *")
        wait_for(lambda: len(self.told(task)) >= 2, what="due times")
        self.clock.wall_ms = HOUR
        wait_for(lambda: self.told(task)[-1]["outcome"] == "ran" and any(fire["count"] > 3000 for fire in self.told(task)), what="what was skipped")
        self.clock.wall_ms = 0
        farm.wait_ready()
        wait_for(lambda: "GTY-CLOCK-BACK" in farm.log("scheduler"), what="the clock's being seen")
        count = len(self.told(task))
        self.clock.wall_ms = HOUR
        wait_for(lambda: len(self.told(task)) > count + 2, what="due times of the second hour")
        farm.post(f"/api/tasks/{task}/pause")
        last = None
        for fire in self.told(task):
            if last is not None:
                self.assertEqual(instant(fire["due_at"]), last + 1, fire)  # none twice, none untold
            last = instant(fire["last_due_at"])
            self.assertEqual(last - instant(fire["due_at"]) + 1, fire["count"])
            self.assertTrue(fire["run_id"] or fire["reason"] in ("catchup_one",), fire)


if __name__ == "__main__":
    unittest.main()
