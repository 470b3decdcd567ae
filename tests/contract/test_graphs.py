"""Tasks that wait for tasks: conditions, the graph around a task, and why a run waits."""

from tests.contract.base import Contract
from tests.farm import wait_for


class Graphs(Contract):
    def create(self, name, status=201, **fields):
        body = {"name": name, "task_type": "shell", "executor": "shell", "command": "true", "retry_count": 0}
        return self.data(self.farm.post("/api/tasks", dict(body, **fields)), status)

    def ends(self, task, **fields):
        return self.farm.wait_run(self.farm.trigger(task, **fields))["status"]

    def test_conditions(self):
        good, bad = self.create("c good"), self.create("c bad", command="false")
        first = self.create("c first", dependencies=["c good", {"task": bad["id"], "on": "failure"}])
        self.assertEqual(first["dependencies"], ["c good", str(bad["id"])])
        self.assertEqual(first["dependency_conditions"], {str(bad["id"]): "failure"})
        got = self.data(self.farm.get(f"/api/tasks/{first['id']}"))
        self.assertEqual({k: got[k] for k in first}, first)
        run = self.farm.trigger(first["id"])
        self.ends(good["id"])
        self.ends(bad["id"])
        self.assertEqual(self.farm.wait_run(run)["status"], "completed")
        # What was answered can be given again; other dependencies bring their own conditions.
        again = {key: got[key] for key in ("dependencies", "dependency_conditions")}
        self.assertEqual(self.data(self.farm.put(f"/api/tasks/{first['id']}", again))["dependency_conditions"], got["dependency_conditions"])
        put = self.data(self.farm.put(f"/api/tasks/{first['id']}", {"dependencies": [good["id"]]}))
        self.assertEqual((put["dependencies"], "dependency_conditions" in put), ([str(good["id"])], False))
        put = self.data(self.farm.put(f"/api/tasks/{first['id']}", {"dependency_conditions": {"c good": "any"}}))
        self.assertEqual(put["dependency_conditions"], {"c good": "any"})

    def test_conditions_of_all(self):
        bad = self.create("a bad", command="false")
        handler = self.create("a handler", dependencies=["a bad"], metadata={"dependency_condition": "failure"})
        self.ends(bad["id"])
        run = wait_for(lambda: self.data(self.farm.get(f"/api/runs?task_id={handler['id']}"))["items"], what="the handler's run")[0]
        self.assertEqual(self.farm.wait_run(run["id"])["status"], "completed")
        # A condition that is not met fails the run, or lets it wait, or go on.
        good = self.create("a good")
        for policy, status in (("fail", "failed"), ("ignore", "completed")):
            task = self.create(f"a {policy}", dependencies=["a good"],
                               metadata={"dependency_condition": "failure", "on_dependency_failure": policy})
            run = self.farm.trigger(task["id"])
            self.ends(good["id"])
            ended = self.farm.wait_run(run)
            self.assertEqual(ended["status"], status)
            if policy == "fail":
                self.assertIn("whose failure it waits for, has completed", ended["error_message"])

    def test_renamed(self):
        def got(task):
            answer = self.data(self.farm.get(f"/api/tasks/{task}"))
            return answer["dependencies"], answer.get("dependency_conditions")

        def waits_for(task):
            graph = self.data(self.farm.get(f"/api/tasks/{task}/graph?direction=up&depth=1"))
            return sorted((edge["from"], edge["on"]) for edge in graph["edges"])

        first, second = self.create("n first")["id"], self.create("n second")["id"]
        waits = self.create("n waits", dependencies=["n first", {"task": second, "on": "failure"}, "n second"])["id"]
        edges = [(first, "success"), (second, "failure")]
        self.data(self.farm.put(f"/api/tasks/{first}", {"name": "n new first"}))
        self.data(self.farm.put(f"/api/tasks/{second}", {"name": "n new second"}))
        stranger = self.create("n first")["id"]  # the old name is another's now
        self.assertEqual(got(waits), (["n new first", str(second)], {str(second): "failure"}))
        whole = self.data(self.farm.get(f"/api/tasks/{waits}"))
        put = self.data(self.farm.put(f"/api/tasks/{waits}", whole))
        self.assertEqual((put["dependencies"], put["dependency_conditions"]), got(waits))
        self.assertEqual(waits_for(waits), edges)
        self.data(self.farm.put(f"/api/tasks/{waits}", {"description": "as before"}))
        self.assertEqual((got(waits)[0], waits_for(waits)), (["n new first", str(second)], edges))
        # A name that reads as an id, and a task that is gone, are shown by their id.
        self.data(self.farm.put(f"/api/tasks/{first}", {"name": str(stranger)}))
        self.assertEqual(got(waits)[0], [str(first), str(second)])
        shown = {"dependencies": got(waits)[0], "dependency_conditions": got(waits)[1]}
        self.data(self.farm.put(f"/api/tasks/{waits}", shown))
        self.assertEqual(waits_for(waits), edges)
        self.data(self.farm.delete(f"/api/tasks/{second}?force=true"))
        self.assertEqual(got(waits), ([str(first), str(second)], {str(second): "failure"}))
        self.data(self.farm.put(f"/api/tasks/{waits}", shown))
        self.assertEqual((got(waits), waits_for(waits)), (([str(first), str(second)], {str(second): "failure"}), edges[:1]))
        self.error(self.farm.put(f"/api/tasks/{stranger}", {"dependencies": [second]}), 422, "VALIDATION_ERROR", "dependencies", "unknown_dependency")

    def test_refused(self):
        self.create("r a")
        self.create("r b", dependencies=["r a"])
        chain = self.create("r c", dependencies=["r b"])
        error = self.error(self.farm.put(f"/api/tasks/{self.find('r a')}", {"dependencies": ["r c"]}), 422, "VALIDATION_ERROR", "dependencies",
                           "cycle", "r a -> r c -> r b -> r a")
        self.assertIn("r a -> r c -> r b -> r a", error["message"])
        english = self.farm.put(f"/api/tasks/{chain['id']}", {"dependencies": [chain["id"]]}, headers={"Accept-Language": "en"})
        self.assertIn("the dependencies form a circle: r c -> r c", english.body["error"]["message"])

        def refused(field, rule, status=422, **fields):
            body = {"name": "r never", "task_type": "shell", "executor": "shell", "command": "true"}
            self.error(self.farm.post("/api/tasks", dict(body, **fields)), status, "VALIDATION_ERROR", field, rule)

        refused("dependencies[0]", "type", dependencies=[{"on": "any"}])
        refused("dependencies[1]", "type", dependencies=["r a", {"task": [1]}])
        refused("dependency_conditions.r a", "enum", dependencies=[{"task": "r a", "on": "never"}])
        refused("dependencies[1]", "dependency_condition", dependencies=[{"task": "r a", "on": "any"}, {"task": "r a", "on": "failure"}])
        refused("dependency_conditions.r b", "dependency_condition", dependencies=["r a"], dependency_conditions={"r b": "any"})
        refused("dependency_conditions", "type", dependencies=["r a"], dependency_conditions=["any"])
        refused("metadata.dependency_condition", "enum", dependencies=["r a"], metadata={"dependency_condition": 1})
        refused("dependencies", "items", dependencies=["r a"] * 1001)

    def find(self, name):
        return self.data(self.farm.get(f"/api/tasks?name={name.replace(' ', '%20')}"))["items"][0]["id"]

    def test_graph(self):
        a = self.create("g a")["id"]
        b = self.create("g b", dependencies=["g a"])["id"]
        c = self.create("g c", dependencies=["g a", {"task": "g b", "on": "any"}])["id"]
        graph = self.data(self.farm.get(f"/api/tasks/{b}/graph"))
        self.assertEqual((graph["task_id"], graph["truncated"]), (b, False))
        nodes = {node["id"]: node for node in graph["nodes"]}
        self.assertEqual(set(nodes), {a, b, c})
        self.assertEqual(graph["nodes"][0]["id"], b)
        self.assertEqual(nodes[c], {"id": c, "name": "g c", "status": "active", "last_run_status": None, "distance": 1, "open_runs": 0,
                                    "waits_for": [a, b]})
        self.assertCountEqual(graph["edges"], [{"from": a, "to": b, "on": "success", "met": False},
                                               {"from": a, "to": c, "on": "success", "met": False},
                                               {"from": b, "to": c, "on": "any", "met": False}])
        up = self.data(self.farm.get(f"/api/tasks/{b}/graph?direction=up"))
        self.assertEqual([node["id"] for node in up["nodes"]], [b, a])
        self.assertEqual([node["id"] for node in self.data(self.farm.get(f"/api/tasks/{c}/graph?depth=1&direction=down"))["nodes"]], [c])
        self.ends(a)
        nodes = {node["id"]: node for node in self.data(self.farm.get(f"/api/tasks/{b}/graph?depth=1"))["nodes"]}
        self.assertEqual((nodes[a]["last_run_status"], nodes[b]["waits_for"]), ("completed", []))
        self.error(self.farm.get("/api/tasks/999999/graph"), 404, "RESOURCE_NOT_FOUND", "id")
        self.error(self.farm.get(f"/api/tasks/{a}/graph?depth=0"), 400, "VALIDATION_ERROR", "depth", "range")
        self.error(self.farm.get(f"/api/tasks/{a}/graph?direction=left"), 400, "VALIDATION_ERROR", "direction", "enum")
        once = self.data(self.farm.post("/api/runs", {"task_type": "shell", "command": "true", "dependencies": ["g a"]}), 201)
        self.farm.wait_run(once["run_id"])
        lone = self.data(self.farm.get(f"/api/tasks/{once['task_id']}/graph"))  # the scheduler does not keep it
        self.assertIn(once["task_id"], [node["id"] for node in lone["nodes"]])

    def why(self, run):
        return self.data(self.farm.get(f"/api/runs/{run}/why"))

    def test_why(self):
        nobody = self.data(self.farm.post("/api/runs", {"task_type": "cobol", "executor": "shell", "command": "true"}), 201)["run_id"]
        why = self.why(nobody)
        self.assertEqual((why["run_id"], why["status"], why["waits"], why["code"], why["dependency"]), (nobody, "pending", True, "no_worker", None))
        self.assertEqual(why["reason"], self.farm.run(nobody)["reason"])
        self.assertEqual((why["workers"]["serve_type"], why["workers"]["missing_labels"], why["queue"]), (0, [], {"ahead": 0}))
        labelled = self.data(self.farm.post("/api/runs", {"task_type": "shell", "command": "true", "labels": {"gpu": "yes"}}), 201)["run_id"]
        workers = self.why(labelled)["workers"]
        self.assertEqual((workers["serve_type"], workers["can_take"]), (1, 0))
        self.assertEqual(workers["missing_labels"], [{"name": "gpu", "value": "yes", "workers": 1}])
        first = self.create("w first", command="sleep 600")["id"]
        second = self.create("w second", dependencies=["w first"])["id"]
        waits, holds = self.farm.trigger(second), self.farm.trigger(first)
        wait_for(lambda: self.farm.run(holds)["status"] == "running", what="a run that runs")
        why = self.why(waits)
        self.assertEqual((why["code"], why["dependency"]), ("dependency", {"task_id": first, "task_name": "w first", "run_id": holds, "open": 1}))
        running = wait_for(lambda: (lambda it: it if it["code"] == "running" else None)(self.why(holds)), what="it is accepted")
        self.assertEqual((running["waits"], running["status"], running["workers"]), (False, "running", None))
        self.assertTrue(running["worker_id"])
        later = self.farm.trigger(first, delay_seconds=600)
        self.assertEqual(self.why(later)["code"], "delayed")
        self.assertEqual(self.why(later)["until"], self.farm.run(later)["due_at"])
        self.data(self.farm.post(f"/api/tasks/{second}/pause"))
        self.assertEqual(self.why(waits)["code"], "paused")
        self.data(self.farm.post(f"/api/runs/{holds}/abort"))
        over = self.why(holds)
        self.assertEqual((over["waits"], over["code"], over["status"]), (False, "final", "aborted"))
        self.error(self.farm.get("/api/runs/999999/why"), 404, "RESOURCE_NOT_FOUND", "id")
