"""What the contract tests share: one farm a class, and assertions on envelopes and shapes."""

import re
import unittest

from tests.contract.documented import Documented
from tests.farm import Farm

Farm.observe = staticmethod(Documented().check)

# What the contract says must not depend on how fast the machine is today. The gateway waits for a scheduler or store that stands still for a
# while, what can be done without (a tenth of bus.deadline_ms) included; and no worker loses a run because somebody stood still.
PATIENT = {"bus_deadline_ms": 120000, "lease_seconds": 300, "lease_accept_seconds": 120}

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
MISSING = object()


class Contract(unittest.TestCase):
    """Tests that share a farm; `options` go to Farm, over PATIENT."""

    options = {}

    @classmethod
    def make_farm(cls, **more):
        return Farm(**dict(PATIENT, **cls.options, **more))

    @classmethod
    def setUpClass(cls):
        cls.farm = cls.make_farm()
        cls.farm.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.farm.__exit__(None, None, None)

    def data(self, answer, status=200):
        """The data of a success; its envelope is checked."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(set(answer.body), {"success", "data", "metadata"})
        self.assertIs(answer.body["success"], True)
        self.check_metadata(answer)
        return answer.body["data"]

    def error(self, answer, status, code, field=MISSING, rule=MISSING, value=MISSING):
        """The error of a refusal; its envelope is checked."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(set(answer.body), {"success", "error", "metadata"})
        self.assertIs(answer.body["success"], False)
        self.check_metadata(answer)
        error = answer.body["error"]
        self.assertEqual(set(error), {"code", "message", "details"})
        self.assertEqual(error["code"], code)
        self.assertTrue(error["message"])
        if error["details"]:
            self.assertEqual(set(error["details"]), {"field", "rule", "value"})
        for key, wanted in (("field", field), ("rule", rule), ("value", value)):
            if wanted is not MISSING:
                self.assertEqual(error["details"].get(key), wanted, answer)
        if status in (429, 503):
            self.assertRegex(answer.headers.get("retry-after", ""), r"^\d+$")
        return error

    def check_metadata(self, answer):
        metadata = answer.body["metadata"]
        self.assertEqual(set(metadata), {"timestamp", "request_id", "version"})
        self.assertRegex(metadata["timestamp"], TIME)
        self.assertEqual(metadata["request_id"], answer.headers["x-request-id"])
        self.assertEqual(metadata["version"], "1.0.0")

    def check_shape(self, actual, example, where="data", more=()):
        """actual has example's keys (and those in more), with values of the same kinds; a null fits where either is null."""
        if isinstance(example, dict) and example:
            self.assertIsInstance(actual, dict, where)
            keys = set(actual) - set(more)
            self.assertEqual(keys, set(example), where)
            for key, value in example.items():
                self.check_shape(actual[key], value, f"{where}.{key}")
        elif isinstance(example, list):
            self.assertIsInstance(actual, list, where)
            for index, item in enumerate(actual):
                if example:
                    self.check_shape(item, example[0], f"{where}[{index}]")
        elif actual is None or example is None:
            pass
        elif isinstance(example, str) and TIME.match(example):
            self.assertRegex(actual, TIME, where)
        elif isinstance(example, float):
            self.assertIsInstance(actual, (int, float), where)
        else:
            self.assertIs(type(actual), type(example), f"{where}: {actual!r}")
