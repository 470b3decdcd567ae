"""Short simulations: small worlds of several seeds, and the same seed twice."""

import collections
import os
import pathlib
import re
import subprocess
import unittest

BUILD = pathlib.Path(os.environ["GANTRY_BUILD"])
TIME_LIMIT = 1800.0
SLOW = float(os.environ.get("GANTRY_TEST_SLOW", "1"))


def simulate(*words):
    return subprocess.run([BUILD / "gantry-sim", *map(str, words)], capture_output=True, text=True, timeout=1500 * SLOW)


class Simulation(unittest.TestCase):
    def held(self, *words):
        done = simulate(*words)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-6000:])
        return done.stdout

    def test_small_worlds(self):
        told = self.held("--world", "small", "--seed", 1, "--seeds", 8 if SLOW <= 1 else 4)
        for word in ("scheduler", "superseded", "leases lost", "starts with a rate", "times a pool was full", "scans", "videos transcoded", "failed",
                     "ends of workers of the API"):
            self.assertRegex(told, rf"[1-9][0-9]* {word}")
        self.every_step(told)

    def every_step(self, told):
        """Somebody died at each step of its work, in one of these worlds."""
        steps = collections.Counter()
        for line in re.findall(r"(?m)^  died: (.*)$", told):
            for part in re.split(", (?=[0-9])", line):
                count, step = part.split(" ", 1)
                steps[step] += int(count)
        self.assertEqual(len(steps), 13, steps)
        self.assertEqual([step for step, count in steps.items() if not count], [], steps)

    def test_hundreds_of_workers(self):
        self.held("--world", "crowd", "--seed", 1)

    def test_a_night_of_the_recorder(self):
        """Hundreds of cycles, with every process killed now and then: the ledger adds up behind each batch, to the millisecond."""
        told = self.held("--world", "night", "--seed", 1, "--seeds", 2)
        found = re.findall(r"(\d+) cycles with (\d+) recordings, (\d+) s recorded and (\d+) missing", told)
        self.assertEqual(len(found), 2, told)
        for cycles, recordings, recorded, missing in ([int(number) for number in row] for row in found):
            self.assertGreater(cycles, 100)
            self.assertGreater(recordings, 10 * cycles)
            self.assertGreater(recorded, missing)
            self.assertGreater(missing, 0)

    def test_the_same_seed_is_the_same_history(self):
        histories = [re.search(r"history ([0-9a-f]{16})", self.held("--world", "small", "--seed", seed)).group(1) for seed in (7, 7, 8)]
        self.assertEqual(histories[0], histories[1])
        self.assertNotEqual(histories[0], histories[2])

    def test_a_seed_stands_for_itself(self):
        """Whatever worlds came before it in the same program."""
        seeds = range(1, 13)
        self.assertEqual(self.histories("--seeds", len(seeds)), [self.histories("--seed", seed)[0] for seed in seeds])

    def histories(self, *words):
        return re.findall(r"history ([0-9a-f]{16})", self.held("--world", "small", *words))

    def test_a_run_can_be_followed(self):
        told = self.held("--world", "small", "--seed", 7, "--trace", 100)
        self.assertIn("on disk: run{id=100 ", told)
        self.assertIn("assign{", told)

    def test_a_seed_may_have_a_limit(self):
        within = simulate("--world", "small", "--runs", 100, "--limit", 600)
        self.assertEqual(within.returncode, 0, within.stdout)
        self.assertRegex(within.stdout, r"seed 1 took [0-9.]+ s of wall time\n")
        beyond = simulate("--world", "small", "--runs", 100, "--limit", 0.000001)
        self.assertEqual(beyond.returncode, 1, beyond.stdout)
        self.assertRegex(beyond.stdout, r"seed 1 took [0-9.]+ s of wall time: TOO LONG, the limit is 1e-06 s\n")

    def test_usage(self):
        self.assertEqual(simulate("--world", "nowhere").returncode, 2)
        self.assertEqual(simulate("--seed").returncode, 2)
