"""`gantry record …` against a farm with a worker of the recorder's."""

import datetime
import http.server
import json
import pathlib
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

from tests.farm import Farm, wait_for
from tests.recorder import API, Recorder
from tests.up import GANTRY, PATIENT, Up, environment, gantry

WORD = "wOrd-that-nobody-sees"


class Record(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="recorder-")))
        self.farm = self.enterContext(Farm(workers=0, output=str(self.folder / "out"), recorder_config=str(self.folder / "config.json"),
                                           bus_deadline_ms=28000, lease_seconds=300, lease_accept_seconds=120))
        self.url = f"http://127.0.0.1:{self.farm.port}"
        wait_for(lambda: self.farm.get(f"{API}/config").status == 200, what="the configuration")

    def record(self, *words, code=0):
        done = gantry("record", *words, url=self.url)
        self.assertEqual(done.returncode, code, done)
        self.assertNotEqual(bool(done.stderr), code == 0, done)
        return done.stdout if code == 0 else done.stderr

    def rows(self, *words):
        heading, *rows = self.record(*words).splitlines()
        return heading.split(), [row.split() for row in rows]

    def test_streams(self):
        self.assertIn("no stream to record", self.record("start", code=1))
        self.assertIn("stream 0 is recorded into stream1.mp4", self.record("add", f"rtsp://me:{WORD}@cam/1"))
        self.assertIn("stream 1 is recorded into door.mp4", self.record("add", "rtsp://cam/2", "--name", "door.mp4", "--duration", "20", "--weight", "1.5"))
        self.assertEqual(json.loads(self.record("add", "rtsp://cam/3", "--json"))["added_stream"],
                         {"rtsp_url": "rtsp://cam/3", "duration_seconds": 60, "weight": 1.0, "output_filename": "stream3.mp4"})
        heading, rows = self.rows("list")
        self.assertEqual(heading, ["INDEX", "FILE", "SECONDS", "WEIGHT", "ADDRESS"])
        self.assertEqual(rows, [["0", "stream1.mp4", "60", "1", "rtsp://***@cam/1"], ["1", "door.mp4", "20", "1.5", "rtsp://cam/2"],
                                ["2", "stream3.mp4", "60", "1", "rtsp://cam/3"]])
        self.assertEqual(json.loads(self.record("list", "--json")), self.farm.get(f"{API}/config/streams").body)
        for words in (("add", "http://cam/1"), ("add", "rtsp://cam/4", "--duration", "long"), ("add", "rtsp://cam/4", "--duration", "0"), ("add", "rtsp://cam/4", "--weight", "inf"),
                      ("add", "rtsp://cam/4", "--name", "a/b.mp4"), ("remove", "x"), ("remove", ""), ("coverage", "--days", "0"), ("add",)):
            self.record(*words, code=2)
        self.assertIn("index 7", self.record("remove", "7", code=1))
        self.assertIn("stream 0 is not recorded any more", self.record("remove", "0"))
        self.assertEqual([row[1] for row in self.rows("list")[1]], ["door.mp4", "stream3.mp4"])
        self.assertIn(str(self.folder / "config.json"), self.record("save"))
        self.record("remove", "0")
        self.assertIn("has to stay", self.record("remove", "0", code=1))
        self.assertEqual(len(json.loads((self.folder / "config.json").read_text())["streams"]), 2)  # as it was saved

    def test_cycle(self):
        self.assertIn("stopped", self.record("status"))
        self.assertEqual(self.farm.put(f"{API}/config/global", {"poll_cycles": 1, "total_poll_duration_seconds": 600}).status, 200)
        for number in (1, 2):
            self.record("add", f"rtsp://me:{WORD}@cam/{number}", "--duration", "300")
        with Recorder(self.farm) as worker:
            self.assertIn("is running", self.record("start"))
            self.assertIn("running already", self.record("start", code=1))
            runs = [worker.begin(), worker.begin()]
            shown = self.record("status")
            for word in ("running since", "of 600 s", "2: 0 completed", "stream1.mp4", "stream2.mp4"):
                self.assertIn(word, shown)
            self.assertNotIn(WORD, shown)
            data = json.loads(self.record("status", "--json"))
            self.assertEqual((data["scheduler"]["is_running"], data["cycle"]["current_cycle"], len(data["tasks"])), (True, 1, 2))
            with subprocess.Popen([GANTRY, "record", "status", "--watch", "--json", "--url", self.url], env=environment(), stdout=subprocess.PIPE, text=True) as watch:
                self.assertTrue(json.loads(watch.stdout.readline())["scheduler"]["is_running"])
                said = {"seconds": 150, "bytes": 1, "frames": 1, "gaps": [{"at": 3, "seconds": 150, "cause": "read"}], "status": 4}
                worker.end(runs[0], result=json.dumps(said))
                worker.end(runs[1], outcome=2, error="auth: 401")
                looks = [json.loads(line) for line in watch.stdout]  # until the recorder is stopped, which it is by itself
                self.assertEqual((watch.wait(), looks[-1]["scheduler"]["is_running"], looks[-1]["scheduler"]["completed_tasks"]), (0, False, 1))
        self.coverage()
        self.assertIn("stopped", self.record("stop"))
        self.assertIn("stopped", self.record("status", "--watch"))

    def coverage(self):
        heading, rows = self.rows("coverage", "--days", "2")
        self.assertEqual(heading, ["DAY", "STREAM", "FILE", "DUE", "RECORDED", "EXTRA", "IN", "GAPS", "LOST", "UNPLANNED", "%"])
        self.assertEqual(sorted(row[1:] for row in rows), [["1", "stream1.mp4", "300.0", "150.0", "0.0", "150.0", "0.0", "0.0", "50.00"],
                                                           ["2", "stream2.mp4", "300.0", "0.0", "0.0", "0.0", "300.0", "0.0", "0.00"]])
        heading, rows = self.rows("coverage", "--gaps", "--days", "2")
        self.assertEqual(heading, ["BEGUN", "STREAM", "FILE", "AT", "SECONDS", "CAUSE"])
        self.assertEqual(sorted(row[-3:] for row in rows), [["0.0", "300.0", "auth"], ["3.0", "150.0", "read"]])
        self.assertEqual(json.loads(self.record("coverage", "--json"))["count"], 2)
        self.assertEqual(json.loads(self.record("coverage", "--gaps", "--json"))["recordings"], self.farm.get(f"{API}/coverage/gaps", headers={"Accept-Language": "en"}).body["recordings"])


class LedgerHandler(http.server.BaseHTTPRequestHandler):
    """A ledger of so many streams on each of so many days, up to today; server.now(number) says both, and how often today's were recorded, when
    that many questions have been asked."""

    protocol_version = "HTTP/1.1"

    def rows(self, day):
        """How many that day has."""
        streams, days, times = self.server.now(self.server.asked)
        ago = (self.server.today - datetime.date(day // 10000, day // 100 % 100, day % 100)).days
        return 0 if not 0 <= ago < days else streams if ago else streams * times

    def total(self, since):
        streams, days, times = self.server.now(self.server.asked)
        ago = (self.server.today - datetime.date(since // 10000, since // 100 % 100, since % 100)).days
        return 0 if ago < 0 else (min(days, ago + 1) - 1 + times) * streams

    def do_GET(self):
        asked = {name: int(value) for name, value in urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)}
        page, size = asked.get("page", 1), asked["per_page"]
        rows = range(self.rows(asked["day"]) if "day" in asked else 0)[(page - 1) * size:page * size]
        rows = [{"day": asked["day"], "stream_id": stream, "coverage": 1} for stream in rows]
        total = self.rows(asked["day"]) if "day" in asked else self.total(asked["since"])
        self.server.asked += 1
        body = json.dumps({"count": len(rows), "total": total, "days": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Ledger(unittest.TestCase):
    def coverage(self, now):
        """(day, stream) of all rows that are shown, and how many questions that took."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LedgerHandler)
        server.daemon_threads, server.asked, server.now, server.today = True, 0, now, datetime.date.today()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            done = gantry("record", "coverage", "--days", "36500", "--json", url=f"http://127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        rows = [(row["day"], row["stream_id"]) for row in told["days"]]
        self.assertEqual((told["count"], len(set(rows))), (len(rows), len(rows)))
        self.assertEqual([day for day, _ in rows], sorted((day for day, _ in rows), reverse=True))
        return rows, server.asked

    def test_all_of_it(self):
        """However long it is, nothing of it is left out."""
        self.assertEqual(len(self.coverage(lambda asked: (600, 90, 1))[0]), 54000)

    def test_what_changes_meanwhile(self):
        """A cycle that ends adds to today's, and old days go: neither leaves out others, nor has each day of a century asked for."""
        rows, _ = self.coverage(lambda asked: (20, 30, 2 if asked else 1))
        self.assertEqual((len(rows), len({day for day, _ in rows})), (620, 30))
        rows, asked = self.coverage(lambda asked: (20, 30 if asked < 10 else 20, 1))
        self.assertEqual((len(rows), len({day for day, _ in rows})), (400, 20))
        self.assertLess(asked, 100)
        rows, asked = self.coverage(lambda asked: (0, 0, 0))
        self.assertEqual(rows, [])
        self.assertLess(asked, 10)


class Default(Up):
    """One whose workers have as many slots as there are processors."""

    patient = PATIENT[:PATIENT.index("--worker-slots")]


class Slots(unittest.TestCase):
    def test_up_with_an_output_folder(self):
        """Where nobody says how many runs a worker has at once, recordings have a worker of their own."""
        with tempfile.TemporaryDirectory(prefix="recorder-") as folder, Up("--output", f"{folder}/out") as up:
            up.wait_ready()
            workers = json.loads(up.gantry("workers", "--json").stdout)["items"]
            self.assertEqual(len(workers), 1)  # tests/up.py says how many slots it has
        with tempfile.TemporaryDirectory(prefix="recorder-") as folder, Default("--output", f"{folder}/out") as up:
            up.wait_ready()
            workers = json.loads(up.gantry("workers", "--json").stdout)["items"]
            self.assertEqual(sorted((worker["max_concurrent_tasks"] == 400, worker["task_types"] == ["record"]) for worker in workers), [(False, False), (True, True)])


if __name__ == "__main__":
    unittest.main()
