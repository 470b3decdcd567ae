"""The transcode API with workers as they exist, while the farm's processes die in the middle; and what silence comes to."""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from tests.bus import ScriptedWorker
from tests.farm import BUILD, ROOT, SLOW, Farm, clean_environment, wait_for
from tests.library import Scanner, fill, video, video_of, wait_status
from tests.patience import PATIENT

LIBRARY = "/library"
SETTINGS = dict(PATIENT, workers=0, library=LIBRARY, library_scan_minutes=0)


class ApiWorker:
    """tests/worker/api_worker.py in a process of its own."""

    def __init__(self, farm, name, kind=0, vr=0, old=False):
        self.folder = tempfile.TemporaryDirectory(prefix="gantry-api-")
        self.out = pathlib.Path(self.folder.name) / "done"
        command = [sys.executable, str(ROOT / "tests" / "worker" / "api_worker.py"), f"http://127.0.0.1:{farm.port}", name, str(kind), str(vr),
                   str(self.out)]
        self.log = farm.data / f"{name}.api.test.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command + ["--old"] * old, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def done(self):
        """[(task, path)] in the order of their ends."""
        return [tuple(line.split(" ", 1)) for line in self.out.read_text().splitlines()] if self.out.exists() else []


def statuses(farm):
    return {one["video_path"]: one["transcode_status"] for one in farm.get("/api/v1/videos?per_page=1000").body["data"]["videos"]}


class Existing(unittest.TestCase):
    def test_they_work_while_everything_dies(self):
        """Each video is done once, by whom it was given to, whatever is killed in between. Who was given one and never heard of it, as the
        gateway died with the answer, asks for another; that task fails in its silence, and its video is given out again."""
        names = [f"film {n}.mp4" for n in range(12)] + ["broken.mp4"]
        patient = {f"transcode_{name}_seconds": 600 for name in ("offline", "offline_old", "report")}
        with Farm(transcode_first_report_seconds=60, **patient, **SETTINGS) as farm, contextlib.ExitStack() as workers:
            fill(farm, LIBRARY, *(video(name, bitrate_k=9000 - n) for n, name in enumerate(names)))
            crew = [workers.enter_context(ApiWorker(farm, "new")), workers.enter_context(ApiWorker(farm, "old", old=True))]

            def finished():
                return sum(len(one.done()) for one in crew)

            for step, victim in enumerate(("scheduler", "store", "gateway", "scheduler", "store", "gateway"), 1):
                wait_for(lambda step=step: finished() >= step, 60, f"{step} tasks done")
                farm.kill(victim)
                farm.start(victim)
            wait_for(lambda: finished() >= 12, 240, "all of them done")
            farm.wait_ready()

            def failed(path=None):
                tasks = farm.get("/api/v1/tasks?status[]=3&per_page=100").body["data"]
                return [one for one in tasks if path in (None, one["video_path"])]

            wait_for(lambda: len(failed("broken.mp4")) == 3, 240, "every attempt at the broken one")
            wait_for(lambda: sorted(set(statuses(farm).values())) == [4, 5], 60, "an end of each video")
            self.assertEqual(sorted(path for one in crew for _, path in one.done()), sorted(names[:-1]))
            self.assertEqual({path for path, status in statuses(farm).items() if status == 5}, {"broken.mp4"})
            for one in crew:
                for task, path in one.done():
                    shown = farm.get(f"/api/v1/tasks/{task}").body["data"]
                    self.assertEqual((shown["status"], shown["video_path"], shown["progress"], shown["remaining_time"]), (2, path, 100, 0))
                    self.assertEqual(farm.run(int(task))["status"], "completed")
                self.assertNotIn("lost", one.log.read_text())
            unheard = [one for one in failed() if one["progress"] == 0 and "未更新" in one["error_message"]]
            self.assertLessEqual(len(unheard), 6)  # one for each that was killed
            for one in failed():
                if one not in unheard:
                    self.assertEqual((one["video_path"], one["error_message"]), ("broken.mp4", "ffmpeg exited with 1"))
            self.assertEqual(farm.get("/api/v1/tasks?status[]=0&status[]=1").body["data"], [])
            lines = farm.get("/api/v1/logs?log_level[]=3").body["data"]["logs"]
            self.assertEqual({one["log_message"] for one in lines} - {one["error_message"] for one in unheard}, {"ffmpeg exited with 1"})

    def test_told_to_go(self):
        with Farm(**SETTINGS) as farm, ApiWorker(farm, "goes") as worker:
            number = wait_for(lambda: farm.get("/api/v1/workers").body["data"], what="its registration")[0]["worker_id"]
            farm.post(f"/api/v1/workers/{number}/offline", {"action": "shutdown"})
            self.assertEqual(worker.process.wait(120 * SLOW), 0)


class Silence(unittest.TestCase):
    def test_a_worker_that_dies(self):
        """Its task fails, its video with it, and its next start finds the way clear. Only while it is dead silence is short."""
        with Farm(**SETTINGS) as farm:
            def offline(seconds, reloads):
                (farm.data / "gantry.conf").write_text(f"transcode.offline_seconds = {seconds}\n")
                farm.signal("scheduler", signal.SIGHUP)
                wait_for(lambda: farm.log("scheduler").count("GTY-SETTINGS-RELOAD") == reloads, what="the reload")

            offline(600, 1)
            ids = fill(farm, LIBRARY, video("a.mp4"))
            number = farm.post("/api/v1/workers", {"worker_name": "dies", "worker_type": 0, "support_vr": 0}).body["data"]["worker_id"]
            task = farm.post("/api/v1/tasks", {"worker_id": number, "worker_type": 0, "support_vr": 0}).body["data"]["task_id"]
            begun = farm.request("PATCH", f"/api/v1/tasks/{task}", {"worker_id": number, "progress": 1, "status": 1})
            self.assertEqual((begun.status, video_of(farm, ids["a.mp4"])["transcode_status"]), (200, 3), begun)
            offline(2, 2)
            wait_status(farm, ids["a.mp4"], 5)
            offline(600, 3)
            task = farm.get("/api/v1/tasks").body["data"][0]
            self.assertEqual((task["status"], task["error_message"], task["remaining_time"]), (3, "Worker离线,任务终止", None))
            self.assertEqual(farm.get("/api/v1/workers").body["data"][0]["status"], 0)
            with ApiWorker(farm, "dies") as worker:
                wait_for(worker.done, 60, "the video done")
            self.assertEqual(len(farm.get("/api/v1/workers").body["data"]), 1)

    def test_a_task_that_nobody_speaks_of(self):
        with Farm(transcode_report_seconds=2, **SETTINGS) as farm:
            ids = fill(farm, LIBRARY, video("a.mp4"))
            body = {"worker_name": "w", "worker_type": 0, "support_vr": 0}
            number = farm.post("/api/v1/workers", body).body["data"]["worker_id"]
            task = farm.post("/api/v1/tasks", {"worker_id": number, "worker_type": 0, "support_vr": 0}).body["data"]["task_id"]
            farm.request("PATCH", f"/api/v1/tasks/{task}", {"worker_id": number, "progress": 1, "status": 1})

            def failed():
                farm.post("/api/v1/workers/heartbeat", {"worker_name": "w", "worker_id": number})
                return video_of(farm, ids["a.mp4"])["transcode_status"] == 5

            wait_for(failed, 60, "the end of the task")
            self.assertEqual(farm.get(f"/api/v1/tasks/{task}").body["data"]["error_message"], "任务超过2秒未更新，判定为超时")
            late = farm.request("PATCH", f"/api/v1/tasks/{task}", {"worker_id": number, "progress": 50, "status": 1})
            self.assertEqual((late.status, late.body["message"]), (409, "任务已结束，状态不可更改"))
            self.assertEqual(farm.get("/api/v1/workers").body["data"][0]["status"], 1)


class Sessions(unittest.TestCase):
    def test_a_scheduler_that_dies_between(self):
        """A worker with a session keeps its transcode over a restart of the scheduler; a scan goes on where it was."""
        with Farm(**SETTINGS) as farm:
            with Scanner(farm, LIBRARY) as scanner:
                scanner.say(video("a.mp4"), video("b.mp4", bitrate_k=1))
                with ScriptedWorker(farm.endpoint("workers"), types=("transcode",), executors=("transcode",)) as worker:
                    worker.hello(labels={"transcode.encoders": "cpu"})
                    run = worker.assignment()
                    lease = {"run_id": run["run_id"], "attempt": run["attempt"]}
                    worker.tell("accept", leases=[lease])
                    worker.tell("progress", items=[dict(lease, percent=50.0)])
                    wait_for(lambda: farm.get(f"/api/v1/tasks/{run['run_id']}").body["data"]["progress"] == 50, what="its progress")
                    farm.restart("scheduler")
                    worker.hello(running=[lease], labels={"transcode.encoders": "cpu"})
                    scanner.hello(running=[{"run_id": scanner.run, "attempt": scanner.attempt}])
                    self.assertEqual({one["path"] for one in scanner.known()}, {"a.mp4", "b.mp4"})
                    scanner.say(video("c.mp4", bitrate_k=2))
                    self.assertEqual(set(statuses(farm)), {"a.mp4", "b.mp4", "c.mp4"})
                    worker.insist("result", "result_ack", items=[dict(lease, outcome=1, result="{}")])
                    self.assertEqual(statuses(farm)["a.mp4"], 4)
                    worker.tell("bye")
                scanner.end()


class Commands(unittest.TestCase):
    def test_library_and_transcode(self):
        with Farm(**SETTINGS) as farm:
            def gantry(*words, code=0):
                done = subprocess.run([str(BUILD / "gantry"), *words, "--url", f"http://127.0.0.1:{farm.port}"], capture_output=True, text=True,
                                      timeout=60 * SLOW, check=False, env=clean_environment())
                self.assertEqual(done.returncode, code, done)
                return done.stdout + done.stderr

            ids = fill(farm, LIBRARY, video("a.mp4", bitrate_k=9000), video("b film.mp4", bitrate_k=5), video("c.mkv", codec="vp9"))
            table = gantry("library", "list", "--sort", "bitrate_k", "--order", "asc").splitlines()
            self.assertEqual(table[1].split()[:7], [str(ids["b film.mp4"]), "waiting", "h264", "1920x1080", "5", "57", "-"])
            self.assertEqual(len(table), 4)
            self.assertIn("c.mkv", gantry("library", "list", "--status", "not-needed"))
            self.assertEqual(len(json.loads(gantry("library", "list", "--search", "film", "--json"))["videos"]), 1)
            self.assertIn("goes before the others: b film.mp4", gantry("transcode", "bump", str(ids["b film.mp4"])))
            self.assertIn("is left alone: a.mp4", gantry("transcode", "skip", str(ids["a.mp4"])))
            self.assertIn("waits: c.mkv", gantry("transcode", "queue", str(ids["c.mkv"])))
            self.assertEqual(statuses(farm), {"a.mp4": 0, "b film.mp4": 1, "c.mkv": 1})
            self.assertIn("There is no such video", gantry("transcode", "queue", "99", code=1))
            self.assertIn("known by its number", gantry("transcode", "queue", "x", code=2))
            run = gantry("library", "scan", LIBRARY).split()[1]
            self.assertIn(farm.run(int(run))["status"], ("pending", "running"))
            self.assertIn("none of the library's folders", gantry("library", "scan", "/elsewhere", code=1))


if __name__ == "__main__":
    unittest.main()
