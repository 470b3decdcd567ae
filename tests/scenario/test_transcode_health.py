"""`gantry transcode health` with real files and a real worker: of one video, of several, of the whole library."""

import json
import unittest

from tests import videos
from tests.farm import wait_for
from tests.scenario.test_transcode_farm import BUILD, SLOW, Home, clean_environment, subprocess


class Health(Home):
    def gantry(self, farm, *words, code=0):
        done = subprocess.run([str(BUILD / "gantry"), *words, "--url", f"http://127.0.0.1:{farm.port}"], capture_output=True, text=True,
                              timeout=120 * SLOW, check=False, env=clean_environment())
        self.assertEqual(done.returncode, code, done)
        return done.stdout if code in (0, 1) and done.stdout else done.stderr

    def test_good_and_damaged(self):
        videos.put("hevc.mkv", self.root / "good.mkv")
        videos.put("av1.webm", self.root / "fine.webm")
        damaged = videos.put("hevc.mkv", self.root / "damaged.mkv")
        data = bytearray(damaged.read_bytes())
        data[len(data) // 2:len(data) // 2 + 8000] = b"\xff" * 8000  # no length of a unit; what is random may decode by chance
        damaged.write_bytes(data)
        farm = self.farm()
        found = wait_for(lambda: len(self.videos(farm)) == 3 and self.videos(farm), 60, "the scan")
        good, bad = str(found["good.mkv"]["id"]), str(found["damaged.mkv"]["id"])
        self.assertIn(f"video {good} is healthy: good.mkv", self.gantry(farm, "transcode", "health", good, "--wait"))
        told = self.gantry(farm, "transcode", "health", bad, good, "--wait", code=1)
        self.assertRegex(told, rf"video {bad} is damaged, .+: damaged.mkv")
        self.assertIn(f"video {good} is healthy", told)
        table = self.gantry(farm, "library", "list", "--health", "damaged").splitlines()
        self.assertEqual((len(table), table[1].split()[-2:]), (2, ["damaged", "damaged.mkv"]))
        self.assertIn("never checked", self.gantry(farm, "transcode", "health"))
        self.assertIn("goes on", self.gantry(farm, "transcode", "health", "--all", "--unchecked"))
        wait_for(lambda: "has ended: 1 healthy, 0 damaged" in self.gantry(farm, "transcode", "health"), 60, "the rest")
        self.gantry(farm, "transcode", "health", "--all")
        wait_for(lambda: "has ended: 2 healthy, 1 damaged" in self.gantry(farm, "transcode", "health"), 60, "all")
        self.assertIn("has ended", self.gantry(farm, "transcode", "health", "--stop"))
        row = json.loads(self.gantry(farm, "library", "list", "--health", "damaged", "--json"))["videos"][0]
        self.assertTrue(row["health_check"]["error"])
        self.assertEqual(len(self.gantry(farm, "library", "list", "--health", "unchecked").splitlines()), 1)
        self.assertIn("no such video", self.gantry(farm, "transcode", "health", "99999", code=1))
        for wrong in (("x",), ("--wait",), (good, "--all"), ("--unchecked",), ("--all", "--stop")):
            self.gantry(farm, "transcode", "health", *wrong, code=2)
        videos.put("hevc.mkv", damaged)  # mended
        farm.post("/api/v1/videos/scan", {})
        wait_for(lambda: self.videos(farm)["damaged.mkv"]["health"] == 0, 60, "its being another file")


if __name__ == "__main__":
    unittest.main()
