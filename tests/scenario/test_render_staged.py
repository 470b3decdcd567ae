"""`gantry blobs gc` and `gantry render download` against a farm whose answers are the test's."""

import contextlib
import http.server
import json
import pathlib
import shutil
import tempfile
import threading
import unittest

from tests.render_client import md5
from tests.up import gantry


class Stage(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, said = self.server.play(self.command, self.path)
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if isinstance(said, bytes) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who has heard enough leaves
            self.wfile.write(body)

    do_GET = do_POST = answer


class Staged(unittest.TestCase):
    def stage(self, play):
        """A farm: play(method, path) says status and body."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stage)
        server.daemon_threads, server.play = True, play
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"


class Collections(Staged):
    def collect(self, *answers):
        """Each question's answer: (status, fields of the state)."""
        left, asked = list(answers), []

        def play(method, path):
            asked.append((method, path))
            status, fields = left.pop(0)
            if status >= 400:
                return status, {"code": 5000, "message": "away", "detail": "away", "errors": [], "error_code": 5000}
            state = {"running": False, "dry_run": False, "grace_seconds": 0, "assets": 3, "paths": 2, "files": 4, "bytes": 5000000, "failed": False,
                     "started_at": "2024-01-01T00:00:00Z", "ended_at": "2024-01-01T00:00:09Z"}
            return status, {"code": status, "message": "", "data": dict(state, **fields)}

        said = gantry("blobs", "gc", "--grace", "0s", url=self.stage(play))
        self.assertEqual(left, [])
        self.assertEqual(asked, [(method, "/render/api/files/gc") for method in ["POST"] + ["GET"] * (len(answers) - 1)])
        return said

    def test_one_that_takes_longer_than_its_answer(self):
        running = {"running": True, "ended_at": None}
        said = self.collect((202, running), (200, running), (503, {}), (200, running), (200, {}))
        self.assertEqual((said.returncode, said.stdout), (0, "4 files (4.8 MiB) have gone: 3 were known, by 2 paths\n"), said)
        self.assertEqual(said.stderr.splitlines(), ["gantry: waiting for the farm to answer again (away)", "gantry: the farm answers again"])

    def test_ends_that_are_none(self):
        for fields, words in (({"failed": True}, "it broke off"), ({"ended_at": None}, "the gateway was started anew")):
            said = self.collect((202, {"running": True, "ended_at": None}), (200, fields))
            self.assertEqual((said.returncode, said.stdout), (1, ""), said)
            self.assertIn(words, said.stderr)


class Downloads(Staged):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def download(self, frames, pages=1):
        """frames: (path, bytes as the farm tells of them, bytes that come). What is in the folder then."""
        def play(method, path):
            if "/files/download/" in path:
                return 200, frames[int(path.rsplit("/", 1)[1]) - 1][2]
            self.pages.append(path)
            items = [{"id": n, "frame_number": n, "status": "completed", "output_path": name, "output_size": len(told), "output_hash": md5(told)}
                     for n, (name, told, _) in enumerate(frames, 1)]
            return 200, {"code": 200, "message": "", "data": {"items": items, "total": len(items), "page": 1, "page_size": 1000, "total_pages": pages}}

        self.pages = []
        self.said = gantry("render", "download", "7", str(self.folder / "into"), url=self.stage(play))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["into"])
        return {path.name: path.read_bytes() for path in (self.folder / "into").iterdir()}

    def test_names(self):
        names = ["u/7/renders/plain.0001.png", "../../up.png", "/etc/of the root.png", "u/..", "u/.hidden", "u/-rf", "u/a\nb\u001b[2J.png", "", "u/帧 \"6\".png", "n" * 300]
        found = self.download([(name, b"picture %d" % n, b"picture %d" % n) for n, name in enumerate(names, 1)])
        self.assertEqual(self.said.returncode, 0, self.said)
        self.assertEqual(found, {name: b"picture %d" % n for n, name in enumerate(
            ["plain.0001.png", "up.png", "of the root.png", "frame.0004", "frame.0005", "frame.0006", "frame.0007", "frame.0008", "帧 \"6\".png", "frame.0010"], 1)})

    def test_what_is_longer_than_was_said(self):
        """It is given up at once, and nothing of it is kept; others are."""
        found = self.download([("a.png", b"short", b"short" * 1000000), ("b.png", b"right", b"right"), ("c.png", b"right", b"wrong")])
        self.assertEqual((self.said.returncode, found), (1, {"b.png": b"right"}), self.said)
        self.assertIn("frame 1: a.png is longer than the farm says", self.said.stderr)
        self.assertIn("frame 3: c.png is not what the farm says", self.said.stderr)

    def test_pages_without_end(self):
        """A task has 10,000 frames at most."""
        self.download([("a.png", b"x", b"x")] * 1000)
        self.assertEqual((self.said.returncode, len(self.pages)), (0, 10), self.said)


if __name__ == "__main__":
    unittest.main()
