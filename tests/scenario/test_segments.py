"""Long videos, encoded in segments by several workers: one task to everybody, one result, whatever dies in between."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests import videos
from tests.farm import BUILD, SLOW, Farm, clean_environment, descendants, wait_for
from tests.patience import PATIENT
from tests.scenario.test_transcode_worker import film, probe

WAITING, COMPLETED, FAILED = 1, 4, 5
SECONDS = 12  # of the video; segments are about three long

SOURCE = ["-itsoffset", "0.2", "-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=25:duration={SECONDS}", "-f", "lavfi", "-i",
          f"sine=frequency=440:duration={SECONDS}", "-i", "{folder}/s.srt", "-i", "{folder}/chapters.txt", "-map", "0", "-map", "1", "-map", "2",
          "-map_metadata", "3", "-vf", "noise=alls=30:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-crf", "10", "-g", "25",
          "-c:a", "aac", "-c:s", "srt", "-metadata:s:a:0", "language=chi", "-metadata:s:v:0", "title=film"]


def make(path, *more):
    folder = path.parent
    (folder / "s.srt").write_text(videos.SUBTITLES)
    (folder / "chapters.txt").write_text(videos.CHAPTERS)
    videos.ffmpeg(*[word.format(folder=folder) for word in SOURCE], *more, str(path))
    (folder / "s.srt").unlink()
    (folder / "chapters.txt").unlink()
    return path


def packets(path, entry):
    """That of each packet of the film, in the order of the file, in seconds, where the file says it (Matroska says no dts)."""
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", f"packet={entry}_time", "-of", "csv=p=0", str(path)],
                          capture_output=True, text=True, check=True, timeout=120)
    return [float(line.split(",")[0]) for line in done.stdout.split() if not line.startswith("N/A")]


class Segments(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-segments-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.root = self.folder / "library"
        self.out = self.folder / "out"
        self.root.mkdir()

    def farm(self, workers=2, environment=None, **settings):
        settings = dict(PATIENT, **{"library": str(self.root), "transcode_save": str(self.out), "transcode_preset": "ultrafast", "transcode_encoders": "cpu",
                         "transcode_segment_minutes": "0.055", "lease_heartbeat_ms": "500", "transcode_crf": "30"}) | settings
        farm = Farm(workers=workers, **settings)
        for name in farm.workers:
            farm.environments[name] = dict(environment or {})
        farm.__enter__()
        self.addCleanup(farm.close)
        return farm

    # -- what the farm says --

    def video(self, farm, path="long.mkv"):
        try:
            answer = farm.get("/api/v1/videos?per_page=100")
        except OSError:
            return {}
        found = answer.body["data"]["videos"] if answer.status == 200 else []
        return next((video for video in found if video["video_path"] == path), {})

    def wait_status(self, farm, status, path="long.mkv"):
        wait_for(lambda: self.video(farm, path).get("transcode_status") == status, 240, f"{path} being {status}")
        return self.task(farm, path)

    def task(self, farm, path="long.mkv"):
        try:
            answer = farm.get(f"/api/v1/tasks/{self.video(farm, path).get('transcode_task_id')}")
        except OSError:
            return {}
        return answer.body["data"] if answer.status == 200 else {}

    def runs(self, farm, word):
        """Runs of the farm whose name begins so, oldest first."""
        found = farm.get("/api/runs?size=500").body["data"]["items"]
        return sorted((run for run in found if run["task_name"].startswith(word)), key=lambda run: run["id"])

    # -- what is on disk --

    def left(self):
        return sorted(path.name for path in self.folder.rglob(".gantry-*"))

    def wait_nothing_left(self):
        wait_for(lambda: not self.left(), 120, "the end of its segments")

    # -- an ffmpeg that waits --

    def slow_ffmpeg(self):
        """Encodes segments; then waits for the file `go`, or for `go-N`, where N is the segment's number. Joining waits for `join`."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"""#!/bin/bash
real={shutil.which('ffmpeg')}
if [[ "$*" == *libx265*setpts* || "$*" == *setpts*libx265* ]]; then
    "$real" "$@" || exit
    n=$(expr "$*" : '.*\\.0*\\([0-9]*\\)\\.mp4$')
    touch {self.folder}/encoded-$n
    until [[ -e {self.folder}/go || -e {self.folder}/go-$n ]]; do sleep 0.05; done
    exit 0
fi
if [[ "$*" == *concat* ]]; then
    "$real" "$@" || exit
    touch {self.folder}/joining
    until [[ -e {self.folder}/go || -e {self.folder}/join ]]; do sleep 0.05; done
    exit 0
fi
exec "$real" "$@"
""")
        os.chmod(folder / "ffmpeg", 0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def encoded(self):
        return {int(path.name.split("-")[1]) for path in self.folder.glob("encoded-*")}

    def check_result(self, source, made):
        """As if it had been made whole: the same frames at the same times, all streams, and what is said of them."""
        row, before = probe(made), probe(source)
        self.assertEqual(film(made)["codec"], "hevc")
        self.assertEqual([(s["kind"], s.get("language", "und")) for s in row["streams"] if s["kind"] != "data"],
                         [(s["kind"], s.get("language", "und")) for s in before["streams"]])
        self.assertEqual(row.get("chapters"), before.get("chapters"))
        self.assertAlmostEqual(row["duration"], before["duration"], delta=0.1)
        wanted, times = sorted(packets(source, "pts")), sorted(packets(made, "pts"))
        self.assertEqual(len(times), len(wanted))
        shift = wanted[0] - times[0]
        self.assertLess(max(abs(a - b - shift) for a, b in zip(wanted, times)), 0.002)
        order = packets(made, "dts")
        self.assertEqual(order, sorted(order))


class Made(Segments):
    def check_told(self, farm, task, lines, words):
        """`gantry logs` shows the lines of all its runs, in their order."""
        def told(*more):
            command = [str(BUILD / "gantry"), "logs", str(task), *more, "--data", str(farm.data), "--url", f"http://127.0.0.1:{farm.port}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120 * SLOW, env=clean_environment(), check=True)
            return done.stdout.splitlines()

        self.assertEqual(told(), [one for line in lines for one in line.splitlines() or [""]])
        self.assertEqual(told("-f"), told())
        self.assertEqual(told("--tail", "2"), told()[-2:])
        found = [json.loads(line) for line in told("--json")]
        self.assertEqual([line["message"] for line in found], lines)
        self.assertEqual({line["level"] for line in found} - {"debug", "info", "warn", "error"}, set())
        order = [next(i for i, line in enumerate(lines) if line.startswith(word)) for word in (words[0], words[-1])]
        self.assertEqual(order, sorted(order))

    def test_two_workers_share_a_video(self):
        source = make(self.root / "long.mkv")
        farm = self.farm(environment=self.slow_ffmpeg())
        wait_for(lambda: self.encoded() == {1, 2}, 120, "both at it")
        (self.folder / "go").touch()
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual((task["status"], task["progress"], task["remaining_time"]), (2, 100, 0))
        self.assertEqual((task["segments"], task["segments_made"]), (4, 4))
        self.check_result(source, self.out / "long.mp4")
        parts = self.runs(farm, "segment ")
        self.assertEqual([run["task_name"] for run in parts], [f"segment {n} of 4: long.mkv" for n in (1, 2, 3, 4)])
        self.assertEqual({run["status"] for run in parts}, {"completed"})
        self.assertEqual(len({run["worker_id"] for run in parts}), 2, "both took part")
        run = farm.get(f"/api/runs/{task['task_id']}").body["data"]
        self.assertEqual([attempt["outcome"] for attempt in run["attempts"]], ["returned", "completed"])
        result = json.loads(run["result"])
        self.assertEqual((result["dest"], result["preset"]), (str(self.out / "long.mp4"), "ultrafast"))
        logs = farm.get(f"/api/v1/logs?task_id={task['task_id']}&per_page=500").body["data"]["logs"]
        said = [line["log_message"] for line in logs]
        words = [f"[{n}/4] ffmpeg " for n in (1, 2, 3, 4)] + ["[join] ffmpeg "]
        for word in words:
            self.assertTrue(any(line.startswith(word) for line in said), said)
        self.check_told(farm, task["task_id"], said[::-1], words)
        self.wait_nothing_left()
        wait_for(lambda: [run["status"] for run in self.runs(farm, "remove segments")] == ["completed"], 60, "the run that clears up")

    def test_in_its_place(self):
        source = make(self.root / "long.mkv")
        content = source.read_bytes()
        farm = self.farm(transcode_save="!replace")
        wait_for(lambda: self.video(farm, "long.mp4").get("transcode_status") == COMPLETED, 240, "the transcode")
        self.wait_nothing_left()
        self.assertEqual((self.root / "long.mkv.bak").read_bytes(), content)
        (self.root / "before.mkv").write_bytes(content)
        self.check_result(self.root / "before.mkv", self.root / "long.mp4")

    def test_a_rate_that_varies_and_hdr(self):
        """Time stamps are not on a grid; ten bits and light levels stay."""
        videos.ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=25:duration={SECONDS}", "-vf",
                      "noise=alls=30:allf=t,select='not(mod(n,3))+lt(mod(n,100),40)'", "-vsync", "vfr", "-pix_fmt", "yuv420p10le", "-c:v", "libx265",
                      "-preset", "ultrafast", "-crf", "8", "-g", "20", "-x265-params", videos.HDR10, str(self.root / "long.mkv"))
        farm = self.farm(transcode_rules="yes", transcode_crf="35")
        task = self.wait_status(farm, COMPLETED)
        self.assertGreater(task["segments"], 2)
        made = self.out / "long.mp4"
        self.check_result(self.root / "long.mkv", made)
        stream = film(made)
        self.assertEqual((stream["depth"], stream["transfer"], stream["primaries"], stream["space"]), (10, "smpte2084", "bt2020", "bt2020nc"))
        self.assertEqual((stream["cll"], stream["fall"]), (1000, 400))
        self.wait_nothing_left()

    def test_into_matroska(self):
        """Its sound does not fit into an MP4."""
        source = make(self.root / "long.mkv", "-c:a", "pcm_s16le")
        self.farm()
        wait_for((self.out / "long.mkv").exists, 240, "the result")
        self.check_result(source, self.out / "long.mkv")
        self.wait_nothing_left()

    def test_sound_that_lasts_longer(self):
        """The file lasts as long as its sound: by three seconds longer than the film does."""
        source = make(self.root / "short.mkv")
        videos.ffmpeg("-i", str(source), "-f", "lavfi", "-i", f"sine=frequency=440:duration={SECONDS + 3}", "-map", "0:v", "-map", "1:a", "-c:v",
                      "copy", "-c:a", "aac", str(self.root / "long.mkv"))
        source.unlink()
        farm = self.farm()
        task = self.wait_status(farm, COMPLETED)
        self.assertGreater(task["segments"], 2)
        self.check_result(self.root / "long.mkv", self.out / "long.mp4")
        self.wait_nothing_left()

    def test_a_sphere(self):
        videos.ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=192x96:rate=25:duration={SECONDS}", "-vf", "noise=alls=30:allf=t", "-c:v", "libx264",
                      "-preset", "ultrafast", "-crf", "10", "-g", "25", str(self.folder / "plain.mp4"))
        (self.root / "long.mp4").write_bytes(videos.with_box((self.folder / "plain.mp4").read_bytes(), b"avc1", videos.SPHERE))
        farm = self.farm()
        task = self.wait_status(farm, COMPLETED, "long.mp4")
        self.assertGreater(task["segments"], 2)
        self.assertTrue(film(self.out / "long.mp4")["spherical"])
        self.check_result(self.root / "long.mp4", self.out / "long.mp4")

    def test_one_that_cannot_be_cut(self):
        """It has one key frame."""
        make(self.root / "long.mkv", "-g", "10000", "-keyint_min", "10000", "-sc_threshold", "0")
        farm = self.farm(workers=1)
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual(task["segments"], 0)
        self.assertEqual(self.runs(farm, "segment "), [])

    def test_a_worker_that_takes_one_transcode(self):
        """It makes all of it, and then no other: its segments do not count."""
        make(self.root / "long.mkv")
        farm = self.farm(workers=1, transcode_count="1")
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual((task["segments"], task["segments_made"]), (4, 4))
        wait_for(lambda: "no transcodes are taken from now on" in farm.log("worker1"), 60, "the end of its work")
        self.wait_nothing_left()

    def test_a_worker_that_fails(self):
        """What fails on it goes to the other one."""
        source = make(self.root / "long.mkv")
        folder = self.folder / "broken"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"""#!/bin/bash
[[ "$*" == *setpts* ]] && {{ touch {self.folder}/failed; echo no frame can be made >&2; exit 1; }}
exec {shutil.which('ffmpeg')} "$@"
""")
        os.chmod(folder / "ffmpeg", 0o755)
        farm = self.farm(environment=self.slow_ffmpeg())
        wait_for(lambda: self.encoded() == {1, 2}, 120, "both at it")
        farm.kill("worker1")
        farm.environments["worker1"] = {"PATH": f"{folder}:{os.environ['PATH']}"}
        farm.start("worker1")
        wait_for(lambda: (self.folder / "failed").exists(), 120, "a segment that fails")
        (self.folder / "go").touch()
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual((task["segments"], task["segments_made"]), (4, 4))
        self.assertEqual(len(farm.get("/api/v1/tasks").body["data"]), 1, "one task")
        broken = next(run["worker_id"] for run in self.runs(farm, "segment ") if "no frame" in (run["error_message"] or ""))
        for n in (1, 2, 3, 4):
            runs = [run for run in self.runs(farm, f"segment {n} of 4") if run["worker_id"] == broken and "no frame" in (run["error_message"] or "")]
            self.assertLessEqual(len(runs), 1, runs)
        self.check_result(source, self.out / "long.mp4")
        self.wait_nothing_left()

    def test_workers_that_share_no_folder(self):
        make(self.root / "long.mkv")
        farm = self.farm(workers=1, environment=self.slow_ffmpeg())
        wait_for(lambda: self.encoded(), 120, "a segment")
        farm.settings["transcode_save"] = str(self.folder / "elsewhere")
        farm.start("worker2")
        wait_for(lambda: len([line for line in farm.get("/api/workers").body["data"]["items"] if line["status"] == "active"]) == 2, 60, "it")
        (self.folder / "go").touch()
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual(len({run["worker_id"] for run in self.runs(farm, "segment ") + self.runs(farm, "long.mkv")}), 1)
        self.wait_nothing_left()


class Killed(Segments):
    def half(self, **settings):
        """A farm half way: two of four segments are there, and two are being encoded."""
        self.source = make(self.root / "long.mkv")
        self.content = self.source.read_bytes()
        farm = self.farm(environment=self.slow_ffmpeg(), **settings)
        wait_for(lambda: self.encoded() == {1, 2}, 120, "two segments")
        for n in (1, 2):
            (self.folder / f"go-{n}").touch()
        wait_for(lambda: self.encoded() == {1, 2, 3, 4}, 120, "the other two")
        wait_for(lambda: self.task(farm).get("segments_made") == 2, 60, "half of it")
        return farm

    def ends_well(self, farm, save=None):
        (self.folder / "go").touch()
        task = self.wait_status(farm, COMPLETED)
        self.check_result(self.source, (save or self.out) / "long.mp4")
        self.assertEqual(self.source.read_bytes(), self.content)
        self.wait_nothing_left()
        return task

    def test_a_worker_in_its_segment(self):
        farm = self.half(lease_seconds="40")  # it is to be missed
        task = self.task(farm)
        self.assertEqual(task["segments_made"], 2)
        self.assertGreater(task["progress"], 50)  # the two that are made, at least: ffmpeg has not told how far such short ones are
        self.assertLessEqual(task["progress"], 95)
        self.assertIsNotNone(task["remaining_time"])
        farm.kill("worker2")
        self.ends_well(farm)
        parts = self.runs(farm, "segment ")
        self.assertEqual(len(parts), 5, "one segment was made again")
        self.assertEqual(sorted(run["status"] for run in parts), ["completed"] * 4 + ["failed"])
        self.assertEqual(len(farm.get("/api/v1/tasks").body["data"]), 1, "one task")

    def slow_probe(self):
        """Programs of a worker whose probe waits for the file `look` where it looks for key frames."""
        folder = self.folder / "programs"
        folder.mkdir()
        shutil.copy(BUILD / "gantry-worker", folder)
        (folder / "gantry-run").symlink_to(BUILD / "gantry-run")
        (folder / "gantry-probe").write_text(f"""#!/bin/bash
if [[ "$*" == *--keys* ]]; then
    touch {self.folder}/looking
    until [[ -e {self.folder}/look ]]; do sleep 0.05; done
fi
exec {BUILD}/gantry-probe "$@"
""")
        os.chmod(folder / "gantry-probe", 0o755)
        return folder

    def test_a_worker_that_looks(self):
        """It is lost while it looks where the video can be cut: the next one looks again."""
        source = make(self.folder / "long.mkv")
        farm = self.farm(workers=1)
        programs, command = self.slow_probe(), farm.command
        farm.command = lambda name: [str(programs / "gantry-worker"), *command(name)[1:]] if name == "worker1" else command(name)
        farm.restart("worker1")
        farm.wait_ready()
        source = source.rename(self.root / "long.mkv")
        self.assertEqual(farm.post("/api/v1/videos/scan", {}).status, 201)
        wait_for(lambda: (self.folder / "looking").exists(), 120, "the look")
        farm.kill("worker1")
        (self.folder / "look").touch()
        farm.start("worker1")
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual((task["segments"], task["segments_made"]), (4, 4))
        self.assertEqual(farm.get(f"/api/v1/videos/{self.video(farm)['id']}").body["data"]["attempts"], 1)
        self.check_result(source, self.out / "long.mp4")
        self.wait_nothing_left()

    def test_both_workers(self):
        farm = self.half()
        farm.kill("worker1")
        farm.kill("worker2")
        farm.start("worker1")
        farm.start("worker2")
        self.ends_well(farm)
        self.assertEqual(len(self.runs(farm, "segment ")), 6)

    def test_the_scheduler(self):
        farm = self.half()
        farm.restart("scheduler")
        self.ends_well(farm)
        self.assertEqual(len(self.runs(farm, "segment ")), 4, "nothing was made again")

    def test_the_store(self):
        farm = self.half()
        farm.restart("store")
        self.ends_well(farm)
        self.assertEqual(len(self.runs(farm, "segment ")), 4)

    def test_all_but_the_workers(self):
        farm = self.half()
        for name in ("gateway", "scheduler", "store"):
            farm.kill(name)
        for name in ("store", "scheduler", "gateway"):
            farm.start(name)
        self.ends_well(farm)

    def test_while_they_are_joined(self):
        farm = self.half()
        for n in (3, 4):
            (self.folder / f"go-{n}").touch()
        wait_for(lambda: (self.folder / "joining").exists(), 120, "joining")
        name = self.joiner(farm)
        farm.kill(name)
        farm.restart("scheduler")
        farm.start(name)
        self.ends_well(farm)
        self.assertEqual(len(self.runs(farm, "segment ")), 4)

    def joiner(self, farm):
        """The worker below which ffmpeg joins."""
        def joins(pid):
            try:
                return b"concat" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                return False

        return wait_for(lambda: next((name for name in farm.workers if any(joins(pid) for pid in descendants(farm.pid(name)))), None), 60, "the joiner")

    def test_in_its_place(self):
        farm = self.half(transcode_save="!replace")
        farm.kill("worker1")
        farm.restart("store")
        farm.start("worker1")
        (self.folder / "go").touch()
        wait_for(lambda: self.video(farm, "long.mp4").get("transcode_status") == COMPLETED, 240, "the transcode")
        self.assertEqual((self.root / "long.mkv.bak").read_bytes(), self.content)
        self.wait_nothing_left()


class Ended(Segments):
    half = Killed.half

    def test_aborted(self):
        farm = self.half()
        task = self.task(farm)
        self.assertNotEqual(self.left(), [])
        answer = farm.post(f"/api/runs/{task['task_id']}/abort", {"reason": "not now"})
        self.assertEqual(answer.status, 200, answer)
        self.wait_status(farm, FAILED)
        self.wait_nothing_left()
        self.assertEqual(sorted(run["status"] for run in self.runs(farm, "segment ")), ["aborted", "aborted", "completed", "completed"])
        self.assertEqual(self.source.read_bytes(), self.content)
        self.assertFalse((self.out / "long.mp4").exists())
        (self.folder / "go").touch()
        self.assertEqual(self.task(farm)["status"], 3)

    def test_a_segment_aborted(self):
        farm = self.half()
        part = wait_for(lambda: next((run for run in self.runs(farm, "segment ") if run["status"] == "running"), None), 60, "a segment that runs")
        self.assertEqual(farm.post(f"/api/runs/{part['id']}/abort", {}).status, 200)
        task = self.wait_status(farm, FAILED)
        self.assertRegex(task["error_message"], r"segment \d of 4: it was aborted")
        self.wait_nothing_left()

    def test_another_farm(self):
        """Its data is lost, and numbers begin anew: what is left of the first film's segments gets into no other."""
        farm = self.half()
        before = self.task(farm)["task_id"]
        farm.close()
        self.assertNotEqual(self.left(), [])
        make(self.root / "long.mkv", "-vf", "negate")
        for path in self.folder.glob("encoded-*"):
            path.unlink()
        (self.folder / "go").touch()
        farm = self.farm(environment={"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"})
        task = self.wait_status(farm, COMPLETED)
        self.assertEqual((task["task_id"], self.encoded()), (before, {1, 2, 3, 4}))
        self.wait_nothing_left()

    def test_the_source_changes(self):
        """What is there does not go with what was begun: it fails, nothing is replaced, and the new version is judged anew."""
        farm = self.half(transcode_save="!replace", transcode_attempts="1")
        task = self.task(farm)["task_id"]
        videos.ffmpeg("-i", str(videos.video("hevc.mkv")), "-c", "copy", str(self.root / "new.mkv"))
        (self.root / "new.mkv").rename(self.source)
        changed = self.source.read_bytes()
        (self.folder / "go").touch()
        ended = wait_for(lambda: farm.get(f"/api/v1/tasks/{task}").body["data"]["status"] == 3, 120, "its end")
        self.assertTrue(ended)
        said = farm.get(f"/api/v1/tasks/{task}").body["data"]["error_message"]
        self.assertRegex(said, r"^segment \d of 4: the source has changed")
        self.wait_nothing_left()
        self.assertEqual(self.source.read_bytes(), changed)

    def test_a_segment_that_fails_everywhere(self):
        """Three runs of it, then the task has failed; then it is tried whole."""
        make(self.root / "long.mkv")
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"""#!/bin/bash
[[ "$*" == *setpts*.0002.mp4 ]] && {{ echo no frame can be made >&2; exit 1; }}
exec {shutil.which('ffmpeg')} "$@"
""")
        os.chmod(folder / "ffmpeg", 0o755)
        farm = self.farm(environment={"PATH": f"{folder}:{os.environ['PATH']}"})
        wait_for(lambda: self.video(farm).get("transcode_status") == COMPLETED, 240, "the second task")
        tasks = sorted(farm.get("/api/v1/tasks").body["data"], key=lambda task: int(task["task_id"]))
        self.assertEqual([(task["status"], task["segments"]) for task in tasks], [(3, 4), (2, 0)])
        self.assertRegex(tasks[0]["error_message"], r"^segment 2 of 4: .*no frame can be made")
        self.assertEqual(len([run for run in self.runs(farm, "segment 2 of 4") if run["status"] == "failed"]), 3)
        self.wait_nothing_left()
        self.assertEqual(film(self.out / "long.mp4")["codec"], "hevc")


if __name__ == "__main__":
    unittest.main()
