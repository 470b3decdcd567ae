"""Workers over REST with a whole farm around them: the one of docs/worker-protocol.md at work while processes die, and the protocol's edges."""

import hashlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

from tests.farm import ROOT, SLOW, Farm, clean_environment, wait_for
from tests.patience import PATIENT

RUNS = 200


class RestWorker:
    """A process of tests/worker/rest_worker.py."""

    def __init__(self, farm, name, slots=4):
        command = [sys.executable, str(ROOT / "tests" / "worker" / "rest_worker.py"), f"http://127.0.0.1:{farm.port}", name, str(slots)]
        self.log = open(farm.data / f"{name}.rest.log", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=clean_environment(),
                                        start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait(60 * SLOW)
        self.log.close()


def counted(farm, status):
    """How many runs have it; None while nobody answers."""
    try:
        answer = farm.get(f"/api/runs?status={status}&size=1")
    except (OSError, http.client.HTTPException):
        return None
    return answer.body["data"]["total"] if answer.status == 200 else None


class AtWork(unittest.TestCase):
    def test_everything_dies_around_it(self):
        """200 runs while store, scheduler and gateway are killed one after another: each is accepted once, and no lease is lost."""
        with Farm(workers=0, **PATIENT) as farm, RestWorker(farm, "worker-in-python") as worker:
            wait_for(lambda: farm.get("/api/workers").body["data"]["total"] == 1, 20, "its registration")
            effects = farm.data / "effects"
            task = farm.task("work", f"echo $1 >> {effects}; echo done", arguments=["x"], task_type="shell")
            body = {"items": [{"idempotency_key": str(n)} for n in range(RUNS)]}
            runs = farm.data_of(farm.post(f"/api/tasks/{task}/trigger-batch", body))["run_ids"]
            for share, name in [(10, "store"), (50, "scheduler"), (90, "gateway"), (120, "scheduler"), (150, "store")]:
                wait_for(lambda: (counted(farm, "completed") or 0) >= share, 120, f"{share} runs")
                farm.restart(name)
            wait_for(lambda: counted(farm, "completed") == RUNS, 120, "the end of all runs")
            self.assertIsNone(worker.process.poll())
            for run in runs:
                got = farm.run(run)
                accepted = [attempt for attempt in got["attempts"] if attempt["outcome"] == "completed"]
                self.assertEqual(len(accepted), 1, got)
                self.assertNotIn("lost", [attempt["outcome"] for attempt in got["attempts"]], got)
                self.assertEqual((got["status"], got["result"], got["worker_id"], got["retry_count"]), ("completed", "done", "worker-001", 0))
                self.assertEqual([line["message"] for line in got["logs"]], ["done"], got)
            self.assertGreaterEqual(len(effects.read_text().splitlines()), RUNS)
            shown = farm.data_of(farm.get("/api/workers/worker-001"))
            self.assertEqual((shown["statistics"]["successful_tasks"], shown["current_task_count"]), (RUNS, 0))

    def test_an_abort_and_a_timeout(self):
        with Farm(workers=0, **dict(PATIENT, lease_heartbeat_ms="200")) as farm, RestWorker(farm, "one"):
            wait_for(lambda: farm.get("/api/workers").body["data"]["total"] == 1, 20, "its registration")
            started = farm.data / "started"
            run = farm.trigger(farm.task("endless", f"touch {started}; sleep 600"))
            wait_for(started.exists, 20, "its start")
            self.assertEqual(farm.post(f"/api/runs/{run}/abort").status, 200)
            wait_for(lambda: farm.data_of(farm.get("/api/workers/worker-001"))["current_task_count"] == 0, 20, "its stopping")
            self.assertEqual(farm.run(run)["status"], "aborted")
            late = farm.wait_run(farm.trigger(farm.task("late", "sleep 600", timeout_seconds=1)))
            self.assertEqual((late["status"], late["attempts"][0]["outcome"]), ("failed", "failed"))

    def test_a_worker_that_dies_silently(self):
        """Its run goes to another; what the dead one's attempt says later is refused and changes nothing."""
        with Farm(workers=0, **dict(PATIENT, lease_seconds="15", lease_heartbeat_ms="300")) as farm, RestWorker(farm, "first") as first:
            wait_for(lambda: farm.get("/api/workers").body["data"]["total"] == 1, 20, "its registration")
            pids, go = farm.data / "pids", farm.data / "go"
            run = farm.trigger(farm.task("held", f"echo $$ >> {pids}; while [ ! -e {go} ]; do sleep 0.05; done; echo over"))
            wait_for(lambda: pids.exists() and pids.read_text().strip(), 20, "its start")
            first.kill()
            os.killpg(int(pids.read_text().split()[0]), signal.SIGKILL)  # its program does not outlive it here
            with RestWorker(farm, "second"):
                wait_for(lambda: len(pids.read_text().split()) == 2, 30, "its start elsewhere")
                late = farm.post(f"/api/runs/{run}/report", {"attempt": 1, "status": "completed", "result": "wrong"})
                self.assertEqual((late.status, late.body["error"]["code"]), (409, "RESOURCE_CONFLICT"))
                self.assertEqual(farm.run(run)["status"], "running")
                go.touch()
                got = farm.wait_run(run)
                self.assertEqual((got["status"], got["result"], got["attempt"], got["worker_id"]), ("completed", "over", 2, "worker-002"))
                self.assertEqual([attempt["outcome"] for attempt in got["attempts"]], ["lost", "completed"])
                late = farm.post(f"/api/runs/{run}/report", {"attempt": 1, "status": "completed", "result": "wrong"})
                self.assertEqual(late.status, 409)
                self.assertEqual(farm.data_of(farm.get("/api/workers/worker-001"))["status"], "offline")


class Outputs(unittest.TestCase):
    """An output of a worker over REST has its name once, whoever dies between the grant and the name."""

    def begin(self, **settings):
        self.farm = Farm(workers=0, **dict(PATIENT, **settings)).__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        self.folder = self.farm.data / "out"
        self.folder.mkdir()
        task = {"name": "film", "task_type": "film", "executor": "film", "command": "-", "output": str(self.folder / "film.mp4"), "retry_count": 0}
        self.worker = self.register("first")
        self.task = self.farm.data_of(self.farm.post("/api/tasks", task))["id"]
        self.run_id = self.farm.trigger(self.task)

    def register(self, name):
        body = {"hostname": "h", "ip_address": "127.0.0.1", "port": 0, "task_types": ["film"], "name": name, "boot": "b"}
        return self.farm.data_of(self.farm.post("/api/workers", body))["id"]

    def ask(self, path, body, key=None):
        """As a worker asks: until there is an answer, with one key."""
        headers = {"Idempotency-Key": key or hashlib.md5(f"{path} {body}".encode()).hexdigest()}

        def once():
            try:
                answer = self.farm.post(path, body, headers=headers)
            except (OSError, http.client.HTTPException):
                return None
            return None if answer.status == 503 else answer

        return wait_for(once, 60, f"an answer to {path}")

    def lease(self, worker):
        leased = self.farm.data_of(self.farm.post(f"/api/workers/{worker}/lease", {"wait_seconds": 30}))["runs"]
        self.assertEqual([run["run_id"] for run in leased], [self.run_id])
        return leased[0]

    def written(self, run, text):
        temporary = self.folder / f".gantry-{self.run_id}-{run['attempt']}.film.mp4"
        temporary.write_text(text)
        return {"attempt": run["attempt"], "path": run["output"], "temporary": str(temporary), "size": len(text),
                "xxh3_128": hashlib.md5(text.encode()).hexdigest()}  # as long: the farm keeps it, and looks at no file

    def end(self, run, grant, worker):
        os.rename(grant["temporary"], grant["path"])
        done = self.ask(f"/api/runs/{self.run_id}/report", {"attempt": run["attempt"], "status": "completed"})
        self.assertEqual(done.status, 200, done)
        got = self.farm.run(self.run_id)
        self.assertEqual((got["status"], got["worker_id"], got["output"]["xxh3_128"]), ("completed", worker, grant["xxh3_128"]))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["film.mp4"])

    def beat(self, worker, run=None):
        tasks = [{"run_id": run["run_id"], "attempt": run["attempt"]}] if run else []
        return self.ask(f"/api/workers/{worker}/heartbeat", {"current_tasks": tasks}, key=f"beat {time.monotonic()}")

    def test_the_farm_dies_between_grant_and_name(self):
        self.begin()
        run = self.lease(self.worker)
        path, grant = f"/api/runs/{self.run_id}/publish", self.written(run, "a film")
        self.assertEqual(self.ask(path, grant).status, 200)
        for name in ("scheduler", "store", "gateway"):
            self.farm.kill(name)
        for name in ("store", "scheduler", "gateway"):
            self.farm.start(name)
        again = self.ask(path, grant)  # as if the answer had been lost
        self.assertEqual((again.status, again.body["data"]["attempt"]), (200, 1))
        self.assertEqual(self.ask(path, grant, key="another").status, 200)
        self.assertEqual(self.ask(path, dict(grant, size=1), key="other output").status, 409)
        self.assertEqual(self.beat(self.worker, run).body["data"]["cancel"], [])
        self.end(run, grant, self.worker)

    def test_the_scheduler_dies_with_the_question(self):
        self.begin()
        run = self.lease(self.worker)
        path, grant = f"/api/runs/{self.run_id}/publish", self.written(run, "a film")
        self.farm.stop("scheduler")  # the question reaches a scheduler that never answers it
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.ask(path, grant)))
        asking.start()
        self.farm.kill("scheduler")
        self.farm.start("scheduler")
        asking.join(120 * SLOW)
        self.assertEqual([answer.status for answer in answers], [200])
        self.end(run, grant, self.worker)

    def test_the_worker_dies_between_grant_and_name(self):
        self.begin(lease_seconds="15", lease_heartbeat_ms="300")
        run = self.lease(self.worker)
        path, grant = f"/api/runs/{self.run_id}/publish", self.written(run, "a film")
        self.assertEqual(self.ask(path, grant).status, 200)
        self.farm.restart("scheduler")
        second = self.register("second")

        def next_attempt():
            self.beat(second)
            leased = self.farm.data_of(self.farm.post(f"/api/workers/{second}/lease", {"wait_seconds": 1}))["runs"]
            return leased[0] if leased else None

        again = wait_for(next_attempt, 60, "the second attempt")
        self.assertEqual((again["attempt"], again["published"]), (2, grant))
        late = self.ask(path, grant, key="late")
        self.assertEqual((late.status, late.body["error"]["code"]), (409, "RESOURCE_CONFLICT"))
        taken = dict(grant, attempt=2)  # what the first left is complete: it is taken over as it is
        self.assertEqual(self.ask(path, taken).status, 200)
        self.end(again, taken, second)


class LongPolls(unittest.TestCase):
    def setUp(self):
        self.farm = Farm(workers=0, log_level="debug", **PATIENT).__enter__()
        self.addCleanup(self.farm.__exit__, None, None, None)
        body = {"hostname": "h", "ip_address": "127.0.0.1", "port": 0, "task_types": ["shell"], "name": "poller", "boot": "b"}
        self.worker = self.farm.data_of(self.farm.post("/api/workers", body))["id"]
        self.task = self.farm.task("t")
        self.answers = []

    def ask(self):
        """Asks for a run with one key until there is an answer with one."""
        headers = {"Idempotency-Key": "the-poll"}
        while True:
            try:
                answer = self.farm.post(f"/api/workers/{self.worker}/lease", {"wait_seconds": 60}, headers=headers, timeout=300)
            except (OSError, http.client.HTTPException):
                self.answers.append(None)
                time.sleep(0.05)
                continue
            self.answers.append(answer)
            if answer.status == 200 and answer.body["data"]["runs"]:
                return

    def begin(self):
        thread = threading.Thread(target=self.ask, daemon=True)
        thread.start()
        self.waits()
        return thread

    def waits(self, times=1):
        wait_for(lambda: self.farm.log("scheduler").count("GTY-POLL ") >= times, 20, "its waiting")

    def finish(self, thread):
        run = self.farm.trigger(self.task)
        thread.join(120 * SLOW)
        self.assertFalse(thread.is_alive(), self.answers)
        self.assertEqual([leased["run_id"] for leased in self.answers[-1].body["data"]["runs"]], [run])
        report = {"attempt": self.answers[-1].body["data"]["runs"][0]["attempt"], "status": "completed"}
        self.assertEqual(self.farm.post(f"/api/runs/{run}/report", report).status, 200)
        self.assertEqual(self.farm.run(run)["status"], "completed")

    def test_across_a_restart_of_the_scheduler(self):
        """Its client does not notice, unless it takes so long that everybody is told to come back."""
        began = time.monotonic()
        thread = self.begin()
        self.farm.kill("scheduler")
        before, away = self.farm.log("scheduler").count("GTY-POLL "), time.monotonic()
        self.farm.start("scheduler")
        self.waits(before + 1)
        away = time.monotonic() - away
        self.finish(thread)
        if away < 2.5 and time.monotonic() - began < 50:
            self.assertEqual(len(self.answers), 1)
        for answer in self.answers[:-1]:
            self.assertTrue(answer.status == 503 or answer.body["data"]["runs"] == [], answer)

    def test_across_a_restart_of_the_store(self):
        thread = self.begin()
        self.farm.restart("store")
        self.farm.wait_ready()
        self.finish(thread)
        self.assertEqual(len({leased["run_id"] for answer in self.answers if answer and answer.status == 200 for leased in answer.body["data"]["runs"]}), 1)

    def test_across_a_restart_of_the_gateway(self):
        thread = self.begin()
        self.farm.kill("gateway")
        self.farm.start("gateway")
        self.farm.wait_ready()
        self.finish(thread)

    def test_a_gateway_that_stops_does_not_wait_for_it(self):
        thread = self.begin()
        self.assertEqual(self.farm.terminate("gateway"), 0)
        self.farm.start("gateway")
        self.farm.wait_ready()
        self.finish(thread)


class Documents(unittest.TestCase):
    def test_the_worker_of_the_page(self):
        page = (ROOT / "docs" / "worker-protocol.md").read_text()
        code = (ROOT / "tests" / "worker" / "rest_worker.py").read_text()
        self.assertIn("```python\n" + code + "```", page, "docs/worker-protocol.md shows tests/worker/rest_worker.py as it is")
        self.assertLessEqual(len(code.splitlines()), 60)


if __name__ == "__main__":
    unittest.main()
