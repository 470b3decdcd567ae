"""Stills of videos by the program that makes them: from a tenth of them on, the last one, and what is no video."""

import pathlib
import subprocess
import tempfile
import unittest

from tests.farm import BUILD, SLOW, clean_environment
from tests.stills import FRAGMENTED, clip, seen


class Stills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="gantry-stills-")
        cls.addClassCleanup(holder.cleanup)
        cls.folder = pathlib.Path(holder.name).resolve()
        cls.whole = clip(cls.folder / "whole.mp4", "red", "green", "blue")

    def still(self, which, path):
        """(exit code, what it wrote)."""
        with open(path, "rb") as video:
            done = subprocess.run([str(BUILD / "gantry-picture"), "--still", which], stdin=video, capture_output=True, timeout=60 * SLOW, check=False, env=clean_environment())
        self.assertEqual(done.stderr, b"")
        return done.returncode, done.stdout

    def shows(self, which, path, expected):
        code, jpeg = self.still(which, path)
        self.assertEqual(code, 0, jpeg[:200])
        self.assertEqual(seen(jpeg), expected)

    def copy(self, name, options=()):
        path = self.folder / name
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(self.whole), "-c", "copy", *options, str(path)], check=True, timeout=600)
        return path

    def test_files(self):
        """Of 12 s a second is red, in whatever file they are."""
        paths = [self.whole, self.copy("fragments.mp4", FRAGMENTED), self.copy("back.mp4"), self.copy("a.mkv"), self.copy("a.mov"), self.copy("a.ts"), self.copy("a.flv")]
        for path in paths:
            with self.subTest(path.name):
                self.shows("early", path, (320, 180, "red"))
                self.shows("last", path, (640, 360, "blue"))
        hevc = clip(self.folder / "hevc.mp4", "green", seconds=1, size="180x360", codec="libx265")
        self.shows("early", hevc, (160, 320, "green"))

    def test_early_is_not_the_beginning(self):
        self.shows("early", clip(self.folder / "dark.mp4", "red", "blue", seconds=1, options=("-t", "1.2")), (320, 180, "red"))
        for name, options in (("black.mp4", ()), ("black_fragments.mp4", FRAGMENTED)):
            black = clip(self.folder / f"x{name}", "black", *["green"] * 14, seconds=1, size="64x64", options=options)
            self.shows("early", black, (64, 64, "green"))

    def test_it_goes_on(self):
        """A recording that is being written ends somewhere, and its beginning counts for nothing."""
        data = self.copy("goes_on.mp4", FRAGMENTED).read_bytes()
        starts = [at for at in range(len(data)) if data[at:at + 4] == b"moof"]
        self.assertGreaterEqual(len(starts), 20)
        for cut, colour in ((starts[11] - 4, "green"), (starts[11] + 30, "green"), (starts[2] + 10, "red"), (len(data) - 1, "blue")):
            (self.folder / "cut.mp4").write_bytes(data[:cut])
            self.shows("last", self.folder / "cut.mp4", (640, 360, colour))

    def test_one_that_is_long(self):
        """So many fragments that most are not read."""
        long = clip(self.folder / "long.mp4", "red", "blue", seconds=30, size="64x64", options=FRAGMENTED)
        self.shows("last", long, (64, 64, "blue"))
        rare = clip(self.folder / "rare.mp4", "red", "green", seconds=30, size="64x64", options=(*FRAGMENTED, "-x264-params", "keyint=100000:scenecut=0"))
        self.assertEqual(self.still("last", rare)[0], 0)  # its only key frame is its first

    def test_no_videos(self):
        whole = self.whole.read_bytes()
        sound = self.folder / "sound.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", "sine=duration=1", str(sound)], check=True, timeout=600)
        middle = whole.index(b"mdat")
        broken = {"empty": b"", "text": b"hello " * 1000, "head": whole[:32], "index": whole[:middle], "noise": whole[:middle + 4] + bytes(range(256)) * (len(whole) // 256),
                  "sound": sound.read_bytes(), "list": b"ffconcat version 1.0\nfile /etc/passwd\n", "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
                  "endless": b"\0\0\0\x08free" * 100000}
        for name, content in broken.items():
            (self.folder / "broken").write_bytes(content)
            for which in ("early", "last"):
                with self.subTest(name, which=which):
                    code, said = self.still(which, self.folder / "broken")
                    self.assertEqual(code, 1)
                    self.assertGreater(len(said), 10)
                    self.assertNotIn(b"root:", said)

    def test_wrong_words(self):
        done = subprocess.run([str(BUILD / "gantry-picture"), "--still", "x"], capture_output=True, timeout=60 * SLOW, check=False, env=clean_environment())
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        done = subprocess.run([str(BUILD / "gantry-picture"), "--still", "last"], stdin=subprocess.PIPE, capture_output=True, timeout=60 * SLOW, check=False,
                              env=clean_environment())
        self.assertEqual((done.returncode, done.stdout), (1, b"it is no file"))


if __name__ == "__main__":
    unittest.main()
