"""A result that was sent to the gateway gets its name: whatever dies just then, and where there is no room for it."""

import errno
import unittest

from tests import videos
from tests.farm import wait_for
from tests.faults import KILL, Fault, have_shim
from tests.scenario.test_transcode_remote import FAILED, Remote
from tests.scenario.test_transcode_worker import film


class LastPart(Remote):
    """The last part of a result is on its way, and is let go."""

    def done(self, run):
        """By the attempt that had made it, once."""
        self.wait_status("one.mp4")
        self.assertEqual((self.task("one.mp4"), len(self.farm.run(run)["attempts"])), (run, 1))
        self.assertEqual((self.folder / "encodes").read_text().count("x"), 1)
        self.assertEqual(film(self.out / "one.mp4")["codec"], "hevc")
        self.assertEqual(self.leftovers(), [])


class Killed(LastPart):
    def killed(self, name):
        self.name_step()
        run = self.task("one.mp4")
        self.farm.kill(name)
        self.valve.open()
        self.farm.start(name)
        self.done(run)

    def test_the_scheduler_is_killed(self):
        self.killed("scheduler")

    def test_the_store_is_killed(self):
        self.killed("store")


@unittest.skipUnless(have_shim(), "there is no shim beside sanitizers")
class Steps(LastPart):
    """Faults of the gateway at the steps of its own: the part is made durable, it is granted, it gets its name, the name is made durable."""

    def begin(self, **settings):
        super().begin(**settings)
        self.fault = Fault(self.farm, "gateway")
        self.farm.restart("gateway")
        self.farm.wait_ready()

    def dies(self, calls, named, **where):
        self.name_step()
        run = self.task("one.mp4")
        self.fault.fail(calls, KILL, **where)
        self.valve.open()
        self.assertEqual(self.farm.exit_code("gateway", 120), -9)
        self.assertEqual((self.out / "one.mp4").exists(), named)
        self.farm.start("gateway")
        self.done(run)

    def test_before_the_part_is_durable(self):
        self.dies("sync", False, path=".part")

    def test_between_the_grant_and_the_name(self):
        self.dies("rename", False, path="one.mp4")

    def test_between_the_name_and_the_answer(self):
        self.dies("sync", True, path="/out", skip=1)

    def refused(self):
        self.wait_status("one.mp4", FAILED)
        self.assertIn("The result cannot be written: No space left on device", self.farm.run(self.task("one.mp4"))["error_message"])
        self.assertFalse((self.out / "one.mp4").exists())
        wait_for(lambda: not self.leftovers(), 60, "the end of what had come")
        self.fault.fail("write", 0, times=0)  # there is room again
        video = self.videos()["one.mp4"]["id"]
        self.farm.data_of(self.farm.request("PATCH", f"/api/v1/videos/{video}", {"transcode_status": 1}))
        self.wait_status("one.mp4")

    def test_no_room_for_it(self):
        """It is told at once, and not after an hour of asking."""
        videos.put("h264.mp4", self.root / "one.mp4")
        self.begin(transcode_attempts="1")
        self.fault.fail("write", errno.ENOSPC, path=".part", times=1 << 30)
        self.start_worker()
        self.refused()

    def test_no_room_for_its_last_part(self):
        self.name_step(transcode_attempts="1")
        self.fault.fail("write", errno.ENOSPC, path=".part", times=1 << 30)
        self.valve.open()
        self.refused()


if __name__ == "__main__":
    unittest.main()
