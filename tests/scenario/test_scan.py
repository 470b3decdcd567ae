"""A worker's scan of a library of real files: what it tells the farm, and what it never says is gone."""

import json
import os
import pathlib
import shutil
import tempfile
import unittest

from tests import videos
from tests.farm import descendants, wait_for
from tests.farside import FarSide


class Library(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-library-")
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name) / "videos"
        self.root.mkdir()

    def farm(self, **more):
        farm = FarSide(**more).__enter__()
        self.addCleanup(farm.close)
        return farm

    def fill(self):
        for name in ("h264.mp4", "hevc.mkv", "multi.mkv", "hdr10.mkv", "cut.mp4"):
            videos.put(name, self.root / "all" / name)
        videos.put("h264.mp4", self.root / "trip_VR.mp4")
        (self.root / "notes.txt").write_text("no video")


class Scans(Library):
    def test_a_library(self):
        self.fill()
        farm = self.farm()
        result = farm.scan(self.root)
        self.assertEqual((result["files"], result["new"], result["broken"]), (6, 6, 1))
        self.assertEqual(farm.paths(), ["all/cut.mp4", "all/h264.mp4", "all/hdr10.mkv", "all/hevc.mkv", "all/multi.mkv", "trip_VR.mp4"])
        h264 = farm.named("all/h264.mp4")
        self.assertEqual((h264["codec"], h264["width"], h264["height"], h264["fps"], h264["container"]), ("h264", 320, 180, 25.0, "mov"))
        self.assertEqual(h264["size"], (self.root / "all/h264.mp4").stat().st_size)
        self.assertEqual(h264["mtime_ns"], (self.root / "all/h264.mp4").stat().st_mtime_ns)
        self.assertAlmostEqual(h264["duration_ms"], 4000, delta=100)
        self.assertTrue(h264["wanted"])
        self.assertFalse(farm.named("all/hevc.mkv")["wanted"])
        self.assertTrue(farm.named("trip_VR.mp4")["is_vr"])
        self.assertNotIn("is_vr", h264)
        self.assertTrue(farm.named("all/cut.mp4")["error"])
        self.assertNotIn("wanted", farm.named("all/cut.mp4"))
        self.assertEqual([s["kind"] for s in farm.named("all/multi.mkv")["detail"]["streams"]], ["video", "audio", "audio", "subtitle"])
        self.assertEqual(len({v["rules"] for v in farm.videos.values()}), 1)

    def test_only_what_changed(self):
        self.fill()
        farm = self.farm()
        farm.scan(self.root)
        again = farm.scan(self.root)
        self.assertEqual((again["probed"], again["new"], again["changed"], again["gone"]), (0, 0, 0, 0))
        os.utime(self.root / "all/h264.mp4", ns=(1, 1700000000123456789))
        (self.root / "all/hevc.mkv").unlink()
        videos.put("hevc.mkv", self.root / "new" / "another.mkv")
        videos.put("av1.webm", self.root / "all/multi.mkv")
        before = {v["path"]: k for k, v in farm.videos.items()}
        result = farm.scan(self.root)
        self.assertEqual((result["probed"], result["changed"], result["moved"], result["new"], result["gone"]), (3, 2, 1, 0, 0))
        after = {v["path"]: k for k, v in farm.videos.items()}
        self.assertEqual(after["new/another.mkv"], before["all/hevc.mkv"])  # the same video, with its history
        self.assertEqual(farm.named("all/multi.mkv")["codec"], "av1")
        self.assertEqual(farm.named("all/h264.mp4")["mtime_ns"], 1700000000123456789)

    def test_a_library_that_is_mounted_elsewhere(self):
        """The farm has it at other places than this worker: it looks and watches here, and speaks of there."""
        self.fill()
        second = self.root.parent / "second"
        videos.put("hevc.mkv", second / "x.mkv")
        farm = self.farm(library="/farm/films/:/farm/shows", transcode_prefix=f"{self.root}:{second}/")
        self.assertEqual(farm.scan("/farm/films")["files"], 6)
        self.assertEqual({video["root"] for video in farm.videos.values()}, {"/farm/films"})
        self.assertEqual(farm.scan("/farm/shows")["new"], 1)
        self.assertEqual(farm.named("x.mkv")["root"], "/farm/shows")
        self.assertTrue(farm.named("x.mkv")["codec"], "hevc")
        (self.root / "all/hevc.mkv").rename(self.root / "moved.mkv")
        self.assertEqual(farm.scan("/farm/films")["moved"], 1)
        farm.hints.clear()
        videos.put("h264.mp4", second / "new.mp4")
        wait_for(lambda: "/farm/shows" in farm.hints, 60, "a hint of the folder by the farm's name")
        self.root.rename(self.root.parent / "away")
        end = farm.run("scan", "/farm/films")
        self.assertIn(str(self.root), end["error"])

    def test_other_rules_judge_again(self):
        self.fill()
        farm = self.farm()
        farm.scan(self.root)
        farm.close()
        other = self.farm(transcode_rules="yes if codec == 'hevc' and path like 'all/*'")
        other.videos = farm.videos
        self.assertEqual(other.scan(self.root)["probed"], 6)
        self.assertEqual(sorted(v["path"] for v in other.videos.values() if v.get("wanted")), ["all/hdr10.mkv", "all/hevc.mkv"])
        self.assertEqual(other.scan(self.root)["probed"], 0)

    def test_gone(self):
        self.fill()
        farm = self.farm()
        farm.scan(self.root)
        shutil.rmtree(self.root / "all")
        self.assertEqual(farm.scan(self.root)["gone"], 5)
        self.assertEqual(farm.paths(), ["trip_VR.mp4"])

    def test_many_pages_and_batches(self):
        source = videos.put("h264.mp4", self.root / "0.mp4")
        for number in range(1, 600):
            os.link(source, self.root / f"{number}.mp4")
        farm = self.farm()
        farm.page = 70
        self.assertEqual(farm.scan(self.root, timeout=300)["new"], 600)
        self.assertLessEqual(max(len(found.get("videos", [])) for found in farm.found), 256)
        again = farm.scan(self.root)
        self.assertEqual((again["files"], again["probed"]), (600, 0))
        for number in range(50, 600):
            (self.root / f"{number}.mp4").unlink()
        self.assertEqual(farm.scan(self.root)["gone"], 550)
        self.assertEqual(len(farm.videos), 50)

    def test_links_and_odd_names(self):
        """No link is followed, no name that is no UTF-8 is sent, what the farm itself writes is passed over."""
        outside = videos.put("h264.mp4", self.root.parent / "outside" / "x.mp4")
        videos.put("h264.mp4", self.root / "ok.MP4")
        (self.root / "link.mp4").symlink_to(outside)
        (self.root / "folder").symlink_to(outside.parent)
        videos.put("h264.mp4", self.root / ".gantry-1-1.x.mp4")
        shutil.copyfile(outside, os.fsencode(self.root) + b"/\xff.mp4")
        os.mkfifo(self.root / "pipe.mp4")
        farm = self.farm()
        self.assertEqual(farm.scan(self.root)["files"], 1)
        self.assertEqual(farm.paths(), ["ok.MP4"])


class Judged(Library):
    def test_vr_and_dolby_vision(self):
        videos.put("sphere.mp4", self.root / "s.mp4")
        videos.put("dolby.mp4", self.root / "d.mp4")
        videos.put("wide.mp4", self.root / "w.mp4")
        videos.ffmpeg("-i", str(videos.video("h264.mp4")), "-map", "0:v", "-map", "0:v", "-c", "copy", str(self.root / "two.mp4"))
        farm = self.farm(transcode_rules="yes")
        farm.scan(self.root)
        self.assertEqual([bool(farm.named(name).get("is_vr")) for name in ("s.mp4", "d.mp4", "w.mp4")], [True, False, True])
        self.assertEqual((farm.named("d.mp4")["wanted"], farm.named("d.mp4")["reason"]), (False, "Dolby Vision would be lost"))
        self.assertEqual((farm.named("two.mp4")["wanted"], farm.named("two.mp4")["reason"]), (False, "a further video stream would be lost"))
        self.assertTrue(farm.named("s.mp4")["wanted"])


class MountGuard(Library):
    def test_a_missing_root(self):
        self.fill()
        farm = self.farm()
        farm.scan(self.root)
        self.root.rename(self.root.parent / "away")
        end = farm.run("scan", str(self.root))
        self.assertEqual(end["outcome"], 2)
        self.assertIn("cannot be opened", end["error"])
        self.assertEqual(len(farm.videos), 6)

    def test_an_empty_root(self):
        self.fill()
        farm = self.farm()
        farm.scan(self.root)
        self.root.rename(self.root.parent / "away")
        self.root.mkdir()
        end = farm.run("scan", str(self.root))
        self.assertEqual(end["outcome"], 2)
        self.assertIn("is it mounted?", end["error"])
        self.assertEqual(len(farm.videos), 6)

    def test_an_empty_root_that_always_was(self):
        self.assertEqual(self.farm().scan(self.root)["files"], 0)

    def test_an_empty_mount_point_below(self):
        """A folder without any entry, below which many videos were known, is none from which they are gone; a few are."""
        videos.put("h264.mp4", self.root / "stays.mp4")
        source = videos.put("h264.mp4", self.root / "disk/0/0.mp4")
        for number in range(1, 30):
            os.link(source, self.root / f"disk/0/{number}.mp4")
        videos.put("hevc.mkv", self.root / "one/film.mkv")
        farm = self.farm()
        farm.scan(self.root)
        shutil.rmtree(self.root / "disk/0")
        (self.root / "one/film.mkv").unlink()
        self.assertEqual(farm.scan(self.root)["gone"], 1)
        self.assertEqual(len(farm.videos), 31)
        (self.root / "disk").rmdir()
        self.assertEqual(farm.scan(self.root)["gone"], 30)

    @unittest.skipIf(os.geteuid() == 0, "root reads every folder")
    def test_a_folder_that_cannot_be_read(self):
        self.fill()
        farm = self.farm()
        farm.scan(self.root)
        os.chmod(self.root / "all", 0)
        self.addCleanup(os.chmod, self.root / "all", 0o755)
        self.assertEqual(farm.scan(self.root)["gone"], 0)
        self.assertEqual(len(farm.videos), 6)


class Watched(Library):
    def hinted(self, farm, change):
        """A change is one event, or it may be told of twice, and the second word be taken for that of the next one."""
        farm.hints.clear()
        change()
        wait_for(lambda: str(self.root) in farm.hints, 60, "a hint")

    def test_changes_between_scans(self):
        """Files and folders that come, go, change and are renamed, also in folders that came later. What is no video tells nothing."""
        (self.root / "old").mkdir()
        farm = self.farm(library=str(self.root))
        first = videos.put("h264.mp4", self.root.parent / "outside.mp4")
        wait_for(lambda: self.watched(farm) == 2, 60, "a watch over both folders")
        videos.put("h264.mp4", self.root.parent / "made/deep/b.mp4")
        self.hinted(farm, lambda: (self.root.parent / "made").rename(self.root / "new"))
        wait_for(lambda: self.watched(farm) == 4, 60, "a watch over the new folders")
        writing = []
        self.hinted(farm, lambda: writing.append(open(self.root / "new/deep/c.mp4", "wb")))
        self.hinted(farm, lambda: writing.pop().close())
        self.hinted(farm, lambda: (self.root / "new/deep/b.mp4").rename(self.root / "old/d.mp4"))
        self.hinted(farm, lambda: (self.root / "old/d.mp4").unlink())
        self.hinted(farm, lambda: os.rename(first, self.root / "e.mp4"))
        farm.hints.clear()
        (self.root / "old/notes.txt").write_text("no video")
        self.hinted(farm, lambda: os.link(self.root / "e.mp4", self.root / "f.mp4"))
        self.assertEqual(len(farm.hints), 1)

    def watched(self, farm):
        """How many folders are watched, as the kernel says."""
        count = 0
        for pid in descendants(farm.process.pid):
            try:
                count += sum(path.read_text().count("inotify wd:") for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())
            except OSError:
                pass
        return count


class Faults(Library):
    def test_the_worker_is_killed_in_the_middle(self):
        """What was told before is known to the next scan, which probes the rest."""
        source = videos.put("h264.mp4", self.root / "0.mp4")
        for number in range(1, 700):
            os.link(source, self.root / f"{number}.mp4")
        farm = self.farm()
        farm.assign("scan", str(self.root))
        wait_for(lambda: farm.found, 120, "its first batch")
        farm.kill()
        told, answer = [], farm.on_library_known

        def asked(fields, corr):
            told.append(len(farm.videos))
            answer(fields, corr)

        farm.on_library_known = asked
        farm.start()
        result = farm.scan(self.root, timeout=300)
        self.assertGreater(told[0], 0)
        self.assertEqual(result["files"], 700)
        self.assertEqual(result["new"], 700 - told[0])
        self.assertEqual(len(farm.videos), 700)

    def test_the_farm_does_not_answer_for_a_while(self):
        self.fill()
        farm = self.farm()
        farm.mute = {"library_found", "heartbeat"}
        run = farm.assign("scan", str(self.root))
        wait_for(lambda: farm.progress[run], 60, "its progress")
        farm.mute = set()
        self.assertEqual(farm.wait(run, 120)["outcome"], 1)
        self.assertEqual(len(farm.videos), 6)

    def test_the_farm_refuses(self):
        self.fill()
        farm = self.farm()
        farm.refuse_found = "no more than so many videos"
        end = farm.run("scan", str(self.root))
        self.assertEqual(end["outcome"], 2)
        self.assertIn("no more than so many videos", end["error"])

    def test_rules_that_make_no_sense(self):
        farm = self.farm(start=False, library=str(self.root), transcode_rules="yes if codecc == 'h264'")
        farm.start(wait=False)
        self.assertEqual(farm.process.wait(60), 1)
        self.assertIn("there is no name codecc", farm.log())

    def test_a_relative_root(self):
        end = self.farm().run("scan", "videos")
        self.assertIn("absolute", end["error"])

    def test_a_cancelled_scan(self):
        source = videos.put("h264.mp4", self.root / "0.mp4")
        for number in range(1, 700):
            os.link(source, self.root / f"{number}.mp4")
        farm = self.farm()
        farm.mute = {"library_found"}
        run = farm.assign("scan", str(self.root))
        wait_for(lambda: farm.progress[run], 60, "its progress")
        farm.cancel(run)
        self.assertEqual(farm.wait(run)["outcome"], 4)


if __name__ == "__main__":
    unittest.main()
