"""The hot paths cost no more instructions than was recorded (tests/bench/instructions.py)."""

import json
import os
import pathlib
import shutil
import unittest

from tests.bench import instructions
from tests.tools.source import ROOT

BUILD = pathlib.Path(os.environ.get("GANTRY_BUILD", ROOT / "build")).resolve()
SERIAL = True  # callgrind is slow enough alone


class Instructions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("valgrind"):
            raise unittest.SkipTest("valgrind is not installed")
        if "Release" not in instructions.compiler(BUILD):
            raise unittest.SkipTest("only what is released is counted")
        cls.found = instructions.measure(BUILD)

    def test_no_more_than_recorded(self):
        recorded = json.loads(instructions.RECORD.read_text())
        if instructions.compiler(BUILD) != recorded["compiler"]:
            self.skipTest(f"recorded with {recorded['compiler']}")
        for path, now, then, _, good in instructions.judge(self.found, recorded["instructions"]):
            with self.subTest(path=path):
                self.assertTrue(good, f"{now} instructions, {then} recorded; if that is meant: {instructions.AGAIN}")

    def test_the_same_twice(self):
        for path in ("hot_core dispatch", "hot_store apply"):
            program, name = path.split()
            again = instructions.count(BUILD / "tests" / program, name)
            self.assertLess(abs(again - self.found[path]), 0.005 * again, path)

    def test_more_and_new_and_gone_are_seen(self):
        rows = instructions.judge({"a": 106, "b": 105, "new": 1}, {"a": 100, "b": 100, "gone": 1})
        self.assertEqual({row[0]: row[4] for row in rows}, {"a": False, "b": True, "new": False, "gone": False})
