"""Retries that are due later, over the ends of processes: none comes early, twice or never."""

import datetime
import time
import unittest

from tests.farm import Farm, wait_for
from tests.faults import Fault, have_shim
from tests.patience import PATIENT

HOUR = 3600 * 1000
NAMES = ("store", "scheduler", "gateway", "worker1")
RUNS = 8
SOON = 300  # seconds: a backoff is a random part of an hour, and one of less than this may end while we look


@unittest.skipUnless(have_shim(), "needs the release build")
class Retries(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(start=False, retry_base_ms=HOUR, retry_cap_ms=HOUR, **PATIENT)
        self.clock = Fault(self.farm, *NAMES)
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        for name in NAMES:
            self.farm.start(name)
        self.farm.wait_ready()
        self.effects = self.farm.data / "effects"

    def why(self, run):
        return self.farm.data_of(self.farm.get(f"/api/runs/{run}/why"))

    def attempts(self):
        """(run, attempt) of everything that began, in the order it did."""
        return [tuple(map(int, line.split())) for line in self.effects.read_text().splitlines()]

    def test_each_process_is_killed_during_a_backoff(self):
        farm = self.farm
        task = farm.task("second time lucky", f"echo $GANTRY_RUN_ID $GANTRY_ATTEMPT >> {self.effects}; [ $GANTRY_ATTEMPT -gt 1 ]", retry_count=1)
        runs = [farm.trigger(task) for _ in range(RUNS)]
        wait_for(lambda: all(farm.run(run)["retry_count"] == 1 for run in runs), what="a failure of each")
        late = time.time() + SOON
        until = {}
        for run in runs:
            why = self.why(run)
            if why["until"] and datetime.datetime.fromisoformat(why["until"].replace("Z", "+00:00")).timestamp() > late:
                self.assertEqual((why["waits"], why["code"]), (True, "backoff"), why)
                until[run] = why["until"]
        self.assertTrue(until, "a backoff of each that is over in no time")
        for victim in ("scheduler", "store", "gateway", "worker1", "scheduler"):
            farm.restart(victim)
            farm.wait_ready()
            for run, before in until.items():
                why = wait_for(lambda run=run: (found := self.why(run))["code"] == "backoff" and found, what=f"run {run} in its backoff behind {victim}")
                self.assertEqual(why["until"], before, f"behind the end of {victim}")
                self.assertEqual(len(farm.run(run)["attempts"]), 1)
        self.assertEqual([one for one in self.attempts() if one[0] in until and one[1] > 1], [])
        self.clock.wall_ms = HOUR
        for run in runs:
            got = farm.wait_run(run)
            outcomes = [attempt["outcome"] for attempt in got["attempts"] if attempt["outcome"] not in ("lost", "returned")]
            self.assertEqual((got["status"], got["retry_count"], outcomes), ("completed", 1, ["failed", "completed"]), got)
        began = self.attempts()
        self.assertEqual(len(began), len(set(began)))
        self.assertEqual({run: sorted(n for one, n in began if one == run) for run in until}, {run: [1, 2] for run in until})


if __name__ == "__main__":
    unittest.main()
