"""The recorder through kills of every process, and started as its clients know it."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.request

from tests.farm import Farm, free_port, wait_for
from tests.recorder import API, Recorder
from tests.up import GANTRY, environment

STREAMS = [{"rtsp_url": f"rtsp://cam/{number}", "duration_seconds": 10, "weight": 1, "output_filename": "cam.mp4"} for number in range(3)]
SAID = json.dumps({"seconds": 10, "bytes": 5, "frames": 250, "status": 4})


class Kills(unittest.TestCase):
    def test_a_cycle_through_kills(self):
        """Whoever dies: each stream is recorded once, under a name of its own, reported once over, and counted to the second."""
        with tempfile.TemporaryDirectory(prefix="recorder-") as folder:
            out = pathlib.Path(folder, "out")
            out.mkdir()
            config = pathlib.Path(folder, "config.json")
            config.write_text(json.dumps({"global_config": {"poll_cycles": 1, "max_concurrent_streams": 3, "total_poll_duration_seconds": 600,
                                                            "output_directory": str(out)}, "streams": STREAMS}))
            with Farm(workers=0, output=str(out), recorder_config=str(config), bus_deadline_ms=120000, lease_seconds=300, lease_accept_seconds=120) as farm:
                wait_for(lambda: farm.get(f"{API}/config").status == 200, what="the import")
                with Recorder(farm) as worker:
                    self.assertEqual(farm.post(f"{API}/scheduler/start").status, 200)
                    runs = [worker.begin() for _ in STREAMS]
                    names = sorted(pathlib.Path(run["parameters"]["output"]).name for run in runs)
                    self.assertEqual(names, ["cam.mp4", "cam_2.mp4", "cam_3.mp4"])
                    for victim, run in zip(("scheduler", "store", "gateway"), runs):
                        farm.kill(victim)
                        farm.start(victim)
                        farm.wait_ready()
                        left = runs[runs.index(run):]
                        worker.hello(running=[{"run_id": one["run_id"], "attempt": one["attempt"]} for one in left])
                        worker.end(run, result=SAID)
                    ended = wait_for(lambda: (now := farm.get(f"{API}/scheduler/status").body)["completed_tasks"] == 3 and now, what="the end")
                    self.assertEqual((ended["is_running"], ended["total_tasks"]), (False, 3))
                cycle = pathlib.Path(runs[0]["parameters"]["output"]).parent
                wait_for((cycle / "streams.csv").exists, what="the reports")
                days = farm.get(f"{API}/coverage").body["days"]
                self.assertEqual((sum(day["due_seconds"] for day in days), sum(day["recorded_seconds"] for day in days), sum(day["completed"] for day in days)), (30, 30, 3))
                self.assertEqual(len(farm.get("/api/runs").body["data"]["items"]), 3)


class Command(unittest.TestCase):
    def test_gantry_recorder(self):
        folder = tempfile.mkdtemp(prefix="recorder-")
        self.addCleanup(shutil.rmtree, folder, True)
        port, data = free_port(), tempfile.mkdtemp(prefix="gantry-test-")
        self.addCleanup(shutil.rmtree, data, True)
        wrong = subprocess.run([GANTRY, "recorder", "x", "port"], capture_output=True, text=True, env=environment(), cwd=folder)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("PORT", wrong.stderr)
        with open(os.path.join(folder, "log"), "wb") as log:
            process = subprocess.Popen([GANTRY, "recorder", "./videos", str(port), "--data", data, "--render-port", "0", "--workers", "0"], cwd=folder,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment(), start_new_session=True)
        try:
            self.assertTrue(process.stdout.readline().startswith(b"ready "))

            def answered():
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/config/global", timeout=120) as answer:
                        return json.load(answer)
                except OSError:
                    return None  # not imported yet

            self.assertEqual(wait_for(answered, what="the configuration")["output_directory"], "./videos")
            self.assertTrue(os.path.exists(os.path.join(folder, "config.json")))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            process.stdout.close()
