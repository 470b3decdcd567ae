"""Several frames of a renderer's process: real Blender, and one in its place that stops where it is told to. Each frame stays a run of its own."""

import collections
import os
import pathlib
import pwd
import signal
import unittest

from tests.farm import Farm, alive, descendants, wait_for
from tests.patience import PATIENT
from tests.render_client import upload
from tests.scenario import test_render as frames

# What prepare.py makes of Blender, without Blender: a line for each frame that is begun, which is held while its file stands.
ENGINE = """#!/usr/bin/python3
import json, os, pathlib, shutil, sys, time
folder = pathlib.Path({folder!r})
if "--python-expr" in sys.argv:
    sys.exit(print("Blender 3.4.1"))
def make(frame, output):
    with open(folder / "began", "a") as began:
        began.write(f"{{os.getpid()}} {{frame}}\\n")
    print("GANTRY READY 3.4.1", flush=True)
    while (folder / f"hold{{frame}}").exists():
        time.sleep(0.02)
    shutil.copy(folder / "made.png", output.replace("####", f"{{frame:04d}}") + ".png")
if "-f" in sys.argv:
    sys.exit(make(int(sys.argv[-1]), sys.argv[sys.argv.index("-o") + 1]))
for line in open(0):
    wish = json.loads(line)
    make(wish["frame"], wish["output"])
    print("GANTRY DONE", wish["token"], flush=True)
"""
Begun = collections.namedtuple("Begun", "pid frame")


class Kept(frames.Scenes):
    def begin_more(self, farm, command, frame, **fields):
        body = {"task_type": "render", "executor": "render", "command": command, "output": f"u1/{command}/frame.{frame:04d}.png", "retry_count": 1,
                "parameters": {"engine": "blender", "frame": frame, "frames_to": frame, **fields.pop("parameters", {})}}
        return farm.data_of(farm.post("/api/runs", dict(body, **fields)))["run_id"]

    def make(self, farm, command, *numbers, **fields):
        """One behind the other; the logs."""
        logs = []
        for frame in numbers:
            run = self.begin_more(farm, command, frame, **fields)
            farm.wait_run(run, "completed", timeout=frames.LONG)
            logs.append(self.log(farm, run))
        return logs

    def number_in(self, log):
        """Which frame of its process it is."""
        return next(int(line.split()[1]) for line in log if line.endswith("of this process of blender"))

    def kept(self, farm):
        folder = farm.data / "workers/worker1/keep"
        return list(folder.glob("*/engine*"))


class Pictures(Kept):
    def test_they_are_the_same(self):
        """As those of a process for each, of frames in an odd order, too."""
        names = [f"u1/moving.blend/frame.{frame:04d}.png" for frame in range(1, 7)]
        with self.farm(worker_slots=1, render_chunk=1) as farm:
            self.assertEqual([line for log in self.make(farm, "moving.blend", 1, 2, 3, 4, 5, 6) for line in log if "of this process" in line], [])
            alone = [frames.pixels(self.frames / name) for name in names]
            self.assertEqual(len(set(alone)), 6)
            self.assertFalse((farm.data / "workers/worker1/keep").exists())
        for order in ((1, 2, 3, 4, 5, 6), (4, 1, 6, 5, 2, 3)):
            with self.farm(worker_slots=1) as farm:
                logs = self.make(farm, "moving.blend", *order)
                self.assertEqual([self.number_in(log) for log in logs], [1, 2, 3, 4, 5, 6])
                for name, picture in zip(names, alone):
                    self.assertTrue(frames.pixels(self.frames / name) == picture, name)
                self.nothing_half()

    def test_what_each_log_has(self):
        with self.farm(worker_slots=1) as farm:
            for number, log in enumerate(self.make(farm, "wood.blend", 1, 2), 1):
                self.assertEqual(self.number_in(log), number)
                self.assertIn("WARNING: missing file D:/gone/away.png", log)
                self.green(f"u1/wood.blend/frame.{number:04d}.png")

    def test_a_file_that_changes(self):
        """A frame behind it shows what it is now."""
        with self.farm(worker_slots=1) as farm:
            wood = self.scenes / "C/textures/wood.png"
            green = wood.read_bytes()
            self.addCleanup(wood.write_bytes, green)
            self.make(farm, "wood.blend", 1)
            black = self.make_black()
            wood.write_bytes(black)
            log, = self.make(farm, "wood.blend", 2)
            middle = frames.pixels(self.frames / "u1/wood.blend/frame.0002.png")[(24 * 64 + 32) * 3:][:3]
            self.assertLess(max(middle), 60)
            self.assertEqual([line for line in log if line.endswith("of this process of blender")][-1], "frame 1 of this process of blender")

    def make_black(self):
        path = self.folder / "black.png"
        frames.subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=black:size=5x5", "-frames:v", "1", str(path)], check=True,
                              timeout=60 * frames.SLOW)
        return path.read_bytes()

    def test_what_is_simulated(self):
        """Its frames depend on those made before: none is."""
        with self.farm(worker_slots=1) as farm:
            for log in self.make(farm, "cloth.blend", 1, 2):
                self.assertEqual(self.number_in(log), 1)
                self.assertIn("this frame's blender is not kept for others: cloth of Cube", log)

    def test_what_fails(self):
        """Its engine goes with it."""
        with self.farm(worker_slots=1) as farm:
            self.fails(farm, "blind.blend", "scene: Error: Cannot render, no camera")
            self.fails(farm, "broken.blend", "scene: ")
            self.assertEqual(self.number_in(self.make(farm, "cube.blend", 1)[0]), 1)


class Processes(Kept):
    def setUp(self):
        super().setUp()
        engine = self.folder / "engine"
        engine.write_text(ENGINE.format(folder=str(self.folder)))
        os.chmod(engine, 0o755)
        frames.subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48", "-frames:v", "1", str(self.folder / "made.png")],
                              check=True, timeout=60 * frames.SLOW)
        self.own = {"worker_slots": 1, "render_blender": str(engine), "worker_render_engines": "blender 3.4.1", "worker_grace_seconds": 1}

    def hold(self, frame):
        path = self.folder / f"hold{frame}"
        path.touch()
        self.addCleanup(path.unlink, missing_ok=True)
        return path

    def begun(self):
        path = self.folder / "began"
        return [Begun(*map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []

    def at(self, frame, times=1):
        """The process that has begun it, for that many times by now."""
        def found():
            all_of = [row.pid for row in self.begun() if row.frame == frame]
            return all_of[-1] if len(all_of) == times else None
        return wait_for(found, what=f"frame {frame} being begun")

    def pids(self):
        return list(dict.fromkeys(row.pid for row in self.begun()))

    def test_how_many(self):
        for chunk, processes in ((100, 1), (2, 3), (1, 6)):
            (self.folder / "began").unlink(missing_ok=True)
            with self.farm(**self.own, render_chunk=chunk) as farm:
                self.make(farm, "cube.blend", 1, 2, 3, 4, 5, 6)
                self.assertEqual([row.frame for row in self.begun()], [1, 2, 3, 4, 5, 6])
                self.assertEqual(len(self.pids()), processes)
                if chunk > 1:  # what has made its last frame is gone
                    wait_for(lambda: sum(map(alive, self.pids())) == (chunk > 6), what="the end of the others")
            self.assertEqual([pid for pid in self.pids() if alive(pid)], [])

    def test_a_task(self):
        """Frames of the render farm, which differ in more than their numbers; one that is wished for again has a process of its own."""
        farm = Farm(start=False, **{**PATIENT, **self.own, "render_output": str(self.frames)})
        farm.settings["port"] = str(farm.port)  # where its files are asked for
        farm.autostart = True
        with farm:
            sent = upload(farm.port, b"what this engine takes for a scene", filename="x.blend", path="x.blend")
            self.assertEqual(sent.status, 201, sent)
            made = farm.post("/render/api/tasks", {"unionid": "me", "oss_file_path": "x.blend", "render_engine": "blender", "total_frames": 5, "test_frames": "3"})
            task = f"/render/api/tasks/{farm.data_of(made)['id']}"
            wait_for(lambda: farm.data_of(farm.get(task))["status"] == "completed", what="its end")
            self.assertEqual(sorted(row.frame for row in self.begun()), [1, 2, 3, 4, 5])
            self.assertEqual(len(self.pids()), 1)
            size = farm.data_of(farm.get(f"{task}/frames/4"))["output_size"]
            self.assertEqual(size, (self.folder / "made.png").stat().st_size)
            self.assertEqual(farm.post(f"{task}/frames/4/retry").status, 200)
            wait_for(lambda: len(self.begun()) == 6 and farm.data_of(farm.get(task))["status"] == "completed", what="its being made again")
            self.assertEqual(len(self.pids()), 2)
            self.nothing_half()

    @unittest.skipUnless(os.geteuid() == 0, "root may become somebody else")
    def test_its_user(self):
        """Who makes the frame is who makes it without a keeper."""
        for path, mode in ((self.folder, 0o755), (self.scenes.parent, 0o755), (self.frames, 0o777), (self.folder / "began", 0o666)):
            path.touch()
            os.chmod(path, mode)
        with self.farm(**self.own, worker_run_as="nobody", start=False) as farm:
            os.chmod(farm.data, 0o755)
            farm.start_all()
            self.make(farm, "cube.blend", 1, 2)
            self.assertEqual(len(self.pids()), 1)
            self.assertEqual(os.stat(f"/proc/{self.pids()[0]}").st_uid, pwd.getpwnam("nobody").pw_uid)

    def test_two_tasks(self):
        """Each frame has its own task's engine; with two slots each task has one, and keeps it."""
        with self.farm(**self.own) as farm:
            for frame in (1, 2):
                for scene in ("cube.blend", "wood.blend"):
                    self.make(farm, scene, frame)
            self.assertEqual(len(self.pids()), 4)
            wait_for(lambda: [alive(pid) for pid in self.pids()] == [False, False, False, True], what="the end of the others")
            self.assertEqual(len(self.kept(farm)), 1)
        (self.folder / "began").unlink()
        with self.farm(**dict(self.own, worker_slots=2)) as farm:
            for frame in (1, 2):
                for scene in ("cube.blend", "wood.blend"):
                    self.make(farm, scene, frame)
            self.assertEqual(len(self.pids()), 2)
            self.make(farm, "cube.blend", 3, parameters={"width": 64, "height": 48})  # another size is another engine
            self.assertEqual(len(self.pids()), 3)

    def test_limits_of_its_own(self):
        """An engine would have them from its start, for all its frames."""
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1, 2, limits={"cpu_seconds": 600})
            self.assertEqual(len(self.pids()), 2)
            self.assertEqual(self.kept(farm), [])

    def test_environments(self):
        with self.farm(**self.own) as farm:
            for frame, shade in ((1, "a"), (2, "a"), (3, "b")):
                self.make(farm, "cube.blend", frame, env={"SHADE": shade})
            self.assertEqual([row.pid for row in self.begun()], [self.pids()[0]] * 2 + [self.pids()[1]])

    def test_the_engine_is_killed(self):
        """The frame it was at is made again, and no other."""
        with self.farm(**self.own) as farm:
            hold = self.hold(3)
            runs = {frame: self.begin_more(farm, "cube.blend", frame) for frame in range(1, 7)}
            os.kill(self.at(3), signal.SIGKILL)
            hold.unlink()
            for run in runs.values():
                farm.wait_run(run, "completed", timeout=frames.LONG)
            self.assertEqual(sorted(row.frame for row in self.begun()), [1, 2, 3, 3, 4, 5, 6])
            self.assertEqual(len(self.pids()), 2)
            tried = {frame: farm.run(run)["attempt"] for frame, run in runs.items()}
            self.assertEqual(tried, {frame: 1 + (frame == 3) for frame in runs})
            self.nothing_half()

    def test_it_is_killed_between_frames(self):
        """Nobody's frame suffers."""
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1)
            os.kill(self.pids()[0], signal.SIGKILL)
            run = self.begin_more(farm, "cube.blend", 2)
            self.assertEqual(farm.wait_run(run, "completed", timeout=frames.LONG)["attempt"], 1)
            self.assertEqual(len(self.pids()), 2)

    def test_the_worker_is_killed(self):
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1)
            hold = self.hold(2)
            run = self.begin_more(farm, "cube.blend", 2)
            pid = self.at(2)
            farm.kill("worker1")
            wait_for(lambda: not alive(pid), what="the end of its engine")
            hold.unlink()
            farm.start("worker1")
            farm.wait_run(run, "completed", timeout=frames.LONG)
            self.assertEqual(len(self.pids()), 2)
            wait_for(lambda: len(self.kept(farm)) == 1, what="its own folder alone")
            self.nothing_half()

    def test_cancelled(self):
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1)
            self.hold(2)
            run = self.begin_more(farm, "cube.blend", 2)
            pid = self.at(2)
            farm.data_of(farm.post(f"/api/runs/{run}/abort", {}))
            wait_for(lambda: not alive(pid), what="the end of its engine")
            farm.wait_run(run, "aborted")
            self.make(farm, "cube.blend", 3)
            self.assertEqual(len(self.pids()), 2)
            self.nothing_half()

    def test_too_slow(self):
        with self.farm(**self.own) as farm:
            self.hold(1)
            run = self.begin_more(farm, "cube.blend", 1, timeout_seconds=1, retry_count=0)
            self.assertIn("timeout", farm.wait_run(run, "failed", "timeout")["error_message"])
            wait_for(lambda: not [pid for pid in self.pids() if alive(pid)], what="the end of its engine")

    def test_idle(self):
        with self.farm(**self.own, render_keep_seconds=1) as farm:
            self.make(farm, "cube.blend", 1)
            wait_for(lambda: not alive(self.pids()[0]) and not self.kept(farm), what="its end")
            self.make(farm, "cube.blend", 2)
            self.assertEqual(len(self.pids()), 2)

    def test_memory(self):
        """What waits idle ends where a frame of something else asks for more memory than there is; what that frame wants stays."""
        with self.farm(**dict(self.own, worker_slots=2)) as farm:
            self.make(farm, "wood.blend", 1, parameters={"ram": 1 << 20})
            self.make(farm, "cube.blend", 1, 2)
            self.assertEqual([alive(pid) for pid in self.pids()], [True, True])
            self.make(farm, "wood.blend", 2, parameters={"ram": 1 << 20})
            wanted, other = self.pids()
            wait_for(lambda: not alive(other) and len(self.kept(farm)) == 1, what="the end of the one that nobody wants, and of its folder")
            self.assertTrue(alive(wanted))

    def test_the_worker_ends(self):
        """In order: nothing of its engines is left."""
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1)
            self.assertEqual(len(self.kept(farm)), 1)
            self.assertEqual(farm.terminate("worker1"), 0)
            self.assertFalse((farm.data / "workers/worker1/keep").exists())

    def test_the_keeper_is_stopped(self):
        """It costs one frame a while, and is ended."""
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1)
            stopped = self.keeper(farm)
            os.kill(stopped, signal.SIGSTOP)
            log, = self.make(farm, "cube.blend", 2)
            self.assertIn("no engine is kept for this frame: its keeper does not answer", log)
            wait_for(lambda: not alive(stopped) and not alive(self.pids()[0]) and not self.kept(farm), what="the end of it and its engine")
            self.assertEqual([self.number_in(log) for log in self.make(farm, "cube.blend", 3, 4)], [1, 2])

    def keeper(self, farm):
        mark = b"--render-keeper"
        return next(pid for pid in descendants(farm.pid("worker1")) if mark in pathlib.Path("/proc", str(pid), "cmdline").read_bytes())

    def test_small_ones(self):
        """What has far less than its neighbours is told of, and counts."""
        size = (self.folder / "made.png").stat().st_size
        with self.farm(**self.own) as farm:
            for frame, mean, small in ((1, 4 * size, False), (2, 4 * size + 4, True)):
                run = self.begin_more(farm, "cube.blend", frame, parameters={"mean_bytes": mean})
                row = frames.json.loads(farm.wait_run(run, "completed")["result"])
                self.assertEqual(row["small"], small)
                words = f"WARNING: the picture has {size} bytes, those of the task's other frames {mean} in the mean"
                self.assertEqual(words in self.log(farm, run), small)
            self.assertEqual(len(self.pids()), 1)

    def test_the_keeper_is_killed(self):
        """What it kept goes; the next frame has another one."""
        with self.farm(**self.own) as farm:
            self.make(farm, "cube.blend", 1)
            os.kill(self.keeper(farm), signal.SIGKILL)
            wait_for(lambda: not alive(self.pids()[0]), what="the end of its engine")
            wait_for(lambda: "GTY-RENDER-KEEPER" in farm.log("worker1"), what="its being missed")
            self.make(farm, "cube.blend", 2)
            self.assertEqual(len(self.pids()), 2)


if __name__ == "__main__":
    unittest.main()
