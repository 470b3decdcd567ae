"""An allocation fails: in each process in turn, at its start and while the farm works, one after the other.

The process answers an error (503) and lives, or exits with one clear line and is started again; nothing acknowledged is lost, and the
next request succeeds. Of most processes every so-many-th allocation is taken; every one of them, in some hours, by

    GANTRY_FAULT_STRIDE=1 ./dev test scenario -k test_no_memory --release-only
"""

import http.client
import os
import shlex
import shutil
import time
import unittest

from tests.farm import BUILD, Farm, wait_for
from tests.faults import Fault, have_shim

READY = {"store": "GTY-STORE-READY", "scheduler": "GTY-SCHEDULER-READY", "gateway": "GTY-HTTP-LISTEN", "worker1": "GTY-WORKER-UP"}
NAMES = list(READY)
STRIDE = int(os.environ.get("GANTRY_FAULT_STRIDE", "0"))
PATIENCE = 120
TIME_LIMIT = 900.0 if STRIDE == 0 else 6 * 3600.0


class Victim:
    """A farm of which one process runs out of memory."""

    def __init__(self, farm, name):
        self.farm, self.name = farm, name
        self.fault = Fault(farm, name)
        self.key = 0
        self.at = 0  # where the log of this start begins
        self.ends = []

    def start(self):
        self.at = len(self.farm.log(self.name))
        self.farm.start(self.name)

    def log(self):
        return self.farm.log(self.name)[self.at:]

    def check_alive(self):
        """Whether it lives. If it does not, it said why in a line."""
        code = self.farm.processes[self.name].poll()
        if code is None:
            return True
        lines = self.log().strip().splitlines()
        where = f"{self.name}, allocation at {self.fault.where()}: exit code {code}\n{self.log()[-1500:]}"
        assert code == 1, where
        assert lines and lines[-1].startswith(f"gantry-{self.name.rstrip('1')}: ") and len(lines[-1].split(": ", 1)[1]) > 5, where
        self.ends.append(lines[-1])
        return False

    def revive(self):
        if not self.check_alive():
            self.start()

    def settle(self):
        """Nothing fails any more. What failed last may have been beside the work, and its end not be there yet when we look."""
        self.fault.fail_allocation(0)

        def healthy():
            self.revive()
            try:
                data = self.farm.get("/api/system/health", timeout=30).body["data"]
            except (OSError, http.client.HTTPException):
                return False
            return data["status"] == "healthy" and data["components"]["scheduler"]["active_workers"] >= len(self.farm.workers)

        wait_for(healthy, PATIENCE, "a healthy farm")

    def ask(self, method, path, body=None):
        """Asks until it is answered; errors on the way are a 503, or a connection that its end cut."""
        self.key += 1
        headers = {"Idempotency-Key": f"key-{self.key}"} if method != "GET" else {}
        until = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self.farm.request(method, path, body, headers=headers, timeout=30)
            except (OSError, http.client.HTTPException):
                answer = None  # without memory for a connection it is closed
            self.revive()
            if answer and answer.status != 503:
                assert answer.status in (200, 201, 202), f"{method} {path} with {self.fault.where()} failing: {answer}"
                return answer.body["data"]
            assert time.monotonic() < until, f"{method} {path} with {self.fault.where()} failing: {answer}\n{self.log()[-3000:]}"

    def wait_final(self, run):
        def final():
            self.revive()
            try:
                answer = self.farm.get(f"/api/runs/{run}", timeout=30)
            except (OSError, http.client.HTTPException):
                return None
            return answer.body["data"] if answer.status == 200 and answer.body["data"]["status"] in ("completed", "failed") else None

        try:
            return wait_for(final, PATIENCE, f"the end of run {run}")
        except AssertionError as error:
            raise AssertionError(f"{error}, with {self.fault.where()} failing; {self.farm.get(f'/api/runs/{run}')}\n"
                                 f"{self.log()[-3000:]}") from None

    def workload(self, number):
        """A little of everything. What a lack of memory may do to a run is give it back or lose its attempt, not fail it."""
        output = self.farm.data / f"out-{number}"
        body = {"name": f"task-{number}", "task_type": "shell", "executor": "shell", "retry_count": 1, "output": str(output),
                "command": f"echo line; echo made >$GANTRY_OUTPUT; echo result-{number}"}
        task = self.ask("POST", "/api/tasks", body)["id"]
        run = self.ask("POST", f"/api/tasks/{task}/trigger", {})["run_id"]
        done = self.wait_final(run)
        assert done["status"] == "completed" and output.read_text() == "made\n", (self.fault.where(), done)
        assert done["result"] in (f"result-{number}", None), (self.fault.where(), done)
        self.ask("GET", f"/api/runs/{run}/logs")
        self.ask("GET", f"/api/runs?task_id={task}")
        self.ask("PUT", f"/api/tasks/{task}", {"command": "true", "schedule": "0 0 1 1 *"})
        self.ask("GET", "/api/tasks")
        self.ask("GET", "/api/workers")
        self.ask("DELETE", f"/api/tasks/{task}?force=true")


class AtStart(unittest.TestCase):
    make_farm = Farm

    def sweep(self, name):
        with self.make_farm(start=False) as farm:
            victim = Victim(farm, name)
            for one in NAMES:
                farm.start(one)
            farm.wait_ready()
            runs = [victim.ask("POST", "/api/runs", {"name": f"r{n}", "task_type": "nobody", "executor": "exec", "command": "x"})["run_id"]
                    for n in range(3)]  # what a start finds
            farm.task("due", schedule="0 0 1 1 *", retry_count=1)
            farm.kill(name)
            number = 1
            while True:
                before = victim.fault.hits
                victim.fault.fail_allocation(number)
                victim.start()
                wait_for(lambda: READY[name] in victim.log() or not victim.check_alive(), PATIENCE,
                         f"{name} with {victim.fault.where()} failing")
                if victim.fault.hits == before:
                    break
                if farm.running(name):
                    farm.kill(name)
                number += STRIDE or 9
            victim.settle()
            self.assertEqual([farm.run(run)["status"] for run in runs], ["pending"] * 3)
            self.assertGreater(number, 40)
            self.assertGreater(len(victim.ends), 2)


class AtWork(unittest.TestCase):
    make_farm = Farm

    def sweep(self, name):
        with self.make_farm(start=False, lease_seconds=3, lease_heartbeat_ms=300, bus_deadline_ms=2000) as farm:
            victim = Victim(farm, name)
            for one in NAMES:
                farm.start(one)
            farm.wait_ready()
            number, allocation, calm, hits = 0, 1, 0, 0
            while calm < 2:  # beyond the end of the workload
                number += 1
                before = victim.fault.hits
                victim.fault.fail_allocation(allocation)
                victim.workload(number)
                hit = victim.fault.hits != before
                hits += hit
                calm = 0 if hit else calm + 1
                victim.settle()
                allocation += STRIDE or {"gateway": 41, "scheduler": 3, "store": 17, "worker1": 23}[name]
            self.assertGreater(hits, 2)


class Supervisor(unittest.TestCase):
    """gantry-run, of which the worker starts one for each run, without an environment: it gets the shim from a script beside the worker."""

    def workshop(self, farm, fault):
        """A folder with the worker, and a gantry-run in which allocations can fail."""
        folder = farm.data / "bin"
        folder.mkdir()
        shutil.copy2(BUILD / "gantry-worker", folder)
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in fault.environment("gantry-run").items())
        script = folder / "gantry-run"
        script.write_text(f"#!/bin/sh\nexport {variables}\nexec {shlex.quote(str(BUILD / 'gantry-run'))} \"$@\"\n")
        script.chmod(0o755)
        return folder

    @unittest.skipUnless(have_shim(), "needs the release build")
    def test_gantry_run(self):
        with Farm(start=False, lease_seconds=3, lease_heartbeat_ms=300) as farm:
            victim = Victim(farm, "worker1")
            folder, command = self.workshop(farm, victim.fault), farm.command
            farm.command = lambda name: [str(folder / "gantry-worker") if name == "worker1" else command(name)[0]] + command(name)[1:]
            farm.environments.clear()
            farm.start_all()
            number, calm, hits = 0, 0, 0
            while calm < 2:  # beyond the last allocation of a run's life
                number += 1
                before = victim.fault.hits
                victim.fault.fail_allocation(number)
                victim.workload(number)
                hit = victim.fault.hits != before
                hits += hit
                calm = 0 if hit else calm + 1
            victim.fault.fail_allocation(0)
            self.assertGreater(victim.fault.allocations, 0)
            self.assertGreater(hits, 0)


def make(name):
    return lambda self: self.sweep(name)


for _name in NAMES:
    for _class in (AtStart, AtWork):
        setattr(_class, f"test_{_name.rstrip('1')}", unittest.skipUnless(have_shim(), "needs the release build")(make(_name)))
del _class  # it is found as a class of its own otherwise


if __name__ == "__main__":
    unittest.main()
