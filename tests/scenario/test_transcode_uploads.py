"""Results of transcodes over HTTP and disks that fail: what is acknowledged is on disk."""

import errno
import pathlib
import tempfile
import unittest

from tests.farm import Farm
from tests.faults import Fault, have_shim
from tests.library import fill, video

KIND = {"Content-Type": "video/mp4"}


@unittest.skipUnless(have_shim(), "not beside sanitizers")
class Disk(unittest.TestCase):
    def test_what_cannot_be_made_durable_is_not_acknowledged(self):
        with tempfile.TemporaryDirectory(prefix="gantry-library-") as folder:
            top = pathlib.Path(folder).resolve()
            (top / "library").mkdir()
            (top / "library/a.mp4").write_bytes(b"x")
            with Farm(workers=0, start=False, library=str(top / "library"), library_scan_minutes=0, transcode_save=str(top / "out")) as farm:
                fault = Fault(farm, "gateway")
                farm.start_all()
                worker = farm.post("/api/v1/workers", {"worker_name": "w", "worker_type": 0, "support_vr": 0}).body["data"]["worker_id"]
                fill(farm, top / "library", video("a.mp4"))
                task = farm.post("/api/v1/tasks", {"worker_id": worker, "worker_type": 0, "support_vr": 0}).body["data"]["task_id"]
                result = f"/api/v1/stream/result/{task}"

                def put(first, content, total):
                    return farm.put(result, content, headers=dict(KIND, **{"Content-Range": f"bytes {first}-{first + len(content) - 1}/{total}"}))

                fault.fail("sync", errno.EIO, path="/out", times=1)
                self.assertEqual(put(0, b"a" * 100, 300).status, 503)
                self.assertEqual(fault.failed, 1)
                here = farm.get(result).body["data"]["received"]
                self.assertEqual(put(here, b"a" * (200 - here), 300).status, 200)
                for skip in range(2):  # the file, and the folder that it has its name in
                    fault.fail("sync", errno.EIO, path="/out", times=1, skip=skip)
                    here = farm.get(result).body["data"]["received"]
                    answer = farm.put(result, b"b" * 300, headers=KIND)
                    self.assertEqual((answer.status, fault.failed), (503, 1), answer)
                self.assertEqual(farm.put(result, b"b" * 300, headers=KIND).status, 201)
                self.assertEqual((top / "out/a.mp4").read_bytes(), b"b" * 300)
                fault.fail("rename", errno.EIO, path="a.mp4", times=1)
                self.assertEqual(farm.put(result, b"c" * 300, headers=KIND).status, 503)
                self.assertEqual((top / "out/a.mp4").read_bytes(), b"b" * 300)
                self.assertEqual(farm.put(result, b"c" * 300, headers=KIND).status, 201)
                fault.fail("write", errno.ENOSPC, path=".part", times=1)
                answer = farm.put(result, b"d" * 300, headers=dict(KIND, **{"Accept-Language": "en"}))
                self.assertEqual((answer.status, answer.body["code"], answer.body["message"]),
                                 (507, 507, "The result cannot be written: No space left on device"))
                self.assertNotIn("retry-after", {name.lower() for name in answer.headers})
                self.assertEqual((top / "out/a.mp4").read_bytes(), b"c" * 300)


if __name__ == "__main__":
    unittest.main()
