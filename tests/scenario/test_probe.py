"""gantry-probe on real files: what it says of each sort, and that a file costs itself only."""

import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import unittest

from tests import videos
from tests.farm import BUILD, SLOW, wait_for

PROBE = str(BUILD / "gantry-probe")


def probe(*arguments, text=None):
    done = subprocess.run([PROBE, *arguments], input=text, capture_output=True, timeout=60 * SLOW, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return sorted(rows, key=lambda row: row["number"])


def one(name):
    return probe(str(videos.video(name)))[0]


def film(row):
    return next(stream for stream in row["streams"] if stream.get("film"))


class Files(unittest.TestCase):
    def test_h264(self):
        row = one("h264.mp4")
        stream = film(row)
        self.assertEqual((stream["codec"], stream["width"], stream["height"], stream["fps"]), ("h264", 320, 180, 25.0))
        self.assertAlmostEqual(row["duration"], 4, delta=0.1)
        self.assertEqual(row["size"], videos.video("h264.mp4").stat().st_size)
        self.assertGreater(stream["bitrate"], 100000)
        self.assertEqual([s["codec"] for s in row["streams"]], ["h264", "aac"])

    def test_other_codecs(self):
        self.assertEqual(film(one("hevc.mkv"))["codec"], "hevc")
        self.assertEqual(film(one("av1.webm"))["codec"], "av1")

    def test_hdr10(self):
        stream = film(one("hdr10.mkv"))
        self.assertEqual((stream["depth"], stream["transfer"], stream["primaries"], stream["space"]), (10, "smpte2084", "bt2020", "bt2020nc"))
        self.assertEqual(stream["master"], "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)")
        self.assertEqual((stream["cll"], stream["fall"]), (1000, 400))

    def test_streams(self):
        row = one("multi.mkv")
        self.assertEqual([(s["kind"], s["codec"], s.get("language")) for s in row["streams"]],
                         [("video", "h264", None), ("audio", "aac", "eng"), ("audio", "ac3", "chi"), ("subtitle", "subrip", None)])
        self.assertEqual(row["streams"][2]["title"], "第二")
        self.assertEqual(row["chapters"], 2)

    def test_variable_rate(self):
        self.assertIn("fps", film(one("vfr.mkv")))

    def test_dolby_vision_and_spheres(self):
        self.assertTrue(film(one("dolby.mp4"))["dolby_vision"])
        self.assertTrue(film(one("sphere.mp4"))["spherical"])
        self.assertNotIn("spherical", film(one("h264.mp4")))

    def test_broken(self):
        for name in ("cut.mp4", "noise.mkv", "list.mp4", "empty.mp4", "sound.m4a"):
            with self.subTest(name):
                self.assertTrue(one(name)["error"])

    def test_the_hash_is_the_content(self):
        a, b = one("h264.mp4"), one("hevc.mkv")
        with tempfile.TemporaryDirectory() as folder:
            copy = videos.put("h264.mp4", pathlib.Path(folder, "other name.mp4"))
            self.assertEqual(probe(str(copy))[0]["hash"], a["hash"])
            with open(copy, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"x")
            self.assertNotEqual(probe(str(copy))[0]["hash"], a["hash"])
        self.assertNotEqual(a["hash"], b["hash"])


class Process(unittest.TestCase):
    def test_names_from_stdin(self):
        names = [str(videos.video(name)) for name in ("h264.mp4", "cut.mp4", "hevc.mkv")]
        for stop, arguments in (("\n", []), ("\0", ["-0"])):
            rows = probe(*arguments, text=stop.join(names).encode())
            self.assertEqual([row["number"] for row in rows], [0, 1, 2])
            self.assertEqual(["error" in row for row in rows], [False, True, False])

    def test_below_a_root(self):
        """Nothing leads out of it: neither .. nor an absolute name nor a link."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder, "root")
            inside = videos.put("h264.mp4", root / "a" / "in.mp4")
            outside = videos.put("h264.mp4", pathlib.Path(folder, "out.mp4"))
            (root / "link.mp4").symlink_to(outside)
            rows = probe("--root", str(root), "a/in.mp4", "../out.mp4", str(outside), "link.mp4")
            self.assertEqual(["error" in row for row in rows], [False, True, True, True], rows)
            self.assertTrue(inside.exists())

    def test_a_folder_and_a_pipe_are_no_files(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(os.path.join(folder, "p.mp4"))
            rows = probe(folder, os.path.join(folder, "p.mp4"), os.path.join(folder, "none.mp4"))
            self.assertTrue(all(row["error"] for row in rows), rows)

    @staticmethod
    def child_of(process):
        """The process that looks at a file, if it can be caught before there is an answer."""
        path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not select.select([process.stdout], [], [], 0)[0]:
            children = path.read_text().split()
            if children:
                return int(children[0])
        return 0

    def test_a_crash_costs_its_file(self):
        """The process that looks at a file is killed in the middle of it."""
        process = subprocess.Popen([PROBE, "--jobs", "1", "-0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        process.stdin.write(str(videos.video("noise.mkv")).encode() + b"\0")
        process.stdin.flush()
        line = json.loads(process.stdout.readline())
        self.assertIn("error", line)
        killed = False
        for number in range(1, 400):
            process.stdin.write(str(videos.video("hdr10.mkv")).encode() + b"\0")
            process.stdin.flush()
            child = self.child_of(process)
            if child:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            line = json.loads(process.stdout.readline())
            self.assertEqual(line["number"], number)
            if "crashed" in line.get("error", ""):
                killed = True
                break
        self.assertTrue(killed)
        process.stdin.write(str(videos.video("h264.mp4")).encode() + b"\0")
        process.stdin.close()
        self.assertNotIn("error", json.loads(process.stdout.readline()))
        self.assertEqual(wait_for(lambda: process.poll() is not None and [process.returncode], what="its end"), [0])
        process.stdout.close()

    def test_wrong_arguments(self):
        for arguments in (["--jobs", "0"], ["--jobs", "x"], ["--root", "/nowhere"], ["--what"]):
            done = subprocess.run([PROBE, *arguments, "x"], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(b"usage", done.stderr)


if __name__ == "__main__":
    unittest.main()
