#!/usr/bin/python3
"""`./dev chaos`: nothing acknowledged is lost, whatever happens to the processes and the connections of a farm.

    tests/chaos/chaos.py [--minutes N] [--seed N] [--keep]

Clients submit over REST and over a DEALER while the processes are killed, stopped and restarted and their connections cut. Then faults
end, the farm comes to rest, and an auditor proves from the store and from what the runs left in the world that the promise was kept.
Exits with 1 and the evidence when it was not; the farm's folder is kept then.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

# pylint: disable=wrong-import-position
from tests.chaos import report
from tests.chaos.auditor import Finding, World, audit, read_table
from tests.chaos.books import Reader as BooksReader
from tests.chaos.clients import Client, DealerDoor, Ledger, Reader, RestDoor
from tests.chaos.effects import Scripts, Watcher
from tests.chaos.faults import Chronicle, LinkFaults, ProcessFaults
from tests.chaos.ground import Ground
from tests.farm import BUILD, SLOW, clean_environment, wait_for

LEASE_SECONDS = 3
BACK_SECONDS = 10  # a farm that takes longer to write again, when nothing is in its way any more, is a finding
SETTINGS = dict(lease_seconds=LEASE_SECONDS, lease_heartbeat_ms=300, lease_accept_seconds=2, lease_losses=100, retry_base_ms=50,
                retry_cap_ms=500, worker_slots=8, worker_grace_seconds=1, worker_drain_seconds=1, events_max=1000000000)
SCHEDULES = [2, 3]  # seconds between the runs of the scheduled tasks
REST_CLIENTS, DEALER_CLIENTS = 4, 3


class Chaos:
    """One run of it. run() answers a World; what it found is in findings."""

    def __init__(self, seconds, seed, pace=0.1, say=print, enough=lambda chaos: True, back=BACK_SECONDS):
        """It goes on for these seconds, and until it is enough. back: see BACK_SECONDS; more where the machine itself may stand still."""
        self.seconds, self.seed, self.pace, self.say, self.enough, self.back = seconds, seed, pace, say, enough, back
        self.ground = Ground(workers=2, **SETTINGS)
        self.ledger = Ledger()
        self.world = None
        self.findings = []
        self.ended = self.settled = 0.0
        self.others = []
        self.keep = False  # the folder, in any case

    def run(self):
        with self.ground as farm:
            try:
                self.chronicle = Chronicle()
                scripts = Scripts(farm.data / "effects")
                self.make_tasks(farm, scripts)
                watcher = Watcher(scripts.outputs)
                watcher.start()
                clients = self.make_clients(farm, scripts)
                self.storm(farm, clients)
                self.calm(farm, clients)
                watcher.stop()
                self.others += [Finding("output", text) for text in watcher.problems]
                self.world = self.gather(farm, scripts)
                self.findings = audit(self.world)
            except BaseException:
                farm.keep = True
                raise
            farm.keep = self.keep or bool(self.findings)
        return self.world

    # -- before --

    def make_tasks(self, farm, scripts):
        chance = random.Random(self.seed)
        command, fields = scripts.command("noop", chance)
        self.batch_task = farm.task("batch", command, **fields)
        for every in SCHEDULES:
            task = farm.task(f"every-{every}", command, schedule=f"@every {every}s", **fields)
            self.ledger.schedules[task] = every

    def make_clients(self, farm, scripts):
        doors = [RestDoor(farm.through["clients-gateway"], self.ledger, random.Random(f"{self.seed}.r{n}"), SLOW) for n in range(REST_CLIENTS)]
        doors += [DealerDoor(farm, self.ledger, random.Random(f"{self.seed}.d{n}"), SLOW) for n in range(DEALER_CLIENTS)]
        clients = [Client(n, door, scripts, self.ledger, random.Random(f"{self.seed}.c{n}"), self.batch_task, self.pace)
                   for n, door in enumerate(doors)]
        clients.append(Reader(farm, self.ledger, random.Random(f"{self.seed}.reader")))
        return clients

    # -- the storm --

    def storm(self, farm, clients):
        self.chronicle = Chronicle()
        faults = [ProcessFaults(farm, self.chronicle, f"{self.seed}.process", LEASE_SECONDS, SLOW),
                  LinkFaults(farm, self.chronicle, f"{self.seed}.link")]
        for thread in clients + faults:
            thread.start()
        until = time.monotonic() + self.seconds
        told = time.monotonic()
        while all(fault.is_alive() for fault in faults) and (time.monotonic() < until or not self.enough(self)):
            time.sleep(0.1)
            if time.monotonic() - told > 30:
                told = time.monotonic()
                self.say(f"{until - told:5.0f} s left: {self.chronicle.kills} kills, {len(self.ledger.acks)} acknowledged commands, "
                         f"{len(self.ledger.problems) + len(self.chronicle.problems)} problems")
        for fault in faults:
            fault.stop_all()
        self.ended = time.monotonic()

    # -- behind it --

    def calm(self, farm, clients):
        """Until nothing is open any more; what stays open is a finding."""
        self.ledger.giving_up = time.monotonic() + 180 * SLOW
        for client in clients:
            client.done.set()
        for client in clients:
            client.join(240 * SLOW)
            if client.is_alive():
                self.ledger.problem(f"{client.name} does not end")
        try:
            farm.wait_ready()
            for task in self.ledger.schedules:
                wait_for(lambda: farm.data_of(farm.get(f"/api/runs?task_id={task}&size=1"))["total"], 60, f"a run of the scheduled task {task}")
                farm.data_of(farm.put(f"/api/tasks/{task}", {"schedule": None}))
            wait_for(lambda: self.open_runs(farm) == 0, 240, "the end of all runs")
            wait_for(lambda: not farm.belongings(), 90, "the end of all processes of runs")
            wait_for(lambda: not farm.run_folders(), 90, "the end of all folders of runs")
            wait_for(lambda: not any(worker["current_task_count"] for worker in farm.data_of(farm.get("/api/workers"))["items"]), 90,
                     "workers that hold nothing")
        except AssertionError as error:
            rows = [farm.get(f"/api/runs?status={status}&size=5").body for status in ("pending", "running")]
            self.others.append(Finding("rest", f"{error}: {farm.belongings()} {farm.run_folders()} {rows}"))
        self.settled = time.monotonic() - self.ended
        self.repeat_all(farm)

    @staticmethod
    def open_runs(farm):
        return sum(farm.data_of(farm.get(f"/api/runs?status={status}&size=1"))["total"] for status in ("pending", "running"))

    def repeat_all(self, farm):
        """Every command once more, with its key: nothing happens, and the answer is the first."""
        doors = {"rest": RestDoor(farm.direct_port, self.ledger, random.Random(1), SLOW),
                 "dealer": DealerDoor(farm, self.ledger, random.Random(2), SLOW, path="workers")}
        self.ledger.giving_up = time.monotonic() + 300 * SLOW
        for entry in list(self.ledger.acknowledged().values()):
            door, tries = doors[entry.door], entry.tries
            data = door.ask(entry)
            entry.tries = tries
            if data is not None:
                self.ledger.close(entry, door.named(data))
        for door in doors.values():
            door.close()

    def gather(self, farm, scripts):
        """The evidence, from the disk: the store is killed once more before it is asked."""
        self.others += self.fsck(farm)
        with farm.peer("store") as peer:
            books = BooksReader(peer).read()
        table = read_table(subprocess.run([BUILD / "tests" / "run_table"], check=True, capture_output=True, text=True).stdout)
        stretches = report.idle_stretches(self.ledger.acks, self.chronicle.faults, self.chronicle.began, self.ended)
        self.others += [Finding("service", f"no write for {seconds:.1f} s from {at - self.chronicle.began:.1f} s on, with nothing in its way")
                        for seconds, at in stretches if seconds > self.back * SLOW]
        words = {name: farm.log(name) for name in farm.processes}
        return World(self.ledger, books, scripts.lines(), scripts.outputs, table, words, self.chronicle, self.others)

    def fsck(self, farm):
        """The store's own check of its database, as a kill leaves it and as an orderly end does."""
        found = []
        for how, end in (("killed", farm.kill), ("ended", farm.terminate)):
            end("store")
            command = [BUILD / "gantry", "fsck", "--data", farm.data]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment())
            farm.start("store")
            farm.wait_ready()
            if done.returncode != 0:
                found.append(Finding("fsck", f"of a store that was {how}, gantry fsck says {done.returncode}: {done.stdout[-3000:]} "
                                             f"{done.stderr[-3000:]}"))
        return found


def main():
    parser = argparse.ArgumentParser(prog="./dev chaos")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", default=str(random.randrange(10**6)))
    parser.add_argument("--keep", action="store_true", help="keep the farm's folder in any case")
    options = parser.parse_args()
    chaos = Chaos(options.minutes * 60, options.seed, say=lambda text: print(text, flush=True))
    chaos.keep = options.keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and leave nothing running
    print(f"seed {options.seed}, folder {chaos.ground.data}", flush=True)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        world = chaos.run()
    except AssertionError as error:
        print(f"FAILED: {error}\nkept: {chaos.ground.data}")
        return 1
    print("\n".join(report.table(world, chaos.ended)) + "\n")
    print("\n".join(report.longest(world, chaos.ended)) + "\n")
    print("\n".join(report.summary(world, options.seed, chaos.seconds, chaos.ended, chaos.settled)))
    for rule in sorted({finding.rule for finding in chaos.findings}):
        some = [finding for finding in chaos.findings if finding.rule == rule]
        for finding in some[:10]:
            print(f"FAILED {rule}: {finding.text}")
        if len(some) > 10:
            print(f"FAILED {rule}: and {len(some) - 10} more")
    if chaos.ground.keep:
        print(f"kept: {chaos.ground.data}")
    print(f"{'FAILED' if chaos.findings else 'nothing lost'}: {len(chaos.findings)} findings", flush=True)
    return 1 if chaos.findings else 0


if __name__ == "__main__":
    sys.exit(main())
