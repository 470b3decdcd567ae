"""Each start order of the four processes ends in a farm that works."""

import itertools
import unittest

from tests.farm import Farm
from tests.patience import PATIENT

PARTS = ["store", "scheduler", "gateway", "worker1"]


class StartOrder(unittest.TestCase):
    def start_in(self, order):
        with Farm(start=False, **PATIENT) as farm:
            for name in order:
                farm.start(name)
            farm.wait_ready()
            run = farm.trigger(farm.task("ordered", "echo done"))
            self.assertEqual(farm.wait_run(run)["status"], "completed")


def make(order):
    return lambda self: self.start_in(order)


for _order in itertools.permutations(PARTS):
    setattr(StartOrder, "test_" + "_".join(_order), make(_order))


class Restarts(unittest.TestCase):
    def test_all_killed_at_once_lose_nothing_acknowledged(self):
        with Farm(**PATIENT) as farm:
            task = farm.task("survivor", "echo survived")
            farm.kill("worker1")  # so that some are still waiting when everything dies
            runs = [farm.trigger(task) for _ in range(40)]
            for name in ["gateway", "store", "scheduler"]:
                farm.signal(name, 9)
            for name in ["gateway", "store", "scheduler"]:
                farm.processes[name].wait()
            for name in PARTS:
                farm.start(name)
            farm.wait_ready()
            for run in runs:
                done = farm.wait_run(run)
                self.assertEqual((done["status"], done["result"]), ("completed", "survived"))
            self.assertEqual(farm.data_of(farm.get("/api/runs?size=1"))["total"], len(runs))

    def test_stopping_one_by_one_exits_cleanly(self):
        with Farm() as farm:
            for name in ["worker1", "gateway", "scheduler", "store"]:
                self.assertEqual(farm.terminate(name), 0, f"{name}:\n{farm.log(name)}")


if __name__ == "__main__":
    unittest.main()
