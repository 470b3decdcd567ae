"""Hostile peers at the workers' door, in small (tests/tools/hostile.py in large): the scheduler stands, honest work goes on, memory and
descriptors come back."""

import unittest

import zmq

from tests.bus import ScriptedWorker, key
from tests.farm import SLOW, wait_for
from tests.tools import hostile

TIME_LIMIT = 1200.0
SERIAL = True  # it measures what the machine is left with
CONNECTIONS = 500
LIVES = 40  # of the honest worker, in each phase
SLOW_LIVES = 0.1  # of them may be slower: for seconds the machine may stand still. Who is kept from working is slow in each
SLOWER = 20  # times what its lives took before, at most; and so many seconds that the machine may be elsewhere
ELSEWHERE = 1.0
HOLDERS = ("half_handshakes", "half_frames", "many")  # attacks that are connections which stand
MEMORY_MB = 400 if SLOW == 1 else 800  # beyond what it held before; a sanitizer keeps as much again beside what a flood leaves unread


class Hostile(unittest.TestCase):
    def setUp(self):
        self.farm = self.enterContext(hostile.Ground())
        # What is freed counts as given back; a sanitizer would keep 256 MB of it.
        self.farm.environments["scheduler"] = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=1"}
        for name in ("store", "scheduler"):
            self.farm.start(name)
        wait_for(lambda: "GTY-SCHEDULER-READY" in self.farm.log("scheduler"), 60, "a scheduler")
        self.honest = hostile.Honest(self.farm.settings["bus_workers"], self.farm.member("honest"))
        self.member = self.farm.member("attacker")
        self.stranger = (*zmq.curve_keypair(), self.member[2])
        self.honest.start()
        self.addCleanup(self.end)
        self.before = self.progress("before anything")
        _, self.rss, self.fds = hostile.usage(self.farm.pid("scheduler"))

    def end(self):
        self.honest.ending = True
        self.honest.join(90)

    def progress(self, when):
        """The honest worker ends some lives; no heartbeat of it stays without an answer. Answers in how many seconds nearly all of them
        ended."""
        self.honest.taken()
        lives = []

        def some():
            if self.honest.failure:
                raise self.honest.failure
            beats, ended, unanswered = self.honest.taken()
            self.assertEqual(unanswered, 0, when)
            lives.extend(ended)
            return len(lives) >= LIVES

        wait_for(some, 150, f"honest work {when}")
        return hostile.percentile(lives, 1 - SLOW_LIVES) / 1000

    def bounded(self, when):
        _, rss, fds = hostile.usage(self.farm.pid("scheduler"))
        self.assertLess(rss - self.rss, MEMORY_MB, when)
        return fds

    def attacked(self, names, keys):
        for name in names:
            with self.subTest(attack=name):
                process = self.farm.attack(name, keys, CONNECTIONS)
                try:
                    if name in HOLDERS:
                        wait_for(lambda: hostile.connections_at(self.farm.door) >= 0.9 * CONNECTIONS, 120, f"the connections of {name}")
                    self.assertLess(self.progress(f"during {name}"), SLOWER * self.before + ELSEWHERE * SLOW, name)
                    fds = self.bounded(f"during {name}")
                    self.assertLessEqual(fds, self.fds + 1500, name)
                finally:
                    process.kill()
                    process.join()
                self.progress(f"after {name}")
                wait_for(lambda: hostile.usage(self.farm.pid("scheduler"))[2] <= self.fds + 10, 120, f"descriptors back after {name}")
                self.assertTrue(self.farm.running("scheduler"))

    def test_strangers(self):
        self.attacked(hostile.STRANGERS, self.stranger)

    def test_members_that_break_the_protocol(self):
        self.attacked(hostile.MEMBERS, self.member)

    def test_results_for_others_runs_change_nothing(self):
        endpoint = self.farm.settings["bus_workers"]
        with ScriptedWorker(endpoint, ident="owner", curve=self.farm.member("owner")) as owner, \
                ScriptedWorker(endpoint, types=["other"], ident="thief", curve=self.member) as thief:
            owner.hello()
            thief.hello()
            name, answer = owner.ask("run_submit", idem=key(), spec=dict(task_type="scripted", executor="shell", command="true"), trigger={})
            self.assertEqual(name, "run_answer")
            given = owner.assignment()
            lease = dict(run_id=given["run_id"], attempt=given["attempt"])
            owner.tell("accept", leases=[lease])
            thief.tell("result", items=[dict(lease, outcome=1, result="stolen")])
            refused = thief.expect("refused", 60)
            self.assertEqual([row["run_id"] for row in refused["leases"]], [lease["run_id"]])
            owner.insist("result", "result_ack", items=[dict(lease, outcome=1, result="mine")])

    def test_a_silent_handshake_ends_within_seconds(self):
        with hostile.dial(self.farm.door) as half:
            half.sendall(hostile.GREETING)
            half.settimeout(60 * SLOW)  # ZMQ_HANDSHAKE_IVL is 3 s; nothing else would end it
            while half.recv(4096):
                pass


if __name__ == "__main__":
    unittest.main()
