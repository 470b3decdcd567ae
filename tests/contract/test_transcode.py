"""The transcode farm's API, and its older form: every endpoint, example, code and message."""

import re

from tests.bus import ScriptedWorker
from tests.contract.base import Contract
from tests.farm import wait_for
from tests.library import Scanner, fill, video, video_of

ROOT = "/library"
EN = {"Accept-Language": "en"}


class TranscodeContract(Contract):
    options = {"workers": 0, "library": f"{ROOT}:/other", "library_scan_minutes": 0, "transcode_offline_seconds": 3600,
               "transcode_offline_old_seconds": 3600, "transcode_report_seconds": 3600, "transcode_first_report_seconds": 3600}
    count = 0

    def setUp(self):
        self.addCleanup(self.empty)

    def empty(self):
        """What a test leaves waiting is nobody else's to find."""
        page = self.farm.get("/api/v1/videos?per_page=1000").body["data"]["videos"]
        if page:
            with Scanner(self.farm, ROOT) as scanner:
                scanner.say(gone=[one["id"] for one in page])
                scanner.end()

    def fill(self, *videos):
        return fill(self.farm, ROOT, *videos)

    def said(self, answer, status, message, code=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.body["code"], code or status)
        self.assertEqual(answer.body["message"], message)
        return answer.body.get("data")

    def refused(self, answer, status, *words):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(set(answer.body), {"code", "message"})
        self.assertEqual(answer.body["code"], status)
        for word in words:
            self.assertIn(word, answer.body["message"])

    def register(self, name=None, kind=0, vr=0, **more):
        TranscodeContract.count += 1
        name = name or f"工作机 {TranscodeContract.count}"
        answer = self.farm.post("/api/v1/workers", {"worker_name": name, "worker_type": kind, "support_vr": vr}, **more)
        self.assertEqual(answer.status, 201, answer)
        return answer.body["data"]["worker_id"], name

    def pull(self, worker, kind=0, vr=0, **more):
        return self.farm.post("/api/v1/tasks", dict({"worker_id": worker, "worker_type": kind, "support_vr": vr}, **more))

    def patch(self, task, worker, status, progress, headers=None, **more):
        body = dict({"worker_id": worker, "progress": progress, "status": status}, **more)
        return self.farm.request("PATCH", f"/api/v1/tasks/{task}", body, headers=headers)

    def task(self, number):
        return self.farm.get(f"/api/v1/tasks/{number}").body["data"]


class Workers(TranscodeContract):
    def test_register(self):
        body = {"worker_name": "first", "worker_type": 1, "support_vr": 0}
        data = self.said(self.farm.post("/api/v1/workers", body), 201, "注册成功")
        self.assertEqual(set(data), {"worker_id"})
        self.said(self.farm.post("/api/v1/workers", body), 409, "Worker first 已在线，注册失败")
        self.said(self.farm.post("/api/v1/workers", body, headers=EN), 409, "Worker first is online already; it was not registered")
        keyed = [self.farm.post("/api/v1/workers", dict(body, worker_name="keyed"), headers={"Idempotency-Key": "k1"}) for _ in range(2)]
        self.assertEqual([answer.status for answer in keyed], [201, 201])
        self.assertEqual(keyed[0].body, keyed[1].body)
        core = [w for w in self.farm.get("/api/workers?size=1000").body["data"]["items"] if w["hostname"] == "first"]
        self.assertEqual((core[0]["status"], core[0]["task_types"]), ("active", ["transcode"]))

    def test_what_is_missing_or_wrong(self):
        body = {"worker_name": "w", "worker_type": 1, "support_vr": 0}
        for field in body:
            for given in ({k: v for k, v in body.items() if k != field}, dict(body, **{field: None})):
                self.said(self.farm.post("/api/v1/workers", given), 400, "参数不完整")
        self.said(self.farm.post("/api/v1/workers"), 400, "参数不完整")
        self.said(self.farm.post("/api/v1/workers", {}, headers=EN), 400, "A required parameter is missing")
        for field, value in [("worker_type", "1"), ("worker_type", 4), ("worker_type", -1), ("worker_type", 1.5), ("support_vr", 2),
                             ("support_vr", True), ("worker_name", 7), ("worker_name", "x" * 201), ("worker_name", "")]:
            with self.subTest(field=field, value=value):
                self.refused(self.farm.post("/api/v1/workers", dict(body, **{field: value})), 400, field)
        self.assertEqual(self.farm.post("/api/v1/workers", dict(body, worker_type=2.0, more=1)).status, 201)
        self.refused(self.farm.post("/api/v1/workers", b"{"), 400, "JSON")
        self.refused(self.farm.post("/api/v1/workers", b"{}", headers={"Content-Type": "text/plain"}), 415, "application/json")
        self.refused(self.farm.request("PUT", "/api/v1/workers", {}), 405, "POST")
        self.assertIn("POST", self.farm.request("PUT", "/api/v1/workers", {}).headers["allow"])
        self.refused(self.farm.get("/api/v1/nothing"), 404, "/api/v1/nothing")

    def test_list_and_read(self):
        number, name = self.register(kind=2, vr=1)
        one = self.said(self.farm.get(f"/api/v1/workers/{number}"), 200, "成功")
        wanted = {"worker_id": number, "worker_name": name, "worker_type": 2, "support_vr": 1, "status": 1}
        self.assertEqual({key: one[key] for key in wanted}, wanted)
        self.assertEqual((one["session"], one["action"]), (False, None))
        answer = self.farm.get("/api/v1/workers")
        data = self.said(answer, 200, "成功")
        self.assertEqual(data[0], dict(one, last_heartbeat=data[0]["last_heartbeat"]))
        self.assertEqual(answer.body["pagination"]["total"], len(data))
        first, second = (self.farm.get(f"/api/v1/workers?page={page}&per_page=1") for page in (1, 2))
        self.assertEqual([first.body["data"][0], second.body["data"][0]], data[:2])
        self.assertEqual((first.body["pagination"]["has_next"], first.body["pagination"]["has_prev"]), (True, False))
        self.assertEqual(self.farm.get("/api/v1/workers?page=999").body["data"], [])
        for number in ("99999", "0", "x", "-1"):
            self.said(self.farm.get(f"/api/v1/workers/{number}"), 404, "Worker不存在")

    def test_update(self):
        number, name = self.register()
        self.said(self.farm.put(f"/api/v1/workers/{number}", {"worker_type": 3}), 200, "更新成功")
        one = self.farm.get(f"/api/v1/workers/{number}").body["data"]
        self.assertEqual((one["worker_name"], one["worker_type"], one["support_vr"]), (name, 3, 0))
        self.said(self.farm.put(f"/api/v1/workers/{number}", {"worker_name": name + "!", "support_vr": 1}), 200, "更新成功")
        one = self.farm.get(f"/api/v1/workers/{number}").body["data"]
        self.assertEqual((one["worker_name"], one["worker_type"], one["support_vr"]), (name + "!", 3, 1))
        other, other_name = self.register()
        self.said(self.farm.put(f"/api/v1/workers/{number}", {"worker_name": other_name}), 409, f"Worker名称 {other_name} 已被使用")
        self.said(self.farm.put(f"/api/v1/workers/{number}", {}), 400, "参数不完整")
        self.refused(self.farm.put(f"/api/v1/workers/{number}", {"worker_name": ""}), 400, "worker_name")
        self.said(self.farm.put("/api/v1/workers/99999", {"worker_type": 1}), 404, "Worker不存在")

    def test_delete(self):
        number, name = self.register()
        self.said(self.farm.delete(f"/api/v1/workers/{number}"), 200, "删除成功")
        self.said(self.farm.delete(f"/api/v1/workers/{number}"), 404, "Worker不存在")
        self.said(self.farm.get(f"/api/v1/workers/{number}"), 404, "Worker不存在")
        self.assertNotEqual(self.register(name)[0], number)

    def test_heartbeat(self):
        number, name = self.register()
        beat = {"worker_name": name, "worker_id": number}
        self.said(self.farm.post("/api/v1/workers/heartbeat", beat), 200, "心跳成功")
        for field in beat:
            self.said(self.farm.post("/api/v1/workers/heartbeat", {k: v for k, v in beat.items() if k != field}), 400, "参数不完整")
        self.said(self.farm.post("/api/v1/workers/heartbeat", {"worker_name": "nobody", "worker_id": 99999}), 404, "Worker不存在")
        self.said(self.farm.post("/api/v1/workers/heartbeat", {"worker_name": "nobody", "worker_id": 99999}, headers=EN), 404,
                  "There is no such worker")

    def test_directives(self):
        self.fill(video("directive.mp4"))
        number, _ = self.register()
        path = f"/api/v1/workers/{number}/offline"
        for action in ("offline", "shutdown"):
            self.said(self.farm.post(path, {"action": action}), 200, "下线指令已发送")
            self.assertEqual(self.said(self.pull(number), 200, "worker should offline", 205), {"action": action})
            self.assertEqual(self.farm.get(f"/api/v1/workers/{number}").body["data"]["action"], action)
        for body in ({"action": "sleep"}, {}, {"action": 1}):
            self.said(self.farm.post(path, body), 400, "无效的下线动作")
        self.said(self.farm.delete(path), 200, "下线指令已取消")
        self.said(self.pull(number), 201, "任务创建成功")
        self.said(self.farm.post("/api/v1/workers/99999/offline", {"action": "offline"}), 404, "Worker不存在")
        self.said(self.farm.delete("/api/v1/workers/99999/offline"), 404, "Worker不存在")

    def test_what_the_core_lets_it_do(self):
        """Only its farm watches it: it gets no runs but that farm's."""
        number, _ = self.register()
        path = f"/api/workers/worker-{number:03d}"
        self.assertEqual(self.farm.post(f"{path}/lease", {"wait_seconds": 0}).status, 409)
        self.assertEqual(self.farm.post(f"{path}/heartbeat", {}).status, 409)
        for body in ({"task_types": ["shell"]}, {"executors": ["shell"]}, {"max_concurrent_tasks": 4}, {"labels": {"a": "b"}}):
            self.assertEqual(self.farm.put(path, body).status, 409, body)
        self.assertEqual(self.farm.put(path, {"status": "draining"}).status, 200)
        self.assertEqual(self.farm.put(path, {"status": "active"}).status, 200)

    def test_one_with_a_session(self):
        with ScriptedWorker(self.farm.endpoint("workers"), types=("transcode",), executors=("transcode",)) as worker:
            welcome = worker.hello(labels={"transcode.encoders": "nvenc,cpu"})
            number = welcome["worker_id"]
            one = self.farm.get(f"/api/v1/workers/{number}").body["data"]
            self.assertEqual((one["session"], one["worker_type"], one["status"], one["worker_name"]), (True, 1, 1, "scripted"))
            self.said(self.farm.put(f"/api/v1/workers/{number}", {"worker_type": 1}), 409, f"Worker {welcome['name']} 通过会话工作，此项由其自身声明")
            self.said(self.farm.delete(f"/api/v1/workers/{number}"), 409, f"Worker {welcome['name']} 通过会话工作，此项由其自身声明")
            self.said(self.farm.post(f"/api/v1/workers/{number}/offline", {"action": "offline"}), 200, "下线指令已发送")
            self.assertEqual(self.farm.get(f"/api/workers/{welcome['name']}").body["data"]["status"], "draining")
            self.said(self.farm.delete(f"/api/v1/workers/{number}/offline"), 200, "下线指令已取消")
            self.assertEqual(self.farm.get(f"/api/workers/{welcome['name']}").body["data"]["status"], "active")
            worker.tell("bye")


class Tasks(TranscodeContract):
    def test_the_life_of_one(self):
        ids = self.fill(video("a/b.mp4"))
        number, name = self.register()
        data = self.said(self.pull(number, dest_path="/out/b.mp4"), 201, "任务创建成功")
        task = data["task_id"]
        self.assertEqual(data, {"task_id": task, "video_path": "a/b.mp4", "dest_path": "/out/b.mp4"})
        self.assertIsInstance(task, str)
        self.said(self.pull(number), 404, "没有待转码的视频")
        self.said(self.pull(number, headers_en=1), 404, "没有待转码的视频")
        one = self.said(self.farm.get(f"/api/v1/tasks/{task}"), 200, "成功")
        wanted = {"task_id": task, "video_path": "a/b.mp4", "dest_path": "/out/b.mp4", "worker_id": number, "worker_name": name,
                  "progress": 0, "status": 1, "error_message": None, "remaining_time": None}
        self.assertEqual({key: one[key] for key in wanted}, wanted)
        self.assertIsInstance(one["elapsed_time"], int)
        self.assertEqual(video_of(self.farm, ids["a/b.mp4"])["transcode_status"], 2)
        self.said(self.patch(task, number, 1, 12.5, elapsed_time=3, remaining_time=21), 200, "更新成功")
        one = self.task(task)
        self.assertEqual((one["progress"], one["elapsed_time"], one["remaining_time"]), (12.5, 3, 21))
        shown = video_of(self.farm, ids["a/b.mp4"])
        self.assertEqual((shown["transcode_status"], shown["transcode_task_id"]), (3, int(task)))
        run = self.farm.run(int(task))
        self.assertEqual((run["status"], run["progress"]), ("running", 12.5))
        self.said(self.patch(task, number, 2, 100, elapsed_time=24), 200, "更新成功")
        one = self.task(task)
        self.assertEqual((one["status"], one["progress"], one["elapsed_time"], one["remaining_time"]), (2, 100, 24, 0))
        self.assertEqual(video_of(self.farm, ids["a/b.mp4"])["transcode_status"], 4)
        self.assertEqual(self.farm.run(int(task))["status"], "completed")
        self.said(self.patch(task, number, 2, 100), 200, "更新成功")
        for status in (0, 1, 3):
            self.said(self.patch(task, number, status, 1), 409, "任务已结束，状态不可更改")
        self.assertEqual(self.task(task), one)

    def test_what_is_missing_or_wrong(self):
        self.fill(video("wrong.mp4"))
        number, _ = self.register()
        body = {"worker_id": number, "worker_type": 0, "support_vr": 0}
        for field in body:
            self.said(self.farm.post("/api/v1/tasks", {k: v for k, v in body.items() if k != field}), 400, "参数不完整")
        self.said(self.pull(99999), 404, "Worker不存在")
        self.refused(self.pull(str(number)), 400, "worker_id")
        self.refused(self.pull(number, dest_path=7), 400, "dest_path")
        task = self.said(self.pull(number, dest_path=None), 201, "任务创建成功")["task_id"]
        self.assertIsNone(self.task(task)["dest_path"])
        report = {"worker_id": number, "progress": 1, "status": 1}
        for field in report:
            given = {k: v for k, v in report.items() if k != field}
            self.said(self.farm.request("PATCH", f"/api/v1/tasks/{task}", given), 400, "参数不完整")
        for field, value in [("progress", 101), ("progress", -1), ("progress", "1"), ("status", 4), ("status", "1"), ("elapsed_time", -1),
                             ("error_message", 1), ("remaining_time", "x")]:
            with self.subTest(field=field, value=value):
                self.refused(self.farm.request("PATCH", f"/api/v1/tasks/{task}", dict(report, **{field: value})), 400, field)
        other, _ = self.register()
        self.said(self.patch(task, other, 1, 1), 409, "任务不属于该Worker")
        self.said(self.patch(task, other, 1, 1, headers=EN), 409, "The task is not this worker's")
        for missing in ("999999", "x", "0"):
            self.said(self.patch(missing, number, 1, 1), 404, "任务不存在")
            self.said(self.farm.get(f"/api/v1/tasks/{missing}"), 404, "任务不存在")
        self.assertEqual(self.task(task)["status"], 1)

    def test_failure(self):
        ids = self.fill(video("fails.mp4"))
        number, _ = self.register()
        for attempt in (1, 2, 3):
            task = self.pull(number).body["data"]["task_id"]
            self.said(self.patch(task, number, 3, 40, error_message="x265 [error]: 内存"), 200, "更新成功")
            one = self.task(task)
            self.assertEqual((one["status"], one["error_message"], one["remaining_time"]), (3, "x265 [error]: 内存", None))
            self.assertEqual(video_of(self.farm, ids["fails.mp4"])["transcode_status"], 5)
            line = self.farm.get(f"/api/v1/logs?task_id={task}").body["data"]["logs"][0]
            self.assertEqual((line["log_level"], line["log_message"], line["task_id"]), (3, "x265 [error]: 内存", int(task)))
        self.said(self.pull(number), 404, "没有待转码的视频")
        number_of = ids["fails.mp4"]
        data = self.said(self.farm.request("PATCH", f"/api/v1/videos/{number_of}", {"transcode_status": 1}), 200, "更新成功")
        self.assertEqual((data["transcode_status"], data["attempts"]), (1, 0))
        self.assertEqual(self.pull(number).status, 201)

    def test_selection(self):
        self.fill(video("low.mp4", bitrate_k=1000), video("high.mp4", bitrate_k=9000), video("uhd.mp4", width=3840, height=2160, bitrate_k=90000),
                  video("vr.mp4", is_vr=True, width=3840, height=1920, bitrate_k=99000), video("hevc.mp4", codec="hevc", bitrate_k=3000))
        nvenc, _ = self.register(kind=1)
        cpu, _ = self.register()
        order = [self.pull(nvenc, kind=1), self.pull(nvenc, kind=1), self.pull(nvenc, kind=1), self.pull(cpu), self.pull(cpu), self.pull(cpu, vr=1)]
        self.assertEqual([answer.body["data"]["video_path"] if answer.status == 201 else answer.status for answer in order],
                         ["high.mp4", "low.mp4", 404, "uhd.mp4", 404, "vr.mp4"])

    def test_list(self):
        self.fill(*(video(f"list{n}.mp4", bitrate_k=1000 + n) for n in range(5)))
        number, name = self.register()
        tasks = [self.pull(number).body["data"]["task_id"] for _ in range(5)]
        for index, progress in enumerate((50, 10, 90.5)):
            self.patch(tasks[index], number, 1, progress)
        self.patch(tasks[3], number, 2, 100)
        self.patch(tasks[4], number, 3, 5, error_message="no")
        answer = self.farm.get("/api/v1/tasks?per_page=5")
        data = self.said(answer, 200, "成功")
        self.assertEqual([one["task_id"] for one in data], tasks[::-1])
        self.assertEqual(answer.body["pagination"]["per_page"], 5)
        self.assertLessEqual({"task_id", "video_path", "dest_path", "worker_id", "worker_name", "progress", "status", "elapsed_time",
                              "remaining_time"}, set(data[0]))
        mine = lambda query: [one["task_id"] for one in self.farm.get(f"/api/v1/tasks?per_page=1000&{query}").body["data"]  # noqa: E731
                              if one["worker_id"] == number]
        self.assertEqual(mine("status[]=3"), [tasks[4]])
        self.assertEqual(mine("status%5B%5D=2&status%5B%5D=3"), [tasks[4], tasks[3]])
        self.assertEqual(mine("status[]=1&sort_by=progress&order=asc"), [tasks[1], tasks[0], tasks[2]])
        self.assertEqual(mine("sort_by=start_time&order=asc"), tasks)
        self.assertEqual(sorted(mine("sort_by=status")[:1]), [tasks[4]])
        for query, word in [("sort_by=x", "start_time, progress, status"), ("order=up", "asc"), ("page=0", "page"), ("page=-1", "page"), ("page=x", "page"),
                            ("per_page=0", "per_page"), ("status[]=9", "status"), ("status[]=x", "status")]:
            with self.subTest(query):
                self.refused(self.farm.get(f"/api/v1/tasks?{query}"), 400, word)
        self.assertEqual(self.farm.get("/api/v1/tasks?per_page=5000").body["pagination"]["per_page"], 1000)
        self.patch(tasks[0], number, 2, 100)
        self.assertEqual(mine("sort_by=status&order=asc"), [tasks[index] for index in (1, 2, 0, 3, 4)])
        self.assertEqual(mine("sort_by=status"), [tasks[index] for index in (4, 3, 0, 2, 1)])

    def test_idempotency(self):
        self.fill(video("once.mp4"), video("twice.mp4"))
        number, _ = self.register()
        body = {"worker_id": number, "worker_type": 0, "support_vr": 0}
        answers = [self.farm.post("/api/v1/tasks", body, headers={"Idempotency-Key": "pull-1"}) for _ in range(2)]
        self.assertEqual(answers[0].body, answers[1].body)
        self.refused(self.farm.post("/api/v1/tasks", dict(body, worker_type=1), headers={"Idempotency-Key": "pull-1"}), 422)

    def test_a_worker_with_a_session_gets_one(self):
        ids = self.fill(video("session.mp4"))
        with ScriptedWorker(self.farm.endpoint("workers"), types=("transcode",), executors=("transcode",)) as worker:
            number = worker.hello(labels={"transcode.encoders": "cpu"})["worker_id"]
            run = worker.assignment()
            self.assertEqual((run["parameters"]["path"], run["parameters"]["root"], run["parameters"]["encoder"], run["parameters"]["video_id"]),
                             ("session.mp4", ROOT, "cpu", ids["session.mp4"]))
            self.assertEqual((run["spec"]["executor"], run["spec"]["output"]), ("transcode", "session.mp4"))
            lease = {"run_id": run["run_id"], "attempt": run["attempt"]}
            worker.tell("accept", leases=[lease])
            worker.tell("progress", items=[dict(lease, percent=25.0, note="eta=75")])
            worker.tell("log", chunk=dict(lease, lines=[{"seq": 1, "level": 1, "text": "frame=1"}]))
            worker.expect("log_ack")
            one = wait_for(lambda: self.task(run["run_id"])["progress"] == 25 and self.task(run["run_id"]), what="progress")
            self.assertEqual((one["status"], one["remaining_time"]), (1, 75))
            self.assertEqual((one["worker_id"], one["worker_name"]), (number, "scripted"))
            self.assertEqual(self.farm.get(f"/api/v1/workers/{number}").body["data"]["worker_name"], "scripted")
            listed = [row for row in self.farm.get("/api/v1/tasks").body["data"] if row["task_id"] == str(run["run_id"])]
            self.assertEqual([(row["worker_id"], row["worker_name"]) for row in listed], [(number, "scripted")])
            self.assertEqual(self.farm.get(f"/api/v1/logs?task_id={run['run_id']}").body["data"]["logs"][0]["log_message"], "frame=1")
            worker.insist("result", "result_ack", items=[dict(lease, outcome=1, result='{"dest":"/out/s.mp4","size_after":30000000}')])
            one = self.task(run["run_id"])
            self.assertEqual((one["status"], one["dest_path"], one["size_after"]), (2, "/out/s.mp4", 30000000))
            self.assertEqual(video_of(self.farm, ids["session.mp4"])["transcode_status"], 4)
            worker.tell("bye")

    def test_one_in_segments(self):
        long = {"duration_ms": 1800000, "container": "matroska", "bitrate_k": 9000}
        ids = self.fill(video("long.mkv", **long), video("next.mkv", **dict(long, bitrate_k=10)))
        other = video_of(self.farm, ids["next.mkv"])
        with ScriptedWorker(self.farm.endpoint("workers"), types=("transcode",), executors=("transcode", "clear"), slots=2) as worker:
            worker.hello(labels={"transcode.encoders": "cpu", "transcode.joins": "contract"})
            run = worker.assignment()
            task = run["run_id"]
            lease = {"run_id": task, "attempt": run["attempt"]}
            self.assertEqual(run["parameters"]["segment_ms"], 600000)
            worker.tell("accept", leases=[lease])
            worker.tell("transcode_cut", cut={"id": task, "starts": [0, 600, 1200], "length": 1800, "base_num": 1, "base_den": 1, "codec": "hevc",
                                              "crf": 22, "preset": "medium"}, **lease)
            self.assertEqual(worker.expect("cancel")["leases"][0]["run_id"], task)
            worker.insist("result", "result_ack", items=[dict(lease, outcome=4)])
            part = worker.assignment()
            self.assertEqual([part["parameters"][name] for name in ("task", "segment", "segments", "from", "to", "as_codec", "as_crf", "as_preset")],
                             [task, 1, 3, "0", "600", "hevc", 22, "medium"])
            one = self.task(task)
            self.assertEqual((one["status"], one["segments"], one["segments_made"], one["progress"]), (1, 3, 0, 0))
            lease = {"run_id": part["run_id"], "attempt": part["attempt"]}
            worker.tell("log", chunk=dict(lease, lines=[{"seq": 1, "level": 1, "text": "frame=1"}]))
            worker.expect("log_ack")
            lines = self.farm.get(f"/api/v1/logs?task_id={task}").body["data"]["logs"]
            self.assertEqual(lines[0]["log_message"], "[1/3] frame=1")
            worker.insist("result", "result_ack", items=[dict(lease, outcome=1, result='{"seconds":300,"preset":"medium"}')])
            one = wait_for(lambda: self.task(task)["segments_made"] == 1 and self.task(task), what="a segment")
            self.assertAlmostEqual(one["progress"], 95 / 3, delta=0.1)
            self.assertEqual(one["remaining_time"], 600)
            self.assertEqual(self.farm.get(f"/api/runs/{task}").body["data"]["status"], "pending")
            other = video_of(self.farm, ids["next.mkv"])
            self.assertEqual((other["transcode_status"], other["estimated_time"]), (1, 900))
            listed = self.farm.get("/api/v1/videos?transcode_status[]=1").body["data"]["videos"]
            self.assertEqual([one["estimated_time"] for one in listed], [900])
            part = worker.assignment()
            self.assertEqual(self.farm.post(f"/api/runs/{task}/abort", {}).status, 200)
            self.assertEqual(worker.expect("cancel")["leases"][0]["run_id"], part["run_id"])
            self.assertEqual(self.task(task)["status"], 3)
            self.assertEqual(self.farm.get(f"/api/runs/{part['run_id']}").body["data"]["status"], "aborted")
            worker.tell("bye")


class Saved(TranscodeContract):
    def saved(self):
        stats = self.said(self.farm.get("/api/v1/statistics"), 200, "成功")
        line = re.search(r"^gantry_transcode_saved_bytes_total (\d+)$", self.farm.get("/api/system/metrics").body, re.M)
        return stats["results"], stats["saved_bytes"], int(line.group(1))

    def test_what_is_saved(self):
        """Counted with the result, and taken back by who undoes it, once."""
        ids = self.fill(video("saves.mp4", size=1000000))
        with ScriptedWorker(self.farm.endpoint("workers"), types=("transcode",), executors=("transcode", "undo")) as worker:
            worker.hello(labels={"transcode.encoders": "cpu"})
            run = worker.assignment()
            lease = {"run_id": run["run_id"], "attempt": run["attempt"]}
            worker.insist("result", "result_ack", items=[dict(lease, outcome=1, result='{"dest":"/out/s.mp4","size_after":400000}')])
            wait_for(lambda: self.saved() == (1, 600000, 600000), what="what it saves")
            for _ in range(2):
                answer = self.farm.post("/api/runs", {"task_type": "transcode", "executor": "undo", "command": "saves.mp4", "parameters": {"root": ROOT}})
                self.assertEqual(answer.status, 201, answer)
                run = worker.assignment()
                lease = {"run_id": run["run_id"], "attempt": run["attempt"]}
                found = dict(video("saves.mp4", size=1000000), id=ids["saves.mp4"])
                name, fields = worker.ask("library_found", seq=1, root=ROOT, videos=[found], walked=1, **lease)
                self.assertEqual(name, "library_found_ack", fields)
                worker.insist("result", "result_ack", items=[dict(lease, outcome=1)])
            wait_for(lambda: self.saved() == (0, 0, 0), what="that it saves nothing any more")
            worker.tell("bye")


    def undo(self, worker, found, **parameters):
        """Its run, by a worker that says what is at its place again."""
        body = {"task_type": "transcode", "executor": "undo", "command": found["path"], "parameters": dict(parameters, root=ROOT)}
        self.assertEqual(self.farm.post("/api/runs", body).status, 201)
        run = worker.assignment()
        lease = {"run_id": run["run_id"], "attempt": run["attempt"]}
        name, fields = worker.ask("library_found", seq=1, root=ROOT, videos=[found], walked=1, **lease)
        self.assertEqual(name, "library_found_ack", fields)
        worker.insist("result", "result_ack", items=[dict(lease, outcome=1)])

    def test_in_its_place_and_beside_it(self):
        """Workers put their results here and there: each counts, and is taken back, for itself."""
        number = self.fill(video("mixed.mp4", size=1000000))["mixed.mp4"]
        source, found = f"{ROOT}/mixed.mp4", dict(video("mixed.mp4", size=1000000), id=number)
        with ScriptedWorker(self.farm.endpoint("workers"), types=("transcode",), executors=("transcode", "undo")) as worker:
            worker.hello(labels={"transcode.encoders": "cpu"})

            def made(result):
                run = worker.assignment()
                worker.insist("result", "result_ack", items=[{"run_id": run["run_id"], "attempt": run["attempt"], "outcome": 1, "result": result}])

            def again():
                self.said(self.farm.request("PATCH", f"/api/v1/videos/{number}", {"transcode_status": 1}), 200, "更新成功")

            made(f'{{"dest":"{source}","size_after":600000,"replaced":true}}')
            wait_for(lambda: self.saved() == (1, 400000, 400000), what="what it saves in its place")
            for size, saved in ((500000, 900000), (300000, 1100000)):  # the second beside it is instead of the first
                again()
                made(f'{{"dest":"/out/mixed.mp4","size_after":{size}}}')
                wait_for(lambda saved=saved: self.saved() == (2, saved, saved), what="what it saves beside it")
            for _ in range(2):
                self.undo(worker, found, source=source, dest=source, bak=f"{source}.bak")
                wait_for(lambda: self.saved() == (1, 700000, 700000), what="the result beside it")
            one = video_of(self.farm, number)
            self.assertEqual((one["transcode_status"], one["excluded"]), (0, True))
            self.undo(worker, found, source=source, dest="/out/mixed.mp4", bak="")
            wait_for(lambda: self.saved() == (0, 0, 0), what="nothing any more")
            worker.tell("bye")


class Old(TranscodeContract):
    def test_the_four_paths(self):
        ids = self.fill(video("old.mp4"))
        body = {"worker_name": "老电脑", "worker_type": 0, "support_vr": 0}
        data = self.said(self.farm.post("/api/v1/worker/register", body), 200, "注册成功")
        number = data["worker_id"]
        self.assertEqual(self.said(self.farm.post("/api/v1/worker/register", body), 200, "注册成功")["worker_id"], number)
        self.said(self.farm.post("/api/v1/workers", body), 409, "Worker 老电脑 已在线，注册失败")
        who = {"worker_name": "老电脑", "worker_id": number}
        self.said(self.farm.post("/api/v1/worker/heartbeat", who), 200, "心跳成功")
        data = self.said(self.farm.get(f"/api/v1/task/new?worker_id={number}&worker_name=%E8%80%81%E7%94%B5%E8%84%91"), 200, "任务创建成功")
        self.assertEqual(set(data), {"task_id", "video_path", "dest_path"})
        self.assertEqual(data["video_path"], "old.mp4")
        answer = self.farm.request("GET", "/api/v1/task/new", who)
        self.assertIsNone(self.said(answer, 200, "没有新任务"))
        self.assertIn("data", answer.body)
        report = {"task_id": data["task_id"], "worker_id": number, "progress": 55, "status": 1}
        self.said(self.farm.post("/api/v1/task/progress", report), 200, "更新成功")
        self.assertEqual(self.task(data["task_id"])["progress"], 55)
        self.said(self.farm.post("/api/v1/task/progress", dict(report, task_id="x")), 404, "任务不存在")
        self.said(self.farm.post("/api/v1/task/progress", {k: v for k, v in report.items() if k != "task_id"}), 400, "参数不完整")
        self.said(self.farm.post("/api/v1/task/progress", dict(report, status=2)), 200, "更新成功")
        self.assertEqual(video_of(self.farm, ids["old.mp4"])["transcode_status"], 4)
        self.said(self.farm.get("/api/v1/task/new"), 400, "参数不完整")
        self.said(self.farm.get("/api/v1/task/new?worker_id=99999&worker_name=x"), 404, "Worker不存在")
        self.said(self.farm.post("/api/v1/worker/register", {}), 400, "参数不完整")

    def new(self, kind, vr):
        """The path of what one of this registration is given by the older form."""
        body = {"worker_name": f"new {kind} {vr}", "worker_type": kind, "support_vr": vr}
        number = self.said(self.farm.post("/api/v1/worker/register", body), 200, "注册成功")["worker_id"]
        data = self.farm.request("GET", "/api/v1/task/new", {"worker_id": number, "worker_name": body["worker_name"]}).body["data"]
        return data and data["video_path"]

    def test_what_was_registered_counts(self):
        """Type and VR, of all that waits."""
        self.fill(video("flat.mp4", bitrate_k=5000), video("uhd.mp4", width=3840, height=2160, bitrate_k=90000),
                  video("vr.mp4", is_vr=True, width=3840, height=1920, bitrate_k=99000), video("vr small.mp4", is_vr=True, bitrate_k=1000))
        self.assertEqual([self.new(kind, vr) for kind, vr in ((1, 0), (1, 1), (0, 0), (0, 1))], ["flat.mp4", "vr small.mp4", "uhd.mp4", "vr.mp4"])

    def test_registered_again_with_a_task(self):
        """It has been started anew: what it was at has failed, and it may be given that once more."""
        ids = self.fill(video("again.mp4"))
        body = {"worker_name": "anew", "worker_type": 0, "support_vr": 0}
        number = self.farm.post("/api/v1/worker/register", body).body["data"]["worker_id"]
        ask = f"/api/v1/task/new?worker_id={number}&worker_name=anew"
        task = self.farm.get(ask).body["data"]["task_id"]
        self.assertEqual(self.said(self.farm.post("/api/v1/worker/register", body), 200, "注册成功")["worker_id"], number)
        one = self.task(task)
        self.assertEqual((one["status"], one["error_message"]), (3, "Worker离线,任务终止"))
        self.assertEqual(video_of(self.farm, ids["again.mp4"])["transcode_status"], 5)
        self.said(self.patch(task, number, 1, 50), 409, "任务已结束，状态不可更改")
        self.assertEqual(self.farm.get(ask).body["data"]["video_path"], "again.mp4")


class Videos(TranscodeContract):
    def test_one(self):
        ids = self.fill(video("电影/一.mkv", size=1572864, codec="hevc", bitrate_k=99000, fps=23.976, width=3840, height=2160, container="matroska",
                              detail={"streams": [{"codec": "hevc"}]}),
                        video("broken.mp4", codec="", error="moov atom not found"))
        one = self.said(self.farm.get(f"/api/v1/videos/{ids['电影/一.mkv']}"), 200, "成功")
        wanted = {"id": ids["电影/一.mkv"], "video_path": "电影/一.mkv", "codec": "hevc", "bitrate_k": 99000, "video_size": 1.5, "fps": 23.976,
                  "resolution": {"width": 3840, "height": 2160}, "is_vr": 0, "transcode_status": 1, "transcode_task_id": None, "library": ROOT,
                  "detail": {"streams": [{"codec": "hevc"}]}, "error": None, "attempts": 0, "excluded": False}
        self.assertEqual({key: one[key] for key in wanted}, wanted)
        self.assertRegex(one["update_time"], re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"))
        broken = self.farm.get(f"/api/v1/videos/{ids['broken.mp4']}").body["data"]
        self.assertEqual((broken["transcode_status"], broken["error"]), (0, "moov atom not found"))
        path = f"/api/v1/videos/{ids['broken.mp4']}"
        self.said(self.farm.request("PATCH", path, {"transcode_status": 1}), 409, "视频无法读取：moov atom not found")
        for missing in ("99999", "x"):
            self.said(self.farm.get(f"/api/v1/videos/{missing}"), 404, "视频不存在")
            self.said(self.farm.request("PATCH", f"/api/v1/videos/{missing}", {"transcode_status": 0}), 404, "视频不存在")
        self.said(self.farm.request("PATCH", path, {}), 400, "参数不完整")
        self.refused(self.farm.request("PATCH", path, {"transcode_status": 2}), 400, "transcode_status")

    def test_queued_and_excluded(self):
        ids = self.fill(video("hand.mp4"))
        path = f"/api/v1/videos/{ids['hand.mp4']}"
        number, _ = self.register()
        self.assertEqual(self.said(self.farm.request("PATCH", path, {"transcode_status": 0}), 200, "更新成功")["excluded"], True)
        self.assertEqual(self.pull(number).status, 404)
        self.fill(video("hand.mp4", size=7))  # another version of it, and still nobody wants it
        self.assertEqual(self.pull(number).status, 404)
        self.said(self.farm.request("PATCH", path, {"transcode_status": 1}), 200, "更新成功")
        self.assertEqual(self.pull(number).status, 201)
        self.said(self.farm.request("PATCH", path, {"transcode_status": 0}), 409, "视频正在转码")

    def test_put_first(self):
        ids = self.fill(video("high.mp4", bitrate_k=90000), video("low.mp4", bitrate_k=5))
        number, _ = self.register()
        path = f"/api/v1/videos/{ids['low.mp4']}"
        self.assertTrue(self.said(self.farm.request("PATCH", path, {"bumped": True}), 200, "更新成功")["bumped"])
        self.refused(self.farm.request("PATCH", path, {"bumped": 1}), 400, "bumped")
        self.assertEqual([self.pull(number).body["data"]["video_path"] for _ in range(2)], ["low.mp4", "high.mp4"])

    def test_list(self):
        self.fill(video("b.mp4", bitrate_k=3000, size=3 << 20), video("a.mp4", bitrate_k=1000, size=1 << 20, width=1280, height=720),
                  video("c holiday.mp4", bitrate_k=2000, size=2 << 20, is_vr=True, width=3840, height=1920),
                  video("d.mp4", codec="hevc", bitrate_k=10, size=4 << 20), video("e.mkv", codec="av1", bitrate_k=20, size=5 << 20))

        def paths(query):
            return [one["video_path"][0] for one in self.farm.get(f"/api/v1/videos?{query}").body["data"]["videos"]]

        answer = self.farm.get("/api/v1/videos?per_page=2&page=2")
        data = self.said(answer, 200, "成功")
        self.assertEqual([one["video_path"][0] for one in data["videos"]], ["c", "a"])
        self.assertEqual(data["pagination"], {"total": 5, "pages": 3, "current_page": 2, "per_page": 2, "has_next": True, "has_prev": True})
        for query, wanted in [("", "edcab"), ("order=asc", "bacde"), ("sort_by=video_path&order=asc", "abcde"), ("sort_by=bitrate_k", "bcaed"),
                              ("sort_by=resolutionall&order=desc", "cedba"), ("sort_by=video_size&order=asc", "acbde"),
                              ("sort_by=codec&order=asc", "ebacd"), ("sort_by=transcode_status&order=asc", "debac"),
                              ("transcode_status[]=1&sort_by=bitrate_k", "bca"), ("transcode_status[]=0&transcode_status[]=1", "edcab"),
                              ("transcode_status[]=5", ""), ("is_vr=1", "c"), ("is_vr=0&sort_by=video_path&order=asc", "abde"),
                              ("codec[]=hevc", "d"), ("codec[]=hevc&codec[]=av1", "ed"), ("codec%5B%5D=h264", "cab"),
                              ("min_bitrate=1000&max_bitrate=2000", "ca"), ("min_size=1.5&max_size=3", "cb"), ("search=holiday", "c"),
                              ("search=nothing", ""), ("page=9", "")]:
            with self.subTest(query):
                self.assertEqual("".join(paths(query)), wanted)
        first = self.farm.get("/api/v1/videos?sort_by=video_path&order=asc").body["data"]["videos"][1]["id"]
        self.said(self.farm.request("PATCH", f"/api/v1/videos/{first}", {"bumped": True}), 200, "更新成功")  # b.mp4 has changed last
        self.assertEqual(["".join(paths(query)) for query in ("sort_by=updatetime", "sort_by=updatetime&order=asc")], ["bedca", "acdeb"])
        for query, word in [("sort_by=size", "video_path, codec, bitrate_k, resolutionall"), ("is_vr=2", "is_vr"), ("transcode_status[]=6", "transcode_status"),
                            ("min_bitrate=x", "min_bitrate"), ("min_size=-1", "min_size"), ("max_size=x", "max_size"), ("page=0", "page"),
                            ("order=", None)]:
            with self.subTest(query):
                if word:
                    self.refused(self.farm.get(f"/api/v1/videos?{query}"), 400, word)

    def test_scan(self):
        answer = self.farm.post("/api/v1/videos/scan")
        runs = self.said(answer, 201, "扫描任务已创建")["run_ids"]
        self.assertEqual(len(runs), 2)
        self.assertEqual(self.farm.post("/api/v1/videos/scan", {"library": "/other"}).body["data"]["run_ids"], runs[1:])
        self.said(self.farm.post("/api/v1/videos/scan", {"library": "/elsewhere"}), 400, "不是视频库的文件夹：/elsewhere")
        self.refused(self.farm.post("/api/v1/videos/scan", {"library": 1}), 400, "library")
        for run in runs:
            self.farm.post(f"/api/runs/{run}/abort")
        again = self.farm.post("/api/v1/videos/scan", {"library": ROOT}).body["data"]["run_ids"]
        self.assertNotIn(again[0], runs)
        self.farm.post(f"/api/runs/{again[0]}/abort")


class Logs(TranscodeContract):
    def test_lines(self):
        self.fill(video("log.mp4"))
        number, _ = self.register()
        task = self.pull(number).body["data"]["task_id"]
        line = {"task_id": task, "log_level": 2, "log_message": "码率过低"}
        data = self.said(self.farm.post("/api/v1/logs", line), 201, "日志创建成功")
        wanted = {"task_id": int(task), "log_level": 2, "log_message": "码率过低"}
        self.assertEqual({key: data[key] for key in wanted}, wanted)
        self.said(self.farm.post("/api/v1/logs", dict(line, log_level=0, task_id=int(task))), 201, "日志创建成功")
        texts = [one["message"] for one in self.farm.get(f"/api/runs/{task}/logs").body["data"]["items"]]
        self.assertEqual(texts, ["码率过低", "码率过低"])
        self.patch(task, number, 2, 100)
        self.said(self.farm.post("/api/v1/logs", line), 201, "日志创建成功")  # after its end, too
        for field in line:
            self.said(self.farm.post("/api/v1/logs", {k: v for k, v in line.items() if k != field}), 400, "参数不完整")
        self.refused(self.farm.post("/api/v1/logs", dict(line, log_level=4)), 400, "log_level")
        self.said(self.farm.post("/api/v1/logs", dict(line, task_id="99999")), 404, "任务不存在")
        self.said(self.farm.post("/api/v1/logs", dict(line, task_id="nothing")), 404, "任务不存在")
        logs = self.farm.get(f"/api/v1/logs?task_id={task}").body["data"]
        self.assertEqual([one["log_level"] for one in logs["logs"]], [2, 0, 2])
        self.assertEqual(logs["pagination"]["total"], 3)
        at = logs["logs"][0]["log_time"]
        for query, count in [("log_level[]=2", 2), ("log_level[]=0&log_level[]=1", 1), ("sort_by=log_level&order=asc", 3), ("sort_by=id&order=asc", 3),
                             (f"after={logs['logs'][1]['id']}", 1), (f"after={logs['logs'][0]['id']}", 0), (f"after={logs['logs'][2]['id']}&order=asc", 2),
                             ("after=0&sort_by=log_level", 3), (f"start_time=2020-01-01T00:00:00Z&end_time={at}", 3), ("end_time=2020-01-01", 0), ("start_time=2099-01-01", 0)]:
            with self.subTest(query):
                self.assertEqual(len(self.farm.get(f"/api/v1/logs?task_id={task}&{query}").body["data"]["logs"]), count)
        numbers = [one["id"] for one in logs["logs"]][::-1]
        for query, wanted in [("sort_by=id&order=asc", (0, 1, 2)), ("sort_by=id", (2, 1, 0)), ("sort_by=log_time&order=asc", (0, 1, 2)),
                              ("sort_by=log_time", (2, 1, 0)), ("sort_by=log_level&order=asc", (1, 0, 2)), ("sort_by=log_level", (2, 0, 1))]:
            with self.subTest(query):
                shown = self.farm.get(f"/api/v1/logs?task_id={task}&{query}").body["data"]["logs"]
                self.assertEqual([one["id"] for one in shown], [numbers[index] for index in wanted])
        for query, word in [("log_level[]=7", "log_level"), ("after=x", "after"), ("after=-1", "after"), ("start_time=soon", "start_time"), ("sort_by=text", "id, log_time, log_level")]:
            self.refused(self.farm.get(f"/api/v1/logs?{query}"), 400, word)


class NoLibrary(Contract):
    options = {"workers": 0}

    def test_nothing_to_scan(self):
        answer = self.farm.post("/api/v1/videos/scan")
        self.assertEqual((answer.status, answer.body), (409, {"code": 409, "message": "未配置视频库（library）"}))
        self.assertEqual(self.farm.get("/api/v1/videos").body["data"]["videos"], [])
