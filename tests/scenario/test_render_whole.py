"""A scene from its upload to its pictures, by real Blender on a real worker that dies once: what a client of the farm sees of it."""

import os
import pathlib
import shutil

from tests.farm import Farm, descendants, wait_for
from tests.patience import PATIENT
from tests.render_client import ask, upload
from tests.scenario import test_render as frames

BASE = "/render/api"
PATH = "projects/user123/立方体.blend"
HARDWARE = "one:一:1:1:0::3600"  # 1 a second
BODY = {"unionid": "user123", "render_engine": "blender", "total_frames": 2, "test_frames": "2", "stop_after_test": True}
KEYS = ("status", "completed_frames", "failed_frames", "rendering_frames", "test_frame_status")


def command_line(pid):
    try:
        return pathlib.Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Whole(frames.Scenes):
    more = {}  # settings

    def setUp(self):
        super().setUp()
        self.began, self.past = self.folder / "began", self.folder / "past"
        self.began.touch()
        engine = self.folder / "blender"  # Blender, that says how far it is and goes on once it may
        real = shutil.which("blender")
        engine.write_text(f'#!/bin/bash\n[[ $* == *--python-expr* ]] && exec {real} "$@"\nprintf "Fra:${{@: -1}} Mem:1M | Sample 2/4\\n"\n'
                          f'echo "files: $(find ../scene -type f | wc -l)"\necho "${{@: -1}}" >> {self.began}\n'
                          f'until [[ -e {self.past} ]]; do sleep 0.05; done\nexec {real} "$@"\n')
        os.chmod(engine, 0o755)
        own = {"worker_slots": 2, "worker_render_threads": "1", "render_output": str(self.frames), "render_blender": str(engine),
               "render_hardware": HARDWARE, "render_chunk": 1, **self.more}
        self.studio = Farm(start=False, **{**PATIENT, **own})
        self.studio.settings["port"] = str(self.studio.port)  # where a worker of this machine asks for a task's files
        self.studio.autostart = True
        self.studio.__enter__()
        self.addCleanup(self.close)

    def close(self):
        self.past.touch()
        self.studio.__exit__(None, None, None)

    def get(self, path):
        return self.studio.get(BASE + path).body["data"]

    def create(self, content):
        """The task of a scene that was just uploaded."""
        sent = upload(self.studio.port, content, filename="cube.blend", path=PATH)
        self.assertEqual((sent.status, sent.body["data"]["path"]), (201, PATH), sent)
        return self.task_of(PATH)

    def task_of(self, path, **more):
        made = self.studio.post(f"{BASE}/tasks", dict(BODY, oss_file_path=path, **more))
        self.assertEqual(made.status, 201, made)
        return made.body["data"]

    def half_way(self, number, times):
        """Its test frame, and nothing else of it, is half way for that many times."""
        wait_for(lambda: self.began.read_text().split() == ["2"] * times, what="Blender at work")
        wait_for(lambda: self.get(f"/tasks/{number}")["progress"] > 20, what="its progress being told")
        shown = self.get(f"/tasks/{number}")
        self.assertEqual([shown[key] for key in KEYS], ["testing", 0, 0, 1, "rendering"])
        self.assertLess(shown["progress"], 26)  # half of one of two
        self.assertEqual(self.get(f"/tasks/{number}/frames/1")["status"], "pending")
        frame = self.get(f"/tasks/{number}/frames/2")
        self.assertEqual((frame["status"], frame["retry_count"], frame["output_path"]), ("rendering", times - 1, None))
        self.assertEqual(self.studio.get(f"{BASE}/files/download/{frame['id']}").status, 409)

    def ended(self, number):
        wait_for(lambda: self.get(f"/tasks/{number}")["status"] not in ("queued", "testing", "rendering"), timeout=frames.LONG, what="its end")
        shown = self.get(f"/tasks/{number}")
        self.assertEqual((shown["status"], shown["progress"]), ("completed", 100), shown)
        return shown

    def picture(self, number, frame):
        """That a frame is what it says of itself, wherever it is asked for."""
        row = self.get(f"/tasks/{number}/frames/{frame}")
        path = self.frames / f"user123/{number}/renders/frame.{frame:04d}.png"
        content = path.read_bytes()
        self.assertEqual((row["status"], row["output_path"]), ("completed", str(path.relative_to(self.frames))))
        self.assertEqual((row["output_hash"], row["output_size"]), (frames.md5(path), len(content)))
        self.assertEqual((row["is_test_frame"], row["is_black"], row["error_message"]), (frame == 2, False, None))
        self.assertTrue(row["node_id"])
        self.assertEqual(len(frames.pixels(path)), 64 * 48 * 3)
        sent = ask(self.studio.port, "GET", f"{BASE}/files/download/{row['id']}")
        self.assertEqual((sent.status, sent.raw, sent.headers["content-type"]), (200, content, "image/png"))
        self.assertEqual(sent.headers["etag"], f'"{row["output_hash"]}"')
        return row

    def test_a_scene_from_its_upload_to_its_pictures(self):
        content = (self.scenes / "cube.blend").read_bytes()
        task = self.create(content)
        number = task["id"]
        self.assertEqual((task["scene_file_hash"], task["scene_file_size"]), (frames.md5(self.scenes / "cube.blend"), len(content)))
        self.half_way(number, 1)
        self.studio.kill("worker1")
        self.studio.start("worker1")
        self.half_way(number, 2)
        self.past.touch()
        shown = self.ended(number)
        self.assertEqual([shown[key] for key in KEYS], ["completed", 2, 0, 0, "completed"], shown)
        rows = [self.picture(number, frame) for frame in (1, 2)]
        self.assertEqual([row["retry_count"] for row in rows], [0, 1])
        self.assertNotEqual(rows[0]["output_hash"], rows[1]["output_hash"])
        seconds = sum(row["render_time"] for row in rows)
        self.assertGreater(min(row["render_time"] for row in rows), 0)
        self.assertAlmostEqual(shown["actual_cost"], seconds, delta=0.01)
        self.assertAlmostEqual(shown["estimated_cost"], seconds, delta=0.01)
        for row in rows:
            self.assertEqual([line for line in self.log(self.studio, row["run_id"]) if "files the scene needs" in line or "missing" in line], [])
        finished = [run["task_name"] for run in self.studio.get("/api/runs?status=completed&size=100").body["data"]["items"]]
        self.assertEqual(sorted(finished), [f"frame {frame} of {number}" for frame in (1, 2)])
        self.nothing_half()
        self.again(number, rows[0], shown["actual_cost"])

    def again(self, number, before, cost):
        """A frame that is completed is rendered once more, in the place of the one before."""
        self.assertEqual(self.studio.post(f"{BASE}/tasks/{number}/frames/1/retry").status, 200)
        self.ended(number)
        row = self.picture(number, 1)
        self.assertEqual((row["id"], row["retry_count"]), (before["id"], 1))
        self.assertNotEqual(row["run_id"], before["run_id"])
        self.assertAlmostEqual(self.get(f"/tasks/{number}")["actual_cost"], cost + row["render_time"], delta=0.01)
        self.nothing_half()

    def test_from_afar(self):
        """On a machine that sees the folder of results, and not that of uploads: the scene comes by HTTP, once for all frames."""
        self.past.touch()
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        self.studio.kill("worker1")
        self.studio.start("worker1", ("--set", f"worker.gateway=http://localhost:{self.studio.port}", "--set", f"blob.dir={elsewhere}"))
        content = (self.scenes / "cube.blend").read_bytes()
        named = self.create(content)
        hash = named["scene_file_hash"]
        for number in (named["id"], self.task_of(f"assets/{hash}")["id"]):
            self.ended(number)
            for frame in (1, 2):
                log = self.log(self.studio, self.picture(number, frame)["run_id"])
                self.assertFalse([line for line in log if "WARNING: missing" in line])
                self.assertIn("files: 1", log)  # the scene, once
        kept = self.studio.data / "workers/worker1/files"
        self.assertEqual([path.name for path in kept.iterdir()], [hash])
        self.assertEqual((kept / hash).read_bytes(), content)
        self.nothing_half()

    def engines(self):
        """Those that wait for their turn."""
        return [pid for pid in descendants(self.studio.pid("worker1")) if str(self.folder / "blender") in command_line(pid)]

    def test_cancelled_and_too_slow(self):
        """What runs of a task that ends is killed, and the worker takes the next one."""
        number = self.create((self.scenes / "cube.blend").read_bytes())["id"]
        self.half_way(number, 1)
        self.assertTrue(self.engines())
        self.assertEqual(self.studio.post(f"{BASE}/tasks/{number}/cancel").status, 200)
        wait_for(lambda: not self.engines(), what="the end of Blender")
        wait_for(lambda: self.get(f"/tasks/{number}")["cancelled_frames"] == 2, what="its frames being cancelled")
        self.assertEqual(self.get(f"/tasks/{number}")["status"], "cancelled")
        number = self.task_of(PATH, frame_timeout=1)["id"]
        wait_for(lambda: self.get(f"/tasks/{number}")["status"] == "failed", what="its frame being too slow")
        shown = self.get(f"/tasks/{number}")
        self.assertEqual((shown["failed_frames"], shown["cancelled_frames"], shown["test_frame_status"]), (1, 1, "failed"), shown)
        self.assertTrue(self.get(f"/tasks/{number}/frames/2")["error_message"])
        wait_for(lambda: not self.engines(), what="the end of Blender")
        self.past.touch()
        self.ended(self.task_of(PATH)["id"])
        self.nothing_half()


if __name__ == "__main__":
    frames.unittest.main()
