"""Many runs restarted, aborted, removed, while processes die; and the commands for it."""

import subprocess
import threading
import unittest

from tests.farm import BUILD, SLOW, Farm, clean_environment, wait_for
from tests.patience import PATIENT

LATER = "2999-01-01T00:00:00Z"


def gantry(farm, *words, code=0):
    done = subprocess.run([str(BUILD / "gantry"), *words], capture_output=True, text=True, timeout=120 * SLOW,
                          env=dict(clean_environment(), GANTRY_URL=f"http://127.0.0.1:{farm.port}"))
    if done.returncode != code:
        raise AssertionError(f"gantry {words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def fsck(farm):
    done = subprocess.run([str(BUILD / "gantry"), "fsck", "--data", str(farm.data)], capture_output=True, text=True, timeout=120 * SLOW,
                          env=clean_environment())
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)


def waiting(farm, name, count):
    """Runs that nobody can take, of a task of that name."""
    task, runs = farm.task(name, task_type="nobody"), []
    while len(runs) < count:
        items = [{}] * min(1000, count - len(runs))
        runs += farm.data_of(farm.post(f"/api/tasks/{task}/trigger-batch", {"items": items}, timeout=60))["run_ids"]
    return task, runs


def aborted(farm, name, count):
    """As many runs that have ended."""
    task, runs = waiting(farm, name, count)
    for at in range(0, count, 1000):
        done = farm.data_of(farm.post("/api/runs/abort", {"ids": runs[at:at + 1000]}, timeout=60))
        assert done["done"] == len(runs[at:at + 1000]), done
    return task, runs


def total(farm, query=""):
    return farm.data_of(farm.get(f"/api/runs?size=1&{query}"))["total"]


class Removal(unittest.TestCase):
    def test_goes_on_over_kills(self):
        with Farm(workers=0, **PATIENT) as farm:
            task, runs = aborted(farm, "gone", 6000)
            other, kept = aborted(farm, "kept", 10)
            answer = farm.data_of(farm.delete(f"/api/runs?before={LATER}&task_id={task}", headers={"Idempotency-Key": "once"}))
            self.assertEqual(answer["matched"], 6000)
            for victim in ("store", "scheduler", "store", "store"):
                farm.restart(victim)
                farm.wait_ready()
            wait_for(lambda: total(farm, f"task_id={task}") == 0, 90, "the end of the removal")
            self.assertEqual(total(farm, f"task_id={other}"), 10)
            statistics = farm.data_of(farm.get(f"/api/tasks/{task}"))["statistics"]
            self.assertEqual(statistics["total_runs"], 6000)
            farm.terminate("store")
            fsck(farm)

    def test_limits_by_themselves(self):
        with Farm(workers=0, **PATIENT) as farm:
            task, runs = aborted(farm, "old", 3000)
            waits = farm.data_of(farm.post(f"/api/tasks/{task}/trigger"), 201)["run_id"]
            farm.kill("store")
            farm.settings["runs_keep_max"] = 100
            farm.start("store")
            farm.wait_ready()
            wait_for(lambda: total(farm, "final=true") == 100, 90, "the newest hundred alone")
            self.assertEqual(farm.run(waits)["status"], "pending")
            self.assertEqual(total(farm), 101)
            # While runs go, others come.
            for _ in range(20):
                self.assertEqual(farm.post(f"/api/tasks/{task}/trigger").status, 201)
            farm.terminate("store")
            fsck(farm)

    def test_tasks_of_one_run_go_too(self):
        """Submitted, run again and removed while the store and the scheduler are killed: none is left behind, and the database is sound."""
        body = {"task_type": "nobody", "executor": "shell", "command": "true", "tags": ["once"]}

        def answered(method, path, sent=None, **more):
            answer = getattr(self.farm, method)(path, *([] if sent is None else [sent]), timeout=60, **more)
            return answer if answer.status != 503 else None

        with Farm(workers=0, **PATIENT) as self.farm:
            farm = self.farm
            for turn, name in enumerate(("store", "scheduler", "store")):
                runs = [farm.data_of(farm.post("/api/runs", body))["run_id"] for _ in range(200)]
                farm.data_of(farm.post("/api/runs/abort", {"ids": runs}, timeout=60))
                stop = threading.Event()

                def again():  # restarts meet runs and tasks that go at this moment
                    for run in runs:
                        if stop.is_set():
                            return
                        wait_for(lambda: answered("post", f"/api/runs/{run}/restart", {}), 60, "an answer to a restart")

                restarts = threading.Thread(target=again)
                restarts.start()
                farm.data_of(wait_for(lambda: answered("delete", f"/api/runs?before={LATER}"), 60, "an answer to the removal"))
                farm.restart(name)
                stop.set()
                restarts.join(120 * SLOW)
                farm.wait_ready()
                left = farm.data_of(wait_for(lambda: answered("get", "/api/runs?status=pending&size=1000"), 60, "what runs again"))["items"]
                if left:
                    farm.data_of(farm.post("/api/runs/abort", {"ids": [run["id"] for run in left]}, timeout=60))
                farm.data_of(farm.delete(f"/api/runs?before={LATER}", timeout=60))
                wait_for(lambda: total(farm) == 0, 90, "no run that is left")
                wait_for(lambda: farm.data_of(farm.get("/api/tasks?tags=once"))["total"] == 0, 90, "no task that is left")
            farm.terminate("scheduler")
            farm.terminate("store")
            fsck(farm)


class Bulk(unittest.TestCase):
    def test_a_restart_that_breaks_off(self):
        """Repeated with its key it restarts each run once, whoever died meanwhile."""
        for victim in ("gateway", "scheduler", "store"):
            with self.subTest(victim), Farm(workers=0, **PATIENT) as farm:
                task, runs = aborted(farm, "broken off", 1000)
                answers = []

                def ask():
                    try:
                        answers.append(farm.post("/api/runs/restart", {"ids": runs}, headers={"Idempotency-Key": "again"}, timeout=60))
                    except (OSError, ValueError):
                        pass

                thread = threading.Thread(target=ask)
                thread.start()
                wait_for(lambda: "GTY" in farm.log("scheduler") and total(farm, f"task_id={task}") > 1000 or not thread.is_alive(), 60, "a beginning")
                farm.restart(victim)
                thread.join()
                farm.wait_ready()

                def again():
                    answer = farm.post("/api/runs/restart", {"ids": runs}, headers={"Idempotency-Key": "again"}, timeout=60)
                    return answer if answer.status == 200 and answer.body["data"]["done"] == 1000 else None

                data = wait_for(again, 60, "all of them done").body["data"]
                self.assertEqual(len({result["new_run_id"] for result in data["results"]}), 1000)
                self.assertEqual(total(farm, f"task_id={task}"), 2000)
                farm.terminate("store")
                fsck(farm)


class Commands(unittest.TestCase):
    def test_restart_abort_prune(self):
        with Farm(**PATIENT) as farm:
            task = farm.task("fails", "exit 3", retry_count=0)
            runs = [farm.trigger(task) for _ in range(3)]
            for run in runs:
                farm.wait_run(run)
            listed = gantry(farm, "runs", "--failed")
            self.assertEqual(listed.count("failed"), 3, listed)
            made = gantry(farm, "restart", "--failed", "--task", "fails").split()
            self.assertEqual(len(made), 3)
            for run in made:
                farm.wait_run(int(run))
            waits, many = waiting(farm, "waits", 1200)
            out = gantry(farm, "abort", "--pending", "--task", "waits")
            self.assertEqual(out.count("aborted"), 1200)
            self.assertIn("which run", subprocess.run([str(BUILD / "gantry"), "restart"], capture_output=True, text=True,
                                                      env=dict(clean_environment(), GANTRY_URL=f"http://127.0.0.1:{farm.port}")).stderr)
            self.assertIn("1200 ended runs are being removed", gantry(farm, "prune", "--before", LATER, "--task", "waits"))
            wait_for(lambda: total(farm, f"task_id={waits}") == 0, 90, "they are gone")

    def test_graph_and_why(self):
        with Farm(workers=0, **PATIENT) as farm:
            farm.task("a")
            farm.task("b", dependencies=["a"])
            farm.task("c", dependencies=["a", {"task": "b", "on": "failure"}])
            tree = gantry(farm, "graph", "b").splitlines()
            self.assertEqual(tree, ["1 a  active", "  2 b  active  waits", "    3 c  active  (on failure)  waits", "  3 c  active  waits"])
            self.assertEqual(gantry(farm, "graph", "b", "-d", "up").splitlines()[0], "2 b  active")
            dot = gantry(farm, "graph", "b", "--dot")
            self.assertIn("t1 -> t2;", dot)
            self.assertIn('t2 -> t3 [label="failure"];', dot)
            run = farm.trigger(2)
            why = gantry(farm, "why", str(run))
            self.assertIn("dependency", why)
            self.assertIn("task 1 a", why)

    def test_a_chain_of_thousands_is_drawn(self):
        with Farm(workers=0, **PATIENT) as farm:
            before = None
            for number in range(300):
                before = farm.task(f"t{number}", dependencies=[before] if before else [])
            tree = gantry(farm, "graph", str(before))
            self.assertEqual(len(tree.splitlines()), 300)
            self.assertIn("[299] 300 t299", tree)


if __name__ == "__main__":
    unittest.main()
