"""What `./dev bench` measures with still measures: each measure for a moment, on whatever build this is."""

import json
import pathlib
import shutil
import tempfile
import unittest

from tests.bench import farms
from tests.patience import PATIENT

MOMENTS = (0.2, 5, 60)  # seconds; one in which the machine stood still says nothing
NOTHING = ("nothing was done in it", "not one was measured")


class Generator:
    """gantry-bench, for the first of these moments in which something was done."""

    def __init__(self, build):
        self.of = [farms.Generator(build, moment) for moment in MOMENTS]
        self.program = self.of[0].program

    def __call__(self, measure, *on, **options):
        for generate in self.of:
            try:
                return generate(measure, *on, **options)
            except farms.Trouble as trouble:
                if generate is self.of[-1] or not str(trouble).endswith(NOTHING):
                    raise
        return None


class Bench(unittest.TestCase):
    def setUp(self):
        self.generate = Generator(farms.harness.BUILD)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def test_lives_and_dispatch(self):
        with farms.BenchFarm(**PATIENT) as farm:
            for shape in ({"clients": 2, "workers": 2}, {"clients": 1, "workers": 1, "batch": 50},
                          {"clients": 2, "workers": 1, "slots": 4, "credit": 16}):
                got = self.generate("lives", farm, farm.data, **shape)
                self.assertGreater(got["rate"], 0)
                self.assertGreater(got["life_p99_us"], got["life_p50_us"] / 2)
                self.assertLessEqual({"store", "scheduler", "gateway", "generator"}, set(got["cpu_us"]))
            self.assertGreater(self.generate("dispatch", farm, farm.data)["dispatch_p50_us"], 0)
            listed = farm.data_of(farm.get("/api/runs?status=completed&size=1"))
            self.assertEqual(len(listed if isinstance(listed, list) else listed["items"]), 1)

    def test_reports(self):
        with farms.BenchFarm(**PATIENT) as farm:
            self.assertGreater(self.generate("heartbeats", farm, farm.data)["rate"], 0)
            got = self.generate("progress", farm, farm.data, at=farm.at())
            self.assertGreater(got["rate"], 0)
            self.assertGreater(got["age_max_us"], 0)

    def test_requests(self):
        with farms.BenchFarm(**PATIENT) as farm, farms.Constant(self.generate.program) as constant:
            path = f"/api/tasks/{farm.task('bench', task_type='nobody')}/trigger"
            for where, at in ((path, farm), ("/x", constant)):
                got = self.generate("requests", at, at=at.at(), path=where, body="{}", status=201, clients=3)
                self.assertGreater(got["rate"], 0)

    def test_workers_of_the_transcode_api(self):
        """Those that find nothing and those that get a video each time, which a scan has put in."""
        with farms.BenchFarm(library="/library", library_scan_minutes=0, transcode_attempts=100, **PATIENT) as farm:
            paced = {"clients": 5, "pace": 50, "seconds": 3}  # in a moment a busy disk may not commit once
            got = self.generate("pulls", farm, at=farm.at(), status=404, **paced)
            self.assertGreater(got["pulls"], 0)
            self.assertEqual(got["given"], 0)
            farm.data_of(farm.post("/api/v1/videos/scan", {}))
            got = self.generate("videos", farm, farm.data, rows=700)
            self.assertEqual(got["count"], 700)
            self.assertEqual(farm.data_of(farm.get("/api/v1/videos?transcode_status[]=1&per_page=1"))["pagination"]["total"], 700)
            for options in (paced, {"clients": 1, "seconds": 3}):
                got = self.generate("pulls", farm, at=farm.at(), status=201, **options)
                self.assertGreater(got["given"], 0)
                self.assertLessEqual({"store", "scheduler", "gateway", "generator"}, set(got["cpu_us"]))
            self.assertEqual(self.generate("pulls", farm, at=farm.at(), status=404, **paced)["given"], 0)
        with farms.Constant(self.generate.program) as constant:
            self.assertGreater(self.generate("pulls", constant, at=constant.at(), path="/x", status=201, **paced)["rate"], 0)

    def test_limits(self):
        for measure, options in (("sync", {}), ("commit", {"batch": 3})):
            self.assertGreater(self.generate(measure, data=self.folder, **options)["rate"], 0)
        for measure in ("trip", "router"):
            self.assertGreater(self.generate(measure)["rate"], 0)

    def test_filled_databases(self):
        self.generate("fill", data=self.folder, rows=12000, pending=True, keys=100)
        with farms.BenchFarm(self.folder, **PATIENT) as farm:
            health = farm.data_of(farm.get("/api/system/health"))
            self.assertEqual(health["components"]["scheduler"]["pending_tasks"], 12000)

    def test_peers(self):
        for program, measure, peer in (("redis-server", "redis", farms.Redis), ("beanstalkd", "beanstalk", farms.Beanstalkd)):
            with self.subTest(program):
                if not shutil.which(program):
                    self.skipTest(f"{program} is not installed")
                with peer(self.folder) as one:
                    for batch in (1, 20):
                        got = self.generate(measure, one, at=one.at(), clients=2, workers=2, batch=batch)
                        self.assertGreater(got["rate"], 0)
                        self.assertLess(got["busy"], 1.1)
