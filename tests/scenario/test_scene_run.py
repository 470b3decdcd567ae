"""A scene read by a run on a worker, and by the command."""

import hashlib
import json
import pathlib
import subprocess
import tempfile
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment
from tests.scene import tiny


class Scenes(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-scenes-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()
        for name, data in (("one/C/Project/wolf.ma", tiny.MAYA.encode()), ("two/shot.blend", tiny.blend().bytes()), ("secret.ma", tiny.MAYA.encode()),
                           ("one/C/textures/wood.jpg", b"1234"), ("one/bad.blend", tiny.blend().bytes()[:3000])):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


class Runs(Scenes):
    def read(self, farm, path, *statuses, **more):
        body = dict({"task_type": "scene", "executor": "scene", "command": "scene", "retry_count": 0, "parameters": {"path": path}}, **more)
        run = farm.data_of(farm.post("/api/runs", body))
        return farm.wait_run(run["run_id"], *(statuses or ("completed",)))

    def test_below_the_roots(self):
        with Farm(scene_root=f"{self.folder}/one:{self.folder}/two") as farm:
            row = json.loads(self.read(farm, "C:/Project/wolf.ma")["result"])
            self.assertEqual((row["scene_file_hash"], row["scene_info"]["renderer"]), (hashlib.md5(tiny.MAYA.encode()).hexdigest(), "arnold"))
            self.assertEqual([a["path"] for a in row["assets"] if a["exists"]], ["C:/textures/wood.jpg"])
            row = json.loads(self.read(farm, "/shot.blend")["result"])
            self.assertEqual((row["format"], row["scene_info"]["end_frame"]), ("blender", 77))
            for path, kind in (("../secret.ma", "forbidden"), ("none.ma", "not_found"), ("bad.blend", "invalid"), ("--root", "not_found")):
                run = self.read(farm, path)
                self.assertEqual(json.loads(run["result"])["error_kind"], kind, path)
            output = self.folder / "answer.json"
            self.read(farm, "/shot.blend", output=str(output))
            self.assertEqual(json.loads(output.read_text())["scene_info"]["scene"], "Shot 7")

    def test_no_roots(self):
        with Farm(worker_types="scene") as farm:
            run = self.read(farm, "C:/Project/wolf.ma", "failed")
            self.assertIn("no folders of scenes (scene.root)", run["error_message"])


class Command(Scenes):
    def gantry(self, *arguments):
        return subprocess.run([str(BUILD / "gantry"), "render", "analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60 * SLOW, env=clean_environment(),
                              check=False)

    def test_words(self):
        done = self.gantry(self.folder / "two/shot.blend")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for words in ("blender 3.4", "Shot 7", "cycles", "-3-77, each 2", "1024x576 exr", "Camera, 相机", "//lib.blend", "packed"):
            self.assertIn(words, done.stdout)
        missing = self.gantry("--missing", self.folder / "two/shot.blend").stdout
        self.assertIn("//lib.blend", missing)
        self.assertNotIn("//tex/in.png", missing)

    def test_json(self):
        row = json.loads(self.gantry(self.folder / "one/C/Project/wolf.ma", "--json").stdout)
        self.assertEqual(row["scene_info"]["sampling"], {"camera": 7, "diffuse": 5, "specular": 5})
        done = self.gantry("--json", "--root", self.folder / "two", "--root", self.folder / "one", "C:/Project/wolf.ma")
        row = json.loads(done.stdout)
        self.assertEqual([a["path"] for a in row["assets"] if a["exists"]], ["C:/textures/wood.jpg"])

    def test_errors(self):
        done = self.gantry(self.folder / "none.ma")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("No such file", done.stderr)
        self.assertIn("cut short", self.gantry(self.folder / "one/bad.blend").stderr)
        done = self.gantry("--json", self.folder / "one/bad.blend")
        self.assertEqual((done.returncode, json.loads(done.stdout)["error_kind"]), (1, "invalid"))
        self.assertIn("outside", self.gantry("--root", self.folder / "one", "../secret.ma").stderr)
        self.assertEqual(self.gantry().returncode, 2)
        self.assertEqual(self.gantry("--root", self.folder / "none", "x").returncode, 1)


if __name__ == "__main__":
    unittest.main()
