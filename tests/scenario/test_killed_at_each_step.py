"""Each process killed with -9 and restarted at each step of a run's life.

For store, scheduler and gateway the worker is scripted, so that the step is exact. For the worker's own death a real one is used, and
the bus is watched to see the step.
"""

import time
import unittest

from tests.bus import ScriptedWorker, Trace
from tests.farm import Farm, alive, descendants, wait_for
from tests.patience import PATIENT

STEPS = ["submitted", "assigned", "accepted", "running", "publishing", "result_sent", "result_acknowledged"]


class Script:
    """A run's life up to a step, on a scripted worker."""

    def __init__(self, farm):
        self.farm = farm
        self.worker = None
        self.lease = None
        body = {"name": "scripted", "task_type": "scripted", "executor": "exec", "command": "none", "output": "/nowhere/out"}
        self.task = farm.data_of(farm.post("/api/tasks", body))["id"]
        self.run = None
        self.output = {"attempt": 1, "path": "/nowhere/out", "temporary": "/nowhere/tmp", "size": 3, "hash": b"\1" * 16}

    def submitted(self):
        self.run = self.farm.trigger(self.task)

    def assigned(self):
        self.connect([])
        given = self.worker.assignment()
        assert given["run_id"] == self.run and given["attempt"] == 1, given
        self.lease = {"run_id": self.run, "attempt": 1}

    def accepted(self):
        self.worker.tell("accept", leases=[self.lease])

    def running(self):
        self.worker.tell("progress", items=[dict(self.lease, percent=40.0)])
        line = {"seq": 1, "at": int(time.time() * 1000), "level": 1, "stream": 1, "text": "a line of it"}
        self.worker.insist("log", "log_ack", lambda f: f["seq"] == 1, chunk=dict(self.lease, lines=[line]))

    def publishing(self):
        self.worker.insist("publish", "publish_grant", run_id=self.run, output=self.output)

    def result_sent(self):
        self.worker.result(self.run, 1, result="ok", exit_code=0)

    def result_acknowledged(self):
        items = [dict(run_id=self.run, attempt=1, outcome=1, result="ok", exit_code=0)]
        self.worker.insist("result", "result_ack", lambda f: f["leases"][0]["run_id"] == self.run, items=items)

    def connect(self, running):
        self.worker = ScriptedWorker(self.farm.endpoint("workers"), ident="scripted-worker")
        self.worker.hello(running=running)

    def reconnect(self):
        """What a worker does when its scheduler was restarted: a new session of the same boot, with what it holds."""
        old = self.worker
        self.worker = ScriptedWorker(self.farm.endpoint("workers"), ident="scripted-worker")
        self.worker.boot = old.boot
        old.__exit__()
        welcome = self.worker.hello(running=[self.lease] if self.lease else [])
        assert not welcome.get("drop"), f"the lease was taken away: {welcome}"


class KilledBesideTheWorker(unittest.TestCase):
    def at_step(self, victim, step):
        with Farm(workers=0, **PATIENT) as farm:
            script = Script(farm)
            upto = STEPS.index(step) + 1
            for name in STEPS[:upto]:
                getattr(script, name)()
            farm.restart(victim)
            if victim == "scheduler" and script.worker:
                if step == "result_acknowledged":
                    script.lease = None
                script.reconnect()
            farm.wait_ready(workers=0)
            rest = STEPS[upto:]
            for name in rest:
                getattr(script, name)()
            done = farm.wait_run(script.run)
            self.assertEqual((done["status"], done["result"]), ("completed", "ok"), done)
            self.assertEqual([(a["attempt"], a["outcome"]) for a in done["attempts"]], [(1, "completed")])
            script.result_acknowledged()  # a repeat of the accepted result is acknowledged again, and changes nothing
            other = [dict(run_id=script.run, attempt=1, outcome=2, error="another end")]
            script.worker.insist("result", "refused", items=other)
            self.assertEqual(farm.run(script.run)["status"], "completed")
            logs = farm.data_of(farm.get(f"/api/runs/{script.run}/logs"))["items"]
            self.assertEqual([line["message"] for line in logs if line.get("stream", "stdout") == "stdout"], ["a line of it"])
            script.worker.__exit__()


def make_beside(victim, step):
    return lambda self: self.at_step(victim, step)


for _victim in ["store", "scheduler", "gateway"]:
    for _step in STEPS:
        setattr(KilledBesideTheWorker, f"test_{_victim}_at_{_step}", make_beside(_victim, _step))


class WorkerKilled(unittest.TestCase):
    """The run writes start and end to an effect log, and its output through publishing."""

    def setUp(self):
        self.farm = Farm(lease_heartbeat_ms=300, **PATIENT)  # a new start of the worker ends its leases at once
        self.farm.__enter__()
        self.addCleanup(self.farm.close)
        self.effects = self.farm.data / "effects"
        self.go = self.farm.data / "go"
        self.output = self.farm.data / "out.txt"
        command = (f'echo start $GANTRY_ATTEMPT >>{self.effects}; while ! [ -e {self.go} ]; do sleep 0.05; done; '
                   f'echo made by $GANTRY_ATTEMPT >"$GANTRY_OUTPUT"; echo end $GANTRY_ATTEMPT >>{self.effects}')
        self.task = self.farm.task("effects", command, output=str(self.output))

    def effect_lines(self, word):
        text = self.effects.read_text() if self.effects.exists() else ""
        return [line for line in text.splitlines() if line.startswith(word)]

    def finish(self, run):
        self.go.touch()
        self.farm.start("worker1")
        done = self.farm.wait_run(run, timeout=90)
        self.assertEqual(done["status"], "completed", done)
        self.assertEqual(sum(a["outcome"] == "completed" for a in done["attempts"]), 1, done["attempts"])
        self.assertTrue(self.output.read_text().startswith("made by "))
        wait_for(lambda: not list(self.farm.data.glob(".gantry-*")), 60, "the end of temporary outputs")
        return done

    def test_submitted(self):
        self.farm.kill("worker1")
        done = self.finish(self.farm.trigger(self.task))
        self.assertEqual(len(self.effect_lines("end")), 1, done)

    def test_assigned(self):
        with Trace(self.farm.runtime) as trace:
            self.farm.stop("worker1")
            run = self.farm.trigger(self.task)
            trace.wait("assign", "scheduler", ">")
        self.farm.kill("worker1")
        self.finish(run)
        self.assertEqual(len(self.effect_lines("end")), 1)

    def test_accepted(self):
        with Trace(self.farm.runtime) as trace:
            run = self.farm.trigger(self.task)
            trace.wait("accept", "scheduler", "<")
        self.farm.kill("worker1")
        self.finish(run)
        self.assertEqual(len(self.effect_lines("end")), 1)

    def test_running(self):
        run = self.farm.trigger(self.task)
        wait_for(lambda: self.effect_lines("start"), 60, "the start")
        tree = descendants(self.farm.pid("worker1"))
        self.assertTrue(tree)
        self.farm.kill("worker1")
        wait_for(lambda: not any(alive(pid) for pid in tree), 60, "the end of the run's processes")
        self.finish(run)
        self.assertEqual(len(self.effect_lines("start")), 2)
        self.assertEqual(len(self.effect_lines("end")), 1)

    def test_publishing(self):
        with Trace(self.farm.runtime) as trace:
            run = self.farm.trigger(self.task)
            self.go.touch()
            trace.wait("publish_grant", "scheduler", ">")
        self.farm.kill("worker1")
        done = self.finish(run)
        # A granted output that stands is taken as the result: then nothing ran a second time.
        attempts = {line.split()[1] for line in self.effect_lines("end")}
        self.assertIn(self.output.read_text().split()[2], attempts, done)

    def test_result_sent(self):
        run = self.farm.trigger(self.task)
        wait_for(lambda: self.effect_lines("start"), 60, "the start")
        with Trace(self.farm.runtime) as trace:
            self.go.touch()
            trace.wait("result", "worker", ">")
        self.farm.kill("worker1")
        self.finish(run)

    def test_result_acknowledged(self):
        run = self.farm.trigger(self.task)
        self.go.touch()
        before = self.farm.wait_run(run)
        self.farm.kill("worker1")
        after = self.finish(run)
        self.assertEqual(before["attempts"], after["attempts"])
        self.assertEqual(len(self.effect_lines("end")), 1)


if __name__ == "__main__":
    unittest.main()
