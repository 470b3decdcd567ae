"""What `./dev bench` and `./dev soak` make of what they measure."""

import contextlib
import io
import pathlib
import random
import tempfile
import types
import unittest

from tests.bench import bench as command
from tests.bench import farm_bench, soak, table
from tests.bench.recorder import Recorder
from tests.bench.render import Render
from tests.bench.transcode import Transcode


def samples(**figures):
    """Half an hour of samples; a figure is a function of the seconds."""
    return [(at, {name.replace("_", " "): value(at) for name, value in figures.items()}) for at in range(3, 1801, 3)]


class Slopes(unittest.TestCase):
    def grown(self, **figures):
        return {row["figure"]: row["grown"] for row in soak.verdicts(samples(**figures), soak.FILL_SECONDS)}

    def test_a_leak_is_seen(self):
        noise = random.Random(1)
        rows = soak.verdicts(samples(anonymous_store=lambda at: 20 + at * 10 / 3600 + noise.uniform(-0.3, 0.3)), soak.FILL_SECONDS)
        self.assertTrue(rows[0]["grown"])
        self.assertAlmostEqual(rows[0]["per_hour"], 10, delta=0.5)

    def test_a_small_leak_is_seen(self):
        noise = random.Random(3)
        grown = self.grown(anonymous_gateway=lambda at: 2 + at * 2 / 3600 + noise.uniform(-0.05, 0.05),
                           anonymous_worker1=lambda at: 2 + at * 1 / 3600 + noise.uniform(-0.05, 0.05))
        self.assertEqual(grown, {"anonymous gateway": True, "anonymous worker1": False})

    def test_measured_once_everything_is_full(self):
        half_an_hour = samples(anonymous_scheduler=lambda at: min(30, 10 + at / 40))
        self.assertEqual(soak.measured_from(half_an_hour, 800), 800)
        self.assertEqual(soak.measured_from(half_an_hour, 540), 600)
        self.assertEqual(soak.measured_from(half_an_hour, None), 900)
        self.assertFalse(soak.verdicts(half_an_hour, 800)[0]["grown"])

    def test_it_says_when_it_was_not_full(self):
        for full, word in ((600, "from minute 10 on."), (None, "not everything"), (1500, "not everything")):
            made = types.SimpleNamespace(samples=samples(anonymous_store=lambda at: 5), counts={}, troubles=[], full=full)
            self.assertIn(word, " ".join(soak.lines_of(made, [])))

    def test_what_fills_up_and_stays_is_steady(self):
        self.assertEqual(self.grown(anonymous_scheduler=lambda at: min(30, 10 + at / 20)), {"anonymous scheduler": False})

    def test_noise_is_steady(self):
        noise = random.Random(2)
        self.assertEqual(self.grown(submit_p99=lambda at: 20 + noise.expovariate(0.1)), {"submit p99": False})

    def test_single_descriptors(self):
        self.assertEqual(self.grown(descriptors_gateway=lambda at: 30 + at // 300, descriptors_store=lambda at: 30 + at % 5),
                         {"descriptors gateway": True, "descriptors store": False})


MACHINE = {"at": "2026-01-01", "cores": 2, "cpu": "x", "kernel": "6", "filesystem": "ext4", "load": [0.1, 2.0], "repetitions": 3,
           "window_seconds": 3, "took_seconds": 77}


class Bench:
    def __init__(self, values, partial=True):
        self.values, self.partial = values, partial

    def get(self, name):
        return self.values.get(name)


class Table(unittest.TestCase):
    def test_targets(self):
        bench = Bench({"lives.60.rate": 5000.0, "redis.60.rate": 2000.0, "rest.64.rate": 1000.0, "constant.64.rate": 10000.0,
                       "rest.64.p99_us": 9000.0, "rest.64.commit.p50_us": 1000.0, "lives.60.cpu_us.store": 20.0})
        found = {row["what"]: row for row in table.rows(bench)}
        lives = found["Gantry, 60+16, one at a time"]
        self.assertEqual([(t["value"], t["reached"]) for t in lives["targets"]], [(2.5, True)])
        self.assertEqual(found["redis, 60+16, one at a time"]["ratio"], 0.4)
        rest = found["64 keep-alive connections"]
        self.assertEqual([(t["value"], t["reached"]) for t in rest["targets"]], [(0.1, False), (9.0, True)])
        self.assertIn("NOT reached", table.judged(rest))
        self.assertIn("store 20.0", lives["cpu"])

    def test_limits_are_of_the_same_minute(self):
        """Of the limits' own group, some minutes before, nothing is held against."""
        values = {"dispatch.rate": 100.0, "dispatch.dispatch_p50_us": 900.0, "dispatch.commit.p50_us": 400.0, "dispatch.trip.p50_us": 100.0,
                  "commit.1.p50_us": 1.0, "trip.p50_us": 1.0}
        row = next(row for row in table.rows(Bench(values)) if row["what"].startswith("submit until"))
        self.assertEqual([(t["value"], t["reached"]) for t in row["targets"]], [(1.5, True)])

    def test_as_many_keys_are_judged(self):
        found = {row["what"]: row for row in table.rows(Bench({"pending.rows": 100000, "pending.recovery_keys_ms": 600.0}))}
        row = found["100,000 runs that wait and as many keys: rebuilt in"]
        self.assertEqual([(t["value"], t["reached"]) for t in row["targets"]], [(6000.0, False)])

    def test_what_was_not_measured_is_missed(self):
        found = table.rows(Bench({"idle.cpu_percent": 0.5}, partial=False))
        missing = [row for row in found if row["value"] is None]
        wanted = {"Gantry, 60+16, one at a time", "Gantry, 4+4, batches of 100", "64 keep-alive connections", "heartbeats handled",
                  "1,000,000 runs that wait: rebuilt in", "1,000,000 final runs: lives, 60+16", "their anonymous memory"}
        self.assertLessEqual(wanted, {row["what"] for row in missing})
        for row in missing:
            self.assertTrue(row["targets"])
            self.assertNotIn("reached", table.judged(row))
            self.assertIn("not measured", table.judged(row))
        self.assertEqual(len(table.misses(found)), sum(len(row["targets"]) for row in missing))
        table.markdown(found, MACHINE, [])

    def test_the_exit_code(self):
        for misses, partial, values, code in (([], False, {}, 0), (["one"], False, {}, 1), (["one"], True, {}, 0), ([], True, {"troubles": 1}, 1)):
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(command.verdict(Bench(values, partial), misses), code)

    def test_what_is_recorded(self):
        def refused(load, **options):
            return command.refusal(types.SimpleNamespace(**dict({"record": True, "partial": False, "anyway": False}, **options)), load)

        self.assertIsNone(refused(0.9))
        self.assertIn("load average 1.1", refused(1.1))
        self.assertIsNone(refused(1.1, anyway=True))
        self.assertIsNone(refused(1.1, record=False))
        self.assertIn("whole run", refused(0.1, partial=True, anyway=True))

    def test_the_machine_says_how_long_it_took(self):
        self.assertIn("it took 77 s", table.machine_words(MACHINE))

    def test_the_page_has_its_places(self):
        text = table.PAGE.read_text()
        for marks in ((table.BEGIN, table.END), (soak.BEGIN, soak.END), *map(farm_bench.marks, FARMS)):
            self.assertEqual([text.count(mark) for mark in marks], [1, 1])


FARMS = (Transcode, Render, Recorder)


class FarmBenches(unittest.TestCase):
    @staticmethod
    def rows_of(farm, partial=True, **values):
        bench = farm(types.SimpleNamespace(seconds=1, repetitions=1, partial=partial), None)
        for name, value in values.items():
            bench.put(name, value)
        return bench.rows_found()

    def judged(self, farm, **values):
        return {row["what"]: [(round(t["value"], 6), t["reached"]) for t in row["targets"] if t["value"] is not None] for row in self.rows_of(farm, **values)}

    def test_transcodes(self):
        found = self.judged(Transcode, **{
            "rescan.files": 50000.0, "rescan.ms": 4000.0, "rescan.find_ms": 400.0, "probing": 100.0, "probing.ffprobe": 50.0, "probing.share": 0.5,
            "overhead.whole": 50.0, "overhead.whole_share": 1.03, "segments.two": 50.0, "segments.ratio": 1.7, "pulls.none.rate": 2400.0, "pulls.none.percent": 60.0,
            "pulls.none.pull_p99_us": 21000.0, "choice.much.rate": 100.0, "choice.much.pull_p50_us": 140.0, "choice.few.pull_p50_us": 100.0,
            "choice.much.cpu_us.scheduler": 50.0, "choice.few.cpu_us.scheduler": 50.0})
        self.assertEqual(found["50,000 files, nothing changed: scanned in"], [(8.0, True)])
        self.assertEqual(found["files of 8 sorts probed by a scan, 8 side by side"], [(0.5, True)])
        self.assertEqual(found["from the wish to the end, all of it"], [(1.03, False)])
        self.assertEqual(found["two workers of one core each, in four segments, in"], [(1.7, True)])
        self.assertEqual(found["nothing waits"], [(60.0, True), (21.0, False)])
        self.assertEqual(found["one of 1,000,000"], [(1.4, False), (1.0, True)])

    def test_renders(self):
        found = self.judged(Render, **{
            "frames.farm_each.seconds": 2.0, "frames.each_over_each.core_seconds": 1.04, "frames.farm_chunked.seconds": 1.0, "frames.chunked_over_whole.core_seconds": 1.02,
            "frames.chunked_over_each.seconds": 0.6, "upload.seconds": 9.0, "upload.unsynced_share": 1.2, "upload.grown_mb": 9.0, "hashes.ms": 49.0, "hashes.count": 10000.0,
            "scene.rate": 510.0, "scene.mb": 17.0, "tasks.count": 1000.0, "tasks.mb": 100.0, "tasks.page.rate": 1000.0, "tasks.page.p99_us": 6000.0})
        self.assertEqual(found["the farm, Blender started for each"], [(1.04, False)])
        self.assertEqual(found["the farm, several frames a Blender"], [(1.02, True), (0.6, True)])
        self.assertEqual(found["one file of 1 GB sent, held against its MD5 and XXH64, and on disk, in"], [(1.2, True), (9.0, False)])
        self.assertEqual(found["10,000 hashes looked up in one request"], [(49.0, True)])
        self.assertEqual(found["a Maya scene of 500 MB read, with its MD5"], [(510.0, True), (17.0, False)])
        self.assertEqual(found["the scheduler's memory"], [(100.0, True)])
        self.assertEqual(found["a page of 20 from the middle of their list"], [(6.0, False)])

    def test_recordings(self):
        found = self.judged(Recorder, **{"streams.streams": 32.0, "streams.record_cores": 0.6, "streams.ffmpeg_cores": 0.6, "streams.ratio": 1.0,
                                         "recordings.videos": 100000.0, "recordings.warm": 0.5})
        self.assertEqual(found["recorded"], [(1.2, False), (1.0, True)])
        self.assertEqual(found["all of them listed, nothing has changed since"], [(0.5, True)])

    def test_what_was_not_measured_is_missed(self):
        for farm, wanted in zip(FARMS, (14, 14, 3)):
            found = self.rows_of(farm, partial=False)
            self.assertEqual(len(table.misses(found)), wanted, farm)
            table.markdown(found, MACHINE, [])

    def test_each_is_recorded_in_its_place(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text(table.PAGE.read_text())
            found = self.rows_of(Transcode, **{"overhead.bare": 40.0})
            farm_bench.record(Transcode, found, MACHINE, page)
            text = page.read_text()
            farm_bench.record(Transcode, found, MACHINE, page)
            self.assertEqual(page.read_text(), text)
        begin, end = farm_bench.marks(Transcode)
        self.assertIn("40.0 s", text.split(begin)[1].split(end)[0])
        for mark in (table.BEGIN, table.END, begin, end):
            self.assertEqual(text.count(mark), 1)
