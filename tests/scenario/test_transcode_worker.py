"""Transcodes of real files by a real worker: what is kept, what is refused, and that the original is never lost or half replaced."""

import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest

from tests import videos
from tests.farm import BUILD, alive, descendants, wait_for
from tests.farside import FarSide
from tests.faults import faulted_worker, have_shim


def probe(path):
    done = subprocess.run([str(BUILD / "gantry-probe"), str(path)], capture_output=True, check=True, timeout=120)
    row = json.loads(done.stdout)
    assert "error" not in row, row
    return row


def film(path):
    return next(stream for stream in probe(path)["streams"] if stream.get("film"))


class Studio(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-studio-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.root = self.folder / "library"
        self.out = self.folder / "out"
        self.root.mkdir()

    def farm(self, **settings):
        settings.setdefault("library", str(self.root))
        settings.setdefault("transcode_save", str(self.out))
        settings.setdefault("transcode_preset", "ultrafast")
        settings.setdefault("transcode_encoders", "cpu")
        farm = FarSide(**settings)
        farm.__enter__()
        self.addCleanup(farm.close)
        return farm

    def parameters(self, path, **more):
        info = (self.root / path).stat()
        return dict({"video_id": 1, "root": str(self.root), "path": path, "size": info.st_size, "mtime_ns": info.st_mtime_ns, "is_vr": 0,
                     "encoder": "cpu"}, **more)

    def begin(self, farm, path, published=None, **more):
        return farm.assign("transcode", path, parameters=self.parameters(path, **more), output=path, published=published)

    def transcode(self, farm, path, **more):
        run = self.begin(farm, path, **more)
        return dict(farm.wait(run), run=run)

    def made(self, farm, path, **more):
        """The result of one that went well."""
        end = self.transcode(farm, path, **more)
        self.assertEqual(end["outcome"], 1, (end, farm.logs[end["run"]]))
        return json.loads(end["result"])

    def failed(self, farm, path, words, **more):
        end = self.transcode(farm, path, **more)
        self.assertEqual(end["outcome"], 2, end)
        self.assertIn(words, end["error"])
        self.assertEqual(self.leftovers(), [])
        return end

    def leftovers(self):
        return [str(path) for path in self.folder.rglob(".gantry-*")]

    def fake_ffmpeg(self, script):
        """A program named ffmpeg that does this with what it is told; behind it REAL is the real one."""
        folder = self.folder / "bin"
        folder.mkdir()
        (folder / "ffmpeg").write_text(f"#!/bin/bash\nREAL={shutil.which('ffmpeg')}\n{script}\n")
        os.chmod(folder / "ffmpeg", 0o755)
        return {"environment": {"PATH": f"{folder}:{os.environ['PATH']}"}}


class Kept(Studio):
    def test_h264(self):
        videos.put("h264.mp4", self.root / "shows/one.avi.mp4")
        go = self.folder / "go"  # progress is told only while it runs
        farm = self.farm(**self.fake_ffmpeg(f'$REAL "$@" || exit; [[ "$*" != *libx265*file:* ]] || until [[ -e {go} ]]; do sleep 0.05; done'))
        run = self.begin(farm, "shows/one.avi.mp4")
        wait_for(lambda: any(item.get("percent", 0) > 50 for item in farm.progress[run]), 120, "its progress")
        go.touch()
        end = farm.wait(run)
        self.assertEqual(end["outcome"], 1, (end, farm.logs[run]))
        result = json.loads(end["result"])
        made = self.out / "shows/one.avi.mp4"
        self.assertEqual(result["dest"], str(made))
        self.assertEqual(film(made)["codec"], "hevc")
        self.assertEqual(result["size_after"], made.stat().st_size)
        self.assertEqual(result["saved"], result["size_before"] - result["size_after"])
        self.assertIn("libx265", result["command"])
        self.assertIn("-crf 22", result["command"])
        self.assertTrue((self.root / "shows/one.avi.mp4").exists())
        self.assertEqual(self.leftovers(), [])
        self.assertIn(run, farm.published)
        self.assertTrue(any(line.startswith("ffmpeg ") for line in farm.logs[run]), "the command line is in its log")

    def test_streams_subtitles_chapters(self):
        videos.put("multi.mkv", self.root / "m.mkv")
        farm = self.farm()
        result = self.made(farm, "m.mkv")
        self.assertTrue(result["dest"].endswith(".mp4"))  # all of it fits there
        row = probe(result["dest"])
        self.assertEqual([(s["kind"], s["codec"], s.get("language", "und")) for s in row["streams"] if s["kind"] != "data"],
                         [("video", "hevc", "und"), ("audio", "aac", "eng"), ("audio", "ac3", "chi"), ("subtitle", "mov_text", "und")])
        self.assertEqual(row["chapters"], 2)

    def test_hdr10(self):
        """It is no H.264, so that the result may be as large as it was: a better quality makes room for it."""
        videos.put("hdr10.mkv", self.root / "hdr.mkv")
        farm = self.farm(transcode_crf="45")
        result = self.made(farm, "hdr.mkv")
        stream = film(result["dest"])
        self.assertEqual((stream["depth"], stream["transfer"], stream["primaries"], stream["space"]), (10, "smpte2084", "bt2020", "bt2020nc"))
        self.assertEqual(stream["master"], "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)")
        self.assertEqual((stream["cll"], stream["fall"]), (1000, 400))

    def test_a_sphere(self):
        videos.put("sphere.mp4", self.root / "s.mp4")
        result = self.made(self.farm(), "s.mp4", is_vr=1)
        self.assertIn("-crf 20", result["command"])
        self.assertTrue(film(result["dest"])["spherical"])

    def test_dolby_vision_is_left_alone(self):
        videos.put("dolby.mp4", self.root / "d.mp4")
        self.assertEqual(self.made(self.farm(), "d.mp4"), {"skipped": "Dolby Vision would be lost"})
        self.assertFalse(self.out.exists() and list(self.out.rglob("*.mp4")))

    def test_hdr10_plus_is_left_alone(self):
        videos.put("hdr10plus.mkv", self.root / "p.mkv")
        self.assertEqual(self.made(self.farm(), "p.mkv"), {"skipped": "HDR10+ would be lost"})

    def test_streams_that_would_be_lost(self):
        """A second film is no picture of the first."""
        source = self.root / "two.mp4"
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-map", "0:v", "-map", "0:v", "-map", "0:a", "-c", "copy", str(source))
        content = source.read_bytes()
        self.assertEqual(self.made(self.farm(transcode_save="!replace"), "two.mp4"), {"skipped": "a further video stream would be lost"})
        self.assertEqual(([path.name for path in self.root.iterdir()], source.read_bytes()), (["two.mp4"], content))

    def test_what_is_left_out(self):
        """A cover has no place in a Matroska file that is made, data have none in any: the log says so. In MP4 covers are kept."""
        cover = self.folder / "cover.jpg"
        videos.ffmpeg("-f", "lavfi", "-i", "color=size=64x64:duration=1", "-frames:v", "1", str(cover))
        given, picture = ["-i", str(videos.video("h264.mp4"))], ["-attach", str(cover), "-metadata:s:t", "mimetype=image/jpeg"]
        videos.ffmpeg(*given, *picture, "-c:v", "copy", "-c:a", "flac", "-metadata:s:v:0", "BPS=99000000", str(self.root / "a.mkv"))
        videos.ffmpeg(*given, *given[:1], str(cover), *given[:1], str(cover), "-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-disposition:v:1",
                      "attached_pic", "-disposition:v:2", "attached_pic", "-timecode", "01:00:00:00", str(self.root / "b.mp4"))
        farm = self.farm()
        data = [stream["kind"] for stream in probe(self.root / "b.mp4")["streams"]].count("data")
        self.assertGreater(data, 0)
        for name, wanted, said in (("a.mkv", ["audio", "video"], "1 pictures, 0 data streams"),
                                   ("b.mp4", ["audio", "picture", "picture", "video"], f"0 pictures, {data} data streams")):
            end = self.transcode(farm, name)
            self.assertEqual(end["outcome"], 1, end)
            self.assertIn(f"not kept: {said}", farm.logs[end["run"]])
            row = probe(json.loads(end["result"])["dest"])
            self.assertEqual(sorted(stream["kind"] for stream in row["streams"] if stream["kind"] != "data"), wanted)
            self.assertNotEqual(row["streams"][0].get("bitrate"), 99000000)  # what was said of the source's film

    def test_settings_of_the_worker(self):
        """As ffmpeg is told of them."""
        videos.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=60:duration=2", *videos.H264, "-crf", "5", str(self.root / "a.mp4"))
        farm = self.farm(transcode_rate="30", transcode_threads="2", transcode_pools="1", transcode_hardware_decode="true", transcode_crf="40",
                         transcode_preset="superfast")
        command = self.made(farm, "a.mp4")["command"]
        for words in (" -r:v:0 30 ", " -threads 2 ", ":pools=1 ", " -hwaccel auto ", " -crf 40 ", " -preset superfast "):
            self.assertIn(words, command)
        self.assertAlmostEqual(film(self.out / "a.mp4")["fps"], 30, delta=0.1)

    def test_variable_rate_and_av1(self):
        videos.put("vfr.mkv", self.root / "v.mkv")
        farm = self.farm(transcode_codec="av1", transcode_preset="12", transcode_crf="60")
        result = self.made(farm, "v.mkv")
        self.assertEqual(film(result["dest"])["codec"], "av1")
        self.assertAlmostEqual(probe(result["dest"])["duration"], probe(self.root / "v.mkv")["duration"], delta=0.2)

    def test_a_folder_for_what_is_being_made(self):
        videos.put("h264.mp4", self.root / "a.mp4")
        tmp = self.folder / "tmp"
        tmp.mkdir()
        farm = self.farm(transcode_tmp=str(tmp))
        result = self.made(farm, "a.mp4")
        self.assertIn(str(tmp), result["command"])
        self.assertTrue((self.out / "a.mp4").exists())
        self.assertEqual([path for path in tmp.rglob("*") if path.is_file()], [])

    def test_a_library_that_is_mounted_elsewhere(self):
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = self.farm(transcode_prefix=str(self.root))
        result = self.made(farm, "a.mp4", root="/farm/has/it/there")
        self.assertEqual(result["source"], str(self.root / "a.mp4"))

    def test_a_result_that_stands_already(self):
        """The farm did not hear of the run that made it."""
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = self.farm()
        first = self.made(farm, "a.mp4")
        before = (self.out / "a.mp4").stat()
        self.failed(farm, "a.mp4", "is there already")  # another run's is of another version, or of another source
        farm.attempt = 2
        granted = farm.published[101]
        again = self.made(farm, "a.mp4", published=granted)
        self.assertTrue(again["adopted"])
        self.assertFalse(first["adopted"])
        self.assertEqual((self.out / "a.mp4").stat().st_ino, before.st_ino)
        (self.out / "a.mp4").write_bytes(b"something else")
        self.failed(farm, "a.mp4", "is there already", published=granted)
        self.assertEqual((self.out / "a.mp4").read_bytes(), b"something else")

    def word(self, farm, run):
        """How the farm says what was made before."""
        return f"{farm.published[run]['size']}-{farm.published[run]['hash'].hex()}"

    def test_the_result_of_an_older_version(self):
        """It gives way to the new one; a stranger's file does not, nor does one that somebody has changed since."""
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = self.farm()
        self.made(farm, "a.mp4")
        made = self.word(farm, 101)
        content = (self.out / "a.mp4").read_bytes()
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "9", "-t", "3", str(self.root / "a.mp4"))
        self.failed(farm, "a.mp4", "is there already")
        self.failed(farm, "a.mp4", "is there already", made="5-" + "0" * 32)
        self.assertEqual((self.out / "a.mp4").read_bytes(), content)
        result = self.made(farm, "a.mp4", made=f"5-{'0' * 32},{made}")
        self.assertFalse(result["adopted"])
        self.assertAlmostEqual(probe(self.out / "a.mp4")["duration"], 3, delta=0.2)
        self.assertEqual({path.name for path in self.out.iterdir()} - {".gantry.id"}, {"a.mp4"})
        with (self.out / "a.mp4").open("ab") as file:
            file.write(b"x")
        self.failed(farm, "a.mp4", "is there already", made=self.word(farm, farm.next_run))

    def test_the_result_of_an_older_version_in_another_container(self):
        videos.put("h264.mp4", self.root / "a.avi")
        farm = self.farm()
        first = self.made(farm, "a.avi")
        self.assertTrue(first["dest"].endswith("a.mp4"))
        made = self.word(farm, 101)
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-c:v", "libx264", "-crf", "10", "-preset", "ultrafast", "-c:a", "libvorbis", "-f", "matroska",
                      "-attach", str(videos.folder() / "s.srt"), "-metadata:s:t", "mimetype=application/x-truetype-font", str(self.root / "a.avi"))
        second = self.made(farm, "a.avi", made=made)
        self.assertTrue(second["dest"].endswith("a.mkv"), second["dest"])
        self.assertEqual({path.name for path in self.out.iterdir()} - {".gantry.id"}, {"a.mkv"})

    def test_names_of_any_length(self):
        """As long as a file system holds, in bytes."""
        for name in ("x" * 251 + ".mp4", "电" * 83 + "ab.mp4", "y" * 252 + ".ts"):
            self.assertEqual(len(name.encode()), 255)
            with self.subTest(name[-8:]):
                videos.put("h264.mp4", self.root / name)
                farm = self.farm()
                made = pathlib.Path(self.made(farm, name)["dest"])
                self.assertLessEqual(len(made.name.encode()), 255)
                self.assertEqual((film(made)["codec"], made.suffix), ("hevc", ".mp4"))
                self.assertEqual(self.leftovers(), [])
                farm.close()

    def test_what_is_offered(self):
        farm = self.farm(transcode_encoders="vpu,cpu", transcode_vr="none", transcode_slots="2", worker_labels="zone=a")
        mark = os.readlink(self.out / ".gantry.id")
        version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
        self.assertEqual(farm.hello["labels"], {"zone": "a", "transcode.encoders": "cpu", "transcode.slots": "2", "transcode.vr": "0",
                                                "transcode.joins": f"{mark} hevc {version}"})
        self.assertTrue({"scan", "transcode"} <= set(farm.hello["task_types"]))
        self.assertIn("clear", farm.hello["executors"])

    def test_who_joins_with_whom(self):
        """Those that have the folder of results in common, and make the same."""
        farms = [self.farm(), self.farm(), self.farm(transcode_save=str(self.folder / "other")), self.farm(transcode_save="!replace")]
        joins = [farm.hello["labels"]["transcode.joins"] for farm in farms]
        self.assertEqual(joins[0], joins[1])
        self.assertEqual(len(set(joins)), 3)
        self.assertTrue(joins[3].startswith("library hevc "))
        locked = self.folder / "file"
        locked.write_text("no folder")
        self.assertNotIn("transcode.joins", self.farm(transcode_save=str(locked / "below")).hello["labels"])

    def test_threads_and_joins(self):
        """Without threads libx265 makes what is not joined with what others make; how many there are does not matter."""
        for pools in ("none", "-,0"):
            self.assertNotIn("transcode.joins", self.farm(transcode_pools=pools).hello["labels"], pools)
        self.assertIn("transcode.joins", self.farm(transcode_pools="-,2").hello["labels"])

    def test_as_many_as_wanted(self):
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = self.farm(transcode_count="1")
        self.assertEqual(farm.hello["labels"]["transcode.encoders"], "cpu")
        self.made(farm, "a.mp4")
        wait_for(lambda: farm.hello["labels"]["transcode.encoders"] == "", 30, "it offers nothing more")
        self.assertEqual(self.transcode(farm, "a.mp4")["outcome"], 6)  # one that was on its way goes back

    def test_outside_of_its_hours(self):
        now = time.localtime()
        begin, end = (now.tm_hour + 2) % 24, (now.tm_hour + 3) % 24
        farm = self.farm(transcode_hours=f"{begin:02}:00-{end:02}:00")
        self.assertEqual(farm.hello["labels"]["transcode.encoders"], "")
        farm.close()
        wrong = self.farm_that_fails(transcode_hours="at night")
        self.assertIn("is to be like 22:00-06:00", wrong)

    @unittest.skipUnless(have_shim(), "there is no shim beside sanitizers")
    def test_its_hours_end_and_begin(self):
        """What has begun is finished; then it takes nothing until they begin again."""
        videos.put("h264.mp4", self.root / "a.mp4")
        now, go = time.localtime(), self.folder / "go"
        farm = FarSide(start=False, library=str(self.root), transcode_save=str(self.out), transcode_preset="ultrafast", transcode_encoders="cpu",
                       transcode_hours=f"{(now.tm_hour - 2) % 24:02}:00-{(now.tm_hour + 2) % 24:02}:00", environment=self.fake_ffmpeg(
                           f'[[ "$*" != *libx265*file:* ]] || {{ touch {self.folder}/begun; until [[ -e {go} ]]; do sleep 0.05; done; }}; exec $REAL "$@"')["environment"])
        self.addCleanup(farm.close)
        farm.programs, clock = faulted_worker(self.folder / "programs")
        farm.start()
        self.assertEqual(farm.hello["labels"]["transcode.encoders"], "cpu")
        run = self.begin(farm, "a.mp4")
        wait_for(lambda: (self.folder / "begun").exists(), 60, "its encode")
        clock.wall_ms = 4 * 3600000
        go.touch()
        self.assertEqual(farm.wait(run)["outcome"], 1, farm.logs[run])
        wait_for(lambda: farm.hello["labels"]["transcode.encoders"] == "", 120, "the end of its offer")
        self.assertEqual(self.transcode(farm, "a.mp4")["outcome"], 6)  # one that was on its way goes back
        clock.wall_ms = 0
        wait_for(lambda: farm.hello["labels"]["transcode.encoders"] == "cpu", 300, "its next hours")

    def farm_that_fails(self, **settings):
        farm = FarSide(library=str(self.root), **settings)
        self.addCleanup(farm.close)
        farm.start(wait=False)
        self.assertEqual(farm.process.wait(60), 1)
        return farm.log()

    def test_no_library_no_transcodes(self):
        farm = self.farm(library="")
        self.assertNotIn("transcode", farm.hello["task_types"])
        self.assertEqual(farm.hello.get("labels", {}), {})


class Replaced(Studio):
    def farm(self, **settings):
        return super().farm(transcode_save="!replace", **settings)

    def test_in_its_place(self):
        source = videos.put("h264.mp4", self.root / "a.mp4")
        os.chmod(source, 0o640)
        content = source.read_bytes()
        farm = self.farm()
        result = self.made(farm, "a.mp4")
        self.assertEqual(result["dest"], str(source))
        self.assertTrue(result["replaced"])
        self.assertEqual(film(source)["codec"], "hevc")
        self.assertEqual(stat.S_IMODE(source.stat().st_mode), 0o640)
        self.assertEqual(pathlib.Path(result["bak"]).read_bytes(), content)
        until = [int(re.search(rb"until=(\d+)", path.read_bytes())[1]) for path in farm.data.rglob("kept/*")]
        self.assertEqual([round(at / 86400e3 - time.time() / 86400) for at in until], [7])  # days
        self.assertEqual(self.leftovers(), [])
        told = [video for found in {found["seq"]: found for found in farm.found}.values() for video in found["videos"]]  # whatever was repeated
        self.assertEqual([(video.get("made"), video["path"], video["codec"]) for video in told], [(True, "a.mp4", "hevc")])
        self.assertEqual(told[0]["mtime_ns"], source.stat().st_mtime_ns)

    def test_with_another_ending(self):
        source = videos.put("multi.mkv", self.root / "m.mkv")
        farm = self.farm()
        result = self.made(farm, "m.mkv")
        self.assertEqual(result["dest"], str(self.root / "m.mp4"))
        self.assertFalse(source.exists())
        self.assertEqual(result["bak"], str(source) + ".bak")
        self.assertTrue((self.root / "m.mkv.bak").exists())

    def test_names_of_any_length(self):
        name = "电" * 83 + "ab.mp4"
        source = videos.put("h264.mp4", self.root / name)
        content = source.read_bytes()
        farm = self.farm()
        result = self.made(farm, name)
        self.assertEqual(film(source)["codec"], "hevc")
        self.assertEqual(pathlib.Path(result["bak"]).read_bytes(), content)
        parameters = {key: result[key] for key in ("source", "dest", "bak", "size_after")}
        end = farm.run("undo", name, parameters=dict(parameters, root=str(self.root)))
        self.assertEqual(end["outcome"], 1, end)
        self.assertEqual(source.read_bytes(), content)
        self.assertEqual([path.name for path in self.root.iterdir()], [name])

    def test_and_back(self):
        for name in ("h264.mp4", "multi.mkv"):
            with self.subTest(name):
                source = videos.put(name, self.root / name)
                content = source.read_bytes()
                farm = self.farm()
                result = self.made(farm, name)
                parameters = {key: result[key] for key in ("source", "dest", "bak", "size_after")}
                end = farm.run("undo", name, parameters=dict(parameters, root=str(self.root)))
                self.assertEqual(end["outcome"], 1, end)
                self.assertEqual(source.read_bytes(), content)
                self.assertEqual([path.name for path in self.root.iterdir()], [name])
                wait_for(lambda: str(self.root) in farm.hints, 30, "its hint")  # no video_id was given
                farm.close()
                source.unlink()

    def test_not_back(self):
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = self.farm()
        result = self.made(farm, "a.mp4")
        parameters = {key: result[key] for key in ("source", "dest", "bak", "size_after")}
        outside = dict(parameters, bak="/etc/passwd", root=str(self.root))
        self.assertIn("below", farm.run("undo", "a.mp4", parameters=outside)["error"])
        with open(self.root / "a.mp4", "ab") as file:
            file.write(b"x")
        self.assertIn("not what was made", farm.run("undo", "a.mp4", parameters=dict(parameters, root=str(self.root)))["error"])
        os.truncate(self.root / "a.mp4", result["size_after"])
        os.unlink(result["bak"])
        self.assertIn("not there any more", farm.run("undo", "a.mp4", parameters=dict(parameters, root=str(self.root)))["error"])
        self.assertTrue((self.root / "a.mp4").exists())

    def test_what_was_sent_goes(self):
        """By the farm's names, wherever its library is here; one more attempt finds that it is done."""
        source, made = videos.put("h264.mp4", self.root / "a.mp4"), self.out / "a.mp4"
        self.out.mkdir()
        made.write_bytes(b"made")
        farm = Studio.farm(self, transcode_prefix=str(self.root), library="/farms")
        parameters = {"root": "/farms", "source": "/farms/a.mp4", "dest": "a.mp4", "bak": "", "size_after": 4}
        self.assertIn("below", farm.run("undo", "a.mp4", parameters=dict(parameters, dest="../library/a.mp4"))["error"])
        self.assertIn("original is not", farm.run("undo", "b.mp4", parameters=parameters)["error"])
        self.assertTrue(made.exists())
        for attempt, outcome in ((1, 1), (1, 2), (2, 1)):
            farm.attempt = attempt
            end = farm.run("undo", "a.mp4", parameters=parameters)
            self.assertEqual(end["outcome"], outcome, end)
            self.assertFalse(made.exists())
        self.assertTrue(source.exists())

    def test_originals_go_when_their_time_is_over(self):
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = self.farm(transcode_keep_days="0")
        self.made(farm, "a.mp4")
        farm.kill()
        farm.start()
        wait_for(lambda: [path.name for path in self.root.iterdir()] == ["a.mp4"], 30, "the end of the .bak")

    def test_the_original_goes_from_beside_a_saved_one(self):
        videos.put("h264.mp4", self.root / "a.mp4")
        farm = Studio.farm(self, transcode_remove_original="true")
        result = self.made(farm, "a.mp4")
        self.assertTrue((self.out / "a.mp4").exists())
        self.assertEqual([path.name for path in self.root.iterdir()], ["a.mp4.bak"])
        parameters = {key: result[key] for key in ("source", "dest", "bak", "size_after")}
        self.assertEqual(farm.run("undo", "a.mp4", parameters=dict(parameters, root=str(self.root)))["outcome"], 1)
        self.assertEqual([path.name for path in self.root.iterdir()], ["a.mp4"])
        self.assertFalse((self.out / "a.mp4").exists())


class Refused(Studio):
    def setUp(self):
        super().setUp()
        self.source = videos.put("h264.mp4", self.root / "a.mp4")
        self.content = self.source.read_bytes()

    def tearDown(self):
        if self.source.exists():
            self.assertEqual(self.source.read_bytes(), self.content)

    def test_larger_than_its_source(self):
        videos.put("hevc.mkv", self.root / "b.mkv")
        farm = self.farm(transcode_crf="1", transcode_save="!replace")
        end = self.transcode(farm, "b.mkv")
        self.assertEqual(end["outcome"], 2)
        self.assertRegex(end["error"], "larger than its source|at most are worth it")
        self.assertEqual(sorted(path.name for path in self.root.iterdir()), ["a.mp4", "b.mkv"])
        self.assertEqual(self.leftovers(), [])

    def test_not_worth_it(self):
        """An H.264 source wants a quarter less."""
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-c:v", "libx264", "-crf", "40", "-c:a", "copy", str(self.root / "small.mp4"))
        self.failed(self.farm(transcode_crf="18"), "small.mp4", "")

    def test_it_changed_since(self):
        farm = self.farm()
        self.failed(farm, "a.mp4", "has changed", size=5)
        wait_for(lambda: str(self.root) in farm.hints, 30, "its hint")

    def test_it_is_gone(self):
        parameters = self.parameters("a.mp4")
        self.source.unlink()
        farm = self.farm()
        run = farm.assign("transcode", "a.mp4", parameters=parameters, output="a.mp4")
        self.assertIn("is not there", farm.wait(run)["error"])

    def test_outside_of_the_library(self):
        videos.put("h264.mp4", self.folder / "outside.mp4")
        (self.root / "link.mp4").symlink_to(self.folder / "outside.mp4")
        farm = self.farm()
        for path in ("../outside.mp4", "link.mp4", str(self.folder / "outside.mp4"), "x/../../outside.mp4"):
            run = farm.assign("transcode", path, parameters={"root": str(self.root), "path": path, "encoder": "cpu"}, output=path)
            end = farm.wait(run)
            self.assertEqual(end["outcome"], 2, path)
            self.assertIn("is not there, or is no file below", end["error"])

    def test_broken(self):
        videos.put("cut.mp4", self.root / "cut.mp4")
        self.failed(self.farm(), "cut.mp4", "cannot be read")

    def test_no_such_encoder(self):
        self.failed(self.farm(), "a.mp4", "encoder", encoder="abacus")

    def test_an_encoder_that_lies(self):
        """It takes HEVC and makes H.264."""
        farm = self.farm(**self.fake_ffmpeg('args=("$@"); for i in "${!args[@]}"; do [[ ${args[i]} == -x265-params ]] && args[i+1]=x=y && args[i]=-metadata;'
                                            ' [[ ${args[i]} == libx265 ]] && args[i]=libx264; [[ ${args[i]} == hvc1 ]] && args[i]=avc1; done; exec $REAL "${args[@]}"'))
        self.failed(farm, "a.mp4", "made h264, not hevc")

    def test_an_encoder_that_stops_early(self):
        farm = self.farm(**self.fake_ffmpeg('[[ "$*" == *libx265*file:* ]] && exec $REAL "${@:1:$#-1}" -t 2 "${@: -1}"; exec $REAL "$@"'))
        self.failed(farm, "a.mp4", "lasts")

    def test_an_encoder_that_stops_early_beside_what_lasts(self):
        """Audio, subtitles and chapters are all there: the container is as long as it was, its film is not."""
        source = videos.put("multi.mkv", self.root / "m.mkv")
        content = source.read_bytes()
        farm = self.farm(transcode_save="!replace", **self.fake_ffmpeg(
            '[[ "$*" == *libx265*file:* ]] || exec $REAL "$@"; args=("$@"); args[-1]="-filter:v:0"; '
            'exec $REAL "${args[@]}" "trim=end=1.5" "${@: -1}"'))
        self.failed(farm, "m.mkv", "the film that was made lasts 1.")
        self.assertEqual(source.read_bytes(), content)

    def damaged(self, at):
        """An encoder whose result has a hole of no data's shape there, as a part of its media: lengths of units that cannot be."""
        script = self.folder / "damage.py"
        script.write_text("import sys\n"
                          "data = bytearray(open(sys.argv[1], 'rb').read())\n"
                          "begin = data.index(b'mdat') + 4\n"
                          f"begin += int((len(data) - begin) * {at})\n"
                          "data[begin:begin + 6000] = b'\\xff' * len(data[begin:begin + 6000])\n"
                          "open(sys.argv[1], 'wb').write(data)\n")
        return self.fake_ffmpeg(f'$REAL "$@" || exit; [[ "$*" != *libx265*file:* ]] || {{ f="${{@: -1}}"; exec {sys.executable} {script} "${{f#file:}}"; }}')

    def test_a_sample_that_does_not_decode(self):
        """By default key frames are looked at, and the last seconds."""
        self.failed(self.farm(**self.damaged(0)), "a.mp4", "what was made does not decode: ")

    def eight_seconds(self):
        videos.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=8", *videos.H264, "-crf", "10", str(self.root / "b.mp4"))

    def test_an_end_that_does_not_decode(self):
        self.eight_seconds()
        self.failed(self.farm(**self.damaged(0.9)), "b.mp4", "what was made does not decode: ")

    def test_what_is_looked_at(self):
        """Whatever a decoder says about key frames, or about the end, counts: a hole may be seen by either."""
        self.eight_seconds()
        farm = self.farm(**self.fake_ffmpeg(f'for word in $(cat {self.folder}/word); do [[ "$*" != *"$word"* ]] || echo "$word is damaged" >&2; done; exec $REAL "$@"'))
        for word in ("-sseof", "nokey"):
            (self.folder / "word").write_text(word)
            self.failed(farm, "b.mp4", f"what was made does not decode: {word} is damaged")
        (self.folder / "word").write_text("-hwaccel")
        self.made(farm, "b.mp4")

    def test_a_result_that_does_not_decode(self):
        farm = self.farm(transcode_verify="full", **self.fake_ffmpeg(
            '$REAL "$@" || exit; if [[ "$*" == *libx265*file:* ]]; then f="${@: -1}"; f="${f#file:}"; s=$(stat -c %s "$f");'
            ' head -c $((s/8)) /dev/zero | tr "\\0" "\\377" | dd of="$f" bs=1 seek=$((s*3/4)) conv=notrunc 2>/dev/null; fi'))
        self.failed(farm, "a.mp4", "what was made does not decode: ")

    def test_one_that_stalls(self):
        farm = self.farm(transcode_stall_seconds="2", **self.fake_ffmpeg('[[ "$*" == *libx265*file:* ]] && exec sleep 1000; exec $REAL "$@"'))
        end = self.failed(farm, "a.mp4", "no progress for 2 s")
        self.assertNotIn("signal", end["error"])

    def test_the_source_goes_in_the_middle(self):
        farm = self.farm(**self.fake_ffmpeg(f'$REAL "$@"; code=$?; [[ "$*" == *libx265*file:* ]] && mv {self.source} {self.folder}/elsewhere; exit $code'))
        self.failed(farm, "a.mp4", "is not there")
        (self.folder / "elsewhere").rename(self.source)

    def test_a_full_disk(self):
        farm = self.farm(**self.fake_ffmpeg('[[ "$*" == *libx265*file:* ]] && { ulimit -f 8; trap "" XFSZ; }; exec $REAL "$@"'))
        self.assertRegex(self.failed(farm, "a.mp4", "ffmpeg")["error"], "Error closing file|ffmpeg failed")

    def test_cancelled(self):
        farm = self.farm(**self.fake_ffmpeg('[[ "$*" == *libx265*file:* ]] && { touch "${@: -1}" 2>/dev/null; $REAL "$@"; exec sleep 1000; }; exec $REAL "$@"'))
        run = self.begin(farm, "a.mp4")
        wait_for(lambda: self.leftovers(), 60, "its temporary file")
        farm.cancel(run)
        self.assertEqual(farm.wait(run)["outcome"], 4)
        self.assertEqual(self.leftovers(), [])

    def test_killed(self):
        """-9 of the worker in the middle: nothing it started lives on, and when it is back its temporary file is gone."""
        farm = self.farm(**self.fake_ffmpeg('[[ "$*" == *libx265*file:* ]] && { $REAL "$@"; exec sleep 1000; }; exec $REAL "$@"'))
        self.begin(farm, "a.mp4")
        wait_for(lambda: self.leftovers(), 60, "its temporary file")
        farm.kill()
        farm.start()
        self.assertEqual(self.leftovers(), [])

    def test_killed_before_it_is_named(self):
        for save in (str(self.out), "!replace"):
            with self.subTest(save):
                farm = self.farm(transcode_save=save)
                farm.grant = False
                run = self.begin(farm, "a.mp4")
                wait_for(lambda: run in farm.published, 120, "its PUBLISH")
                self.assertNotEqual(self.leftovers(), [])
                farm.kill()
                farm.start()
                self.assertEqual(self.leftovers(), [])
                self.assertEqual(self.source.read_bytes(), self.content)
                self.assertEqual([path.name for path in self.root.iterdir()], ["a.mp4"])
                farm.close()


class Health(Studio):
    def test_health(self):
        videos.put("hevc.mkv", self.root / "good.mkv")
        videos.put("cut.mp4", self.root / "cut.mp4")
        damaged = videos.put("hevc.mkv", self.root / "damaged.mkv")
        data = bytearray(damaged.read_bytes())
        data[len(data) // 2:len(data) // 2 + 8000] = b"\xff" * 8000  # no length of a unit; what is random may decode by chance
        damaged.write_bytes(data)
        farm = self.farm()
        for name, healthy in (("good.mkv", True), ("cut.mp4", False), ("damaged.mkv", False)):
            end = farm.run("health", name, parameters={"root": str(self.root)})
            self.assertEqual(end["outcome"], 1, end)
            result = json.loads(end["result"])
            self.assertEqual(result["healthy"], healthy, (name, result))
            self.assertEqual(result["errors"] == 0, healthy)


if __name__ == "__main__":
    unittest.main()
