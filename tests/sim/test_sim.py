"""Short simulations: small worlds of several seeds, and the same seed twice."""

import os
import pathlib
import re
import subprocess
import unittest

BUILD = pathlib.Path(os.environ["GANTRY_BUILD"])
SLOW = float(os.environ.get("GANTRY_TEST_SLOW", "1"))


def simulate(*words):
    return subprocess.run([BUILD / "gantry-sim", *map(str, words)], capture_output=True, text=True, timeout=150 * SLOW)


class Simulation(unittest.TestCase):
    def held(self, *words):
        done = simulate(*words)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-6000:])
        return done.stdout

    def test_small_worlds(self):
        told = self.held("--world", "small", "--seed", 1, "--seeds", 8 if SLOW <= 1 else 4)
        for word in ("scheduler", "superseded", "leases lost"):
            self.assertRegex(told, rf"[1-9][0-9]* {word}")

    def test_hundreds_of_workers(self):
        self.held("--world", "crowd", "--seed", 1)

    def test_the_same_seed_is_the_same_history(self):
        histories = [re.search(r"history ([0-9a-f]{16})", self.held("--world", "small", "--seed", seed)).group(1) for seed in (7, 7, 8)]
        self.assertEqual(histories[0], histories[1])
        self.assertNotEqual(histories[0], histories[2])

    def test_a_run_can_be_followed(self):
        told = self.held("--world", "small", "--seed", 7, "--trace", 100)
        self.assertIn("on disk: run{id=100 ", told)
        self.assertIn("assign{", told)

    def test_usage(self):
        self.assertEqual(simulate("--world", "nowhere").returncode, 2)
        self.assertEqual(simulate("--seed").returncode, 2)
