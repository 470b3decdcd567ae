"""The transcode farm with its own worker: a library is scanned and transcoded by itself, whatever dies meanwhile."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests import videos
from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.patience import PATIENT
from tests.scenario.test_transcode_worker import film, probe

WAITING, COMPLETED, FAILED = 1, 4, 5


class Home(unittest.TestCase):
    """A farm with a library, and what is asked of it."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-whole-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.root = self.folder / "library"
        self.out = self.folder / "out"
        self.root.mkdir()

    def farm(self, environment=None, **settings):
        settings = dict({"library": str(self.root), "transcode_save": str(self.out), "transcode_preset": "ultrafast", "transcode_encoders": "cpu",
                         "lease_heartbeat_ms": "500"}, **settings)
        farm = Farm(**dict(PATIENT, **settings))
        farm.environments["worker1"] = environment or {}
        farm.__enter__()
        self.addCleanup(farm.close)
        return farm

    def videos(self, farm):
        try:
            answer = farm.get("/api/v1/videos?per_page=100")
        except OSError:
            return {}
        if answer.status != 200:
            return {}
        return {video["video_path"]: video for video in answer.body["data"]["videos"]}

    def status(self, farm, path):
        return self.videos(farm).get(path, {}).get("transcode_status")

    def slow_ffmpeg(self):
        """An ffmpeg that encodes, then waits until the file `go` is there."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"""#!/bin/bash
real={shutil.which('ffmpeg')}
if [[ "$*" == *libx265*file:* ]]; then
    "$real" "$@" || exit
    touch {self.folder}/encoded
    until [[ -e {self.folder}/go ]]; do sleep 0.05; done
    exit 0
fi
exec "$real" "$@"
""")
        os.chmod(folder / "ffmpeg", 0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def leftovers(self):
        return [str(path) for path in self.folder.rglob(".gantry-*")]


class Whole(Home):
    def test_by_itself(self):
        videos.put("h264.mp4", self.root / "a/one.mp4")
        videos.put("multi.mkv", self.root / "two.mkv")
        videos.put("hevc.mkv", self.root / "small.mkv")
        videos.put("cut.mp4", self.root / "cut.mp4")
        farm = self.farm()
        wait_for(lambda: self.status(farm, "a/one.mp4") == COMPLETED and self.status(farm, "two.mkv") == COMPLETED, 120, "both transcodes")
        wait_for(lambda: len(self.videos(farm)) == 4, what="the whole library")
        self.assertEqual(film(self.out / "a/one.mp4")["codec"], "hevc")
        self.assertEqual(film(self.out / "two.mp4")["codec"], "hevc")
        found = self.videos(farm)
        self.assertEqual((found["small.mkv"]["transcode_status"], found["cut.mp4"]["transcode_status"]), (0, 0))
        task = farm.get(f"/api/v1/tasks/{found['a/one.mp4']['transcode_task_id']}").body["data"]
        self.assertEqual((task["status"], task["remaining_time"]), (2, 0))
        self.assertTrue((self.root / "a/one.mp4").exists())

    def test_in_place_and_a_scan_behind_it(self):
        source = videos.put("h264.mp4", self.root / "one.mp4")
        farm = self.farm(transcode_save="!replace")
        wait_for(lambda: self.status(farm, "one.mp4") == COMPLETED, 120, "the transcode")
        self.assertEqual(film(source)["codec"], "hevc")
        self.assertTrue((self.root / "one.mp4.bak").exists())
        before = self.videos(farm)["one.mp4"]
        self.scan(farm)
        after = self.videos(farm)["one.mp4"]
        self.assertEqual((after["id"], after["transcode_status"], after["codec"]), (before["id"], COMPLETED, "hevc"))

    def scan(self, farm):
        """What is asked for may be a scan that goes on already, since before what it is to see; the next one is none."""
        for _ in range(2):
            run = farm.data_of(farm.post("/api/v1/videos/scan", {}))["run_ids"][0]
            self.assertEqual(farm.wait_run(run, timeout=120)["status"], "completed")

    def test_a_source_that_is_replaced_by_another_version(self):
        """The result of the older one gives way to that of the new one."""
        videos.put("h264.mp4", self.root / "one.mp4")
        farm = self.farm()
        wait_for(lambda: self.status(farm, "one.mp4") == COMPLETED, 120, "the transcode")
        first = self.videos(farm)["one.mp4"]["transcode_task_id"]
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "9", "-t", "3", str(self.folder / "next.mp4"))
        os.rename(self.folder / "next.mp4", self.root / "one.mp4")

        def again():
            video = self.videos(farm).get("one.mp4", {})
            return video.get("transcode_status") == COMPLETED and video["transcode_task_id"] != first

        wait_for(again, 120, "the transcode of the new version")
        self.assertAlmostEqual(probe(self.out / "one.mp4")["duration"], 3, delta=0.2)
        self.assertEqual({path.name for path in self.out.iterdir()} - {".gantry.id"}, {"one.mp4"})

    def gantry(self, farm, *arguments):
        command = [str(BUILD / "gantry"), *arguments, "--data", str(farm.data), "--url", f"http://127.0.0.1:{farm.port}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120 * SLOW, env=clean_environment(), check=False)

    def test_undone_from_the_command_line(self):
        source = videos.put("multi.mkv", self.root / "two.mkv")
        content = source.read_bytes()
        farm = self.farm(transcode_save="!replace")
        wait_for(lambda: self.status(farm, "two.mp4") == COMPLETED, 120, "the transcode")
        self.assertFalse(source.exists())
        task = self.videos(farm)["two.mp4"]["transcode_task_id"]
        done = self.gantry(farm, "transcode", "undo", str(task), "--wait")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(source.read_bytes(), content)
        self.assertFalse((self.root / "two.mp4").exists())
        self.scan(farm)
        found = self.videos(farm)
        self.assertEqual([(path, one["transcode_status"]) for path, one in found.items()], [("two.mkv", 0)])
        self.assertTrue(self.excluded(farm, "two.mkv"))
        again = self.gantry(farm, "transcode", "undo", str(task), "--wait")
        self.assertEqual(again.returncode, 0, again)  # a repeat changes nothing
        self.assertIn("has its place already", again.stdout)
        self.assertEqual(self.gantry(farm, "transcode", "undo", "999999").returncode, 1)
        self.assertEqual(self.gantry(farm, "transcode", "undo", "x").returncode, 2)

    def excluded(self, farm, path):
        return farm.get(f"/api/v1/videos/{self.videos(farm)[path]['id']}").body["data"]["excluded"]

    def test_not_undone(self):
        """While its video is being transcoded again, and when the original is gone: told, and nothing is touched."""
        source = videos.put("h264.mp4", self.root / "one.mp4")
        bak = self.root / "one.mp4.bak"
        farm = self.farm(self.slow_ffmpeg(), transcode_save="!replace", transcode_rules="yes", transcode_crf="45")
        (self.folder / "go").touch()
        wait_for(lambda: self.status(farm, "one.mp4") == COMPLETED, 120, "the transcode")
        video = self.videos(farm)["one.mp4"]
        task, content, original = str(video["transcode_task_id"]), source.read_bytes(), bak.read_bytes()
        (self.folder / "go").unlink()
        (self.folder / "encoded").unlink()
        self.assertEqual(farm.request("PATCH", f"/api/v1/videos/{video['id']}", {"transcode_status": 1}).status, 200)
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "the next encode")
        refused = self.gantry(farm, "transcode", "undo", task)
        self.assertEqual(refused.returncode, 1, refused)
        self.assertIn(f"video {video['id']} is being transcoded again, by task", refused.stderr)
        again = self.videos(farm)["one.mp4"]["transcode_task_id"]
        self.assertEqual(self.gantry(farm, "abort", str(again)).returncode, 0)
        wait_for(lambda: self.status(farm, "one.mp4") == FAILED and not self.leftovers(), 120, "its end")
        self.assertEqual((source.read_bytes(), bak.read_bytes()), (content, original))
        bak.unlink()
        gone = self.gantry(farm, "transcode", "undo", task, "--wait")
        self.assertEqual(gone.returncode, 1, gone)
        self.assertIn("the original is not there any more", gone.stderr)
        self.assertEqual(source.read_bytes(), content)
        self.assertFalse(self.excluded(farm, "one.mp4"))

    def killed(self, name):
        """In the middle of an encode; then all is well in the end, and nothing is left."""
        videos.put("h264.mp4", self.root / "one.mp4")
        content = (self.root / "one.mp4").read_bytes()
        farm = self.farm(self.slow_ffmpeg(), transcode_save="!replace")
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "an encode")
        farm.kill(name)
        self.assertEqual((self.root / "one.mp4").read_bytes(), content)
        (self.folder / "go").touch()
        farm.start(name)
        wait_for(lambda: self.status(farm, "one.mp4") == COMPLETED, 120, "the transcode")
        self.assertEqual(film(self.root / "one.mp4")["codec"], "hevc")
        self.assertEqual((self.root / "one.mp4.bak").read_bytes(), content)
        self.assertEqual(self.leftovers(), [])
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), ["one.mp4", "one.mp4.bak"])

    def test_the_worker_is_killed(self):
        self.killed("worker1")

    def test_the_scheduler_is_killed(self):
        self.killed("scheduler")

    def test_the_store_is_killed(self):
        self.killed("store")

    def test_the_gateway_is_killed(self):
        self.killed("gateway")

    def test_as_many_as_wanted(self):
        videos.put("h264.mp4", self.root / "one.mp4")
        videos.put("multi.mkv", self.root / "two.mkv")
        farm = self.farm(transcode_count="1")

        wait_for(lambda: "no transcodes are taken from now on" in farm.log("worker1"), 120, "its one transcode")
        wait_for(lambda: sorted(video["transcode_status"] for video in self.videos(farm).values()) == [WAITING, COMPLETED], 60, "one of two")
        self.assertEqual(len(list(self.out.rglob("*.mp4"))), 1)

    def test_a_file_that_fails_is_not_tried_for_ever(self):
        """It would become larger, so that each attempt fails."""
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-c:v", "libx264", "-crf", "45", "-an", str(self.root / "small.mp4"))
        farm = self.farm(transcode_crf="5", transcode_attempts="2")

        def attempts():
            tasks = farm.get("/api/v1/tasks?status[]=3").body["data"]
            return len(tasks) == 2 and self.status(farm, "small.mp4") == FAILED

        wait_for(attempts, 120, "two attempts")
        self.assertEqual([path for path in self.out.rglob("*") if path.is_file()], [])


if __name__ == "__main__":
    unittest.main()
