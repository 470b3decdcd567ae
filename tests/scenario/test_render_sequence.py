"""A scene of Blender's that shows sequences of pictures, sent by `gantry render submit` and rendered where only the farm's store of files is: each
frame shows its own."""

import shutil

from tests.farm import Farm, wait_for
from tests.patience import PATIENT
from tests.scenario import test_render as frames
from tests.scenario import test_render_submit as submit

BASE = submit.BASE
RED, GREEN, BLUE, LOST = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)  # LOST: what Blender has for a picture that is not there


class Sequences(submit.Client, frames.Scenes):
    def setUp(self):
        super().setUp()
        own = {"worker_slots": 1, "worker_render_threads": "1", "render_output": str(self.frames), "render_attempts": 1}
        self.studio = Farm(**{**PATIENT, **own})
        self.studio.__enter__()
        self.addCleanup(self.studio.__exit__, None, None, None)
        self.shot = self.home / "shot"
        shutil.copytree(self.scenes / "shot", self.shot)

    def sent(self, *options):
        """The number of a task of three frames, whose files are in the farm alone before any is rendered."""
        self.studio.kill("worker1")
        out, err = self.gantry(self.studio, "submit", str(self.shot / "sequence.blend"), "--root", str(self.shot), "--frames", "1-3", "--unionid", "ann", *options)
        shutil.rmtree(self.shot)
        self.studio.start("worker1")
        return int(out), err

    def ended(self, number):
        """Its frames, by number."""
        wait_for(lambda: self.studio.get(f"{BASE}/tasks/{number}").body["data"]["status"] in ("completed", "failed"), timeout=frames.LONG, what="its end")
        return [self.studio.get(f"{BASE}/tasks/{number}/frames/{frame}").body["data"] for frame in (1, 2, 3)]

    def halves(self, row):
        self.assertEqual(row["status"], "completed", row)
        return frames.halves(self.frames / row["output_path"])

    def missing(self, row):
        return [line for line in self.log(self.studio, row["run_id"]) if "missing" in line]

    def test_each_frame_has_its_own(self):
        number, err = self.sent("--no-missing")
        self.assertIn("7 files", err)
        rows = self.ended(number)
        self.assertEqual([self.halves(row) for row in rows], [[RED, GREEN], [GREEN, BLUE], [BLUE, RED]])
        self.assertEqual([self.missing(row) for row in rows], [[], [], []])
        data = self.studio.get(f"{BASE}/tasks/{number}/assets").body["data"]
        self.assertEqual((data["analysed"], data["missing_count"]), (True, 0))
        self.assertEqual([row["file_path"] for row in data["assets"]][1:], ["//seq/sea_<frame>.png", "C:\\sea\\w<frame>.png"])

    def test_more_than_go_into_one_answer(self):
        """Workers ask for those that were sent last in another question."""
        sea = self.shot / "seq"
        for name in ("sea_0002.png", "sea_0003.png"):
            (sea / name).rename(self.home / name)
        for number in range(1000, 1300):
            shutil.copy(sea / "sea_0001.png", sea / f"sea_{number}.png")
        first = self.gantry(self.studio, "submit", str(self.shot / "sequence.blend"), "--root", str(self.shot), "--frames", "9", "--unionid", "ann")[0]
        for name in ("sea_0002.png", "sea_0003.png"):
            (self.home / name).rename(sea / name)
        number, err = self.sent("--no-missing")
        self.assertIn("307 files", err)
        self.assertEqual([self.halves(row) for row in self.ended(number)], [[RED, GREEN], [GREEN, BLUE], [BLUE, RED]])
        self.gantry(self.studio, "watch", first.strip())

    def test_one_that_is_missing(self):
        """It is told in the log of the frame that it is missing in."""
        (self.shot / "seq/sea_0002.png").unlink()
        number, err = self.sent()
        self.assertIn("6 files", err)
        rows = self.ended(number)
        self.assertEqual([self.halves(row) for row in rows], [[RED, GREEN], [LOST, BLUE], [BLUE, RED]])
        self.assertEqual([self.missing(row) for row in rows], [[], ["WARNING: missing file //seq/sea_0002.png"], []])

    def test_none_may_be_missing(self):
        (self.shot / "seq/sea_0001.png").unlink()  # the one that the scene has the name of
        (self.shot / "C/sea/w2.png").unlink()
        first, second, third = self.ended(self.sent("--no-missing")[0])
        for row, words in ((first, "scene: 1 of its files are missing in frame 1, //seq/sea_0001.png for one"),
                           (second, "scene: 1 of its files are missing in frame 2, C:/sea/w2.png for one")):
            self.assertEqual((row["status"], row["error_message"]), ("failed", words))
        self.assertEqual(self.halves(third), [BLUE, RED])

    def test_all_are_missing(self):
        shutil.rmtree(self.shot / "seq")
        out, err = self.gantry(self.studio, "submit", str(self.shot / "sequence.blend"), "--root", str(self.shot), "--frames", "1-3", code=1)
        self.assertEqual(out, "")
        self.assertIn("missing: //seq/sea_<frame>.png", err)


if __name__ == "__main__":
    frames.unittest.main()
