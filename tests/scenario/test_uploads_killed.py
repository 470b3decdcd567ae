"""Uploads whose gateway is killed before each of its steps: what was begun is not there by half, and whoever sends it again has it there, once."""

import base64
import http.client
import os
import unittest

from tests.farm import Farm, wait_for
from tests.faults import KILL, Fault, have_shim
from tests.patience import PATIENT
from tests.render_client import ask, md5, upload

TUS = "/render/api/files/tus"
SIZE = 100000
GONE = (OSError, http.client.HTTPException)  # what a client sees of a gateway that is killed


@unittest.skipUnless(have_shim(), "not beside sanitizers")
class Killed(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(workers=0, start=False, **PATIENT)
        self.fault = Fault(self.farm, "gateway")
        self.farm.__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        self.farm.start_all()
        self.blobs = self.farm.data / "blobs"

    def restart(self):
        self.farm.exit_code("gateway")
        self.fault.times, self.mended = 0, True
        self.farm.start("gateway")
        self.farm.wait_ready()

    def settle(self):
        """It lives, and dies no more: also one that was killed behind its answer."""
        self.fault.times = 0
        try:
            self.farm.get("/api/system/health")
        except GONE:
            pass
        if self.fault.failed and not self.mended:
            self.restart()

    def each_step(self, act):
        """Calls it with content of its own while the gateway dies before its first call on a file of the store, before its second, … until it dies no more."""
        for step in range(100):
            content = os.urandom(SIZE)
            self.mended = False
            self.fault.fail("mkdir write sync link rename", KILL, path=str(self.blobs), skip=step)
            act(content)
            self.settle()
            self.is_there(content)
            if not self.fault.failed:
                return step
        raise AssertionError("it never gets through")

    def existing(self, content):
        return ask(self.farm.port, "POST", "/render/api/files/check-hashes", {"hashes": [md5(content)]}).body["data"]["existing"]

    def kept(self, content):
        return self.blobs / "assets" / md5(content)[:2] / md5(content)

    def is_there(self, content):
        row, = self.existing(content)
        self.assertEqual(self.kept(content).read_bytes(), content)
        link = ask(self.farm.port, "GET", f"/render/api/files/download-url/{row['asset_id']}")
        self.assertEqual(link.status, 200, link)

    def nothing_by_half(self, content):
        """What has its name is whole, and what the farm knows of has its name."""
        if self.kept(content).exists():
            self.assertEqual(self.kept(content).read_bytes(), content)
        if self.existing(content):
            self.assertTrue(self.kept(content).exists())
        incoming = self.blobs / "incoming"
        wait_for(lambda: not incoming.exists() or not list(incoming.iterdir()), what="no file on its way")

    def form(self, content):
        key = {"Idempotency-Key": md5(content)}
        try:
            sent = upload(self.farm.port, content, headers=key)
        except GONE:
            self.restart()
            self.nothing_by_half(content)
            sent = upload(self.farm.port, content, headers=key)
        self.assertIn(sent.status, (200, 201), sent)
        self.settle()
        self.assertEqual(upload(self.farm.port, content).body["data"], dict(sent.body["data"], uploaded=False))

    def test_forms(self):
        self.assertGreaterEqual(self.each_step(self.form), 5)

    def tus(self, method, path, body=None, **headers):
        return ask(self.farm.port, method, path, body, {"Tus-Resumable": "1.0.0", **{name.replace("_", "-"): value for name, value in headers.items()}})

    def create(self, content):
        hash = base64.b64encode(md5(content).encode()).decode()
        made = self.tus("POST", TUS, Upload_Length=str(SIZE), Upload_Metadata=f"hash {hash}")
        self.assertEqual(made.status, 201, made)
        location = made.headers["location"]
        return location[location.index("/render"):]

    def go_on(self, path, content):
        """One request more; true once it is all there."""
        head = self.tus("HEAD", path)
        self.assertEqual(head.status, 200, head)
        at = int(head.headers["upload-offset"])
        if at < SIZE:
            sent = self.tus("PATCH", path, content[at:at + SIZE // 2], Upload_Offset=str(at), Content_Type="application/offset+octet-stream")
            self.assertEqual(sent.status, 204, sent)
        return at == SIZE

    def resumed(self, content):
        """As a client of tus goes about it: it asks how far it is, and goes on there."""
        path, over = None, False
        while not over:
            try:
                path = path or self.create(content)
                over = self.go_on(path, content)
            except GONE:
                self.restart()
                self.assertFalse(self.kept(content).exists() and self.kept(content).stat().st_size != SIZE)

    def test_resumable(self):
        self.assertGreaterEqual(self.each_step(self.resumed), 8)


if __name__ == "__main__":
    unittest.main()
