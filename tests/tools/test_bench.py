"""What `./dev bench` and `./dev soak` make of what they measure."""

import random
import unittest

from tests.bench import soak, table


def samples(**figures):
    """Half an hour of samples; a figure is a function of the seconds."""
    return [(at, {name.replace("_", " "): value(at) for name, value in figures.items()}) for at in range(3, 1801, 3)]


class Slopes(unittest.TestCase):
    def grown(self, **figures):
        return {row["figure"]: row["grown"] for row in soak.verdicts(samples(**figures))}

    def test_a_leak_is_seen(self):
        noise = random.Random(1)
        rows = soak.verdicts(samples(anonymous_store=lambda at: 20 + at * 10 / 3600 + noise.uniform(-0.3, 0.3)))
        self.assertTrue(rows[0]["grown"])
        self.assertAlmostEqual(rows[0]["per_hour"], 10, delta=0.5)

    def test_what_fills_up_and_stays_is_steady(self):
        self.assertEqual(self.grown(anonymous_scheduler=lambda at: min(30, 10 + at / 20)), {"anonymous scheduler": False})

    def test_noise_is_steady(self):
        noise = random.Random(2)
        self.assertEqual(self.grown(submit_p99=lambda at: 20 + noise.expovariate(0.1)), {"submit p99": False})

    def test_single_descriptors(self):
        self.assertEqual(self.grown(descriptors_gateway=lambda at: 30 + at // 300, descriptors_store=lambda at: 30 + at % 5),
                         {"descriptors gateway": True, "descriptors store": False})


class Bench:
    def __init__(self, values):
        self.values = values

    def get(self, name):
        return self.values.get(name)


class Table(unittest.TestCase):
    def test_targets(self):
        bench = Bench({"lives.60.rate": 5000.0, "redis.60.rate": 2000.0, "rest.64.rate": 1000.0, "constant.64.rate": 10000.0,
                       "rest.64.p99_us": 9000.0, "commit.1.p50_us": 1000.0, "lives.60.cpu_us.store": 20.0})
        found = {row["what"]: row for row in table.rows(bench)}
        lives = found["Gantry, 60+16, one at a time"]
        self.assertEqual([(t["value"], t["reached"]) for t in lives["targets"]], [(2.5, True)])
        self.assertEqual(found["redis, 60+16, one at a time"]["ratio"], 0.4)
        rest = found["64 keep-alive connections"]
        self.assertEqual([(t["value"], t["reached"]) for t in rest["targets"]], [(0.1, False), (9.0, True)])
        self.assertIn("NOT reached", table.judged(rest))
        self.assertIn("store 20.0", lives["cpu"])

    def test_the_page_has_its_places(self):
        for where in (table, soak):
            text = where.PAGE.read_text()
            self.assertEqual((text.count(where.BEGIN), text.count(where.END)), (1, 1))
