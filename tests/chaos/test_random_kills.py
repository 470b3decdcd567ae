"""Processes die at random while clients submit; afterwards the books are audited.

What is held to: every acknowledged run is there and final; a key acts once; an attempt ran to its end more than once only where a
lease was lost; never two accepted results, never two published outputs; every history is a legal path.
"""

import http.client
import os
import random
import threading
import time
import unittest

from tests.farm import SLOW, Farm, wait_for

SECONDS = float(os.environ.get("GANTRY_CHAOS_SECONDS", "15"))
VICTIMS = ["store", "scheduler", "gateway", "worker1", "worker2"]


class Client(threading.Thread):
    """Submits one run after another, each with a key that it repeats until it has an answer."""

    def __init__(self, farm, body, outputs, number):
        super().__init__(daemon=True)
        self.farm, self.body, self.outputs, self.number = farm, body, outputs, number
        self.acknowledged = {}  # key -> run id
        self.problems = []
        self.over = threading.Event()

    def submit(self, key):
        until = time.monotonic() + 60 * SLOW
        while time.monotonic() < until:
            try:
                body = dict(self.body, parameters={"key": key}, output=f"{self.outputs}/{key}")
                answer = self.farm.post("/api/runs", body, timeout=15, headers={"Idempotency-Key": key})
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if answer.status == 201:
                return answer.body["data"]["run_id"]
            if answer.status != 503:
                self.problems.append((key, answer))
                return None
            time.sleep(0.05)
        self.problems.append((key, "no answer for a minute"))
        return None

    def run(self):
        count = 0
        while not self.over.is_set():
            key = f"client{self.number}-{count}"
            run = self.submit(key)
            if run is not None:
                self.acknowledged[key] = run
            count += 1
            time.sleep(0.1)


class RandomKills(unittest.TestCase):
    def test_nothing_acknowledged_is_lost(self):
        seed = int(os.environ.get("GANTRY_CHAOS_SEED", random.randrange(10**6)))
        chance = random.Random(seed)
        print(f"seed {seed}", flush=True)
        with Farm(workers=2, lease_seconds=3, lease_heartbeat_ms=300, lease_losses=100) as farm:
            effects = farm.data / "effects"
            effects.mkdir()
            outputs = farm.data / "outputs"
            outputs.mkdir()
            # One write() a line, so that lines of parallel runs do not mix.
            command = (f'echo "start $GANTRY_RUN_ID $GANTRY_ATTEMPT" >>{effects}/log; sleep 0.1; '
                       f'echo "$GANTRY_PARAM_KEY $GANTRY_ATTEMPT" >"$GANTRY_OUTPUT"; '
                       f'echo "end $GANTRY_RUN_ID $GANTRY_ATTEMPT" >>{effects}/log')
            body = {"task_type": "shell", "executor": "shell", "command": command, "retry_count": 5}
            clients = [Client(farm, body, outputs, number) for number in range(3)]
            for client in clients:
                client.start()
            kills = self.kill_around(farm, chance)
            for client in clients:
                client.over.set()
            for name in VICTIMS:
                if not farm.running(name):
                    farm.start(name)
            farm.wait_ready()
            for client in clients:
                client.join(90 * SLOW)
                self.assertFalse(client.is_alive())
                self.assertEqual(client.problems, [])
            acknowledged = {key: run for client in clients for key, run in client.acknowledged.items()}
            print(f"{kills} kills, {len(acknowledged)} acknowledged", flush=True)
            self.assertGreater(len(acknowledged), 0)
            self.audit(farm, acknowledged, effects / "log", outputs)

    def kill_around(self, farm, chance):
        kills = 0
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.05, 0.8))
            victims = VICTIMS if chance.random() < 0.1 else [chance.choice(VICTIMS)]
            for name in victims:
                if farm.running(name):
                    farm.kill(name)
                    kills += 1
            time.sleep(chance.uniform(0, 0.4))
            for name in chance.sample(victims, len(victims)):
                farm.start(name)
        return kills

    def all_runs(self, farm):
        runs, page = [], 1
        while True:
            data = farm.data_of(farm.get(f"/api/runs?size=1000&page={page}&sort=id&order=asc"))
            runs += data["items"]
            if len(runs) >= data["total"] or not data["items"]:
                return runs
            page += 1

    def audit(self, farm, acknowledged, log, outputs):
        self.assertEqual(len(set(acknowledged.values())), len(acknowledged), "two keys share a run")
        wait_for(lambda: all(run["status"] not in ("pending", "running") for run in self.all_runs(farm)), 120, "the end of all runs")
        runs = {run["id"]: run for run in self.all_runs(farm)}
        self.assertEqual(set(runs), set(acknowledged.values()), "runs nobody was told of, or acknowledged runs that are gone")
        ends = {}
        for line in log.read_text().splitlines():
            word, run, attempt = line.split()
            if word == "end":
                ends.setdefault(int(run), []).append(int(attempt))
        for key, number in acknowledged.items():
            run = farm.run(number)
            self.assertEqual(run["status"], "completed", run)
            numbers = [attempt["attempt"] for attempt in run["attempts"]]
            self.assertEqual(numbers, sorted(set(numbers)), run)
            outcomes = [attempt["outcome"] for attempt in run["attempts"]]
            self.assertEqual(outcomes.count("completed"), 1, run)
            self.assertEqual(outcomes[-1], "completed", run)
            self.assertTrue(set(outcomes[:-1]) <= {"lost", "returned", "failed", "aborted"}, run)
            finished = ends.get(number, [])
            self.assertEqual(len(finished), len(set(finished)), f"an attempt ran twice to its end: {run} {finished}")
            self.assertLessEqual(len(finished), 1 + outcomes.count("lost") + outcomes.count("returned"), run)
            made_by_key, made_by_attempt = (outputs / key).read_text().split()
            self.assertEqual(made_by_key, key)
            self.assertIn(int(made_by_attempt), finished, run)
        self.assertEqual(sorted(path.name for path in outputs.iterdir()), sorted(acknowledged), "temporary outputs stayed")


if __name__ == "__main__":
    unittest.main()
