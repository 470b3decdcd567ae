"""gantry-worker with a whole farm around it: what each executor does, that nothing of a run outlives it, how a worker leaves."""

import getpass
import http.server
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from tests.farm import BUILD, ROOT, SLOW, Farm, alive, clean_environment, descendants, wait_for
from tests.patience import PATIENT


def marked(mark):
    """The pids of living processes with this variable."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if mark.encode() in pathlib.Path("/proc", entry, "environ").read_bytes().split(b"\0") and alive(int(entry)):
                    found.append(int(entry))
            except OSError:
                pass
    return found


FRAME = 320 * 240 * 3 // 2  # bytes of one that is not compressed


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent, and the status that the path asks for."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        text = f"{self.command} {self.headers.get('Content-Type')} {self.headers.get('X-Key')} ".encode() + body
        self.send_response(int(self.path.strip("/")))
        if self.path.startswith("/30"):
            self.send_header("Location", "/200")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


class Executors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.farm = Farm(types=["shell", "exec", "python", "http"], worker_run_as="root,nobody", **PATIENT).__enter__()
        cls.addClassCleanup(cls.farm.__exit__, None, None, None)
        os.chmod(cls.farm.data, 0o711)

    def run_task(self, *statuses, parameters=None, **fields):
        kind = fields.pop("kind", "shell")
        self.number = getattr(Executors, "number", 0) + 1
        Executors.number = self.number
        task = self.farm.task(f"task-{self.number}", task_type=kind, executor=kind, **fields)
        run = self.farm.trigger(task, **({"parameters": parameters} if parameters else {}))
        return self.farm.wait_run(run, *statuses)

    def test_shell_parameters_are_never_syntax(self):
        run = self.run_task(command='printf "%s|%s" "$1" "$GANTRY_PARAM_EVIL"', arguments=["{{evil}}"], parameters={"evil": "$(id); `id` 'x"})
        self.assertEqual(run["result"], "$(id); `id` 'x|$(id); `id` 'x")

    def test_python(self):
        run = self.run_task(kind="python", command="-c", arguments=["import json,os;print(json.load(open(os.environ['GANTRY_PARAMS']))['n']+1)"],
                            parameters={"n": 41})
        self.assertEqual(run["result"], "42")

    def test_result_file(self):
        run = self.run_task(command='echo "more words" > "$GANTRY_RESULT"; echo line')
        self.assertEqual(run["result"], "more words")
        for size, cut in ((65536, 0), (65537, 1)):
            run = self.run_task(command=f"head -c {size} /dev/zero | tr '\\0' r >$GANTRY_RESULT")
            self.assertEqual(run["result"], "r" * 65536)
            notes = [line["message"] for line in self.farm.data_of(self.farm.get(f"/api/runs/{run['id']}/logs"))["items"]]
            self.assertEqual(len([note for note in notes if "longer than 65536 bytes" in note]), cut, notes)

    def test_http(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        run = self.run_task(kind="http", command=f"PUT {url}/200", parameters={"b": 2},
                            metadata={"http": {"headers": {"X-Key": "k"}, "body": {"a": 1, "b": 1}}})
        self.assertEqual(run["result"], 'PUT application/json k {"a":1,"b":2}')
        run = self.run_task(kind="http", command=f"{url}/503")
        self.assertEqual(run["status"], "failed")
        self.assertIn("answered status 503", run["error_message"])
        for command in (f"http://me:hidden@127.0.0.1:{server.server_port}/503", "http://me:hidden@127.0.0.1:1/"):
            run = self.run_task(kind="http", command=command, retry_count=0)
            self.assertRegex(run["error_message"], r"http://127\.0\.0\.1:\d+/")
            logs = self.farm.data_of(self.farm.get(f"/api/runs/{run['id']}/logs"))["items"]
            self.assertNotIn("hidden", str(logs) + run["error_message"])
        run = self.run_task(kind="http", command=f"{url}/503", metadata={"http": {"expected_status": [200, 503]}})
        self.assertEqual(run["status"], "completed")
        run = self.run_task(kind="http", command=f"POST {url}/303", parameters={"a": 1})
        self.assertEqual(run["result"].split()[0], "GET")
        run = self.run_task(kind="http", command=f"POST {url}/307", parameters={"a": 1})
        self.assertEqual(run["result"], 'POST application/json None {"a":1}')
        run = self.run_task(kind="http", command="file:///etc/passwd")
        self.assertEqual(run["status"], "failed")
        self.assertNotIn("root:", str(run))

    @unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg is not here")
    def test_ffmpeg_progress_and_output(self):
        out = self.farm.data / "clip.mkv"
        task = self.farm.task("clip", command="ffmpeg", task_type="exec", executor="exec", output=str(out), arguments=[
            "-y", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=4", "-c:v", "mpeg4", "{{output}}"])
        run = self.farm.wait_run(self.farm.trigger(task))
        self.assertEqual(run["status"], "completed", run)
        pipe = self.farm.data / "frames"
        os.mkfifo(pipe)
        again = self.farm.task("again", command="ffmpeg", task_type="exec", executor="exec", arguments=[
            "-y", "-stats_period", "0.05", "-i", str(out), "-f", "rawvideo", "-pix_fmt", "yuv420p", str(pipe)])
        number = self.farm.trigger(again)
        with open(pipe, "rb") as frames:  # it gets on as its frames are taken: half of them and no more before there is a percentage
            for _ in range(50):
                frames.read(FRAME)
                time.sleep(0.05)
            wait_for(lambda: 10 < (self.farm.run(number)["progress"] or 0) < 100, what="a percentage between")
            frames.read()
        self.assertEqual(self.farm.wait_run(number)["status"], "completed")
        self.assertEqual(sorted(path.name for path in self.farm.data.glob("*clip*")), ["clip.mkv"])

    def test_an_output_for_each_trigger(self):
        """One task, many runs: the output's name comes from the parameters, and cannot lead out of its folder."""
        task = self.farm.task("named", 'echo "$GANTRY_PARAM_NAME" >"$GANTRY_OUTPUT"', output=str(self.farm.data / "{{name}}-{{run_id}}.txt"))
        runs = [(name, self.farm.trigger(task, parameters={"name": name})) for name in ("one", "two", "one")]
        for name, number in runs:
            self.assertEqual(self.farm.wait_run(number)["status"], "completed")
            self.assertEqual((self.farm.data / f"{name}-{number}.txt").read_text(), f"{name}\n")
        for parameters in ({"name": "../escaped"}, {}):
            run = self.farm.wait_run(self.farm.trigger(task, parameters=parameters))
            self.assertEqual(run["status"], "failed")
            self.assertIn("parameter 'name'", run["error_message"])

    def test_run_as(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        run = self.run_task(command="id -un; id -Gn; touch mine; echo $HOME; cat $GANTRY_PARAMS", run_as="nobody")
        self.assertEqual(run["status"], "completed", run)
        run = self.run_task(command="true", run_as="daemon")
        self.assertIn("worker.run_as", run["error_message"])

    def test_root_is_no_user_unless_it_is_listed(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        with Farm(worker_run_as="nobody,daemon", **PATIENT) as farm:
            os.chmod(farm.data, 0o711)
            for number, (name, became) in enumerate([(None, "nobody"), ("daemon", "daemon"), ("nobody", "nobody")]):
                run = farm.wait_run(farm.trigger(farm.task(f"t{number}", "id -un", **({"run_as": name} if name else {}))))
                self.assertEqual((run["status"], run["result"]), ("completed", became), run)
            run = farm.wait_run(farm.trigger(farm.task("root", "id -un", run_as="root")))
            self.assertEqual(run["status"], "failed")
            self.assertIn("worker.run_as", run["error_message"])

    def test_the_fields_of_a_task_reach_its_run(self):
        user = "nobody" if os.geteuid() == 0 else getpass.getuser()
        self.farm.data_of(self.farm.put("/api/pools/fields", {"limit": 1}))
        fields = {"env": {"A": "b c"}, "cwd": "/", "limits": {"files": 64}, "pool": "fields", "rate": 60, "labels": {},
                  **({"run_as": "nobody"} if user == "nobody" else {})}
        run = self.run_task(command='echo "$A|$(pwd)|$(ulimit -n)|$(id -un)"', **fields)
        self.assertEqual((run["status"], run["result"]), ("completed", f"b c|/|64|{user}"), run)
        task = self.farm.data_of(self.farm.get(f"/api/tasks/{run['task_id']}"))
        for name in set(fields) - {"labels"}:
            self.assertEqual(task[name], fields[name], name)

    def test_limits(self):
        run = self.run_task(kind="python", command="-c", arguments=["x = 'x' * (512 << 20)"], limits={"memory_mb": 128})
        self.assertEqual(run["status"], "failed")
        self.assertIn("MemoryError", run["error_message"])
        run = self.run_task(command="while :; do :; done", limits={"cpu_seconds": 1})
        self.assertIn("CPU limit", run["error_message"])
        run = self.run_task(command="sleep 600; true", timeout_seconds=1)
        self.assertIn("timeout", run["error_message"])

    def test_what_the_worker_cannot_start_goes_back(self):
        runs = self.farm.data / "workers" / self.farm.workers[0] / "runs"
        away = runs.rename(runs.with_name("away"))
        runs.write_text("as on a full disk, no folder can be made here")
        task = self.farm.task("patient", command="echo fine", task_type="shell", executor="shell", retry_count=0)
        number = self.farm.trigger(task)
        wait_for(lambda: any("cannot make" in (attempt["error"] or "") for attempt in self.farm.run(number)["attempts"]), 20, "a rejection")
        runs.unlink()
        away.rename(runs)
        run = self.farm.wait_run(number)
        self.assertEqual((run["status"], run["result"], run["retry_count"]), ("completed", "fine", 0), run)

    def test_nothing_left_behind(self):
        mark = f"MARK_LEFT={os.getpid()}"
        run = self.run_task(command="setsid sh -c 'sleep 600 & sleep 600' & (setsid sleep 600 &) ; echo done", env=dict([mark.split("=")]))
        self.assertEqual(run["result"], "done")
        self.assertEqual(marked(mark), [])


class Labels(unittest.TestCase):
    def test_labels_choose_the_worker(self):
        with Farm(worker_labels="gpu=a,site=north", **PATIENT) as farm:
            fits = farm.trigger(farm.task("fits", "echo here", labels={"gpu": "a"}))
            self.assertEqual(farm.wait_run(fits)["result"], "here")
            waits = farm.trigger(farm.task("waits", "true", labels={"gpu": "b"}))
            wait_for(lambda: farm.run(waits)["reason"] == "no worker of type shell has labels gpu=b", what="its reason")
            farm.data_of(farm.put(f"/api/tasks/{farm.run(waits)['task_id']}", {"labels": None}))
            self.assertEqual(farm.wait_run(waits)["status"], "completed")


class Life(unittest.TestCase):
    def long_run(self, farm, mark, command="setsid sleep 600 & (setsid sh -c 'sleep 600; true' &) ; sleep 600; true"):
        task = farm.task("long", command=command, env=dict([mark.split("=")]), retry_count=0)
        run = farm.trigger(task)
        farm.wait_run(run, "running")
        wait_for(lambda: len(marked(mark)) >= 3, what="the run's processes")
        return run

    @staticmethod
    def supervisors(farm):
        """Those of worker1; what else there is below it may end while it is looked at."""
        found = []
        for pid in descendants(farm.pid("worker1")):
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/gantry-run"):
                    found.append(pid)
            except OSError:
                pass
        return found

    def test_killed_worker_leaves_nothing(self):
        mark = f"MARK_KILLED={os.getpid()}"
        with Farm(**PATIENT) as farm:
            run = self.long_run(farm, mark)
            farm.kill("worker1")
            wait_for(lambda: not marked(mark), 10, "the end of the run's processes")
            farm.start("worker1")
            # the same worker with a new boot: lost at once, and given out again
            wait_for(lambda: farm.run(run)["attempt"] == 2 and len(marked(mark)) >= 3, 20, "the second attempt")
            farm.post(f"/api/runs/{run}/abort", {})
            wait_for(lambda: not marked(mark), 20, "the end of the second attempt")

    def test_killed_supervisor_leaves_nothing(self):
        mark = f"MARK_SUPERVISOR={os.getpid()}"
        with Farm(**PATIENT) as farm:
            run = self.long_run(farm, mark)
            for pid in self.supervisors(farm):
                os.kill(pid, signal.SIGKILL)
            self.assertIn("supervisor was killed", farm.wait_run(run)["error_message"])
            self.assertEqual(marked(mark), [])

    def test_all_killed_at_once(self):
        """Worker and supervisors at the same moment: what is left then is found by the next worker of that name."""
        mark = f"MARK_ALL={os.getpid()}"
        with Farm(**PATIENT) as farm:
            run = self.long_run(farm, mark)
            family = [farm.pid("worker1")] + self.supervisors(farm)
            farm.seen_pids.update(marked(mark))
            for pid in family:
                os.kill(pid, signal.SIGSTOP)
            for pid in family:
                os.kill(pid, signal.SIGKILL)
            farm.processes["worker1"].wait()
            old = set(marked(mark))
            farm.start("worker1")
            wait_for(lambda: farm.run(run)["attempt"] == 2, 20, "the second attempt")
            self.assertFalse(old & set(marked(mark)))
            farm.post(f"/api/runs/{run}/abort", {})
            wait_for(lambda: not marked(mark), 20, "the end of the second attempt")

    def owner(self, farm, number):
        """The name of the worker process that has this run."""
        farm.wait_run(number, "running")
        worker = farm.run(number)["worker_id"]
        return next(name for name in ("worker1", "worker2") if f"worker={worker} " in farm.log(name))

    def test_drain(self):
        """What ends within the time to drain is finished; its worker takes nothing else meanwhile."""
        with Farm(workers=2, worker_drain_seconds=600, **PATIENT) as farm:
            go = farm.data / "go"
            quick = farm.trigger(farm.task("quick", command=f"until [ -e {go} ]; do sleep 0.05; done; echo finished"))
            name = self.owner(farm, quick)
            farm.signal(name, signal.SIGTERM)
            wait_for(lambda: "GTY-WORKER-DRAIN" in farm.log(name), what="the drain")
            other = farm.trigger(farm.task("other", command="true"))
            self.assertNotEqual(farm.wait_run(other)["worker_id"], farm.run(quick)["worker_id"])
            go.touch()
            self.assertEqual(farm.wait_run(quick)["attempt"], 1)
            self.assertEqual(farm.exit_code(name), 0)

    def test_an_output_that_was_begun(self):
        """No attempt follows one that was aborted while its worker was dead: the worker itself removes what it had begun."""
        with Farm(**PATIENT) as farm:
            folder = farm.data / "out"
            folder.mkdir()
            run = farm.trigger(farm.task("begins", command='printf half >"$GANTRY_OUTPUT"; sleep 600; true', output=str(folder / "file")))
            wait_for(lambda: list(folder.iterdir()), what="the half of an output")
            farm.kill("worker1")
            farm.post(f"/api/runs/{run}/abort", {})
            self.assertEqual(farm.wait_run(run)["status"], "aborted")
            self.assertEqual(len(list(folder.iterdir())), 1)
            farm.start("worker1")
            wait_for(lambda: not list(folder.iterdir()), what="the removal of what was begun")

    def test_drain_that_is_over(self):
        with Farm(workers=2, worker_drain_seconds=1, **PATIENT) as farm:
            slow = farm.trigger(farm.task("slow", command='[ "$GANTRY_ATTEMPT" = 2 ] && exit 0; sleep 600; true'))
            self.assertEqual(farm.terminate(self.owner(farm, slow)), 0)
            run = farm.wait_run(slow)  # back in the queue, and done by the other
            self.assertEqual((run["status"], run["attempt"]), ("completed", 2))

    def test_reload_and_then_a_new_session(self):
        """What a worker says of itself is borrowed from its settings, and is to outlive a reload of them."""
        with Farm(types=["shell", "odd-type"], **PATIENT) as farm:
            for round in (1, 2):
                farm.signal("worker1", signal.SIGHUP)
                wait_for(lambda: farm.log("worker1").count("GTY-SETTINGS-RELOAD") >= round, what="the reload")
            farm.restart("scheduler")
            wait_for(lambda: farm.log("worker1").count("GTY-WORKER-WELCOME") >= 2, what="the new session")
            farm.wait_ready()
            run = farm.wait_run(farm.trigger(farm.task("odd", task_type="odd-type", command="echo served")))
            self.assertEqual(run["result"], "served")

    def test_second_term_ends_at_once(self):
        mark = f"MARK_TERM={os.getpid()}"
        with Farm(**PATIENT) as farm:
            self.long_run(farm, mark, "trap '' TERM; sleep 3600 & sleep 3600 & wait; wait; sleep 3600")
            farm.signal("worker1", signal.SIGTERM)
            wait_for(lambda: "GTY-WORKER-DRAIN" in farm.log("worker1"), what="the drain")
            self.assertEqual(farm.terminate("worker1", 60), 0)  # it had an hour
            self.assertEqual(marked(mark), [])

    def test_what_has_ended_is_not_done_again(self):
        """A worker that is told to leave at once, while the lines of a run that has ended are still on their way."""
        with Farm(**PATIENT) as farm:
            done = farm.data / "done"
            number = farm.trigger(farm.task("ends", command=f"seq 1 60000; echo end >>{done}"))
            wait_for(lambda: "GTY-RUN-ENDED" in farm.log("worker1"), what="the program's end")
            farm.signal("worker1", signal.SIGTERM)
            wait_for(lambda: "GTY-WORKER-DRAIN" in farm.log("worker1"), what="the drain")
            self.assertEqual(farm.terminate("worker1", 60), 0)
            run = farm.run(number)
            self.assertEqual((run["status"], run["attempt"], done.read_text()), ("completed", 1, "end\n"))

    def test_heartbeats_at_another_pace(self):
        """A worker that is at work learns from the farm how often it is to report."""
        with Farm(**PATIENT) as farm:
            seen = []

            def quick():
                beat = farm.data_of(farm.get("/api/workers"))["items"][0]["last_heartbeat"]
                if not seen or seen[-1][1] != beat:
                    seen.append((time.monotonic(), beat))
                return len(seen) > 3 and seen[-1][0] - seen[-4][0] < 10  # three of the 5 s that were before take 15

            (farm.data / "gantry.conf").write_text("lease.heartbeat_ms = 200\n")
            farm.signal("scheduler", signal.SIGHUP)
            wait_for(lambda: "GTY-SETTINGS-RELOAD" in farm.log("scheduler"), what="the reload")
            wait_for(quick, 120, "heartbeats in quick succession")

    def test_refuses_to_start(self):
        with Farm(**PATIENT) as farm:
            def start(*flags):
                done = subprocess.run([BUILD / "gantry-worker", "--data", farm.data, *flags], capture_output=True, text=True, timeout=60 * SLOW,
                                      env=clean_environment())
                self.assertEqual(done.returncode, 1, done)
                lines = [line for line in done.stderr.splitlines() if not line[:1].isdigit()]
                self.assertEqual(len(lines), 1, done.stderr)
                return lines[0]
            self.assertIn("another worker named worker1", start("--worker-name", "worker1"))
            self.assertIn("worker.name", start("--worker-name", "../x"))
            self.assertIn("worker.labels", start("--worker-name", "w9", "--worker-labels", "gpu"))
            self.assertIn("--worker-slots", start("--worker-slots", "-1"))
            self.assertIn("no-such", start("--no-such"))
            farm.wait_ready()


class Tiny(unittest.TestCase):
    def test_tiny_worker(self):
        """The worker that was written only from docs/worker-protocol.md."""
        with Farm(workers=0, **PATIENT) as farm:
            command = [sys.executable, str(ROOT / "tests" / "worker" / "tiny_worker.py"), farm.endpoint("workers"), str(farm.data / "ident")]
            tiny = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            self.addCleanup(lambda: tiny.poll() is None and (tiny.kill(), tiny.wait()))
            farm.wait_ready(1)
            run = farm.wait_run(farm.trigger(farm.task("hello", command="echo hello $1", arguments=["{{who}}"]), parameters={"who": "you"}))
            self.assertEqual((run["status"], run["result"]), ("completed", "hello you"))
            logs = farm.data_of(farm.get(f"/api/runs/{run['id']}/logs"))["items"]
            self.assertEqual([line["message"] for line in logs if line["stream"] == "stdout"], ["hello you"])
            run = farm.wait_run(farm.trigger(farm.task("bad", command="exit 3")))
            self.assertEqual((run["status"], run["error_message"]), ("failed", "exit code 3"))
            number = farm.trigger(farm.task("long", command="sleep 600; true"))
            farm.wait_run(number, "running")
            farm.post(f"/api/runs/{number}/abort", {})
            self.assertEqual(farm.wait_run(number)["status"], "aborted")
            # the farm is away while it works
            go = farm.data / "go"
            number = farm.trigger(farm.task("over", command=f"until [ -e {go} ]; do sleep 0.05; done; echo survived"))
            farm.wait_run(number, "running")
            farm.restart("scheduler")
            go.touch()
            run = farm.wait_run(number)
            self.assertEqual((run["result"], run["attempt"]), ("survived", 1))
            tiny.terminate()
            self.assertEqual(tiny.wait(60 * SLOW), 0)


if __name__ == "__main__":
    unittest.main()
