"""Scenes and forms that were made to harm, as they come over HTTP: each is refused in bounds, nothing is kept of it, and the farm goes on."""

import gzip
import os
import pathlib
import tempfile
import unittest

from tests.farm import Farm, wait_for
from tests.faults import have_shim
from tests.patience import PATIENT
from tests.render_client import FORM, ask, form, md5, part, upload
from tests.scene import tiny

MIB = 1 << 20
ANALYSE = "/render/api/scene/analyse"


def peak(pid):
    """The most memory that it ever had, in bytes."""
    return next(int(line.split()[1]) * 1024 for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))


def rings():
    """Lists whose last leads back to their first, one in the other: a .blend may be damaged so, and what is in it counts once."""
    file = tiny.blend()
    file.add("DATA", "IDProperty", 0x310, next=0x310, type=6, name="x", data={"group": {"first": 0x310}})
    file.add("DATA", "TimeMarker", 0x220, next=0x210)
    return file.bytes()


def hostile():
    lying = tiny.blend().raw("SC", b"x" * 50, 1, 0, length=0x7fffffff)
    dna = tiny.blend().dna()
    return {
        "bomb.ma.gz": gzip.compress(b"//Maya ASCII 2024 scene\n" + b"\n" * (64 * MIB)),
        "bomb.blend": gzip.compress(tiny.blend().raw("DATA", bytes(64 * MIB), 0x999).bytes()),
        "cut.ma.gz": gzip.compress(tiny.MAYA.encode())[:-20],
        "huge_dna.blend": tiny.blend().bytes(dna=bytes(5 * MIB)),
        "huge_count.blend": tiny.blend().bytes(dna=dna[:8] + b"\xff\xff\xff\x7f" + dna[12:]),
        "lying.blend": lying.bytes(),
        "deep.mb": tiny.regressions()["maya_binary"]["deep_groups"],
    }


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(prefix="gantry-hostile-")
        cls.addClassCleanup(holder.cleanup)
        cls.farm = Farm(start=True, scene_root=holder.name, **PATIENT)
        cls.farm.__enter__()
        cls.addClassCleanup(cls.farm.__exit__, None, None, None)
        cls.pids = {name: cls.farm.pid(name) for name in cls.farm.processes}

    def ask(self, method, path, body=None, headers=None):
        return ask(self.farm.port, method, path, body, headers)

    def send(self, content):
        sent = upload(self.farm.port, content)
        self.assertIn(sent.status, (200, 201), sent)
        return md5(content)

    def all_live(self):
        """Those that were started, and no other in their place; what is no attack is served."""
        for name, process in self.farm.processes.items():
            self.assertEqual((process.pid, process.poll()), (self.pids[name], None), name)
        scene = f"{tiny.MAYA}// {os.urandom(8).hex()}\n".encode()
        reply = self.ask("POST", ANALYSE, {"oss_file_path": f"assets/{self.send(scene)}"})
        self.assertEqual((reply.status, reply.body["data"]["asset_summary"]["total_count"]), (200, 9), reply)
        runs = self.farm.data / "workers/worker1/runs"
        wait_for(lambda: not list(runs.iterdir()), what="the runs' folders being removed")
        incoming = self.farm.data / "blobs/incoming"
        wait_for(lambda: not list(incoming.iterdir()), what="no file on its way")

    def test_scenes(self):
        """The file is a file as any other; of its reading nothing is kept."""
        for name, content in hostile().items():
            with self.subTest(name):
                hash = self.send(content)
                reply = self.ask("POST", ANALYSE, {"oss_file_path": f"assets/{hash}"})
                self.assertEqual((reply.status, reply.body["code"], reply.body["error_code"]), (400, 1002, 1002), reply)
                self.assertEqual(reply.body["errors"][0]["field"], "scene_file")
                self.assertTrue(reply.body["detail"])
                self.assertEqual(self.ask("GET", f"{ANALYSE}/{hash}").status, 404)
        self.all_live()

    def test_rings(self):
        content = rings()
        reply = self.ask("POST", ANALYSE, {"oss_file_path": f"assets/{self.send(content)}"})
        self.assertEqual((reply.status, reply.body["data"]["scene_info"]["scene"]), (200, "Shot 7"), reply)
        self.assertEqual(reply.body["data"]["asset_summary"]["total_count"], 4)
        self.all_live()

    def test_forms(self):
        content = os.urandom(8 * MIB)
        self.send(content)  # what a form may cost
        before = peak(self.farm.pid("gateway"))
        lost = os.urandom(MIB)
        file, hash = part("file", lost, "x"), part("hash", md5(lost))
        for parts in ([part(f"p{n}", "x" * 200) for n in range(10000)] + [file, hash],
                      [file, hash] + [part(f"p{n}", "x" * 200) for n in range(10000)],
                      [part(f"p{n}", "x" * 200, f"file{n}") for n in range(10000)] + [file, hash],
                      [part("unionid", "x" * (3 * MIB)), file, hash], [part("x" * (3 * MIB), "x"), file, hash]):
            reply = self.ask("POST", "/render/api/files/upload", form(*parts), FORM)
            self.assertEqual((reply.status, reply.body["code"]), (400, 1002), reply)
        self.assertFalse((self.farm.data / "blobs/assets" / md5(lost)[:2] / md5(lost)).exists())
        check = self.ask("POST", "/render/api/files/check-hashes", {"hashes": [md5(lost)]})
        self.assertEqual(check.body["data"], {"existing": [], "missing": [md5(lost)]})
        if have_shim():  # a sanitizer's memory is its own
            self.assertLess(peak(self.farm.pid("gateway")) - before, 16 * MIB)
        self.all_live()


if __name__ == "__main__":
    unittest.main()
