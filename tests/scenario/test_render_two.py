"""Tasks of the render farm and their workers, with pictures that tell who made them: one killed in mid-frame, one frozen and resumed, one with too little
memory. Each frame's picture is there once, and is what the API says."""

import io
import pathlib
import tempfile
import unittest
import zipfile

from tests import stand_in
from tests.farm import Farm, alive, wait_for
from tests.patience import PATIENT
from tests.render_client import ask, md5, upload

BASE = "/render/api"
FRAMES = 8
STUDIO = {"worker_slots": 1, "worker_render_engines": f"blender {stand_in.VERSION}", "render_hardware": "one:一:1:1:0::3600"}  # 1 a second


class Studio(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-two-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()
        self.frames = self.folder / "frames"
        self.frames.mkdir()

    def begin(self, **settings):
        """A farm of two workers, none of which is started."""
        self.farm = Farm(workers=2, start=False, **{**PATIENT, **STUDIO, "render_output": str(self.frames), **settings})
        self.farm.settings["port"] = str(self.farm.port)  # where a task's files are asked for
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        for name in ("store", "scheduler", "gateway"):
            self.farm.start(name)
        self.farm.wait_ready(0)

    def get(self, path):
        return self.farm.data_of(self.farm.get(BASE + path))

    def hold(self, frame):
        path = self.folder / f"hold{frame}"
        path.touch()
        self.addCleanup(path.unlink, missing_ok=True)
        return path

    def at(self, frame, times=1):
        """The last that has begun it, once that was done so often."""
        def found():
            rows = [row for row in stand_in.begun(self.folder) if row.frame == frame]
            return rows[-1] if len(rows) >= times else None
        return wait_for(found, what=f"frame {frame} being begun {times} times")

    def create(self, **more):
        sent = upload(self.farm.port, b"what this engine takes for a scene", filename="x.blend", path="show/x.blend")
        self.assertIn(sent.status, (200, 201), sent)
        body = {"unionid": "user123", "oss_file_path": "show/x.blend", "render_engine": "blender"}
        return self.farm.data_of(self.farm.post(f"{BASE}/tasks", dict(body, **more)))["id"]

    def ended(self, number):
        wait_for(lambda: self.get(f"/tasks/{number}")["status"] not in ("queued", "testing", "rendering"), timeout=180, what="its end")
        return self.get(f"/tasks/{number}")

    def rows(self, number):
        """Of a task that is completed: each frame with its own picture, once, wherever one asks."""
        rows = self.get(f"/tasks/{number}/frames?page_size=100")["items"]
        folder = self.frames / f"user123/{number}/renders"
        self.assertEqual([row["frame_number"] for row in rows], list(range(1, len(rows) + 1)))
        self.assertEqual({path.name for path in folder.glob("[!.]*") if path.is_file()}, {f"frame.{row['frame_number']:04d}.png" for row in rows})
        packed = zipfile.ZipFile(io.BytesIO(ask(self.farm.port, "GET", f"{BASE}/tasks/{number}/results.zip").raw))
        self.assertEqual(len(packed.namelist()), len(rows))
        for row in rows:
            name = f"frame.{row['frame_number']:04d}.png"
            content = (folder / name).read_bytes()
            self.assertEqual((row["status"], row["output_hash"], row["output_size"]), ("completed", md5(content), len(content)), row)
            self.assertEqual(stand_in.shown(content)[0], row["frame_number"])
            self.assertEqual(packed.read(f"renders/{name}"), content)
            self.assertEqual(ask(self.farm.port, "GET", f"{BASE}/files/download/{row['id']}").raw, content)
        return rows

    def finished(self):
        """The frames whose runs the farm's core has as completed."""
        runs = self.farm.data_of(self.farm.get("/api/runs?status=completed&size=100"))["items"]
        return sorted(run["task_name"] for run in runs if run["task_name"].startswith("frame "))


class Two(Studio):
    def test_one_killed_and_one_frozen(self):
        engine = stand_in.make(self.folder, "engine")
        self.begin(render_blender=str(engine), lease_seconds=5, lease_heartbeat_ms=300, lease_losses=100, render_attempts=30)
        holds = {frame: self.hold(frame) for frame in (1, 2)}
        for name in self.farm.workers:
            self.farm.start(name)
        self.farm.wait_ready()
        number = self.create(total_frames=FRAMES)
        first = {frame: self.at(frame) for frame in (1, 2)}
        killed, frozen = (next(name for name in self.farm.workers if f"/workers/{name}/" in first[frame].where) for frame in (1, 2))
        self.assertNotEqual(killed, frozen)
        self.farm.kill(killed)
        wait_for(lambda: not alive(first[1].pid), what="the end of what the killed worker had begun")
        self.farm.start(killed)
        self.at(1, 2)
        self.farm.stop(frozen)
        holds[1].unlink()
        second = self.at(2, 2)  # behind its lease; the others by then, or later
        self.assertIn(f"/workers/{killed}/", second.where)
        holds[2].unlink()  # for both who are at it
        shown = self.ended(number)
        self.assertEqual((shown["status"], shown["completed_frames"], shown["failed_frames"]), ("completed", FRAMES, 0), shown)
        wait_for(lambda: list(self.frames.rglob(".gantry-*")), what="the picture of the frozen one, which has nobody to tell")
        rows = self.rows(number)
        self.farm.cont(frozen)
        left = self.farm.data / f"workers/{frozen}/runs"
        wait_for(lambda: not list(left.iterdir()) and not list(self.frames.rglob(".gantry-*")), what="the end of what is not wanted any more")
        self.farm.wait_ready()
        self.assertEqual(self.rows(number), rows)  # what it had made has changed nothing
        self.assertEqual(self.finished(), sorted(f"frame {frame} of {number}" for frame in range(1, FRAMES + 1)))
        self.assertGreaterEqual(min(row["retry_count"] for row in rows[:2]), 1)
        self.assertGreater(min(row["render_time"] for row in rows), 0)
        shown = self.get(f"/tasks/{number}")
        self.assertAlmostEqual(shown["actual_cost"], sum(row["render_time"] for row in rows), delta=0.01)
        self.assertEqual(shown["completed_frames"], FRAMES)


class Cleanup(Studio):
    def test_nothing_of_a_task_is_left_with_its_worker(self):
        """The engine that was kept for its next frame goes by itself; what was rendered stays."""
        self.begin(render_blender=str(stand_in.make(self.folder, "engine")), render_keep_seconds=1)
        self.farm.start("worker1")
        self.farm.wait_ready(1)
        number = self.create(total_frames=2)
        self.assertEqual(self.ended(number)["status"], "completed")
        self.assertEqual(self.farm.data_of(self.farm.post(f"{BASE}/tasks/{number}/cleanup"))["status"], "completed")
        data = self.farm.data / "workers/worker1"
        wait_for(lambda: not list((data / "runs").iterdir()) and not list((data / "keep").glob("*/engine*")), what="its folders being removed")
        self.assertFalse([row.pid for row in stand_in.begun(self.folder) if alive(row.pid)])
        self.rows(number)


class Memory(Studio):
    """A frame that ran out of memory goes to a worker that has more, however that was told, and whether its engine is kept or not."""

    def starved(self, chunk, dies):
        small, large = stand_in.make(self.folder, "small", dies), stand_in.make(self.folder, "large")
        self.begin(render_chunk=chunk, render_attempts=2)
        hold = self.hold(1)
        self.farm.start("worker1", ("--set", f"render.blender={small}", "--set", "worker.render_ram_gb=8"))
        self.farm.wait_ready(1)
        number = self.create(total_frames=2)
        self.assertIn("/workers/worker1/", self.at(1).where)
        self.farm.start("worker2", ("--set", f"render.blender={large}", "--set", "worker.render_ram_gb=64"))
        self.farm.wait_ready(2)
        hold.unlink()
        shown = self.ended(number)
        self.assertEqual((shown["status"], shown["failed_frames"]), ("completed", 0), shown)
        rows = self.rows(number)
        self.assertEqual({row["node_id"] for row in rows}, {"worker-002"})
        self.assertEqual(rows[0]["retry_count"], 1)
        self.assertIn("/workers/worker2/", self.at(1, 2).where)
        runs = self.farm.data_of(self.farm.get("/api/runs?status=failed&size=100"))["items"]
        self.assertIn(f"frame 1 of {number}", [run["task_name"] for run in runs])
        for run in runs:
            self.assertRegex(self.farm.run(run["id"])["error_message"], "^memory: ")

    def test_killed_by_the_kernel(self):
        self.starved(1, "kill")

    def test_killed_while_it_is_kept(self):
        self.starved(100, "kill")

    def test_its_own_words_while_it_is_kept(self):
        self.starved(100, "words")

    def test_nobody_has_more(self):
        """Then it has failed once it was tried as often as others."""
        self.begin(render_attempts=2)
        self.farm.start("worker1", ("--set", f"render.blender={stand_in.make(self.folder, 'small', 'kill')}", "--set", "worker.render_ram_gb=8"))
        self.farm.wait_ready(1)
        number = self.create()
        self.assertEqual(self.ended(number)["status"], "failed")
        frame = self.get(f"/tasks/{number}/frames/1")
        self.assertEqual((frame["status"], frame["retry_count"]), ("failed", 1), frame)
        self.assertTrue(frame["error_message"].startswith("memory: "), frame)


if __name__ == "__main__":
    unittest.main()
