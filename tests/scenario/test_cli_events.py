"""`gantry events -f`: the live stream, taken up again wherever it broke off."""

import http.client
import http.server
import json
import signal
import subprocess
import threading
import unittest
import urllib.parse

from tests.farm import SLOW, wait_for
from tests.up import GANTRY, Up, environment


def start(test, url, *words):
    process = subprocess.Popen([GANTRY, "events", "-f", *words, "--url", url], env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    test.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
    return process


def event(number, name):
    data = {"event": "task.created", "timestamp": "2024-01-01T00:00:00Z", "data": {"task_id": number, "task_name": name}}
    return f"id: {number}\nevent: task.created\ndata: {json.dumps(data)}\n\n"


class Staged(http.server.ThreadingHTTPServer):
    """A farm that answers each connection for a stream with the next of some answers: (status, text), or text."""

    daemon_threads = True

    def __init__(self, *streams):
        super().__init__(("127.0.0.1", 0), Stage)
        self.streams = list(streams)
        self.asked = []  # Last-Event-ID and query of each
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Stage(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, kind, text):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if query.get("follow") == "false":
            self.answer(200, "application/json", json.dumps({"success": True, "data": {"items": [{"id": 7, "event": "x", "data": {}}]}}))
            return
        self.server.asked.append((self.headers.get("Last-Event-ID"), query))
        stream = self.server.streams.pop(0) if self.server.streams else (401, "over")
        if isinstance(stream, tuple):
            error = {"success": False, "error": {"code": "X", "message": stream[1], "details": {}}}
            self.answer(stream[0], "application/json", json.dumps(error))
        else:
            self.answer(200, "text/event-stream", stream)


class Broken(unittest.TestCase):
    def follow(self, *streams):
        """The command against such a farm, until the farm knows it no more; what it printed."""
        farm = Staged(*streams)
        self.addCleanup(farm.server_close)
        self.addCleanup(farm.shutdown)
        process = start(self, farm.url, "-n", "1", "--json", "--type", "task.")
        out, err = process.communicate(timeout=120 * SLOW)
        return farm, process.returncode, [json.loads(line) for line in out.splitlines()[1:]], err

    def test_it_goes_on_behind_the_last_event(self):
        cut = 'id: 20\nevent: cut\ndata: {"missing":11}\n\n'
        farm, code, seen, err = self.follow(": hello\n\n" + event(8, "a") + event(9, "b") + cut + "id: 21\nevent: task.created\nda",
                                            (503, "away"), event(21, "c") + 'event: worker.heartbeat\ndata: {"event": "worker.heartbeat"}\n\n', "")
        self.assertEqual([last for last, _ in farm.asked], ["7", "20", "20", "21", "21"])
        self.assertEqual({query["type"] for _, query in farm.asked}, {"task.*"})
        self.assertEqual([one.get("id") for one in seen], [8, 9, 21, None])
        self.assertEqual([one["data"]["task_name"] for one in seen[:3]], ["a", "b", "c"])
        self.assertEqual(set(seen[0]), {"id", "event", "timestamp", "data"})
        self.assertEqual(code, 1)  # the last answer was a 401
        lines = err.splitlines()
        self.assertEqual(lines[0], "gantry: 11 events are no longer kept")
        self.assertIn("waiting for the farm to answer again (away)", lines[1])
        self.assertEqual(lines[2], "gantry: the farm answers again")
        self.assertIn("over", lines[3])
        self.assertEqual(len(lines), 4, err)

    def test_what_is_no_stream_ends_it(self):
        farm, code, seen, err = self.follow("data: " + "x" * (5 << 20))
        self.assertEqual((code, seen, len(farm.asked)), (1, [], 1))
        self.assertIn("no stream of events", err)


class Types(unittest.TestCase):
    def test_one_or_what_several_begin_with(self):
        with Up() as up:
            up.wait_ready()
            self.assertEqual(up.gantry("task", "create", "made", "--shell", "true").returncode, 0)
            seen = up.gantry("events", "--type", "task.")
            self.assertEqual(seen.returncode, 0, seen.stderr)
            self.assertIn("task.created", seen.stdout)
            self.assertNotIn("system.", seen.stdout)
            both = up.gantry("events", "--type", "task.created,run.retry")
            self.assertEqual(both.returncode, 2)
            self.assertIn("takes one type", both.stderr)


class Restarted(unittest.TestCase):
    def test_nothing_is_lost_or_shown_twice(self):
        with Up() as up:
            up.wait_ready()
            process = start(self, up.url, "-n", "1", "--json", "--type", "task.created")
            names = []

            def make(name):
                made = up.gantry("task", "create", name, "--shell", "true")
                self.assertEqual(made.returncode, 0, made.stderr)
                while not names or names[-1] != name:
                    names.append(json.loads(process.stdout.readline())["data"]["task_name"])

            def healthy():
                try:
                    return up.get("/api/system/health")["status"] == "healthy"
                except (OSError, http.client.HTTPException):
                    return False

            make("first")
            for number, label in enumerate(("gateway", "store", "scheduler", "gateway")):
                up.kill_child(label)
                wait_for(healthy, 90, "a healthy farm")
                for part in "ab":
                    make(f"{label}-{number}-{part}")
            self.assertEqual(len(names), len(set(names)))
            self.assertEqual(len(names), 9)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60 * SLOW), 130)


if __name__ == "__main__":
    unittest.main()
