"""The recorder through kills of every process, and started as its clients know it."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from tests.farm import Farm, free_port, wait_for
from tests.recorder import API, Recorder
from tests.rtsp.server import Server
from tests.up import GANTRY, environment

def can_mount():
    return os.geteuid() == 0 and pathlib.Path("/proc/self/ns/mnt").exists()


ISOLATED = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
ASK = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/api/config/global', timeout=60).read().decode())"


def can_isolate():
    """Whether a program can have a network of its own."""
    tools = all(shutil.which(name) for name in ("unshare", "nsenter", "ip"))
    return tools and os.geteuid() == 0 and subprocess.run([*ISOLATED, "true"], capture_output=True, check=False, timeout=600).returncode == 0


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


class Night(unittest.TestCase):
    """Cycle after cycle, with somebody killed before the end of each recording."""

    CYCLES = 3

    def setUp(self):
        self.dice = random.Random(20251011)
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="recorder-")))
        self.out = folder / "out"
        self.out.mkdir()
        streams = [dict(stream, duration_seconds=300) for stream in STREAMS]
        config = {"global_config": {"poll_cycles": self.CYCLES, "max_concurrent_streams": 3, "total_poll_duration_seconds": 3000, "cycle_interval_seconds": 0,
                                    "output_directory": str(self.out)}, "streams": streams}
        (folder / "config.json").write_text(json.dumps(config))
        self.settings = dict(output=str(self.out), recorder_config=str(folder / "config.json"), bus_deadline_ms=120000, lease_seconds=300,
                             lease_accept_seconds=120)
        self.expected = dict.fromkeys(("due", "recorded", "gaps", "lost"), 0)

    def draw(self):
        """What a recording of 300 s comes to: (outcome, what its worker says), in ms as the ledger has it."""
        self.expected["due"] += 300000
        if self.dice.randrange(4) == 0:
            self.expected["lost"] += 300000
            return {"outcome": 2, "error": "connect: refused"}
        recorded, gaps = self.dice.randrange(1, 150000), [self.dice.randrange(1500, 20000) for _ in range(self.dice.randrange(4))]
        self.expected["recorded"] += recorded
        self.expected["gaps"] += sum(gaps)
        self.expected["lost"] += 300000 - recorded - sum(gaps)
        said = {"seconds": recorded / 1000, "bytes": 1, "frames": 1, "status": 4, "gaps": [{"at": at, "seconds": gap / 1000, "cause": "read"} for at, gap in enumerate(gaps)]}
        return {"result": json.dumps(said)}

    def fell(self, farm, worker, victim, left):
        """It dies and is there again; the leases that the worker has then."""
        if victim == "worker":
            worker.boot = os.urandom(8).hex()
            worker.hello()
            return [worker.begin() for _ in left]
        farm.kill(victim)
        farm.start(victim)
        farm.wait_ready()
        worker.hello(running=[{"run_id": one["run_id"], "attempt": one["attempt"]} for one in left])
        return left

    def cycle(self, farm, worker):
        left = [worker.begin() for _ in STREAMS]
        victims = self.dice.sample(("scheduler", "store", "gateway", "worker"), 3)
        for victim in victims:
            left = self.fell(farm, worker, victim, left)
            worker.end(left.pop(), **self.draw())

    def test_the_ledger_adds_up(self):
        with Farm(workers=0, **self.settings) as farm:
            wait_for(lambda: farm.get(f"{API}/config").status == 200, what="the import")
            with Recorder(farm) as worker:
                self.assertEqual(farm.post(f"{API}/scheduler/start").status, 200)
                for _ in range(self.CYCLES):
                    self.cycle(farm, worker)
                wait_for(lambda: not farm.get(f"{API}/scheduler/status").body["is_running"], what="the end")
            wait_for(lambda: len(list(self.out.glob("*/streams.csv"))) == self.CYCLES, what="the reports")
            self.compare(farm)
        self.rebuilt()

    def compare(self, farm):
        days, gaps = farm.get(f"{API}/coverage").body["days"], farm.get(f"{API}/coverage/gaps").body["recordings"]
        told = {name: sum(round(1000 * day[field]) for day in days)
                for name, field in (("due", "due_seconds"), ("recorded", "recorded_seconds"), ("gaps", "gap_seconds"), ("lost", "lost_seconds"))}
        self.assertEqual(told, self.expected)
        for day in days:
            self.assertEqual(round(1000 * (day["due_seconds"] + day["extra_seconds"])),
                             round(1000 * (day["recorded_seconds"] + day["gap_seconds"] + day["lost_seconds"] + day["unplanned_seconds"])))
        self.assertEqual(sum(day["completed"] + day["failed"] + day["cancelled"] for day in days), 3 * self.CYCLES)
        self.assertEqual(sum(round(1000 * gap["seconds"]) for one in gaps for gap in one["gaps"]), self.expected["gaps"] + self.expected["lost"])
        self.assertLessEqual({gap["cause"] for one in gaps for gap in one["gaps"]}, {"read", "short", "connect"})
        reports = [json.loads(path.read_text())["streams"] for path in self.out.glob("*/rtsp_report.json")]
        self.assertEqual(sum(round(1000 * one["recorded_seconds"]) for streams in reports for one in streams), self.expected["recorded"])

    def rebuilt(self):
        """A farm that knows nothing finds all files in the folder; what was due it cannot know."""
        for number, cycle in enumerate(sorted(self.out.glob("[0-9]*"))):
            (cycle / "cam.mp4").write_bytes(bytes(1000 + number))
        with Farm(workers=0, **self.settings) as farm:
            wait_for(lambda: farm.get(f"{API}/config").status == 200, what="the import")
            folders = farm.get(f"{API}/timestamps").body["timestamps"]
            self.assertEqual([(one["video_count"], one["total_size"]) for one in folders], [(1, 1000 + number) for number in reversed(range(self.CYCLES))])
            videos = farm.get(f"{API}/videos").body["videos"]
            self.assertEqual([one["timestamp_dir"] for one in videos], [one["timestamp"] for one in folders])
            self.assertEqual([farm.get(f"{API}/coverage{part}").body["count"] for part in ("", "/gaps")], [0, 0])
            self.assertEqual(farm.delete(f"{API}/timestamp/{folders[0]['timestamp']}").status, 200)
            self.assertEqual(farm.get(f"{API}/videos").body["count"], self.CYCLES - 1)


class Disk(unittest.TestCase):
    """A disk that is away, or full, and is back: nothing is recorded beside it, and then it goes on by itself, whoever died meanwhile."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="recorder-")
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name).resolve()
        self.out = self.root / "out"
        self.out.mkdir()

    def begin(self, **more):
        """A farm for two cycles of one recording, with more time than any machine stands still."""
        config = self.root / "config.json"
        stream = {"rtsp_url": "rtsp://cam/1", "duration_seconds": 3000, "weight": 1, "output_filename": "cam.mp4"}
        config.write_text(json.dumps({"global_config": {"poll_cycles": 2, "total_poll_duration_seconds": 3600, "cycle_interval_seconds": 1, "output_directory": str(self.out)},
                                      "streams": [stream]}))
        self.farm = self.enterContext(Farm(workers=0, output=str(self.out), recorder_config=str(config), bus_deadline_ms=120000, lease_seconds=600,
                                           lease_accept_seconds=300, **more))
        wait_for(lambda: self.farm.get(f"{API}/config").status == 200, what="the import")

    def state(self):
        return self.farm.get(f"{API}/scheduler/status").body["disk_state"]

    def through(self, word, take, bring):
        """The first recording goes on while the disk is taken; the second one waits for it, and begins when it is brought back."""
        with Recorder(self.farm) as worker:
            self.assertEqual(self.farm.post(f"{API}/scheduler/start").body["disk_state"], "ok")
            run = worker.begin()
            take()
            wait_for(lambda: self.state() == word, what=f"{word}")
            self.assertEqual(self.farm.get(f"{API}/disk").body["state"], word)
            worker.end(run, result=SAID)
            waits = wait_for(lambda: (now := self.farm.get(f"{API}/tasks").body["tasks"][0])["status"] == 0 and now["error_message"] and now, what="one that waits")
            self.assertEqual((waits["error_message"].split(":")[0], waits["run_id"]), (word, 0))
            for victim in ("scheduler", "store", "gateway"):
                self.farm.kill(victim)
                self.farm.start(victim)
                self.farm.wait_ready(0)
                self.assertEqual(self.state(), word)
            worker.hello()
            bring()
            run = worker.begin()
            self.assertEqual(self.state(), "ok")
            worker.end(run, result=SAID)
            ended = wait_for(lambda: not (now := self.farm.get(f"{API}/scheduler/status").body)["is_running"] and now, what="the end")
            self.assertEqual((ended["completed_tasks"], ended["cycles"]), (1, 2))

    def test_away(self):
        self.begin(recorder_min_free_mb=0)
        away = self.root / "away"

        def take():
            self.out.rename(away)
            self.out.mkdir()

        def bring():
            self.assertEqual(list(self.out.iterdir()), [])
            self.out.rmdir()
            away.rename(self.out)

        self.through("unmounted", take, bring)

    @unittest.skipUnless(can_mount(), "mounting a small disk needs root")
    def test_full(self):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(self.out)], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("cannot mount here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.out)], check=True)
        self.begin(recorder_min_free_mb=20)
        filler = self.out / ".filler"
        self.through("disk_full", lambda: filler.write_bytes(bytes(56 << 20)), filler.unlink)


class Command(unittest.TestCase):
    def setUp(self):
        self.folder, self.data = (tempfile.mkdtemp(prefix=name) for name in ("recorder-", "gantry-test-"))
        for path in (self.folder, self.data):
            self.addCleanup(shutil.rmtree, path, True)
        self.port = free_port()

    def ask(self, path, body=None, method=None):
        """What is answered; None: nobody is there, or not ready yet."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/api{path}", method=method, data=None if body is None else json.dumps(body).encode(),
                                       headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return json.load(answer)
        except OSError:
            return None

    def workers(self, url):
        with urllib.request.urlopen(f"{url}/api/workers", timeout=120) as answer:
            return json.load(answer)["data"]["items"]

    def test_wrong_words(self):
        wrong = subprocess.run([GANTRY, "recorder", "x", "port"], capture_output=True, text=True, env=environment(), cwd=self.folder)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("PORT", wrong.stderr)

    def test_gantry_recorder(self):
        """Nothing is there but the command: what it is told to record is in the folder that it was given."""
        with open(os.path.join(self.folder, "log"), "wb") as log:
            process = subprocess.Popen([GANTRY, "recorder", "./videos", str(self.port), "--data", self.data], cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=log, env=environment(), start_new_session=True)
        try:
            ready, url = process.stdout.readline().decode().split()
            self.assertEqual(ready, "ready")
            worker, = wait_for(lambda: self.workers(url), what="a worker")  # one alone: it was said how many slots it has
            self.assertEqual(worker["max_concurrent_tasks"], 400)  # however few processors there are
            self.assertEqual(wait_for(lambda: self.ask("/config/global"), what="the configuration")["output_directory"], "./videos")
            self.assertTrue(os.path.exists(os.path.join(self.folder, "config.json")))
            with Server() as server:
                self.record(server)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            process.stdout.close()

    @unittest.skipUnless(can_isolate(), "a network of one's own needs root")
    def test_defaults(self):
        """With no words, and with a folder alone: in a network of its own, where nobody else has port 8080."""
        for words, folder in (((), "./output"), (("./there",), "./there")):
            place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
            with open(place / "log", "wb") as log:
                process = subprocess.Popen([*ISOLATED, GANTRY, "recorder", *words, "--data", str(place / "data")], cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=log, env=environment(), start_new_session=True)
            try:
                self.assertTrue(process.stdout.readline().startswith(b"ready "), (place / "log").read_text())

                def said():
                    asked = subprocess.run(["nsenter", "-t", str(process.pid), "-n", sys.executable, "-c", ASK], capture_output=True, text=True, timeout=600, check=False)
                    return json.loads(asked.stdout) if asked.returncode == 0 else None

                self.assertEqual(wait_for(said, what="the configuration")["output_directory"], folder)
                self.assertTrue((place / "config.json").exists())
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(600), 0)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
                process.stdout.close()

    def record(self, server):
        stream = {"rtsp_url": server.url, "duration_seconds": 2, "weight": 1, "output_filename": "cam1.mp4"}
        self.assertTrue(self.ask("/config/streams", stream))
        for seconds in (2, 20, 90):  # a machine that stands still for longer than a slot lasts misses it
            self.assertTrue(self.ask("/config/streams/0", {"duration_seconds": seconds}, "PUT"))
            self.assertTrue(self.ask("/config/global", {"poll_cycles": 1, "total_poll_duration_seconds": 90}, "PUT"))
            self.assertTrue(self.ask("/scheduler/start", {}))
            wait_for(lambda: (now := self.ask("/scheduler/status")) and not now["is_running"], 600, what="the end")
            (task,) = self.ask("/tasks")["tasks"]
            if task["status"] == 4:
                break
        self.assertEqual((task["status"], task["output_file"].startswith("./videos/")), (4, True), task)
        (video,) = [one for one in self.ask("/videos")["videos"] if one["full_path"] == task["output_file"]]
        self.assertEqual(os.path.getsize(os.path.join(self.folder, video["full_path"])), video["file_size"])
