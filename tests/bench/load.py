"""The load of `./dev soak`: each kind of client in a process of its own, at a steady rate; each says how long things took.

A kind gets the farm's address, the names of the tasks of this minute (which soak.py makes anew and removes again, so that the database
comes to a steady state), and an event that ends it. What goes wrong is said and counted; it ends no process.
"""

import http.client
import json
import pathlib
import random
import threading
import time

from tests import bus

PAYLOAD = "x" * 190


class Client:
    """One keep-alive connection, opened again when it breaks."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def request(self, method, path, body=None):
        """(status, answer); a refusal is no error here."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        for fresh in (False, True):
            if self.connection is None:
                self.connection, fresh = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), True
            try:
                self.connection.request(method, path, data, headers)
                answer = self.connection.getresponse()
                raw = answer.read()
                return answer.status, json.loads(raw) if raw else {}
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if fresh:
                    raise
        return 0, {}


class Kind:
    """Base of all kinds: a rate, a clock, and where figures go."""

    def __init__(self, farm, tasks, figures, over):
        self.farm, self.tasks, self.figures, self.over = farm, tasks, figures, over
        self.client = Client(farm["port"])
        self.random = random.Random(7)

    def task(self, name):
        """The id of a task of this minute; None while there is none."""
        return self.tasks.get(name)

    def timed(self, name, call):
        began = time.monotonic()
        value = call()
        self.figures.put((name, (time.monotonic() - began) * 1000))
        return value

    def run(self, rate):
        """step() so many times a second, as near as it gets; never in bursts to catch up."""
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / rate, time.monotonic())
            try:
                self.step()
            except (OSError, http.client.HTTPException, AssertionError, KeyError, ValueError) as error:
                if not self.over.is_set():
                    self.figures.put(("trouble", f"{type(self).__name__}: {type(error).__name__}: {error}"))


class Rest(Kind):
    """Submits over HTTP, for the scripted worker."""

    rate = 40

    def step(self):
        task = self.task("noop")
        if task is None:
            return
        status, _ = self.timed("submit", lambda: self.client.request("POST", f"/api/tasks/{task}/trigger", {"parameters": {"payload": PAYLOAD}}))
        if status != 201 and status != 404:
            self.figures.put(("trouble", f"Rest: a submit was answered {status}"))


class Lists(Kind):
    """Reads: lists of each kind, single runs, health, the status page."""

    rate = 10

    def step(self):
        path = self.random.choice(["/api/runs?page=1&size=20", "/api/runs?page=3&size=50&status=completed&sort=completed_at&order=desc",
                                   "/api/runs?status=failed&size=10", "/api/tasks?page=1&size=20", "/api/workers", "/api/system/health", "/"])
        connection = self.client
        if path == "/":  # no JSON
            page = http.client.HTTPConnection("127.0.0.1", self.farm["port"], timeout=30)
            page.request("GET", path)
            page.getresponse().read()
            page.close()
            return
        status, _ = self.timed("health" if path.endswith("health") else "list", lambda: connection.request("GET", path))
        if status != 200:
            self.figures.put(("trouble", f"Lists: {path} was answered {status}"))


class Real(Kind):
    """Runs of real programs: with logs, failing and tried again, sleeping and aborted."""

    rate = 4

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sleeping = []

    def step(self):
        name = self.random.choice(["lines", "lines", "fails", "sleeps"])
        task = self.task(name)
        if task is None:
            return
        status, answer = self.client.request("POST", f"/api/tasks/{task}/trigger", {})
        if status == 201 and name == "sleeps":
            self.sleeping.append(answer["data"]["run_id"])
        if len(self.sleeping) > 2:
            self.client.request("POST", f"/api/runs/{self.sleeping.pop(0)}/abort", {"reason": "soak"})


class Follow(Kind):
    """Follows runs of real programs to their end, four at a time."""

    rate = 2
    most = 4

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.threads = []

    def follow(self, run_id):
        connection = http.client.HTTPConnection("127.0.0.1", self.farm["port"], timeout=60)
        try:
            connection.request("GET", f"/api/runs/{run_id}/logs?follow=true")
            answer = connection.getresponse()
            lines = 0
            while answer.status == 200:
                line = answer.readline()
                if not line or line.startswith(b"event: end"):
                    break
                lines += line.startswith(b"data:")
            self.figures.put(("followed", lines))
        except (OSError, http.client.HTTPException) as error:
            if not self.over.is_set():
                self.figures.put(("trouble", f"Follow: {type(error).__name__}: {error}"))
        finally:
            connection.close()

    def step(self):
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        task = self.task("lines")
        if task is None or len(self.threads) >= self.most:
            return
        status, answer = self.client.request("POST", f"/api/tasks/{task}/trigger", {})
        if status == 201:
            self.threads.append(threading.Thread(target=self.follow, args=(answer["data"]["run_id"],), daemon=True))
            self.threads[-1].start()


class Batches(Kind):
    """Batches of 50 over the DEALER: enough that what the scheduler remembers of results is full within minutes."""

    rate = 3

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.peer = bus.Peer(self.farm["workers"])

    def step(self):
        task = self.task("noop")
        if task is None:
            return
        items = [{"parameters": {"payload": PAYLOAD}}] * 50
        name, fields = self.timed("batch", lambda: self.peer.ask("run_trigger_batch", 30, idem=bus.key(), task_id=task, items=items))
        if name != "run_batch_answer" and fields.get("code") not in (3, 4):  # a task that has just been removed
            self.figures.put(("trouble", f"Batches: {name} {fields}"))


class Worker(Kind):
    """A worker over the DEALER that accepts, tells progress and reports at once."""

    rate = 1000
    type = "noop"
    slots = 64

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.peer = bus.ScriptedWorker(self.farm["workers"], types=("soak-" + self.type,), slots=self.slots, ident=f"soak-{self.type}")
        self.peer.hello()
        self.beat = time.monotonic()

    def take(self, runs):
        leases = [{"run_id": run["run_id"], "attempt": run["attempt"]} for run in runs]
        self.peer.tell("accept", leases=leases)
        self.peer.tell("progress", items=[dict(lease, percent=50.0) for lease in leases])
        self.peer.tell("result", items=[dict(lease, outcome=1, exit_code=0) for lease in leases])

    def step(self):
        if time.monotonic() - self.beat > 1:
            self.beat = time.monotonic()
            self.peer.heartbeat()
        got = self.peer.receive(0.2)
        if got and got[0] == "assign":
            self.take(got[1]["runs"])
        elif got and got[0] == "error":
            self.peer.hello()


class Dispatch(Worker):
    """From a submit until an idle worker holds the run."""

    rate = 5
    type = "probe"
    slots = 1

    def step(self):
        task = self.task("probe")
        self.peer.heartbeat()
        if task is None:
            return
        began = time.monotonic()
        self.peer.corr += 1
        self.peer.socket.send(bus.pack("run_trigger", corr=self.peer.corr, idem=bus.key(), task_id=task, trigger={}))
        until = began + 10
        while time.monotonic() < until:
            got = self.peer.receive(1)
            if got and got[0] == "assign":
                self.figures.put(("dispatch", (time.monotonic() - began) * 1000))
                self.take(got[1]["runs"])
                return
            if got and got[0] == "error":
                if got[2] == 0:
                    self.peer.hello()
                return  # its task has just been removed
        self.figures.put(("trouble", "Dispatch: no run was assigned in 10 s"))


KINDS = (Rest, Lists, Real, Follow, Batches, Worker, Dispatch)

TASKS = {  # of each minute: name -> fields
    "noop": {"task_type": "soak-noop", "executor": "shell", "command": "true"},
    "probe": {"task_type": "soak-probe", "executor": "shell", "command": "true"},
    "lines": {"task_type": "shell", "executor": "shell", "command": "for i in $(seq 40); do echo line $i of a run; done; sleep 0.2; echo last"},
    "fails": {"task_type": "shell", "executor": "shell", "command": "echo fails >&2; exit 3", "retry_count": 2},
    "sleeps": {"task_type": "shell", "executor": "shell", "command": "sleep 20"},
    "tick": {"task_type": "soak-noop", "executor": "shell", "command": "true", "schedule": "@every 1s"},
}


def process_main(kind, farm, tasks, figures, over):
    """What a process of load does."""
    try:
        one = kind(farm, tasks, figures, over)
        one.run(kind.rate)
    except KeyboardInterrupt:
        pass
