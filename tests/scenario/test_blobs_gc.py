"""Collections of uploaded files that are broken off: whoever dies in between, no file that is known is missing, and the next one does the rest."""

import errno
import os
import unittest

from tests.farm import Farm, wait_for
from tests.faults import Fault, have_shim
from tests.patience import PATIENT
from tests.render_client import ask, md5, upload

FILES = 300


class BlobsGc(unittest.TestCase):
    def ask(self, method, path, body=None):
        return ask(self.farm.port, method, "/render/api" + path, body)

    def known(self, hashes):
        reply = wait_for(lambda: self.done(self.ask("POST", "/files/check-hashes", {"hashes": hashes})), what="the farm to answer")
        self.assertEqual(reply.status, 200, reply)
        return {row["hash"] for row in reply.body["data"]["existing"]}

    def there(self):
        return {path.name for path in (self.farm.data / "blobs" / "assets").glob("*/*")}

    def collect(self):
        """To its end, whatever other one is under way."""
        reply = wait_for(lambda: self.done(self.ask("POST", "/files/gc", {"grace_seconds": 0})), what="a collection")
        self.assertEqual((reply.status, reply.body["data"]["failed"]), (200, False), reply)

    @staticmethod
    def done(reply):
        return None if reply.status in (202, 409, 503) else reply

    def test_who_dies_in_between(self):
        with Farm(workers=0, **PATIENT) as self.farm:
            for who in ("gateway", "scheduler", "store"):
                with self.subTest(who=who):
                    content = [os.urandom(64) for _ in range(FILES)]
                    for one in content:
                        self.assertEqual(upload(self.farm.port, one).status, 201)
                    hashes = [md5(one) for one in content]
                    begun = self.ask("POST", "/files/gc", {"grace_seconds": 0, "wait_seconds": 0})
                    self.assertIn(begun.status, (200, 202), begun)
                    self.farm.restart(who)
                    self.farm.wait_ready()
                    there = self.there()  # before it is asked what is known: a collection may go on
                    self.assertLessEqual(self.known(hashes), there)
                    self.collect()
                    self.assertEqual((self.known(hashes), self.there()), (set(), set()))
                    again = upload(self.farm.port, content[0])  # as if it had never been there
                    self.assertEqual(again.status, 201)
                    self.assertEqual(self.there(), {hashes[0]})
                    self.collect()

    @unittest.skipUnless(have_shim(), "needs the release build")
    def test_where_there_is_no_room_for_the_mark(self):
        """It is what makes room. The id could not be kept either: no mark is left by it."""
        with Farm(workers=0, start=False, **PATIENT) as self.farm:
            fault = Fault(self.farm, "gateway")
            fault.fail("write", errno.ENOSPC, path="/farm.id", times=1 << 30)
            self.farm.start_all()
            content = os.urandom(64)
            self.assertEqual(upload(self.farm.port, content).status, 201)
            self.collect()
            mark = self.farm.data / "blobs" / ".gantry-owner"
            self.assertEqual((self.there(), mark.exists()), (set(), False))
            fault.fail("write", errno.EDQUOT, path="/.gantry-owner", times=1 << 30)
            self.assertEqual(upload(self.farm.port, content).status, 201)
            self.collect()
            self.assertEqual((self.there(), mark.exists()), (set(), False))
            fault.fail("write", errno.EIO, path="/.gantry-owner")
            reply = wait_for(lambda: self.done(self.ask("POST", "/files/gc", {})), what="a collection")
            self.assertEqual((reply.status, reply.body["error_code"]), (500, 5002), reply)
            self.collect()
            self.assertEqual(mark.read_text(), (self.farm.data / "farm.id").read_text())


if __name__ == "__main__":
    unittest.main()
