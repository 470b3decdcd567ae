"""What befalls the farm: processes killed, stopped, restarted; links cut. All by one seed."""

import pathlib
import random
import re
import signal
import subprocess
import threading
import time

from tests.chaos.clients import pick
from tests.chaos.proxy import WAYS
from tests.farm import wait_for

PROCESS_FAULTS = [("kill", 50), ("kill two", 10), ("kill all", 8), ("stop", 9), ("stop past the lease", 6), ("stop, then kill", 8),
                  ("restart", 9)]
PROCESS_FIRST = ["kill", "stop", "restart"]  # even a short storm has one of each, and a link that is cut
LINK_WAYS = [("cut", 40), ("hole", 25), ("delay", 15), ("half", 15), ("stale", 5)]


def heeds(pid, number):
    """Whether the process does something about a signal by now: catches it, or holds it back."""
    try:
        status = pathlib.Path("/proc", str(pid), "status").read_text()
    except OSError:
        return False
    return any(int(mask, 16) >> (number - 1) & 1 for mask in re.findall(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", status, re.M))


class Fault:
    def __init__(self, kind, what):
        self.kind, self.what = kind, what
        self.began = time.monotonic()
        self.healed = None  # when nothing stood in the way any more

    def __str__(self):
        return f"{self.kind} {self.what}"


class Chronicle:
    """All that was done to the farm."""

    def __init__(self):
        self.lock = threading.Lock()
        self.faults = []
        self.kills = self.stops = self.restarts = self.cuts = 0
        self.problems = []
        self.began = time.monotonic()

    def begin(self, kind, what):
        fault = Fault(kind, what)
        with self.lock:
            self.faults.append(fault)
        return fault

    def problem(self, text):
        with self.lock:
            self.problems.append(text)


class ProcessFaults(threading.Thread):
    def __init__(self, ground, chronicle, seed, lease_seconds, slow):
        super().__init__(name="process-faults", daemon=True)
        self.ground, self.chronicle, self.lease, self.slow = ground, chronicle, lease_seconds, slow
        self.chance = random.Random(seed)
        self.names = ["store", "scheduler", "gateway"] + ground.workers
        self.done = threading.Event()

    def run(self):
        try:
            for kind in self.chance.sample(PROCESS_FIRST, len(PROCESS_FIRST)):
                self.done.wait(self.chance.uniform(0.3, 1.5) * self.slow)
                self.see_who_fell()
                self.strike(kind)
            while not self.done.wait(self.chance.uniform(0.3, 3.0) * self.slow):
                self.see_who_fell()
                self.strike(pick(self.chance, PROCESS_FAULTS))
        except Exception as error:  # noqa: BLE001
            self.chronicle.problem(f"the process faults fell: {error!r}")
            raise

    def see_who_fell(self):
        """A process that ended without our doing is a finding."""
        for name in self.names:
            if not self.ground.running(name):
                code = self.ground.processes[name].returncode
                self.chronicle.problem(f"{name} ended by itself with {code}: {self.ground.log(name)[-1500:]}")
                self.ground.start(name)

    def strike(self, kind):
        chance = self.chance
        if kind == "kill":
            victims = [chance.choice(self.names)]
        elif kind == "kill two":
            victims = chance.sample(self.names, 2)
        elif kind == "kill all":
            victims = list(self.names)
        else:
            victims = [chance.choice(self.names)]
        fault = self.chronicle.begin(kind, "everything" if len(victims) > 2 else " and ".join(v.rstrip("0123456789") for v in victims))
        if kind.startswith("kill"):
            self.kill(victims)
        elif kind == "restart":
            self.restart(victims[0])
        else:
            self.stop(victims[0], kind)
        fault.healed = time.monotonic()

    def kill(self, victims):
        for name in victims:
            self.ground.kill(name)
            self.chronicle.kills += 1
        for name in self.chance.sample(victims, len(victims)):  # in any order
            self.done.wait(self.chance.choice([0, 0, 0.1, 0.5, 1.5]) * self.chance.random())
            self.ground.start(name)

    def stop(self, name, kind):
        self.ground.stop(name)
        self.chronicle.stops += 1
        past = kind == "stop past the lease"
        self.done.wait(self.chance.uniform(1.2, 2.0) * self.lease if past else self.chance.uniform(0.1, 1.5))
        if kind == "stop, then kill":
            self.kill([name])
        else:
            self.ground.cont(name)

    def restart(self, name):
        """As an operator does it: not before the program has begun, when a signal meets the loader."""
        process = self.ground.processes[name]
        wait_for(lambda: process.poll() is not None or heeds(process.pid, signal.SIGTERM), 60, f"{name} heeding SIGTERM")
        self.ground.signal(name, signal.SIGTERM)
        self.chronicle.restarts += 1
        try:
            code = self.ground.processes[name].wait(60 * self.slow)
            if code != 0:
                self.chronicle.problem(f"{name} ended with {code} after SIGTERM: {self.ground.log(name)[-1500:]}")
        except subprocess.TimeoutExpired:
            self.chronicle.problem(f"{name} did not end within a minute of SIGTERM: {self.ground.log(name)[-1500:]}")
            self.ground.kill(name)
        self.ground.start(name)

    def stop_all(self):
        """The end of faults: everything runs."""
        self.done.set()
        self.join()
        self.see_who_fell()


class LinkFaults(threading.Thread):
    def __init__(self, ground, chronicle, seed):
        super().__init__(name="link-faults", daemon=True)
        self.ground, self.chronicle = ground, chronicle
        self.chance = random.Random(seed)
        self.done = threading.Event()

    def run(self):
        try:
            self.done.wait(self.chance.uniform(0.5, 2.0))
            self.strike("cut")
            while not self.done.wait(self.chance.uniform(0.5, 4.0)):
                self.strike(pick(self.chance, LINK_WAYS))
        except Exception as error:  # noqa: BLE001
            self.chronicle.problem(f"the link faults fell: {error!r}")
            raise

    def strike(self, way):
        chance = self.chance
        names = chance.sample(sorted(self.ground.through), 2 if chance.random() < 0.1 else 1)
        assert way in WAYS
        fault = self.chronicle.begin(f"link {way}", " and ".join(name.replace("1", "").replace("2", "") for name in names))
        for name in names:
            self.ground.proxy.turn(name, way, chance.random())
            self.chronicle.cuts += 1
        self.done.wait(chance.uniform(2.0, 7.0) if chance.random() < 0.2 else chance.uniform(0.1, 1.5))
        for name in names:
            self.ground.proxy.heal(name, chance.random())
        fault.healed = time.monotonic()

    def stop_all(self):
        self.done.set()
        self.join()
