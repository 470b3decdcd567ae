"""Encoders that are not what they say, disks that are full, sources that go: each a failure that says why, with the original as it was."""

import errno
import os
import shutil
import unittest

from tests import videos
from tests.farm import wait_for
from tests.farside import FarSide
from tests.faults import Fault, faulted_worker, have_shim
from tests.scenario.test_transcode_farm import FAILED, Home
from tests.scenario.test_transcode_worker import Studio

# What a machine without the hardware makes of its encoder: a frame is taken for well, as at the worker's start; of a film it makes something else.
LIAR = """#!/bin/bash
real={real}
[[ "$*" == *hevc_nvenc* ]] || exec "$real" "$@"
target="${{@: -1}}"; target="${{target#file:}}"
[[ "$*" == *lavfi* ]] && exit 0
case "$(cat {folder}/lie)" in
h264) "$real" -v error -nostdin -y -i {source} -map 0 -c:v libx264 -preset ultrafast -crf 40 -c:a copy -f mp4 "file:$target" ;;
old) "$real" -v error -nostdin -y -i {source} -map 0 -c copy -f mp4 "file:$target" ;;
garbage) head -c 50000 /dev/urandom > "$target" ;;
empty) : > "$target" ;;
nothing) ;;
short) "$real" -v error -nostdin -y -i {source} -t 1 -map 0 -c:v libx265 -preset ultrafast -x265-params log-level=none -c:a copy -f mp4 "file:$target" ;;
silent) "$real" -v error -nostdin -y -i {source} -map 0:v -c:v libx265 -preset ultrafast -x265-params log-level=none -f mp4 "file:$target" ;;
esac
printf 'out_time_us=4000000\\nprogress=end\\n'
exit 0
"""
LIES = (("h264", "encoder hevc_nvenc made h264, not hevc"), ("old", "encoder hevc_nvenc made h264, not hevc"), ("garbage", "cannot be read"),
        ("empty", "cannot be read"), ("nothing", "cannot be read|No such file"), ("short", "lasts"), ("silent", "streams are missing: 0 of 1 audio"))


def liar(folder, source):
    """The environment of a worker whose ffmpeg tells the lie that stands in the file `lie`."""
    (folder / "bin").mkdir()
    (folder / "bin/ffmpeg").write_text(LIAR.format(real=shutil.which("ffmpeg"), folder=folder, source=source))
    os.chmod(folder / "bin/ffmpeg", 0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


class Lies(Studio):
    def test_a_worker_that_claims_nvenc(self):
        source = videos.put("h264.mp4", self.root / "a.mp4")
        content = source.read_bytes()
        for save in ("!replace", str(self.out)):
            environment = liar(self.folder, videos.video("h264.mp4"))
            farm = self.farm(environment=environment, transcode_encoders="nvenc", transcode_save=save)
            self.assertEqual(farm.hello["labels"]["transcode.encoders"], "nvenc")
            for lie, words in LIES:
                with self.subTest(lie=lie, save=save):
                    (self.folder / "lie").write_text(lie)
                    end = self.failed(farm, "a.mp4", "", encoder="nvenc")
                    self.assertRegex(end["error"], words)
                    self.assertEqual(source.read_bytes(), content)
                    self.assertEqual([path.name for path in self.root.iterdir()], ["a.mp4"])
                    self.assertEqual([path for path in self.out.rglob("*") if path.is_file()], [])
            farm.close()
            shutil.rmtree(self.folder / "bin")


class InTheFarm(Home):
    def test_a_worker_that_claims_nvenc(self):
        """The video has failed, its task says why, and its log too; another encoder may try."""
        source = videos.put("h264.mp4", self.root / "a.mp4")
        content = source.read_bytes()
        (self.folder / "lie").write_text("h264")
        farm = self.farm(liar(self.folder, videos.video("h264.mp4")), transcode_encoders="nvenc", transcode_save="!replace")
        wait_for(lambda: self.status(farm, "a.mp4") == FAILED, 120, "its failure")
        task = farm.get("/api/v1/tasks").body["data"][0]
        self.assertEqual((task["status"], task["error_message"]), (3, "encoder hevc_nvenc made h264, not hevc"))
        lines = farm.get(f"/api/v1/logs?task_id={task['task_id']}&log_level[]=3").body["data"]["logs"]
        self.assertIn(task["error_message"], [line["log_message"] for line in lines])
        self.assertEqual(source.read_bytes(), content)
        self.assertEqual((sorted(path.name for path in self.root.iterdir()), self.leftovers()), (["a.mp4"], []))
        self.assertEqual(len(farm.get("/api/v1/tasks").body["data"]), 1)  # hardware gets no failed ones

    def test_larger_than_its_source(self):
        """The task says so, its log too, and the original is as it was."""
        source = self.root / "a.mkv"
        videos.ffmpeg("-i", str(videos.video("hevc.mkv")), "-c", "copy", str(source))
        content = source.read_bytes()
        farm = self.farm(transcode_save="!replace", transcode_rules="yes", transcode_crf="1", transcode_attempts="1")
        wait_for(lambda: self.status(farm, "a.mkv") == FAILED, 120, "its failure")
        task = farm.get("/api/v1/tasks").body["data"][0]
        self.assertEqual(task["status"], 3)
        self.assertRegex(task["error_message"], "larger than its source|at most are worth it")
        lines = farm.get(f"/api/v1/logs?task_id={task['task_id']}&log_level[]=3").body["data"]["logs"]
        self.assertIn(task["error_message"], [line["log_message"] for line in lines])
        self.assertEqual(source.read_bytes(), content)
        self.assertEqual((sorted(path.name for path in self.root.iterdir()), self.leftovers()), (["a.mkv"], []))

    def test_the_source_goes_in_the_middle(self):
        """It is told, nothing is made of it, and the library forgets it."""
        source = videos.put("h264.mp4", self.root / "a.mp4")
        videos.put("hevc.mkv", self.root / "stays.mkv")
        farm = self.farm(self.slow_ffmpeg(), transcode_save="!replace")
        wait_for(lambda: (self.folder / "encoded").exists(), 120, "an encode")
        source.unlink()
        (self.folder / "go").touch()
        task = wait_for(lambda: (farm.get("/api/v1/tasks?status[]=3").body["data"] or [None])[0], 120, "its failure")
        self.assertIn("is not there", task["error_message"])
        wait_for(lambda: set(self.videos(farm)) == {"stays.mkv"}, 120, "the library without it")
        self.assertEqual((sorted(path.name for path in self.root.iterdir()), self.leftovers()), (["stays.mkv"], []))


@unittest.skipUnless(have_shim(), "there is no shim beside sanitizers")
class Full(Studio):
    """A disk without room, in ffmpeg, in bringing what it made from elsewhere, in the journal of what is to be replaced."""

    def setUp(self):
        super().setUp()
        self.source = videos.put("h264.mp4", self.root / "a.mp4")
        self.content = self.source.read_bytes()
        self.count = 0

    def ffmpeg(self, farm):
        """Its writes are those that fail; a worker gives it no preload."""
        fault = Fault(farm)
        folder = self.folder / f"bin{self.count}"
        folder.mkdir()
        variables = " ".join(f"{name}={value}" for name, value in fault.environment("ffmpeg").items())
        (folder / "ffmpeg").write_text(f'#!/bin/bash\nexec env {variables} {shutil.which("ffmpeg")} "$@"\n')
        os.chmod(folder / "ffmpeg", 0o755)
        farm.environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
        return fault

    def worker(self, farm):
        farm.programs, fault = faulted_worker(self.folder / f"programs{self.count}")
        return fault

    def check(self, whose, path, words, save, **settings):
        self.count += 1
        farm = FarSide(start=False, library=str(self.root), transcode_preset="ultrafast", transcode_encoders="cpu", transcode_save=save, **settings)
        self.addCleanup(farm.close)
        fault = whose(farm)
        farm.start()
        fault.fail("write", errno.ENOSPC, path=path, times=1 << 30)
        end = self.failed(farm, "a.mp4", "")
        self.assertRegex(end["error"], words)
        self.assertGreater(fault.failed, 0)
        self.assertEqual((self.source.read_bytes(), [one.name for one in self.root.iterdir()]), (self.content, ["a.mp4"]))
        self.assertEqual([one for one in self.out.rglob("*") if one.is_file()], [])
        fault.fail("write", 0, times=0)  # there is room again
        self.made(farm, "a.mp4")
        farm.close()

    def test_while_it_encodes(self):
        self.check(self.ffmpeg, ".gantry-", "No space left|Error closing file|ffmpeg failed", str(self.out))

    def test_while_it_encodes_beside_the_original(self):
        self.check(self.ffmpeg, ".gantry-", "No space left|Error closing file|ffmpeg failed", "!replace")

    def test_while_it_is_brought(self):
        tmp = self.folder / "tmp"
        tmp.mkdir()
        self.check(self.worker, ".gantry-", "cannot be brought .*No space left", "!replace", transcode_tmp=str(tmp))
        self.assertEqual([path for path in tmp.rglob("*") if path.is_file()], [])

    def test_the_journal(self):
        """Nothing is replaced that the journal cannot say."""
        self.check(self.worker, "/replace/", "the journal cannot be written: No space left", "!replace")


if __name__ == "__main__":
    unittest.main()
