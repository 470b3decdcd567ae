"""What tests/fuzz/fuzz.py makes of how a fuzzer ended."""

import contextlib
import importlib.util
import io
import pathlib
import re
import shutil
import tempfile
import unittest
from unittest import mock

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "fuzz.py"


def load():
    spec = importlib.util.spec_from_file_location("fuzz_command", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ends(unittest.TestCase):
    def setUp(self):
        self.fuzz = load()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "tests" / "fuzz").mkdir(parents=True)
        (self.folder / "build" / "tests").mkdir(parents=True)

    def ends(self, script, seconds=3600, executions=1000):
        """Fuzzes with a program of these lines of shell (merging goes well); answers the exit code and what was said last, whatever time it took."""
        program = self.folder / "build" / "tests" / "fuzz_x"
        program.write_text(f"#!/bin/sh\ncase \"$*\" in *-merge=1*) exit 0;; esac\nfor word; do case $word in -artifact_prefix=*) "
                           f"at=${{word#*=}};; esac; done\n{script}\n")
        program.chmod(0o755)
        said = io.StringIO()
        with mock.patch.object(self.fuzz, "HERE", self.folder / "tests" / "fuzz"), contextlib.redirect_stdout(said):
            code = self.fuzz.fuzz(self.fuzz.Target(self.folder / "build", "x"), seconds, executions)
        return code, re.sub(r", \d+ s,", ", N s,", said.getvalue().strip().splitlines()[-1])

    def test_enough_executions(self):
        code, said = self.ends("echo stat::number_of_executed_units: 1000 >&2")
        self.assertEqual((code, said), (0, "fuzz x: 1000 executions, N s, 0 findings"))

    def test_enough_time(self):
        self.assertEqual(self.ends("sleep 1; echo stat::number_of_executed_units: 10 >&2", seconds=1)[0], 0)

    def test_too_soon(self):
        code, said = self.ends("echo stat::number_of_executed_units: 999 >&2")
        self.assertEqual((code, said), (2, "fuzz x: 999 executions, N s, 0 findings"))

    def test_a_code(self):
        self.assertEqual(self.ends("echo stat::number_of_executed_units: 1000 >&2; exit 71")[0], 2)
        self.assertEqual(self.ends("exit 1")[0], 2)

    def test_a_finding(self):
        code, said = self.ends("echo bad > ${at}crash-1; echo stat::number_of_executed_units: 7 >&2; exit 77")
        self.assertEqual((code, said), (1, "fuzz x: 7 executions, N s, 1 findings"))
        self.assertEqual(len(list((self.folder / "tests/fuzz/regressions/x").iterdir())), 1)


if __name__ == "__main__":
    unittest.main()
