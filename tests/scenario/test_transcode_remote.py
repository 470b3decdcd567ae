"""The farm's own worker on a machine that has not got the library: sources and results go over HTTP, whatever breaks on the way."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from tests import videos
from tests.farm import BUILD, Farm, clean_environment, descendants, wait_for
from tests.farside import FarSide
from tests.patience import PATIENT
from tests.scenario.test_transcode_worker import film, probe
from tests.valve import Valve

COMPLETED, FAILED = 4, 5


class Remote(unittest.TestCase):
    """worker1 has the library and scans; worker2 transcodes and has neither the library nor the folder of results."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-remote-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.root, self.out, self.there = self.folder / "library", self.folder / "out", self.folder / "there"
        self.root.mkdir()
        self.there.mkdir()

    def begin(self, gateway=None, worker=None, environment=None, **settings):
        settings = dict({"library": str(self.root), "transcode_save": str(self.out), "transcode_preset": "ultrafast", "transcode_encoders": "cpu",
                         "lease_heartbeat_ms": "500"}, **dict(PATIENT, **settings))
        self.farm = Farm(types=["scan"], **settings)
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        self.valve = Valve(self.farm.port)
        self.addCleanup(self.valve.close)
        self.farm.environments["worker2"] = environment or {}
        own = dict({"library": "", "transcode.prefix": str(self.folder / "nowhere"), "transcode.save": str(self.folder / "never"),
                    "transcode.tmp": str(self.there), "worker.gateway": gateway or self.valve.url(), "worker.types": "transcode"}, **(worker or {}))
        self.extra = ["--set", "data=" + str(self.folder / "data2"), "--set", f"bus.workers={self.farm.endpoint('workers')}"]
        for key, value in own.items():
            self.extra += ["--set", f"{key}={value}"]

    def start_worker(self):
        (self.folder / "data2").mkdir(exist_ok=True)
        self.farm.start("worker2", self.extra)

    def videos(self):
        try:
            answer = self.farm.get("/api/v1/videos?per_page=100")
        except OSError:
            return {}
        return {video["video_path"]: video for video in answer.body["data"]["videos"]} if answer.status == 200 else {}

    def status(self, path):
        return self.videos().get(path, {}).get("transcode_status")

    def wait_status(self, path, status=COMPLETED):
        wait_for(lambda: self.status(path) == status, 180, f"{path} being {status}")

    def task(self, path):
        return self.videos()[path]["transcode_task_id"]

    def leftovers(self):
        """Of the worker's, and of the gateway's."""
        files = [path for path in self.there.rglob("*") if path.is_file()] + list(self.folder.rglob(".gantry-*"))
        return [str(path) for path in files + list((self.folder / "data2").rglob("runs/*/*/*/*"))]

    def fake_ffmpeg(self, script):
        """A program named ffmpeg that does this where it encodes; behind it REAL is the real one."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f'#!/bin/bash\nREAL={shutil.which("ffmpeg")}\nHERE={self.folder}\n'
                                       f'[[ "$*" == *libx265*file:* ]] || exec "$REAL" "$@"\n{script}\n')
        os.chmod(folder / "ffmpeg", 0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def name_step(self, **settings):
        """In the middle of it: its PUBLISH is granted, and nothing goes to the gateway any more."""
        videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(environment=self.fake_ffmpeg('echo x >> $HERE/encodes; "$REAL" "$@" || exit; touch $HERE/encoded;'
                                                ' until [[ -e $HERE/go ]]; do sleep 0.05; done'), **settings)
        self.start_worker()
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "an encode")
        made = max(path.stat().st_size for path in self.there.rglob("*") if path.is_file())
        self.farm.stop("scheduler")
        (self.folder / "go").touch()
        wait_for(lambda: sum(path.stat().st_size for path in self.out.rglob("*.part")) == made - 65536, 120, "all but its last part")
        wait_for(lambda: not self.steps("run"), 60, "the end of its program")
        self.valve.hold()
        self.farm.cont("scheduler")
        wait_for(lambda: self.steps("name"), 60, "its naming")

    def steps(self, name):
        """The programs of this step of a transcode below the worker."""
        found = []
        for pid in descendants(self.farm.pid("worker2")):
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"gantry-worker" in words[0] and words[1:3] == [b"--transcode", name.encode()]:
                    found.append(pid)
        return found


class Works(Remote):
    def test_from_one_folder_into_another(self):
        source = videos.put("h264.mp4", self.root / "片 1/one.mp4")
        videos.put("multi.mkv", self.root / "two.mkv")
        videos.put("cut.mp4", self.root / "cut.mp4")
        longest = "电" * 83 + "ab.mp4"
        videos.put("h264.mp4", self.root / longest)
        content = source.read_bytes()
        self.begin()
        self.start_worker()
        self.wait_status("片 1/one.mp4")
        self.wait_status("two.mkv")
        self.wait_status(longest)
        self.assertEqual(film(self.out / longest)["codec"], "hevc")
        self.assertEqual(film(self.out / "片 1/one.mp4")["codec"], "hevc")
        row = probe(self.out / "two.mp4")
        self.assertEqual([s["codec"] for s in row["streams"] if s["kind"] != "data"], ["hevc", "aac", "ac3", "mov_text"])
        self.assertEqual(source.read_bytes(), content)
        self.assertFalse((self.folder / "never").exists())
        self.assertEqual(self.leftovers(), [])
        result = json.loads(self.farm.run(self.task("two.mkv"))["result"])
        self.assertEqual((result["source"], result["dest"], result["replaced"]), (str(self.root / "two.mkv"), "two.mp4", False))
        self.assertEqual(result["size_after"], (self.out / "two.mp4").stat().st_size)
        lines = self.farm.get(f"/api/v1/logs?task_id={self.task('two.mkv')}&per_page=100").body["data"]["logs"]
        self.assertIn(f"the library is not here: its video comes from {self.valve.url()}", [line["log_message"] for line in lines])

    def undone(self, *settings, **farm):
        """What `gantry transcode undo` says when a worker with these settings does it."""
        videos.put("multi.mkv", self.root / "two.mkv")
        self.begin(**farm)
        self.start_worker()
        self.wait_status("two.mkv")
        self.farm.terminate("worker2")
        more = [word for setting in settings for word in ("--set", setting)]
        self.farm.start("worker3", ["--set", "worker.types=transcode", "--set", "transcode.encoders=vpu", *more])
        command = [str(BUILD / "gantry"), "transcode", "undo", str(self.task("two.mkv")), "--wait", "--data", str(self.farm.data), "--url",
                   f"http://127.0.0.1:{self.farm.port}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean_environment(), check=False)

    def test_undone_by_who_has_the_library(self):
        """Under another name of its folder, too."""
        (self.folder / "mounted").symlink_to(self.root)
        done = self.undone(f"transcode.prefix={self.folder / 'mounted'}")
        self.assertEqual(done.returncode, 0, done)
        self.assertFalse((self.out / "two.mp4").exists())
        self.assertTrue((self.root / "two.mkv").exists())

    def test_undone_where_others_are_replaced(self):
        """Those that come over HTTP are beside the farm's data then."""
        done = self.undone(transcode_save="!replace")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual([path for path in self.farm.data.rglob("two.mp4")], [])
        self.assertTrue((self.root / "two.mkv").exists())

    def test_not_undone_by_who_has_not_the_results(self):
        done = self.undone(f"transcode.save={self.folder / 'elsewhere'}")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("not on this machine", done.stdout + done.stderr)
        self.assertTrue((self.out / "two.mp4").exists())

    def test_connections_that_break(self):
        """In the middle of the source, and of the result: it goes on where it was."""
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin()
        self.valve.hold(behind=source.stat().st_size // 2)
        self.start_worker()
        wait_for(self.valve.held, 120, "half of the source")
        self.valve.cut()
        self.valve.hold(behind=source.stat().st_size // 3)
        wait_for(self.valve.held, 60, "more of it")
        self.valve.cut()
        self.valve.open()
        self.wait_status("one.mp4")
        self.assertLess(self.valve.passed, 2 * source.stat().st_size + (self.out / "one.mp4").stat().st_size)
        self.assertEqual(self.leftovers(), [])

    def test_the_gateway_dies(self):
        """While the source comes, and while the result goes; at its name: test_transcode_named.py."""
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(environment=self.fake_ffmpeg('"$REAL" "$@" || exit; touch $HERE/encoded; until [[ -e $HERE/go ]]; do sleep 0.05; done'))
        self.valve.hold(behind=source.stat().st_size // 2)
        self.start_worker()
        wait_for(self.valve.held, 120, "half of the source")
        self.farm.restart("gateway")
        self.valve.open()
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "the encode")
        made = max(path.stat().st_size for path in self.there.rglob("*") if path.is_file())
        self.assertGreater(made, 65536 + 20000)
        self.valve.hold(behind=(made - 65536) // 2)
        (self.folder / "go").touch()
        wait_for(self.valve.held, 120, "half of the result")
        self.farm.kill("gateway")
        self.valve.open()
        self.farm.start("gateway")
        self.wait_status("one.mp4")
        self.assertEqual(film(self.out / "one.mp4")["codec"], "hevc")
        self.assertEqual(self.leftovers(), [])


class Killed(Remote):
    """-9 of the worker: nothing is half published, and when it is back and has done its work nothing is left."""

    def again(self):
        self.assertFalse((self.out / "one.mp4").exists())
        self.farm.kill("worker2")
        self.valve.open()
        self.start_worker()
        self.wait_status("one.mp4")
        self.assertEqual(film(self.out / "one.mp4")["codec"], "hevc")
        wait_for(lambda: not self.leftovers(), 60, "the end of what the gateway had of it")

    def test_while_it_fetches(self):
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin()
        self.valve.hold(behind=source.stat().st_size // 2)
        self.start_worker()
        wait_for(self.valve.held, 120, "half of the source")
        self.assertEqual(self.leftovers(), [])  # what is fetched has no name
        self.again()

    def test_while_it_encodes(self):
        videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(environment=self.fake_ffmpeg('[[ -e $HERE/encoded ]] && exec "$REAL" "$@"; "$REAL" "$@"; touch $HERE/encoded; exec sleep 1000'))
        self.start_worker()
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "an encode")
        self.again()

    def test_while_it_sends(self):
        videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(environment=self.fake_ffmpeg('"$REAL" "$@" || exit; touch $HERE/encoded; until [[ -e $HERE/go ]]; do sleep 0.05; done'))
        self.start_worker()
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "an encode")
        self.valve.hold(behind=30000)
        (self.folder / "go").touch()
        wait_for(self.valve.held, 120, "a part of the result")
        self.again()

    def test_before_its_last_part(self):
        """It was granted: the run comes back as itself."""
        self.name_step()
        run = self.task("one.mp4")
        self.again()
        self.assertEqual(self.task("one.mp4"), run)
        self.assertEqual((self.folder / "encodes").read_text().count("x"), 2)

    def test_the_step_itself(self):
        """By the kernel for want of memory, say: its worker lives on, and sends what is left."""
        self.name_step()
        run = self.task("one.mp4")
        os.kill(self.steps("name")[0], signal.SIGKILL)
        wait_for(lambda: self.steps("mend"), 60, "what ends it")
        self.valve.open()
        self.wait_status("one.mp4")
        self.assertEqual(self.task("one.mp4"), run)
        self.assertEqual((self.folder / "encodes").read_text().count("x"), 1)
        self.assertEqual(film(self.out / "one.mp4")["codec"], "hevc")
        self.assertEqual(self.leftovers(), [])

    def test_behind_its_name(self):
        """The result has its name, and the worker did not live to hear it: it is taken, and not made again."""
        self.name_step()
        self.farm.stop("worker2")
        self.valve.open()
        wait_for(lambda: (self.out / "one.mp4").exists(), 60, "its name")
        self.farm.kill("worker2")
        inode = (self.out / "one.mp4").stat().st_ino
        self.start_worker()
        self.wait_status("one.mp4")
        self.assertEqual((self.out / "one.mp4").stat().st_ino, inode)
        self.assertEqual((self.folder / "encodes").read_text().count("x"), 1)
        self.assertEqual(self.leftovers(), [])


class Refused(Remote):
    def failed(self, path, words):
        self.wait_status(path, FAILED)
        error = self.farm.run(self.task(path))["error_message"]
        self.assertIn(words, error)
        self.assertEqual(self.leftovers(), [])
        self.assertFalse((self.out / path).exists())

    def test_a_source_that_goes(self):
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(transcode_attempts="1")
        wait_for(lambda: self.status("one.mp4") == 1, 60, "the scan")
        source.unlink()
        source.symlink_to("/etc/passwd")  # a scan passes it over, so that the video stays in the list
        self.start_worker()
        self.failed("one.mp4", "the gateway says")

    def test_a_source_that_is_not_what_was_looked_at(self):
        """Of the same size, and nobody looks at it anew."""
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(transcode_attempts="1")
        wait_for(lambda: self.status("one.mp4") == 1, 60, "the scan")
        self.farm.terminate("worker1")
        with source.open("r+b") as file:
            file.seek(source.stat().st_size // 2)
            file.write(bytes(4096))
            file.seek(100)
            file.write(b"x")
        self.start_worker()
        self.failed("one.mp4", "not the video that was looked at")

    def test_a_source_that_becomes_another_while_it_comes(self):
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(transcode_attempts="1")
        self.valve.hold(behind=source.stat().st_size // 2)
        self.start_worker()
        wait_for(self.valve.held, 120, "half of the source")
        task = self.task("one.mp4")
        self.farm.terminate("worker1")
        (self.folder / "next").write_bytes(source.read_bytes()[::-1])
        os.rename(self.folder / "next", source)
        self.valve.cut()
        self.valve.open()
        self.assertIn("has changed", self.farm.wait_run(task, timeout=120)["error_message"])

    def test_a_source_that_changes(self):
        """Behind its encode: what was made is of no use, and the original stays."""
        source = videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(transcode_attempts="1", worker={"transcode.count": "1"}, environment=self.fake_ffmpeg(
            '"$REAL" "$@" || exit; touch $HERE/encoded; until [[ -e $HERE/go ]]; do sleep 0.05; done'))
        self.start_worker()
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "the encode")
        task = self.task("one.mp4")
        with source.open("ab") as file:
            file.write(b"more")
        (self.folder / "go").touch()
        run = self.farm.wait_run(task, timeout=120)
        self.assertIn("has changed", run["error_message"])

    def test_a_strangers_file_at_its_name(self):
        videos.put("h264.mp4", self.root / "one.mp4")
        self.out.mkdir()
        (self.out / "one.mp4").write_text("somebody's")
        self.begin(transcode_attempts="1")
        self.start_worker()
        self.wait_status("one.mp4", FAILED)
        self.assertIn("is there already", self.farm.run(self.task("one.mp4"))["error_message"])
        self.assertEqual((self.out / "one.mp4").read_text(), "somebody's")
        self.assertEqual(self.leftovers(), [])


class Keyed(Remote):
    def gantry(self, *words):
        command = [str(BUILD / "gantry"), *words, "--data", str(self.farm.data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment(), check=True).stdout

    def test_a_key(self):
        """Where keys are asked for, its own is in a file; a wrong one is an error that says so."""
        videos.put("h264.mp4", self.root / "one.mp4")
        key = self.folder / "key"
        key.write_text("gtk_nobody\n")
        self.begin(worker={"worker.gateway_key": str(key)}, transcode_attempts="1", gateway=None)
        self.farm.terminate("gateway")
        admin = self.gantry("key", "create", "--role", "admin", "--name", "me").split()[-1]
        worker = self.gantry("key", "create", "--role", "worker", "--name", "studio").split()[-1]
        self.farm.settings["auth_required"] = "always"
        self.farm.start("gateway")
        self.farm.headers = {"Authorization": f"Bearer {admin}"}
        self.start_worker()
        self.wait_status("one.mp4", FAILED)
        self.assertIn("the gateway says", self.farm.run(self.task("one.mp4"))["error_message"])
        key.write_text(worker + "\n")
        video = self.videos()["one.mp4"]["id"]
        self.farm.data_of(self.farm.request("PATCH", f"/api/v1/videos/{video}", {"transcode_status": 1}))
        self.wait_status("one.mp4")
        self.assertNotIn(worker, self.farm.log("worker2"))
        self.assertEqual(self.leftovers(), [])


class Offered(unittest.TestCase):
    def test_what_it_serves(self):
        """With a gateway and no library: transcodes, and nothing that needs the library."""
        with FarSide(worker_gateway="http://127.0.0.1:1", transcode_encoders="cpu") as farm:
            self.assertIn("transcode", farm.hello["task_types"])
            self.assertNotIn("scan", farm.hello["task_types"])
            self.assertIn("transcode", farm.hello["executors"])
            self.assertEqual({"scan", "health", "undo"} & set(farm.hello["executors"]), set())


if __name__ == "__main__":
    unittest.main()
