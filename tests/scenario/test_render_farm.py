"""Frames and those who render them, with real processes that die: each frame is finished once, and none is missing."""

import subprocess
import sys
import unittest

from tests.farm import ROOT, Farm, wait_for

BASE = "/render/api"
WORKER = ROOT / "tests" / "worker" / "frame_worker.py"
FRAMES = 8


class Frames(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(workers=0, lease_seconds=3, lease_heartbeat_ms=200, scene_root="/")
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        self.hold = self.farm.data / "hold"  # while it stands no frame is finished
        self.hold.touch()
        (self.farm.data / "scene.blend").touch()
        self.began = self.farm.data / "began"  # a line for each frame that is begun
        self.began.touch()

    def worker(self, name):
        engine = f'echo $GANTRY_PARAM_FRAME {name} >>{self.began}; while [ -e {self.hold} ]; do sleep 0.05; done; echo done'
        process = subprocess.Popen([sys.executable, str(WORKER), self.farm.endpoint("workers"), str(self.farm.data / name), engine],
                                   cwd=self.farm.data)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        return process

    def begun(self):
        return [line.split() for line in self.began.read_text().splitlines()]

    def create(self, **more):
        path = str(self.farm.data / "scene.blend").lstrip("/")
        body = dict({"unionid": "user123", "oss_file_path": path, "render_engine": "blender", "total_frames": FRAMES}, **more)
        answer = self.farm.post(f"{BASE}/tasks", body)
        self.assertEqual(answer.status, 201, answer)
        return answer.body["data"]["id"]

    def task(self, number):
        return self.farm.get(f"{BASE}/tasks/{number}").body["data"]

    def completed(self, number):
        wait_for(lambda: self.task(number)["status"] not in ("queued", "rendering"), what="the end of the task")
        shown = self.task(number)
        self.assertEqual((shown["status"], shown["completed_frames"], shown["failed_frames"]), ("completed", FRAMES, 0), shown)
        frames = self.farm.get(f"{BASE}/tasks/{number}/frames?page_size=100").body["data"]["items"]
        self.assertEqual([frame["frame_number"] for frame in frames], list(range(1, FRAMES + 1)))
        self.assertEqual({frame["status"] for frame in frames}, {"completed"})
        return shown, frames

    def finished(self):
        """The frames of the runs that completed, as the farm's core has them."""
        runs = self.farm.get("/api/runs?status=completed&size=100").body["data"]["items"]
        return sorted(run["task_name"] for run in runs)

    def test_a_worker_dies_in_mid_frame(self):
        one, _ = self.worker("one"), self.worker("two")
        number = self.create()
        wait_for(lambda: {line[1] for line in self.begun()} == {"one", "two"}, what="both to have a frame")
        lost = next(line[0] for line in self.begun() if line[1] == "one")
        one.kill()
        self.hold.unlink()
        shown, frames = self.completed(number)
        self.assertEqual(frames[int(lost) - 1]["retry_count"], 1)
        self.assertEqual(self.finished(), sorted(f"frame {n} of {number}" for n in range(1, FRAMES + 1)))
        self.assertAlmostEqual(shown["actual_cost"], 0.5 * FRAMES / 3600, places=4)  # what was lost costs nothing

    def test_scheduler_and_store_die_in_mid_frame(self):
        self.worker("one"), self.worker("two")
        number = self.create()
        wait_for(lambda: {line[1] for line in self.begun()} == {"one", "two"}, what="both to have a frame")
        for name in ("scheduler", "store", "scheduler"):
            self.farm.kill(name)
            self.farm.start(name)
            self.farm.wait_ready(2)
        self.assertEqual(self.task(number)["rendering_frames"], 2)
        self.hold.unlink()
        self.completed(number)
        self.assertEqual(self.finished(), sorted(f"frame {n} of {number}" for n in range(1, FRAMES + 1)))
        self.assertEqual(len(self.begun()), FRAMES)  # those that ran have gone on


if __name__ == "__main__":
    unittest.main()
