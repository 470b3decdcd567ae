"""Frames rendered by real Blender (`./dev deps test` installs it) on a real worker: whole, once, and with clear errors."""

import gzip
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

from tests.farm import BUILD, ROOT, SLOW, Farm, wait_for
from tests.farside import FarSide
from tests.patience import PATIENT

LONG = 300.0
COMPLETED, FAILED = 1, 2  # enum outcome


def md5(path):
    return hashlib.md5(pathlib.Path(path).read_bytes()).hexdigest()


def pixels(path):
    """Its size, and its pixels as RGB."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True,
                          timeout=60 * SLOW, check=True)
    assert done.stderr == b"", done.stderr
    return done.stdout


def halves(path):
    """What is to be seen on the left and on the right of a picture of 64 by 48: which of red, green and blue."""
    picture = pixels(path)
    seen = [picture[(24 * 64 + x) * 3:][:3] for x in (16, 48)]
    for colour in seen:
        assert all(value < 60 or value > 200 for value in colour), seen
    return [tuple(int(value > 200) for value in colour) for colour in seen]


def apart(thumbnail, path, size):
    """How far the thumbnail's values are from those of ffmpeg's in the mean, of 255."""
    linear = ["-apply_trc", "iec61966_2_1"] if path.suffix == ".exr" else []
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *linear, "-i", str(path), "-vf", f"scale={size}:flags=area", "-f", "rawvideo", "-pix_fmt",
                           "rgb24", "-"], capture_output=True, timeout=60 * SLOW, check=True)
    small = pixels(thumbnail)
    assert len(small) == len(done.stdout), (len(small), len(done.stdout))
    return sum(abs(a - b) for a, b in zip(small, done.stdout)) / len(small)


class Pictures(unittest.TestCase):
    """What gantry-picture says of files of each sort."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-pictures-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def look(self, path):
        thumbnail = self.folder / "thumbnail.png"
        done = subprocess.run([str(BUILD / "gantry-picture"), str(path), str(thumbnail)], capture_output=True, timeout=60 * SLOW, check=False)
        return done.returncode, json.loads(done.stdout), thumbnail

    def make(self, name, pixel, source="testsrc=size=641x333"):
        path = self.folder / name
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, "-frames:v", "1", "-pix_fmt", pixel, str(path)],
                       timeout=60 * SLOW, check=True)
        return path

    def test_sorts(self):
        for name, pixel in (("a.png", "rgb24"), ("b.png", "rgba"), ("c.png", "rgb48be"), ("d.png", "pal8"), ("e.png", "gray16be"), ("f.png", "gray"),
                            ("g.png", "ya8"), ("h.jpg", "yuvj420p"), ("i.jpg", "yuvj444p"), ("j.tif", "rgb24"), ("k.tga", "bgra"), ("l.bmp", "bgr24"),
                            ("m.exr", "gbrpf32le"), ("n.dpx", "rgb48be")):
            with self.subTest(name=name, pixel=pixel):
                path = self.make(name, pixel)
                code, row, thumbnail = self.look(path)
                self.assertEqual((code, row), (0, {"width": 641, "height": 333, "size": path.stat().st_size, "md5": md5(path), "black": False,
                                                   "thumbnail": True}))
                self.assertLess(apart(thumbnail, path, "320:166"), 12 if pixel == "gbrpf32le" else 4)  # the mean of light is no mean of sRGB
                _, row, _ = self.look(self.make("black" + name, pixel, "color=black:size=64x48"))
                self.assertTrue(row["black"])

    def test_shapes(self):
        for size, small in (("2x2000", "1:320"), ("2000x4", "320:1"), ("4x2", "4:2")):
            path = self.make("a.png", "rgb24", f"color=red:size={size}")
            self.assertEqual(len(pixels(self.look(path)[2])), int(small.split(":")[0]) * int(small.split(":")[1]) * 3)

    def test_no_pictures(self):
        whole = self.make("a.png", "rgb24").read_bytes()
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 0xff
        for content in (b"", b"x", b"hello", whole[:100], whole[:-200], bytes(damaged), b"\x89PNG", b"v/1\x01", b"II*\0", b"RIFF"):
            (self.folder / "bad").write_bytes(content)
            code, row, _ = self.look(self.folder / "bad")
            self.assertEqual((code, list(row)), (1, ["error"]), content[:20])
        self.assertIn("error", self.look(self.folder)[1])
        self.assertIn("error", self.look(self.folder / "none")[1])


class Scenes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="gantry-render-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.scenes = pathlib.Path(cls.holder.name).resolve() / "scenes"
        cls.scenes.mkdir()
        blender = shutil.which("blender")
        if not blender:
            raise AssertionError("there is no blender: `./dev deps test` installs it")
        done = subprocess.run([blender, "-b", "--factory-startup", "-noaudio", "--python-exit-code", "9", "-P", str(ROOT / "tests/scene/make_frames.py"),
                               "--", str(cls.scenes)], capture_output=True, text=True, timeout=300 * SLOW, check=False,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(cls.scenes), "LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            raise AssertionError(done.stdout[-3000:] + done.stderr[-3000:])
        (cls.scenes / "broken.blend").write_bytes((cls.scenes / "cube.blend").read_bytes()[:3000])

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-frames-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()
        self.frames = self.folder / "frames"
        self.frames.mkdir()

    def farm(self, **settings):
        own = {"worker_slots": 2, "worker_render_threads": "1", "scene_root": str(self.scenes), "render_output": str(self.frames)}
        return Farm(**{**PATIENT, **own, **settings})

    def begin(self, farm, command, frame=1, extension="png", engine="blender", output=None, labels=None, **parameters):
        output = output or f"u1/7/renders/frame.{frame:04d}.{extension}"
        body = {"task_type": "render", "executor": "render", "command": command, "output": output, "retry_count": 0, "labels": labels or {},
                "parameters": dict({"engine": engine, "frame": frame}, **parameters)}
        return farm.data_of(farm.post("/api/runs", body))["run_id"]

    def render(self, farm, command, frame=1, **more):
        run = farm.wait_run(self.begin(farm, command, frame, **more), timeout=LONG)
        self.assertEqual(run["status"], "completed", run)
        row = json.loads(run["result"])
        path = self.frames / row["output_path"]
        self.assertEqual((row["output_hash"], row["output_size"]), (md5(path), path.stat().st_size))
        return row

    def fails(self, farm, command, words, **more):
        run = farm.wait_run(self.begin(farm, command, **more), timeout=LONG)
        self.assertEqual(run["status"], "failed", run)
        self.assertTrue(run["error_message"].startswith(words), run["error_message"])
        self.nothing_half()
        return run

    def nothing_half(self):
        self.assertEqual([path for path in self.frames.rglob(".gantry-*")], [])

    def green(self, name):
        middle = pixels(self.frames / name)[(24 * 64 + 32) * 3:][:3]
        self.assertGreater(middle[1], 200, middle)
        self.assertLess(max(middle[0], middle[2]), 60, middle)

    def log(self, farm, run):
        return [line["message"] for line in farm.data_of(farm.get(f"/api/runs/{run}/logs?size=1000"))["items"]]


class Frames(Scenes):
    def test_frames(self):
        with self.farm() as farm:
            runs = {frame: self.begin(farm, "cube.blend", frame) for frame in (1, 2, 3)}
            rows = {}
            for frame, run in runs.items():
                done = farm.wait_run(run, "completed", timeout=LONG)
                rows[frame] = json.loads(done["result"])
            for frame, row in rows.items():
                path = self.frames / f"u1/7/renders/frame.{frame:04d}.png"
                self.assertEqual((row["output_path"], row["output_hash"]), (str(path.relative_to(self.frames)), md5(path)))
                self.assertEqual((row["width"], row["height"], row["black"]), (64, 48, False))
                self.assertEqual(len(pixels(path)), 64 * 48 * 3)
                self.assertEqual(row["thumbnail_path"], f"u1/7/renders/thumbnails/frame.{frame:04d}.png")
                self.assertEqual(len(pixels(self.frames / row["thumbnail_path"])), 64 * 48 * 3)
                self.assertGreater(row["render_time"], 0)
            self.assertEqual(len({row["output_hash"] for row in rows.values()}), 3)
            self.assertRegex(rows[1]["engine_version"], r"^\d+\.\d+")
            self.assertTrue(any("no denoiser" in line for line in self.log(farm, runs[1])) or "OPENIMAGEDENOISE" in rows[1]["engine_version"])
            self.nothing_half()
            self.assertEqual(self.render(farm, "black.blend", 4)["black"], True)

    def test_offered(self):
        """What the worker says of itself is what runs may ask for; engines are asked once."""
        with self.farm(worker_render_gpus="2", worker_render_ram_gb="64") as farm:
            kept = farm.data / "workers/worker1/engines"
            head, plugins = kept.read_text().rstrip("\n").split("\t")
            self.assertRegex(plugins, r"(^|,)io_scene_fbx \d+\.\d+")  # one that Blender always has
            labels = {"render.engines": f"blender {head.split()[-1]}", "render.gpus": "2", "render.ram_gb": "64", "render.plugins": plugins}
            self.render(farm, "cube.blend", labels=labels)
            kept.write_text(" ".join([*head.split()[:-1], "9.9"]) + "\tmine 2,its_own\n")
            farm.restart("worker1")
            self.render(farm, "cube.blend", 2, labels={"render.engines": "blender 9.9", "render.plugins": "mine 2,its_own"})
        with self.farm(worker_render_plugins="mtoa 5.5.1") as farm:
            self.render(farm, "cube.blend", labels={"render.plugins": "mtoa 5.5.1"})

    def test_sizes_and_formats(self):
        with self.farm() as farm:
            row = self.render(farm, "cube.blend", 1, extension="exr", width=640, height=400)
            self.assertEqual((row["width"], row["height"]), (640, 400))
            self.assertLess(apart(self.frames / row["thumbnail_path"], self.frames / row["output_path"], "320:200"), 3)
            row = self.render(farm, "cube.blend", 1, extension="jpg")
            self.assertEqual(row["output_path"], "u1/7/renders/frame.0001.jpg")
            self.assertLess(apart(self.frames / row["thumbnail_path"], self.frames / row["output_path"], "64:48"), 3)

    def test_files_of_windows(self):
        with self.farm() as farm:
            run = self.begin(farm, "wood.blend")
            farm.wait_run(run, "completed", timeout=LONG)
            self.green("u1/7/renders/frame.0001.png")
            self.fails(farm, "wood.blend", "scene: 1 of its files are missing, D:/gone/away.png for one", frame=2, allow_missing=False)
            log = self.log(farm, run)
            self.assertIn("WARNING: missing file D:/gone/away.png", log)
            self.assertFalse([line for line in log if "wood.png" in line and "missing" in line])

    def store(self, farm, path):
        blob = farm.data / "blobs/assets" / md5(path)[:2] / md5(path)
        blob.parent.mkdir(parents=True)
        shutil.copy(path, blob)
        return md5(path)

    def test_files_of_the_store(self):
        with self.farm() as farm:
            names = {path.name: self.store(farm, path) for path in (self.scenes / "wood.blend", self.scenes / "C/textures/wood.png")}
            files = [{"file_path": "C:/textures/wood.png", "file_hash": names["wood.png"]}, {"file_path": "C:/x.png", "file_hash": "0" * 32}]
            run = self.begin(farm, f"assets/{names['wood.blend']}", files=files)
            farm.wait_run(run, "completed", timeout=LONG)
            self.green("u1/7/renders/frame.0001.png")
            self.assertIn("WARNING: 1 of 2 files of the scene are missing", self.log(farm, run))
            wait_for(lambda: list((farm.data / "workers/worker1/runs").iterdir()) == [], what="the run's folder being removed")
            self.fails(farm, f"assets/{'0' * 32}", "scene: ")
            self.fails(farm, f"assets/{names['wood.blend']}", "scene: 1 of its files are missing", files=files, frame=2, allow_missing=False)

    def test_an_engine_that_writes_to_its_files(self):
        """What it is given is nobody else's: the store's own files stay what they are, and so do those that are kept for other frames."""
        engine = self.folder / "engine"
        engine.write_text("#!/bin/bash\nfind .. -name '*.blend' -o -name wood.png | while read -r path; do echo spoiled >> \"$path\"; echo \"wrote $path\"; done\nexit 1\n")
        os.chmod(engine, 0o755)
        with self.farm(render_blender=str(engine), worker_render_engines="blender 3.4.1", render_chunk=1) as farm:
            files = [{"file_path": "C:/textures/wood.png", "file_hash": self.store(farm, self.scenes / "C/textures/wood.png")}]
            scene = self.store(farm, self.scenes / "wood.blend")
            run = self.fails(farm, f"assets/{scene}", "engine: ", files=files)
            self.assertEqual(len([line for line in self.log(farm, run["id"]) if line.startswith("wrote ")]), 2)
            for name in (scene, files[0]["file_hash"]):
                self.assertEqual(md5(farm.data / "blobs/assets" / name[:2] / name), name)

    def test_again(self):
        """A frame that is rendered once more takes the place of the one before."""
        with self.farm() as farm:
            row = self.render(farm, "cube.blend")
            self.assertNotEqual(self.render(farm, "wood.blend")["output_hash"], row["output_hash"])
            self.assertEqual(len(list((self.frames / "u1/7/renders").glob("*.png"))), 1)
            self.nothing_half()


class Failures(Scenes):
    def test_scenes(self):
        with self.farm() as farm:
            self.fails(farm, "broken.blend", "scene: ")
            self.fails(farm, "blind.blend", "scene: Error: Cannot render, no camera")
            self.fails(farm, "none.blend", "scene: ")
            self.fails(farm, "../frames/x.blend", "scene: ")
            self.assertEqual(list(self.frames.rglob("*.png")), [])

    def test_parameters(self):
        with self.farm() as farm:
            self.fails(farm, "cube.blend", "engine: there is none called 'max'", engine="max")
            self.fails(farm, "cube.blend", "engine: blender cannot write '.gif'", extension="gif")
            self.fails(farm, "cube.blend", "one frame a run", frames_to=3)
            self.fails(farm, "cube.blend", "output", output="../x.png")
            self.fails(farm, "cube.blend", "output", output=f"{self.folder}/x.png")

    def test_no_engine(self):
        with self.farm(render_blender="/nonexistent/blender") as farm:
            self.fails(farm, "cube.blend", "engine: there is no blender on this worker (render.blender: /nonexistent/blender)")

    def engine(self, text):
        path = self.folder / "engine"
        path.write_text(f"#!/bin/bash\n{text}\n")
        os.chmod(path, 0o755)
        return self.farm(render_blender=str(path), worker_render_engines="blender 3.4.1", render_chunk=1)

    def test_memory(self):
        with self.engine("echo 'Malloc returns null: len=1 in x, total 2'; exit 1") as farm:
            self.fails(farm, "cube.blend", "memory: blender ran out of memory")
        with self.engine("kill -9 $$") as farm:
            self.fails(farm, "cube.blend", "memory: blender ran out of memory")

    def test_no_picture(self):
        made = 'folder="${@: -7:1}"; folder="${folder%/*}"'
        with self.engine("echo 'Error: it does not work'") as farm:
            self.fails(farm, "cube.blend", "engine: blender made no picture of frame 1: Error: it does not work")
        with self.engine(f"{made}; echo hello > $folder/frame.0001.png") as farm:
            self.fails(farm, "cube.blend", "engine: what it made is no picture: ")
        with self.engine(f"{made}; : > $folder/frame.0001.png") as farm:
            self.fails(farm, "cube.blend", "engine: what it made is no picture: it is empty")
        with self.engine(f"{made}; echo > $folder/a.png; echo > $folder/b.png") as farm:
            self.fails(farm, "cube.blend", "engine: blender made several pictures of frame 1")


class Killed(Scenes):
    def test_the_worker_in_the_middle(self):
        """kill -9 while Blender is at work, and once more: the frame is there once in the end."""
        path = self.folder / "blender"
        path.write_text(f"#!/bin/bash\nprintf 'Fra:1 Mem:1M | Sample 2/4\\n'\necho $$ > {self.folder}/at.new && mv {self.folder}/at.new {self.folder}/at\n"
                        f"until [[ -e {self.folder}/past ]]; do sleep 0.05; done\nexec {shutil.which('blender')} \"$@\"\n")
        os.chmod(path, 0o755)
        with self.farm(render_blender=str(path), worker_render_engines="blender 3.4.1", lease_losses="100") as farm:
            run = self.begin(farm, "cube.blend")
            for _ in range(2):
                wait_for((self.folder / "at").exists, what="an engine at work")
                wait_for(lambda: (farm.run(run)["progress"] or 0) > 40, what="its progress being told")
                farm.kill("worker1")
                (self.folder / "at").unlink()
                self.assertEqual(list(self.frames.rglob("*.png")), [])
                farm.start("worker1")
            (self.folder / "past").touch()
            row = json.loads(farm.wait_run(run, "completed", timeout=LONG)["result"])
            self.assertEqual(row["output_hash"], md5(self.frames / row["output_path"]))
            self.nothing_half()
            self.assertGreaterEqual(farm.run(run)["attempt"], 3)


class Copied(unittest.TestCase):
    """With an engine that copies a picture."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-once-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()
        self.frames, self.calls = self.folder / "frames", self.folder / "calls"
        self.final = self.frames / "u1/frame.0001.png"
        (self.folder / "scenes").mkdir()
        self.frames.mkdir()
        (self.folder / "scenes/x.blend").write_text("no scene")
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=1", "-frames:v", "1", str(self.folder / "made.png")],
                       timeout=60 * SLOW, check=True)
        path = self.folder / "engine"
        path.write_text(f'#!/bin/bash\necho >> {self.calls}\nfolder="${{@: -7:1}}"\ncp {self.folder}/made.png "${{folder%/*}}/frame.0001.png"\n')
        os.chmod(path, 0o755)
        self.farm = FarSide(scene_root=str(self.folder / "scenes"), render_output=str(self.frames), render_blender=str(path), worker_types="render",
                            worker_render_engines="blender 3.4.1", render_chunk="1")
        self.addCleanup(self.farm.close)
        self.farm.__enter__()

    def begin(self, published=None):
        return self.farm.assign("render", "x.blend", parameters={"engine": "blender", "frame": 1}, output="u1/frame.0001.png", published=published)

    def ends(self, run, outcome):
        end = self.farm.wait(run)
        self.assertEqual(end["outcome"], outcome, end)
        self.assertEqual(list(self.frames.rglob(".gantry-*")), [])
        return end

    def asked(self):
        """A run whose PUBLISH is not granted yet."""
        self.farm.grant = False
        run = self.begin()
        wait_for(lambda: run in self.farm.published, what="its PUBLISH")
        self.assertEqual(len(list(self.frames.rglob(".gantry-*"))), 1)
        return run

    def granted(self, run):
        self.farm.say("publish_grant", run_id=run, attempt=self.farm.attempt)


class Once(Copied):
    """A frame has one outcome (rule 6)."""

    def test_what_was_granted_stands(self):
        first = self.begin()
        made = json.loads(self.ends(first, COMPLETED)["result"])
        before = self.final.stat()
        self.farm.attempt = 2
        again = json.loads(self.ends(self.begin(published=self.farm.published[first]), COMPLETED)["result"])
        self.assertEqual((again["output_hash"], again["width"], self.final.stat().st_ino), (made["output_hash"], 64, before.st_ino))
        self.assertEqual((again["thumbnail_path"], made["thumbnail_path"]), ("u1/thumbnails/frame.0001.png",) * 2)
        self.assertEqual(self.calls.read_text(), "\n")

    def test_killed_before_it_is_named(self):
        self.asked()
        self.farm.kill()
        self.farm.start()
        self.assertEqual(list(self.frames.rglob(".gantry-*")), [])
        self.assertFalse(self.final.exists())

    def test_another_came_meanwhile(self):
        """A later attempt's, which this one does not know of: it stays."""
        run = self.asked()
        self.final.write_text("another")
        self.granted(run)
        self.assertIn("meanwhile", self.ends(run, FAILED)["error"])
        self.assertEqual(self.final.read_text(), "another")

    def test_another_was_replaced_meanwhile(self):
        self.final.parent.mkdir()
        self.final.write_text("of a run before")
        run = self.asked()
        (self.folder / "another").write_text("another")
        os.replace(self.folder / "another", self.final)
        self.granted(run)
        self.ends(run, FAILED)
        self.assertEqual(self.final.read_text(), "another")

    def test_one_before_is_replaced(self):
        self.final.parent.mkdir()
        self.final.write_text("of a run before")
        self.granted(run := self.asked())
        self.ends(run, COMPLETED)
        self.assertEqual(self.final.read_bytes(), (self.folder / "made.png").read_bytes())


class Maya(Copied):
    """As far as a stand-in for its Render goes: what it is called with, a scene that is packed, a picture in the folder of a layer."""

    def setUp(self):
        super().setUp()
        self.farm.close()
        path = self.folder / "Render"
        path.write_text(f'#!/bin/bash\n[[ "$1 $2 $3 $4 $5 $6" == "-r arnold -s 7 -e 7" ]] || exit 3\nwhile [[ $1 != -rd ]]; do shift; done\n'
                        f'grep -q "^//Maya" "${{@: -1}}" || exit 4\nmkdir "$2/masterLayer"; cp {self.folder}/made.png "$2/masterLayer/frame.0007.png"\n'
                        'echo " 85% done - 12 rays/pixel"\n')
        os.chmod(path, 0o755)
        self.farm = FarSide(scene_root=str(self.folder / "scenes"), render_output=str(self.frames), render_maya=str(path), worker_types="render",
                            worker_render_engines="maya 2024")
        self.addCleanup(self.farm.close)
        self.farm.__enter__()
        self.final = self.frames / "u1/frame.0007.png"

    def begin(self, published=None, scene="x.ma"):
        return self.farm.assign("render", scene, parameters={"engine": "maya", "frame": 7, "renderer": "arnold"}, output="u1/frame.0007.png")

    def test_scenes(self):
        text = b"//Maya ASCII 2024 scene\n" + b"// more\n" * 1000
        for name, content in (("x.ma", text), ("y.ma.gz", gzip.compress(text)), ("z.ma", gzip.compress(text))):
            (self.folder / "scenes" / name).write_bytes(content)
            end = self.ends(self.begin(scene=name), COMPLETED)
            self.assertEqual(json.loads(end["result"])["output_hash"], md5(self.folder / "made.png"))
            self.assertEqual((self.folder / "scenes" / name).read_bytes(), content)
        self.assertEqual(sorted(path.name for path in (self.folder / "scenes").iterdir()), ["x.blend", "x.ma", "y.ma.gz", "z.ma"])

    def test_bad_scenes(self):
        for name, content in (("cut.ma.gz", gzip.compress(b"//Maya" + bytes(100000))[:-20]), ("bomb.ma.gz", gzip.compress(bytes(100 << 20)))):
            (self.folder / "scenes" / name).write_bytes(content)
            self.assertIn("scene: it cannot be unpacked", self.ends(self.begin(scene=name), FAILED)["error"])


class Gateway(http.server.BaseHTTPRequestHandler):
    """What of the farm's gateway a worker on another machine asks."""

    files, asked = {}, []

    def do_GET(self):
        self.asked.append(self.path)
        content = self.files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", "application/json" if content is None else "application/octet-stream")
        content = b'{"code": 2002, "message": "no such file"}' if content is None else content
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class Elsewhere(Scenes):
    """A worker that has not got the farm's files."""

    def setUp(self):
        super().setUp()
        Gateway.files, Gateway.asked = {}, []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"

    def serve(self, *paths):
        for path in paths:
            Gateway.files[f"/render/api/files/blob/{md5(path)}"] = path.read_bytes()
        return [md5(path) for path in paths]

    def test_fetched_once(self):
        scene, wood = self.serve(self.scenes / "wood.blend", self.scenes / "C/textures/wood.png")
        assets = [{"file_path": "C:/textures/wood.png", "server_path": "/C/textures/wood.png", "file_hash": wood, "is_missing": False}]
        Gateway.files["/render/api/tasks/5/assets"] = json.dumps({"code": 200, "data": {"task_id": 5, "assets": assets}}).encode()
        with self.farm(worker_gateway=self.url, blob_dir=str(self.folder / "none")) as farm:
            for frame in (1, 2):
                self.render(farm, f"assets/{scene}", frame, render_task=5)
                self.green(f"u1/7/renders/frame.{frame:04d}.png")
            self.assertEqual(sorted(path for path in Gateway.asked if "blob" in path), sorted(f"/render/api/files/blob/{name}" for name in (scene, wood)))
            self.assertEqual(sorted(path.name for path in (farm.data / "workers/worker1/files").iterdir()), sorted((scene, wood)))

    def test_nothing_is_kept(self):
        """Beyond worker.render_cache_gb."""
        scene, _ = self.serve(self.scenes / "wood.blend", self.scenes / "C/textures/wood.png")
        with self.farm(worker_gateway=self.url, blob_dir=str(self.folder / "none"), worker_render_cache_gb="0") as farm:
            self.render(farm, f"assets/{scene}", scene="projects/u1/wood.blend")
            self.assertEqual(list((farm.data / "workers/worker1/files").iterdir()), [])

    def test_another_file(self):
        name = md5(self.scenes / "cube.blend")
        Gateway.files[f"/render/api/files/blob/{name}"] = b"another"
        with self.farm(worker_gateway=self.url, blob_dir=str(self.folder / "none")) as farm:
            run = self.fails(farm, f"assets/{name}", "scene: ")
            self.assertIn("has the MD5", run["error_message"])
            run = self.fails(farm, f"assets/{'0' * 32}", "scene: ")
            self.assertIn("no such file", run["error_message"])
            self.assertEqual(list((farm.data / "workers/worker1/files").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
