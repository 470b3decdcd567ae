"""How `gantry run --wait` and `gantry logs` end before their time: by signals, readers that leave, a full disk. And what they lost."""

import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from tests.farm import SLOW, wait_for
from tests.up import GANTRY, Up, environment


def start(test, url, *words, **more):
    """A command that is gone when the test is over, however that ends."""
    process = subprocess.Popen([GANTRY, *words], env=dict(environment(), GANTRY_URL=url), stdin=subprocess.DEVNULL, text=True,
                               **dict({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}, **more))
    test.addCleanup(finish, process)
    return process


def finish(process):
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


class WithFarm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.up = Up("--set", "store.log_lines=100")
        cls.up.start()
        cls.up.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.up.close()

    def wait_status(self, run_id, status):
        wait_for(lambda: self.up.get(f"/api/runs/{run_id}")["status"] == status, 60, f"run {run_id} being {status}")

    def finished(self, script):
        """The id of a run that has ended."""
        run_id = int(self.up.gantry("run", "--shell", script).stdout)
        self.wait_status(run_id, "completed")
        return run_id


class Stopped(WithFarm):
    def stop(self, number):
        process = start(self, self.up.url, "run", "--wait", "--shell", "echo started; sleep 300")
        self.assertEqual(process.stdout.readline(), "started\n")
        process.send_signal(number)
        _, err = process.communicate(timeout=60 * SLOW)
        self.wait_status(int(re.search(r"run (\d+)", err).group(1)), "aborted")
        return process.returncode

    def test_sigterm_aborts_as_ctrl_c_does(self):
        self.assertEqual(self.stop(signal.SIGTERM), 143)
        self.assertEqual(self.stop(signal.SIGINT), 130)

    def test_a_reader_that_leaves_aborts(self):
        process = start(self, self.up.url, "run", "--wait", "--", "sh", "-c", "echo first; while sleep 0.05; do echo on; done")
        self.assertEqual(process.stdout.readline(), "first\n")
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(60 * SLOW), 141, err)
        self.wait_status(int(re.search(r"run (\d+)", err).group(1)), "aborted")

    def test_a_reader_of_stderr_may_leave(self):
        script = "echo first >&2; read word < gate; for i in 1 2 3; do echo more >&2; done; echo last; exit 3"
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(f"{folder}/gate")
            process = start(self, self.up.url, "run", "--wait", "--shell", f"cd {folder}; {script}")
            while process.stderr.readline() != "first\n":
                pass
            process.stderr.close()
            with open(f"{folder}/gate", "w") as gate:
                gate.write("go\n")
            self.assertEqual(process.stdout.read(), "last\n")
            self.assertEqual(process.wait(60 * SLOW), 3)

    def test_following_leaves_the_run_alone(self):
        run_id = int(self.up.gantry("run", "--shell", "while sleep 0.05; do echo on; done").stdout)
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (None, 141)):
            process = start(self, self.up.url, "logs", "-f", str(run_id))
            self.assertEqual(process.stdout.readline(), "on\n")
            if number is None:
                process.stdout.close()
            else:
                process.send_signal(number)
            self.assertEqual(process.wait(60 * SLOW), code)
            process.stdout.close()
            process.stderr.close()
        self.assertEqual(self.up.get(f"/api/runs/{run_id}")["status"], "running")
        self.up.gantry("abort", str(run_id))

    def test_a_full_disk_is_a_failure(self):
        run_id = self.finished("seq 50")
        for words in (["logs", str(run_id)], ["run", "--wait", "--shell", "seq 50"], ["runs"], ["runs", "--json"], ["--help"], ["man"]):
            with open("/dev/full", "w") as full:
                process = start(self, self.up.url, *words, stdout=full)
                _, err = process.communicate(timeout=60 * SLOW)
            self.assertEqual(process.returncode, 1, words)
            self.assertRegex(err, r"(?m)^gantry: stdout: (No space left on device|some of it could not be written)$")


class Cut(WithFarm):
    def test_what_is_missing_is_said(self):
        done = self.up.gantry("run", "--wait", "--", "seq", "1000")
        self.assertEqual(done.returncode, 0, done.stderr)
        kept = done.stdout.splitlines()
        gone = sum(int(n) for n in re.findall(r"^gantry: (\d+) lines? (?:is|are) no longer kept$", done.stderr, re.M))
        self.assertEqual((kept[-1], len(kept) + gone), ("1000", 1000), done.stderr)

    def test_logs_say_it_once_and_only_for_lines_that_were_asked_for(self):
        run_id = self.finished("seq 1000")
        for follow in ([], ["-f"]):
            done = self.up.gantry("logs", str(run_id), *follow)
            self.assertEqual(done.stdout.split(), [str(n) for n in range(901, 1001)])
            self.assertEqual(done.stderr, "gantry: 900 lines are no longer kept\n")
        self.assertEqual(self.up.gantry("logs", "-n", "3", str(run_id)).stderr, "")

    def test_json_is_an_object_a_line(self):
        run_id = self.finished("seq 300")
        for words in (["logs"], ["logs", "-f"]):
            done = self.up.gantry(*words, str(run_id), "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual([line["message"] for line in lines], [str(n) for n in range(201, 301)])
            self.assertEqual(lines[0]["missing"], 200)


class HalfFarm(http.server.ThreadingHTTPServer):
    """Takes submissions and answers none but those the test lets it answer."""

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), HalfFarmHandler)
        self.answers = answers  # of POST /api/runs, in order; None: it keeps silent until its client leaves
        self.seen = []  # (path, key)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()


class HalfFarmHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, self.headers.get("Idempotency-Key")))
        status, data = 200, {"id": 7, "status": "aborted"}
        if self.path == "/api/runs":
            answer = self.server.answers.pop(0)
            if answer is None:
                self.connection.recv(1)
                self.close_connection = True
                return
            status, data = answer
        body = json.dumps({"success": status < 300, "data": data, "error": {"message": "no"}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Deaf:
    """A port whose queue is full: who connects knocks and knocks, and is neither refused nor let in."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.crowd = []
        while len(self.knocking()) < 1:
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self.crowd.append(one)
            time.sleep(0.01)
        self.before = self.knocking()

    def knocking(self):
        """Local ends of the connections that are not answered."""
        rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        return {row.split()[1] for row in rows if row.split()[2] == f"0100007F:{self.port:04X}" and row.split()[3] == "02"}  # SYN_SENT

    def knocks(self):
        return self.knocking() - self.before

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [*self.crowd, self.listener]:
            one.close()


class Submitting(unittest.TestCase):
    def stop(self, *answers, number=signal.SIGINT):
        server = HalfFarm([None, *answers])
        self.addCleanup(server.close)
        process = start(self, server.url, "run", "--wait", "--", "true")
        wait_for(lambda: server.seen, 60, "the submission")
        process.send_signal(number)
        out, err = process.communicate(timeout=60 * SLOW)
        self.assertEqual(out, "")
        return process.returncode, err, server.seen

    def test_stopped_while_it_submits_it_finds_the_run_and_aborts_it(self):
        for number, wanted in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            code, err, seen = self.stop((201, {"run_id": 7}), number=number)
            self.assertEqual((code, [path for path, _ in seen]), (wanted, ["/api/runs", "/api/runs", "/api/runs/7/abort"]), err)
            self.assertEqual(seen[0][1], seen[1][1])  # the same submission
            self.assertIn("aborting run 7", err)

    def test_it_says_so_when_it_cannot_find_out(self):
        code, err, _ = self.stop((400, None))
        self.assertEqual(code, 130)
        self.assertIn("the run may exist", err)

    def test_nothing_can_have_happened_where_nobody_takes_the_connection(self):
        with Deaf() as deaf:
            process = start(self, deaf.url, "run", "--wait", "--", "true")
            wait_for(lambda: deaf.knocks() or process.poll() is not None, 60, "the command's knocking")
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60 * SLOW)
            self.assertEqual((process.returncode, err), (143, ""))

    def test_nothing_can_have_happened_where_nobody_listens(self):
        process = start(self, "http://127.0.0.1:1", "run", "--wait", "--", "true")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60 * SLOW)
        if process.returncode == 1:  # it had given up before the signal came
            self.assertIn("no farm answers at", err)
        else:
            self.assertIn(process.returncode, (143, -signal.SIGTERM))  # the latter when that was faster than the command
        self.assertNotIn("may exist", err)


if __name__ == "__main__":
    unittest.main()
