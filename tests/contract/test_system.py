"""/api/workers, /api/system/health and the status page."""

import time

from tests.contract import examples
from tests.contract.base import Contract
from tests.farm import wait_for


class Workers(Contract):
    options = {"workers": 2, "types": ["shell", "exec"]}

    def test_the_example(self):
        listed = self.data(self.farm.get("/api/workers"))
        self.check_shape(listed, examples.WORKER_LIST)
        self.assertEqual((listed["total"], listed["page"], listed["size"], listed["total_pages"]), (2, 1, 20, 1))
        self.assertEqual([w["id"] for w in listed["items"]], ["worker-002", "worker-001"])
        self.assertEqual(listed["items"][0]["task_types"], ["shell", "exec"])
        self.assertEqual({w["status"] for w in listed["items"]}, {"active"})

    def test_one_worker_and_what_it_runs(self):
        flag = self.farm.data / "go-on"
        run = self.farm.trigger(self.farm.task("held", f"while [ ! -e {flag} ]; do sleep 0.05; done"))
        name = self.farm.wait_run(run, "running")["worker_id"]
        got = self.data(self.farm.get(f"/api/workers/{name}"))
        self.check_shape(got, examples.WORKER_DETAIL, more=examples.WORKER_MORE)
        self.assertEqual([task["run_id"] for task in got["current_tasks"]], [run])
        self.assertEqual(got["current_task_count"], 1)
        self.assertRegex(got["statistics"]["uptime"], r"^\d+d \d+h \d+m$")
        flag.touch()
        self.farm.wait_run(run)
        got = self.data(self.farm.get(f"/api/workers/{name}"))
        self.assertEqual((got["current_tasks"], got["current_task_count"]), ([], 0))
        self.assertEqual((got["statistics"]["total_tasks_executed"], got["statistics"]["successful_tasks"]), (1, 1))

    def test_filters_sorting_and_paging(self):
        def ids(query):
            return [item["id"] for item in self.data(self.farm.get("/api/workers?" + query))["items"]]

        both = ["worker-001", "worker-002"]
        self.assertEqual(ids("order=asc"), both)
        for sort in ("id", "hostname", "ip_address", "port", "status", "max_concurrent_tasks", "last_heartbeat", "registered_at", "created_at",
                     "load_average", "memory_usage", "cpu_usage"):
            self.assertEqual(sorted(ids(f"sort={sort}")), both, sort)
        self.assertEqual(ids("sort=id&order=asc&page=2&size=1"), ["worker-002"])
        self.assertEqual(sorted(ids("status=active&task_type=exec")), both)
        self.assertEqual(ids("task_type=python"), [])
        self.assertEqual(ids("status=offline"), [])
        self.assertEqual(ids("hostname=nowhere"), [])
        self.assertEqual(ids("page=7"), [])
        for query, field in [("status=asleep", "status"), ("page=0", "page"), ("sort=colour", "sort"), ("hostname=" + "x" * 256, "hostname")]:
            with self.subTest(query=query):
                self.error(self.farm.get("/api/workers?" + query), 400, "VALIDATION_ERROR", field)

    def test_unknown_workers(self):
        for name in ("worker-999", "x" * 100, "%E4%B8%AD"):
            self.error(self.farm.get(f"/api/workers/{name}"), 404, "RESOURCE_NOT_FOUND", "id")


class Health(Contract):
    def health(self):
        return self.farm.get("/api/system/health")

    def test_the_example(self):
        got = self.data(self.health())
        self.check_shape(got, examples.HEALTH)
        self.assertEqual((got["status"], got["components"]["scheduler"]["active_workers"]), ("healthy", 1))
        self.assertGreater(got["components"]["database"]["response_time"], 0)
        wait_for(lambda: self.data(self.health())["components"]["database"]["response_time"] < 1, what="a store that answers in less than a second")
        self.assertGreater(got["components"]["database"]["connection_pool"]["total"], 0)
        self.assertGreater(got["components"]["api"]["request_rate"], 0)

    def test_pending_runs_are_counted(self):
        self.farm.task("nobody serves it", task_type="mainframe")
        before = self.data(self.health())["components"]["scheduler"]["pending_tasks"]
        run = self.farm.trigger(self.farm.task("unserved", task_type="mainframe"))
        wait_for(lambda: self.data(self.health())["components"]["scheduler"]["pending_tasks"] == before + 1, what="the count of waiting runs")
        self.assertIn("mainframe", self.farm.run(run)["reason"])
        self.data(self.farm.post(f"/api/runs/{run}/abort"))

    def test_it_is_measured_at_most_once_a_second(self):
        began = time.monotonic()
        stamps = {self.data(self.health())["components"]["database"]["response_time"] for _ in range(20)}
        self.assertLessEqual(len(stamps), 3 + int(time.monotonic() - began))


class StatusPage(Contract):
    def test_shows_the_farm_and_escapes_everything(self):
        task = self.farm.task("<script>alert('x')</script>", "echo '<b>\"&'; exit 0")
        self.farm.wait_run(self.farm.trigger(task))
        answer = self.farm.get("/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
        self.assertIn("x-request-id", answer.headers)
        page = answer.body
        self.assertIn("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;", page)
        self.assertIn("&lt;b&gt;&quot;&amp;", page)
        self.assertNotIn("<script", page)
        self.assertIn("worker-001", page)
        self.assertIn('http-equiv="refresh"', page)
        self.assertIn('lang="zh"', page)
        self.assertIn("工作节点", page)
        english = self.farm.get("/", headers={"Accept-Language": "en-US,en;q=0.9"}).body
        self.assertIn('lang="en"', english)
        self.assertIn("Newest runs", english)
        self.assertEqual(self.farm.request("HEAD", "/").status, 200)
        self.error(self.farm.post("/"), 405, "VALIDATION_ERROR")


if __name__ == "__main__":
    import unittest
    unittest.main()
