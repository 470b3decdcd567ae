"""`gantry render …` against a farm of real processes: a scene is sent with its files, rendered, and fetched; what breaks off goes on."""

import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import unittest

from tests.bus import ScriptedWorker
from tests.farm import SLOW, Farm, wait_for
from tests.patience import PATIENT
from tests.render_client import md5
from tests.scenario import test_render as frames
from tests.up import GANTRY, environment, gantry
from tests.valve import Valve

BASE = "/render/api"
MIB = 1 << 20


class Client(unittest.TestCase):
    """The command, with a folder of its own for what it keeps."""

    def setUp(self):
        super().setUp()
        holder = tempfile.TemporaryDirectory(prefix="gantry-submit-")
        self.addCleanup(holder.cleanup)
        self.home = pathlib.Path(holder.name).resolve()

    def start(self, farm, *words, url=None, key="", **more):
        env = dict(environment(), GANTRY_KEY=key, GANTRY_URL=url or f"http://127.0.0.1:{farm.port}", XDG_STATE_HOME=str(self.home / "state"), LC_ALL="C.UTF-8")
        how = dict({"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.home}, **more)
        return subprocess.Popen([GANTRY, "render", *words], env=env, **how)

    def gantry(self, farm, *words, code=0, **more):
        """Runs it to its end; (stdout, stderr)."""
        process = self.start(farm, *words, **more)
        self.addCleanup(process.kill)
        out, err = process.communicate(timeout=600 * SLOW)
        self.assertEqual(process.returncode, code, f"{words}: {out}{err}")
        return out, err

    def kept(self):
        """What is known of uploads that broke off."""
        folder = self.home / "state/gantry/uploads"
        return list(folder.iterdir()) if folder.exists() else []


class Whole(Client, frames.Scenes):
    def setUp(self):
        super().setUp()
        self.studio = Farm(**{**PATIENT, "worker_slots": 2, "worker_render_threads": "1", "render_output": str(self.frames)})
        self.studio.__enter__()
        self.addCleanup(self.studio.__exit__, None, None, None)

    def existing(self, *paths):
        hashes = [md5(path.read_bytes()) for path in paths]
        return len(self.studio.post(f"{BASE}/files/check-hashes", {"hashes": hashes}).body["data"]["existing"])

    def test_a_scene_from_here_to_its_pictures(self):
        scene, wood = self.scenes / "wood.blend", self.scenes / "C/textures/wood.png"
        out, err = self.gantry(self.studio, "submit", str(scene), code=1)
        self.assertEqual(out, "")
        for words in ("missing: C:\\textures\\wood.png", "missing: D:\\gone\\away.png", "2 files of the scene are missing", "--allow-missing"):
            self.assertIn(words, err)
        self.assertEqual(self.existing(scene, wood), 0)
        submit = ["submit", str(scene), "--root", str(self.scenes), "--frames", "1-2", "--test", "2", "--unionid", "ann"]
        self.assertIn("1 file of the scene is missing", self.gantry(self.studio, *submit, code=1)[1])
        out, err = self.gantry(self.studio, *submit, "--allow-missing", "--download", "pictures")
        lines = out.splitlines()
        number = int(lines[0])
        self.assertIn("2 files", err)
        self.assertIn("2 to send", err)
        self.assertRegex(lines[-1], rf"^task {number} completed: 2 of 2 frames; cost ")
        self.assertEqual(self.existing(scene, wood), 2)
        for frame in (1, 2):
            picture = self.home / f"pictures/frame.{frame:04d}.png"
            self.assertEqual(picture.read_bytes(), (self.frames / f"ann/{number}/renders/frame.{frame:04d}.png").read_bytes())
        self.assertEqual(len(list((self.home / "pictures").iterdir())), 2)
        self.again(submit, number)

    def again(self, submit, number):
        """What is there is neither sent nor fetched twice; what is another picture is left, unless it is said that it may go."""
        out, err = self.gantry(self.studio, *submit, "--allow-missing", "--json")
        self.assertIn("0 to send, 0 bytes", err)
        made = json.loads(out)
        self.assertEqual((made["unionid"], made["total_frames"], made["test_frames"], made["render_engine"]), ("ann", 2, "2", "blender"))
        self.assertEqual(made["scene_file"], f"projects/ann{self.scenes}/wood.blend")
        self.assertEqual(self.gantry(self.studio, "cancel", str(made["id"]))[0], f"task {made['id']} cancelled\n")
        self.assertIn("2 pictures in pictures, 0 of them fetched now", self.gantry(self.studio, "download", str(number), "pictures")[1])
        picture = self.home / "pictures/frame.0001.png"
        before = picture.read_bytes()
        picture.write_bytes(before[:-1] + b"?")
        (self.home / f"pictures/.frame.0001.png.{md5(before)}.part").write_bytes(before[:100])  # of a try that broke off
        err = self.gantry(self.studio, "download", str(number), "pictures", code=1)[1]
        self.assertIn("pictures/frame.0001.png is another picture", err)
        self.assertEqual(picture.read_bytes(), before[:-1] + b"?")
        self.assertIn("2 pictures in pictures, 1 of them fetched now", self.gantry(self.studio, "download", "--force", str(number), "pictures")[1])
        self.assertEqual(picture.read_bytes(), before)
        self.assertEqual(len(list((self.home / "pictures").iterdir())), 2)


class Sent(Client):
    """No worker is needed: scenes are Maya's, and their tasks wait."""

    def setUp(self):
        super().setUp()
        self.farm = Farm(**dict(PATIENT, workers=0))
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        self.large = self.home / "large.exr"
        self.large.write_bytes(os.urandom(24 * MIB))

    def scene(self, name="scene.ma", textures=("large.exr",)):
        text = "//Maya ASCII 2024 scene\nrequires maya \"2024\";\n"
        for i, texture in enumerate(textures):
            text += f'createNode file -n "file{i}";\n\tsetAttr ".ftn" -type "string" "{self.home}/{texture}";\n'
        (self.home / name).write_text(text)
        return name

    def incoming(self):
        return sum(path.stat().st_size for path in (self.farm.data / "blobs/incoming").glob("*") if not path.name.endswith(".info"))

    def cut(self, valve):
        """A submit of which some is there, and the gateway killed."""
        valve.hold(12 * MIB)
        process = self.start(self.farm, "submit", self.scene(), "--frames", "1-3", url=valve.url())
        self.addCleanup(process.kill)
        wait_for(lambda: self.incoming() > 4 * MIB, what="some of the file being there")
        self.farm.kill("gateway")
        valve.cut()
        return process

    def back(self, valve):
        self.farm.start("gateway")
        self.farm.wait_ready(0)
        valve.open()

    def whole(self):
        """It is there once, whole."""
        content = self.large.read_bytes()
        self.assertEqual((self.farm.data / "blobs/assets" / md5(content)[:2] / md5(content)).read_bytes(), content)
        self.assertEqual(self.kept(), [])
        wait_for(lambda: self.incoming() == 0, what="nothing on its way")

    def valve(self):
        valve = Valve(self.farm.port)
        self.addCleanup(valve.close)
        return valve

    def test_the_next_try_goes_on(self):
        valve = self.valve()
        process = self.cut(valve)
        process.kill()
        process.communicate()
        self.assertEqual(len(self.kept()), 1)
        self.back(valve)
        before = valve.passed
        out, err = self.gantry(self.farm, "submit", self.scene(), "--frames", "1-3", url=valve.url())
        self.assertIn("large.exr: going on behind", err)
        self.assertLess(valve.passed - before, 21 * MIB)
        task = self.farm.get(f"{BASE}/tasks/{int(out)}").body["data"]
        self.assertEqual((task["status"], task["start_frame"], task["total_frames"], task["render_engine"]), ("queued", 1, 3, "maya"))
        self.whole()

    def test_the_same_try_goes_on(self):
        valve = self.valve()
        process = self.cut(valve)
        self.back(valve)
        out, err = process.communicate(timeout=600 * SLOW)
        self.assertEqual(process.returncode, 0, err)
        for words in ("waiting for the farm to answer again", "the farm answers again", "large.exr: going on behind"):
            self.assertIn(words, err)
        self.assertEqual(self.farm.get(f"{BASE}/tasks/{int(out)}").body["data"]["status"], "queued")
        self.whole()

    def test_same_content_is_sent_once(self):
        for name in ("a.png", "b.png", "c.png"):
            (self.home / name).write_bytes(b"x" * 1000)
        shutil.copy(self.large, self.home / "copy.exr")
        _, err = self.gantry(self.farm, "submit", self.scene(textures=("a.png", "b.png", "c.png", "large.exr", "copy.exr")), "--frames", "7",
                             "--unionid", "u")
        self.assertIn("6 files", err)
        self.assertIn("3 to send", err)
        for name in ("a.png", "c.png", "copy.exr"):  # each stands for its content
            made = self.farm.post(f"{BASE}/tasks", {"unionid": "u", "oss_file_path": f"{self.home}/{name}".lstrip("/"), "render_engine": "maya"})
            self.assertEqual((made.status, made.body["data"]["scene_file_hash"]), (201, md5((self.home / name).read_bytes())), made)
        self.assertIn("0 to send", self.gantry(self.farm, "submit", "scene.ma", "--frames", "7", "--unionid", "u")[1])

    def test_folders_that_are_links(self):
        """Drives of Windows are below a root, however that is named."""
        show = self.home / "real/show"
        (show / "C/tex").mkdir(parents=True)
        (show / "C/tex/wood.png").write_bytes(b"wood")
        (self.home / "link").symlink_to(self.home / "real")
        (show / "a.ma").write_text('//Maya ASCII 2024 scene\nrequires maya "2024";\ncreateNode file -n "f";\n\tsetAttr ".ftn" -type "string" "C:/tex/wood.png";\n')
        for scene, root, folder in (("a.ma", ".", show), ("link/show/a.ma", "link/show", self.home), (str(show / "a.ma"), str(self.home / "link/show"), show)):
            task = json.loads(self.gantry(self.farm, "submit", scene, "--root", root, "--frames", "1", "--unionid", "ann", "--json", cwd=folder)[0])
            self.assertEqual(task["scene_file"], f"projects/ann{show}/a.ma")
        made = self.farm.post(f"{BASE}/tasks", {"unionid": "ann", "oss_file_path": "C:/tex/wood.png", "render_engine": "maya"})
        self.assertEqual((made.status, made.body["data"]["scene_file_hash"]), (201, md5(b"wood")), made)
        self.assertIn("--root", self.gantry(self.farm, "submit", "a.ma", "--frames", "1", code=1, cwd=show)[1])

    def test_with_a_key(self):
        """Who has one sends and sees what is his."""
        farm = Farm(**dict(PATIENT, workers=0, start=False, auth_required="always"))
        self.addCleanup(farm.close)
        keys = {}
        for name, role in (("boss", "admin"), ("ann", "user"), ("bob", "user")):
            made = gantry("key", "create", "--role", role, "--name", name, "--data", str(farm.data))
            self.assertEqual(made.returncode, 0, made)
            keys[name] = made.stdout.strip()
        farm.headers = {"Authorization": f"Bearer {keys['boss']}"}
        farm.start_all()
        submit = ["submit", self.scene(), "--frames", "1", "--unionid", "ann"]
        self.assertIn("GANTRY_KEY", self.gantry(farm, *submit, code=1)[1])
        self.assertRegex(self.gantry(farm, *submit, code=1, key=keys["bob"])[1], r"scene.ma: .*unionid")
        out, err = self.gantry(farm, *submit, key=keys["ann"])
        self.assertIn("2 to send", err)
        for name, count in (("ann", 1), ("bob", 0), ("boss", 1)):
            self.assertEqual(json.loads(self.gantry(farm, "list", "--json", key=keys[name])[0])["total"], count)
        self.assertIn("own", self.gantry(farm, "show", out.strip(), code=1, key=keys["bob"])[1])

    def test_wrong_use(self):
        scene = self.scene(textures=())
        for words, said in (((scene, "--frames", "1-100x2"), "no steps"), ((scene, "--frames", "x"), "--frames is"),
                            ((scene, "--frames", "1-10001"), "10000 frames at most"), ((scene, "--frames", "1", "--ram", "2"), "--ram is"),
                            ((scene, "--frames", "1", "--allow-missing", "--no-missing"), "different things"),
                            ((scene, "--frames", "1", "--stop-after-test"), "needs --test"), ((scene, "--frames", "1-3", "--test", "4"), "test_frames"),
                            ((scene, "--frames", "1", "--unionid", "x" * 101), "--unionid is")):
            out, err = self.gantry(self.farm, "submit", *words, code=2)
            self.assertEqual(out, "")
            self.assertIn(said, err.splitlines()[-1])
        (self.home / "Game.uproject").write_text('{"FileVersion": 3, "EngineAssociation": "5.4"}')
        for words, said in (((), "--map and --sequence"), (("--map", "Main", "--sequence", "/Game/Shot"), "task_info.map")):
            self.assertIn(said, self.gantry(self.farm, "submit", "Game.uproject", "--frames", "1", *words, code=2)[1])
        (self.home / "none.txt").write_text("no scene")
        for name in ("none.txt", "none.ma", "."):
            self.assertEqual(self.gantry(self.farm, "submit", name, code=1)[0], "")
        self.assertIn("gantry up", self.gantry(self.farm, "submit", scene, "--frames", "1", code=1, url="http://127.0.0.1:1")[1])
        self.assertEqual(self.farm.get(f"{BASE}/tasks").body["data"]["total"], 0)

    def test_a_project_of_unreal(self):
        (self.home / "Game.uproject").write_text('{"FileVersion": 3, "EngineAssociation": "5.4"}')
        number = self.gantry(self.farm, "submit", "Game.uproject", "--frames", "1-3", "--map", "/Game/Main", "--sequence", "/Game/Shot", "--preset", "/Game/High")[0]
        task = self.farm.get(f"{BASE}/tasks/{number.strip()}").body["data"]
        self.assertEqual((task["render_engine"], {name: task["task_info"][name] for name in ("map", "sequence", "preset")}),
                         ("ue", {"map": "/Game/Main", "sequence": "/Game/Shot", "preset": "/Game/High"}))
        self.gantry(self.farm, "cancel", number.strip())

    def test_what_is_done_with_tasks(self):
        number = int(self.gantry(self.farm, "submit", self.scene(textures=()), "--frames", "5-104", "--priority", "7")[0])
        rows = self.gantry(self.farm, "list", "--status", "queued")[0].splitlines()
        self.assertEqual((len(rows), rows[1].split()[:3]), (2, [str(number), "queued", "0/100"]))
        self.assertEqual(json.loads(self.gantry(self.farm, "list", "--json", "--size", "1")[0])["page_size"], 1)
        shown = self.gantry(self.farm, "show", str(number))[0]
        self.assertRegex(shown, r"frames +5-104: 0 completed")
        self.assertRegex(shown, r"priority +7\n")
        self.assertEqual(self.gantry(self.farm, "pause", str(number))[0], f"task {number} paused\n")
        self.assertEqual(self.gantry(self.farm, "resume", str(number))[0], f"task {number} queued\n")
        self.assertIn("queued", self.gantry(self.farm, "resume", str(number), code=1)[1])
        self.assertIn("pending", self.gantry(self.farm, "retry", str(number), "5", code=1)[1])
        said = self.gantry(self.farm, "retry", str(number), "5", "105", code=1)[1].splitlines()  # each by its name
        self.assertEqual([line.split(": ")[:2] for line in said], [["gantry", "frame 5"], ["gantry", "frame 105"]])
        self.assertEqual(self.gantry(self.farm, "cancel", str(number))[0], f"task {number} cancelled\n")
        out, err = self.gantry(self.farm, "watch", str(number), code=1)
        self.assertRegex(out, rf"^task {number} cancelled: 0 of 100 frames, 100 cancelled; cost 0.00 of ")
        self.assertIn(f"task {number} cancelled", err)
        self.assertEqual(self.gantry(self.farm, "retry", str(number), "5", "6")[0], "frame 5 is rendered again\nframe 6 is rendered again\n")
        self.assertEqual(self.gantry(self.farm, "retry", str(number))[0], f"task {number}: 0 frames are rendered again\n")
        self.assertIn("0 pictures", self.gantry(self.farm, "download", str(number), "none")[1])
        for verb in ("show", "watch", "cancel", "retry", "download"):
            self.assertIn("there is no task", self.gantry(self.farm, verb, "999", code=1)[1])
            self.assertIn("is a number", self.gantry(self.farm, verb, "x", code=2)[1])

    def test_watching_ends_and_the_task_goes_on(self):
        number = int(self.gantry(self.farm, "submit", self.scene(textures=()), "--frames", "1-25")[0])
        process = self.start(self.farm, "watch", str(number))
        self.addCleanup(process.kill)
        self.assertTrue(process.stdout.readline().startswith(f"task {number} queued: 0 of 25 frames"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=600 * SLOW)
        self.assertEqual((process.returncode, err.splitlines()[-1]),
                         (130, f"gantry: task {number} goes on: gantry render watch {number} looks again, gantry render cancel {number} ends it"))
        self.assertEqual(self.farm.get(f"{BASE}/tasks/{number}").body["data"]["status"], "queued")

    def test_a_grid_on_a_terminal(self):
        number = int(self.gantry(self.farm, "submit", self.scene(textures=()), "--frames", "1-25")[0])
        outer, inner = pty.openpty()
        process = self.start(self.farm, "watch", str(number), stdout=inner)
        self.addCleanup(process.kill)
        os.close(inner)
        seen = b""

        def more():
            nonlocal seen
            if select.select([outer], [], [], 0.05)[0]:
                seen += os.read(outer, 65536)
            return seen.count(b"# done") >= 2

        wait_for(more, what="the grid being drawn again")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=600 * SLOW)
        os.close(outer)
        self.assertIn(b" 1 \x1b[0m\x1b[2m" + b"." * 25, seen)
        self.assertIn(b"\x1b[3A\r\x1b[J", seen)  # it takes the place of the one before
        self.assertEqual(process.returncode, 130)


class Studio(ScriptedWorker):
    """A worker that renders with Maya, as the test says."""

    def __init__(self, farm):
        super().__init__(farm.endpoint("workers"), ("render",), executors=("render",))
        self.farm = farm
        self.hello(labels={"render.engines": "maya 2024"})

    def frame(self):
        run = self.assignment()
        self.tell("accept", leases=[{"run_id": run["run_id"], "attempt": run["attempt"]}])
        return run

    def render(self, content, hash=None):
        """The next frame is rendered to this, whatever its hash is said to be."""
        run = self.frame()
        path = self.farm.data / "render" / run["spec"]["output"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        said = {"output_path": run["spec"]["output"], "output_size": len(content), "output_hash": hash or md5(content), "render_time": 1.0, "width": 64,
                "height": 32, "black": False, "engine_version": "2024"}
        self.result(run["run_id"], run["attempt"], result=json.dumps(said))
        self.expect("result_ack")
        return path

    def fail(self, error):
        run = self.frame()
        self.result(run["run_id"], run["attempt"], outcome=2, exit_code=1, error=error)
        self.expect("result_ack")


class Ends(Client):
    def setUp(self):
        super().setUp()
        self.farm = Farm(**dict(PATIENT, workers=0, render_attempts=1, lease_seconds=300))
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        (self.home / "scene.ma").write_text('//Maya ASCII 2024 scene\nrequires maya "2024";\n')

    def test_a_frame_fails_and_is_rendered_again(self):
        with Studio(self.farm) as studio:
            process = self.start(self.farm, "submit", "scene.ma", "--frames", "7-8", "--watch", "--json")
            self.addCleanup(process.kill)
            studio.render(b"seven")
            studio.fail("no licence")
            out, err = process.communicate(timeout=600 * SLOW)
            self.assertEqual(process.returncode, 1, err)
            task = json.loads(out)
            self.assertEqual((task["status"], task["completed_frames"], task["failed_frames"]), ("failed", 1, 1))
            number = str(task["id"])
            for words in ("frame 8 failed: no licence", f"task {number} failed", f"gantry render retry {number}"):
                self.assertIn(words, err)
            self.assertEqual(self.gantry(self.farm, "retry", number)[0], f"task {number}: 1 frames are rendered again\n")
            process = self.start(self.farm, "watch", number, "--download", "pictures")
            self.addCleanup(process.kill)
            studio.render(b"eight")
            out, err = process.communicate(timeout=600 * SLOW)
            self.assertEqual(process.returncode, 0, err)
        self.assertEqual({path.name: path.read_bytes() for path in (self.home / "pictures").iterdir()},
                         {"frame.0007.exr": b"seven", "frame.0008.exr": b"eight"})

    def test_pictures_that_are_others_are_not_kept(self):
        with Studio(self.farm) as studio:
            number = self.gantry(self.farm, "submit", "scene.ma", "--frames", "1-4")[0].strip()
            studio.render(b"right")
            studio.render(b"wrong", md5(b"other"))
            gone = studio.render(b"gone!")
            studio.render(b"")
            self.gantry(self.farm, "watch", number)
        gone.unlink()
        _, err = self.gantry(self.farm, "download", number, "pictures", code=1)
        self.assertIn("frame 2: frame.0002.exr is not what the farm says it is (MD5)", err)
        self.assertIn("frame 3: ", err)
        self.assertIn("2 pictures in pictures, 2 of them fetched now", err)
        self.assertEqual({path.name: path.read_bytes() for path in (self.home / "pictures").iterdir()}, {"frame.0001.exr": b"right", "frame.0004.exr": b""})


if __name__ == "__main__":
    unittest.main()
