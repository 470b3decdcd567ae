"""The render farm's API: every endpoint, example, code and message, and validation edge by edge."""

import datetime
import errno
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time

from tests.bus import ScriptedWorker
from tests.contract.base import Contract
from tests.contract.test_auth import SECRET, base64url, bearer, claims, make_key, token
from tests.contract.test_measured import samples
from tests.farm import BUILD, ROOT, clean_environment, free_port, wait_for
from tests.render_client import FORM, ask, form, md5, part, upload

BASE = "/render/api"
EN = {"Accept-Language": "en"}
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
SCENE = b"a scene, as far as anybody here looks at it"
MD5 = hashlib.md5(SCENE).hexdigest()
BODY = {"unionid": "user123", "oss_file_path": f"assets/{MD5}", "render_engine": "blender"}
LABELS = {"render.engines": "blender 3.4.1", "render.ram_gb": "64", "render.gpus": "2", "render.plugins": "mtoa 5.5.1"}


class Studio(ScriptedWorker):
    """A worker that renders, at the test's word."""

    def __init__(self, farm, **labels):
        super().__init__(farm.endpoint("workers"), ("render",), executors=("render",))
        self.farm = farm
        self.hello(labels=dict(LABELS, **labels))

    def __exit__(self, *_):
        """It says so, and is gone when the next test begins."""
        self.tell("bye")
        wait_for(lambda: not any(row["is_available"] for row in self.farm.get(f"{BASE}/hardware-configs").body["data"]), what="its end")
        super().__exit__()

    def frame(self):
        run = self.assignment()
        self.tell("accept", leases=[{"run_id": run["run_id"], "attempt": run["attempt"]}])
        return run

    def render(self, run, **more):
        number = run["parameters"]["frame"]
        said = dict({"output_path": run["spec"]["output"], "output_size": 1000 + number, "output_hash": MD5, "render_time": 36.0,
                     "width": 64, "height": 32, "black": False, "engine_version": "3.4.1"}, **more)
        self.result(run["run_id"], run["attempt"], result=json.dumps(said))
        self.expect("result_ack")

    def fail(self, run, error="the renderer gave up"):
        self.result(run["run_id"], run["attempt"], outcome=2, exit_code=1, error=error)
        self.expect("result_ack")


class RenderContract(Contract):
    options = {"workers": 0, "render_attempts": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        uploaded = ask(cls.farm.port, "POST", "/render/api/files/upload", form(part("file", SCENE, "scene.blend"), part("hash", MD5),
                                                                              part("path", "projects/user123/scene.blend")), dict(FORM, **cls.farm.headers))
        assert uploaded.status == 201, uploaded

    def setUp(self):
        self.addCleanup(self.end_all)

    def end_all(self):
        """What a test leaves open is not for the workers of the next one."""
        for task in self.farm.get(f"{BASE}/tasks?page_size=1000").body["data"]["items"]:
            if task["status"] in ("queued", "testing", "rendering", "paused"):
                self.farm.post(f"{BASE}/tasks/{task['id']}/cancel")

    def said(self, answer, status=200, message=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.body["code"], status)
        if message:
            self.assertEqual(answer.body["message"], message)
        return answer.body["data"]

    def refused(self, answer, status, code, field=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(set(answer.body), {"code", "message", "detail", "errors", "error_code"})
        self.assertEqual((answer.body["code"], answer.body["error_code"]), (code, code), answer.body)
        self.assertTrue(answer.body["message"] and answer.body["detail"])
        if field:
            self.assertEqual(answer.body["errors"][0]["field"], field)
            self.assertEqual(set(answer.body["errors"][0]), {"field", "message", "value", "expected"})
        return answer.body

    def create(self, **more):
        return self.said(self.farm.post(f"{BASE}/tasks/", dict(BODY, **more)), 201, "任务创建成功")

    def task(self, number, query=""):
        return self.said(self.farm.get(f"{BASE}/tasks/{number}{query}"))

    def frame(self, task, number):
        return self.said(self.farm.get(f"{BASE}/tasks/{task}/frames/{number}"))

    def becomes(self, task, status):
        wait_for(lambda: self.task(task)["status"] == status, what=f"task {task} to be {status}")
        return self.task(task)


class Tasks(RenderContract):
    def test_create(self):
        """Section 3.1 and 4.3 of the API."""
        data = self.create(task_info={"renderer": "arnold", "source_dir": "source", "project_dir": "project",
                                      "renders_dir": "Sys_Default_Renders"}, total_frames=100, priority=5, is_compressed=True)
        self.assertEqual((data["unionid"], data["status"], data["total_frames"], data["priority"]), ("user123", "queued", 100, 5))
        self.assertRegex(data["celery_task_id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertRegex(data["created_at"], TIME)
        data = self.create(total_frames=100, test_frames="50", stop_after_test=True, ram=64, gpu_count=2, cg_version="3.4",
                           hardware_config_id="high_performance", frame_timeout=43200, task_timeout=86400, renderer="arnold",
                           plugins={"mtoa": "5.5.1"})
        self.assertEqual(data["estimated_cost"], 12.5)
        self.assertEqual(data["test_frames"], "50")
        config = data["hardware_config"]
        self.assertEqual((config["id"], config["name"], config["ram"], config["gpu_count"]), ("high_performance", "高性能配置", 64, 2))
        shown = self.task(data["id"])
        self.assertEqual(shown["plugins"], {"mtoa": "5.5.1"})
        self.assertEqual((shown["scene_file"], shown["scene_file_hash"], shown["scene_file_size"]), (BODY["oss_file_path"], MD5, len(SCENE)))
        self.assertEqual((shown["test_frame_status"], shown["progress"], shown["actual_cost"]), ("pending", 0, 0))
        self.assertIn("no worker", shown["reason"])
        self.assertIsNone(shown["started_at"])

    def test_formats(self):
        """How pictures are written: as the task says, of what its engine can."""
        with Studio(self.farm) as worker:
            task = self.create(task_info={"image_format": "exr", "start_frame": 7})
            self.assertEqual(self.task(task["id"])["task_info"]["image_format"], "exr")
            run = worker.frame()
            self.assertEqual(run["spec"]["output"], f"user123/{task['id']}/renders/frame.0007.exr")
            worker.render(run)
        self.assertEqual(self.create()["task_info"]["image_format"], "png")
        self.assertEqual(self.create(render_engine="maya")["task_info"]["image_format"], "exr")
        for engine, bad, expected in (("maya", "bmp", "exr|png|jpg|tif"), ("ue", "tif", "png|jpg|bmp|exr"), ("blender", "EXR", "png|exr|jpg|tif|tga|bmp|webp|dpx"),
                                      ("blender", "x" * 9, "0..8"), ("blender", 5, "字符串")):
            answer = self.farm.post(f"{BASE}/tasks", dict(BODY, render_engine=engine, task_info={"image_format": bad}))
            self.refused(answer, 400, 1002, "task_info.image_format")
            self.assertIn(expected, answer.body["errors"][0]["expected"])

    def test_unreal(self):
        """It plays a sequence in a level: its worker is told which."""
        info = {"map": "/Game/Maps/Main", "sequence": "/Game/Shots/Intro.Intro", "preset": "/Game/Preset"}
        body = dict(BODY, render_engine="ue")
        for name in ("map", "sequence"):
            less = {key: value for key, value in info.items() if key != name}
            for given in (less, dict(less, **{name: None}), dict(less, **{name: ""})):
                self.refused(self.farm.post(f"{BASE}/tasks", dict(body, task_info=given)), 400, 1001, f"task_info.{name}")
        for name in info:
            for bad in (5, "Game/Maps/Main", "/", "/Game/a b", '/Game/"', "/Game/M?game=x", "/Game/" + "x" * 512):
                self.refused(self.farm.post(f"{BASE}/tasks", dict(body, task_info=dict(info, **{name: bad}))), 400, 1002, f"task_info.{name}")
        with Studio(self.farm, **{"render.engines": "ue 5.4.1"}) as worker:
            task = self.create(render_engine="ue", task_info=info)
            shown = self.task(task["id"])["task_info"]
            run = worker.frame()
            self.assertEqual([{name: of[name] for name in info} for of in (shown, run["parameters"])], [info, info])
            worker.render(run)
        task = self.create(render_engine="ue", task_info=dict(info, preset=None, map="/Game/地图"))
        self.assertIsNone(task["task_info"]["preset"])

    def test_sizes(self):
        """A worker is told the mean of the task's pictures, once there are some, and may say that one is far smaller."""
        with Studio(self.farm) as worker:
            task = self.create(total_frames=5)["id"]
            told = []
            for number in range(1, 6):
                run = worker.frame()
                told.append(run["parameters"]["mean_bytes"])
                worker.render(run, small=number == 5)
            self.assertEqual(told, [0, 0, 0, 1002, 1002])  # of 1001 to 1003, then to 1004
            self.assertEqual([self.frame(task, number)["is_small"] for number in range(1, 6)], [False] * 4 + [True])

    def test_what_is_not_said_is_the_default(self):
        data = self.create()
        self.assertEqual((data["total_frames"], data["priority"], data["gpu_count"], data["ram"]), (1, 5, 0, None))
        self.assertEqual((data["frame_timeout"], data["task_timeout"], data["stop_after_test"]), (43200, 86400, False))
        self.assertIsNone(data["test_frame_status"])
        self.assertEqual(data["hardware_config"]["id"], "basic")  # the cheapest that fits
        data = self.create(ram=512)
        self.assertIsNone(data["hardware_config"])

    def test_idempotency(self):
        key = {"Idempotency-Key": "render-once"}
        one = self.farm.post(f"{BASE}/tasks", BODY, headers=key)
        again = self.farm.post(f"{BASE}/tasks", BODY, headers=key)
        self.assertEqual(one.body, again.body)
        self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, priority=1), headers=key), 422, 3000)

    def test_validation(self):
        for name in BODY:
            with self.subTest(name):
                body = {key: value for key, value in BODY.items() if key != name}
                self.refused(self.farm.post(f"{BASE}/tasks", body), 400, 1001, name)
                self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, **{name: ""})), 400, 1002, name)
                self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, **{name: 7})), 400, 1002, name)
        for name, values in {"unionid": ["x" * 101, "长" * 101], "render_engine": ["houdini", "Maya"],
                             "total_frames": [0, 10001, "100", 1.5], "priority": [-1, 11, "5"], "ram": [3, 513, True],
                             "gpu_count": [-1, 9], "frame_timeout": [0, -1], "task_timeout": [0, 31536001],
                             "test_frames": ["abc", "0", "1,,2", "-3", "1,", "", 5, "1 2", "2", "1," * 60],
                             "stop_after_test": ["yes", 1], "is_compressed": [1], "plugins": [[], {"mtoa": 5}, "mtoa"],
                             "cg_version": [2024, "x" * 65], "task_info": [5], "hardware_config_id": [5]}.items():
            for value in values:
                with self.subTest(name, value=value):
                    self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, **{name: value})), 400, 1002, name)
        self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, task_info={"start_frame": -1})), 400, 1002, "task_info.start_frame")
        self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, hardware_config_id="huge")), 404, 2000, "hardware_config_id")
        for path in ("assets/" + "0" * 32, "assets/../" + MD5, "nothing/here.ma", "../../etc/passwd", "/etc/passwd"):
            self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, oss_file_path=path)), 404, 2002, "oss_file_path")
        self.refused(self.farm.post(f"{BASE}/tasks", b"{"), 400, 1000)
        self.refused(self.farm.post(f"{BASE}/tasks", [1]), 400, 1000)
        for name, values in {"unionid": ["x" * 100, "长" * 100], "total_frames": [1, 10000, 5.0], "priority": [0, 10], "ram": [4, 512],
                             "gpu_count": [0, 8], "test_frames": ["1", " 1 , 1"], "frame_timeout": [1], "task_timeout": [1]}.items():
            for value in values:
                with self.subTest(name, value=value):
                    self.create(**{name: value})

    def test_the_words_of_the_example(self):
        """Section 5.2."""
        body = self.refused(self.farm.post(f"{BASE}/tasks", dict(BODY, test_frames="abc")), 400, 1002, "test_frames")
        self.assertEqual(body["message"], "字段格式错误")
        self.assertEqual(body["detail"], "test_frames 字段必须是数字或逗号分隔的数字列表")
        self.assertEqual(body["errors"][0]["value"], "abc")
        self.assertEqual(body["errors"][0]["expected"], "数字或 '1,2,3' 格式")
        body = self.farm.post(f"{BASE}/tasks", dict(BODY, test_frames="abc"), headers=EN).body
        self.assertEqual((body["code"], body["message"]), (1002, "A field is malformed"))

    def test_there_is_no_such_task(self):
        for number in (999999, "abc", 0):
            self.refused(self.farm.get(f"{BASE}/tasks/{number}"), 404, 2001)
            self.refused(self.farm.get(f"{BASE}/tasks/{number}/status"), 404, 2001)
            self.refused(self.farm.get(f"{BASE}/tasks/{number}/frames"), 404, 2001)
            self.refused(self.farm.get(f"{BASE}/tasks/{number}/assets"), 404, 2001)
            for action in ("pause", "resume", "cancel", "cleanup", "retry-failed", "frames/1/retry"):
                self.refused(self.farm.post(f"{BASE}/tasks/{number}/{action}"), 404, 2001)
        self.refused(self.farm.get(f"{BASE}/nothing"), 404, 2000)
        answer = self.farm.request("DELETE", f"{BASE}/tasks")
        self.refused(answer, 405, 1000)
        self.assertIn("POST", answer.headers["allow"])

    def test_list(self):
        ids = [self.create(unionid="lister", priority=n % 3)["id"] for n in range(5)]
        page = self.said(self.farm.get(f"{BASE}/tasks?unionid=lister&page=1&page_size=2&sort_by=created_at&order=desc"))
        self.assertEqual([one["id"] for one in page["items"]], ids[:2:-1])
        self.assertEqual((page["total"], page["page"], page["page_size"], page["total_pages"]), (5, 1, 2, 3))
        page = self.said(self.farm.get(f"{BASE}/tasks/?unionid=lister&page=9"))
        self.assertEqual((page["items"], page["total"]), ([], 5))
        page = self.said(self.farm.get(f"{BASE}/tasks?unionid=lister&sort_by=priority&order=asc"))
        self.assertEqual([one["priority"] for one in page["items"]], [0, 0, 1, 1, 2])
        self.farm.post(f"{BASE}/tasks/{ids[0]}/cancel")
        page = self.said(self.farm.get(f"{BASE}/tasks?unionid=lister&status=cancelled&engine=blender"))
        self.assertEqual([one["id"] for one in page["items"]], ids[:1])
        for query, field in {"page=0": "page", "page=-1": "page", "page=x": "page", "page_size=0": "page_size",
                             "sort_by=colour": "sort_by", "order=up": "order", "status=gone": "status"}.items():
            self.refused(self.farm.get(f"{BASE}/tasks?{query}"), 400, 1002, field)
        known = self.farm.get(f"{BASE}/tasks?sort_by=colour").body["errors"][0]["expected"]
        self.assertLessEqual({"id", "created_at", "priority"}, set(re.findall(r"\w+", known)))
        for name in re.findall(r"\w+", known):
            self.said(self.farm.get(f"{BASE}/tasks?sort_by={name}"))
        self.assertEqual(self.said(self.farm.get(f"{BASE}/tasks?page_size=5000"))["page_size"], 1000)

    def test_fields(self):
        """Section 9.2."""
        number = self.create()["id"]
        self.assertEqual(self.task(number, "?fields=id,status,progress"), {"id": number, "status": "queued", "progress": 0})
        self.refused(self.farm.get(f"{BASE}/tasks/{number}?fields=id,colour"), 400, 1002, "fields")

    def test_assets(self):
        number = self.create()["id"]
        data = self.said(self.farm.get(f"{BASE}/tasks/{number}/assets"))
        self.assertEqual((data["task_id"], data["total_count"], data["missing_count"]), (number, 1, 0))
        here = self.said(self.farm.post(f"{BASE}/files/check-hashes", {"hashes": [MD5]}))["existing"][0]["asset_id"]
        self.assertEqual(data["assets"], [{"asset_id": here, "file_path": f"assets/{MD5}", "file_hash": MD5, "file_size": len(SCENE),
                                           "file_type": "scene", "local_path": f"assets/{MD5}", "server_path": f"/assets/{MD5}",
                                           "is_missing": False}])

    def test_batch(self):
        """Section 9.3."""
        ids = [self.create()["id"] for _ in range(2)]
        data = self.said(self.farm.post(f"{BASE}/tasks/batch-status", {"task_ids": [ids[1], 999999, ids[0]]}))
        self.assertEqual([one["id"] for one in data["items"]], [ids[1], ids[0]])
        self.assertEqual(data["missing"], [999999])
        for value in ([], "1", ["x"], [0], [1] * 1001):
            self.refused(self.farm.post(f"{BASE}/tasks/batch-status", {"task_ids": value}), 400, 1002, "task_ids")
        self.refused(self.farm.post(f"{BASE}/tasks/batch-status", {}), 400, 1001, "task_ids")


class Actions(RenderContract):
    def test_pause_resume_cancel_cleanup(self):
        number = self.create(total_frames=3)["id"]
        path = f"{BASE}/tasks/{number}"
        self.refused(self.farm.post(f"{path}/resume"), 409, 3000)
        self.refused(self.farm.post(f"{path}/cleanup"), 409, 3000)
        self.assertEqual(self.said(self.farm.post(f"{path}/pause"), message="任务暂停成功")["status"], "paused")
        self.refused(self.farm.post(f"{path}/pause"), 409, 3000)
        self.assertEqual(self.said(self.farm.post(f"{path}/resume"), message="任务恢复成功")["status"], "queued")
        data = self.said(self.farm.post(f"{path}/cancel"), message="任务取消成功")
        self.assertEqual((data["id"], data["status"]), (number, "cancelled"))
        for action in ("cancel", "pause", "resume"):
            self.refused(self.farm.post(f"{path}/{action}"), 409, 3000)
        self.assertIsNotNone(self.said(self.farm.post(f"{path}/cleanup"), message="工作空间清理成功")["cleaned_at"])
        frames = self.said(self.farm.get(f"{path}/frames"))
        self.assertEqual({one["status"] for one in frames["items"]}, {"cancelled"})

    def test_pause_lets_a_frame_end_and_cancel_kills_it(self):
        with Studio(self.farm) as studio:
            number = self.create(total_frames=3)["id"]
            run = studio.frame()
            self.assertEqual(self.becomes(number, "rendering")["rendering_frames"], 1)
            self.said(self.farm.post(f"{BASE}/tasks/{number}/pause"))
            studio.render(run)
            self.assertEqual(self.task(number)["completed_frames"], 1)
            self.assertEqual(self.said(self.farm.post(f"{BASE}/tasks/{number}/resume"))["status"], "rendering")
            run = studio.frame()
            self.said(self.farm.post(f"{BASE}/tasks/{number}/cancel"))
            cancelled = studio.expect("cancel")["leases"][0]
            self.assertEqual(cancelled["run_id"], run["run_id"])
            shown = wait_for(lambda: (one := self.task(number))["cancelled_frames"] == 2 and one, what="the frames to be cancelled")
            self.assertEqual((shown["completed_frames"], shown["status"]), (1, "cancelled"))


class Rendered(RenderContract):
    def test_a_task_from_end_to_end(self):
        with Studio(self.farm) as studio:
            data = self.create(total_frames=3, test_frames="2", stop_after_test=True, ram=64, gpu_count=2, cg_version="3.4",
                               hardware_config_id="high_performance", plugins={"mtoa": "5.5"})
            number = data["id"]
            run = studio.frame()
            told = run["parameters"]
            self.assertEqual((told["frame"], told["frames_to"], told["engine"], told["render_task"]), (2, 2, "blender", number))
            self.assertEqual((told["scene"], told["scene_md5"], told["unionid"], told["retry"]), (BODY["oss_file_path"], MD5, "user123", 0))
            self.assertEqual(run["spec"]["output"], f"user123/{number}/renders/frame.0002.png")
            self.assertEqual(run["timeout_seconds"], 43200)
            self.assertEqual(self.becomes(number, "testing")["test_frame_status"], "rendering")
            status = self.said(self.farm.get(f"{BASE}/tasks/{number}/status"))
            self.assertRegex(status["estimated_completion"], TIME)
            studio.render(run)
            shown = self.task(number)
            self.assertEqual((shown["test_frame_status"], shown["completed_frames"]), ("completed", 1))
            self.assertEqual(shown["actual_cost"], 0.025)  # 36 s of 2.5 an hour
            self.assertEqual(shown["estimated_cost"], 0.075)  # three times what the first one took
            for frame in (1, 3):
                run = studio.frame()
                self.assertEqual(run["parameters"]["frame"], frame)
                studio.render(run)
            shown = self.becomes(number, "completed")
            self.assertEqual((shown["progress"], shown["completed_frames"], shown["actual_cost"]), (100, 3, 0.075))
            self.assertRegex(shown["completed_at"], TIME)
            frame = self.frame(number, 2)
            self.assertEqual((frame["task_id"], frame["frame_number"], frame["status"], frame["is_test_frame"]), (number, 2, "completed", True))
            self.assertEqual((frame["output_path"], frame["output_size"], frame["output_hash"]), (f"user123/{number}/renders/frame.0002.png", 1002, MD5))
            self.assertEqual((frame["render_time"], frame["retry_count"], frame["error_message"]), (36, 0, None))
            self.assertTrue(frame["node_id"])
            for name in ("created_at", "started_at", "completed_at"):
                self.assertRegex(frame[name], TIME)
            again = self.create(total_frames=10, hardware_config_id="high_performance")
            self.assertEqual(again["estimated_cost"], 0.25)  # by what the same scene took before

    def when(self, number):
        """Its estimated completion in seconds since 1970, and what it is None of."""
        at = self.said(self.farm.get(f"{BASE}/tasks/{number}/status"))["estimated_completion"]
        return at and datetime.datetime.strptime(at, "%Y-%m-%dT%H:%M:%S%z").timestamp()

    def takes(self, number, seconds):
        before = int(time.time())
        at = self.when(number)
        self.assertLessEqual(before + seconds, at)
        self.assertLessEqual(at, time.time() + seconds)

    def test_when_it_will_be_finished(self):
        """By the mean of its frames and the workers that serve it now; without any it is not known."""
        number = self.create(total_frames=5)["id"]
        self.assertIsNone(self.when(number))
        with Studio(self.farm) as studio:
            studio.render(studio.frame())  # 36 s
            run = studio.frame()
            self.takes(number, 4 * 36)
            with ScriptedWorker(self.farm.endpoint("workers"), ("render",), executors=("render",)) as other:
                other.hello(labels=LABELS)
                other.assignment()
                self.takes(number, 2 * 36)
                other.tell("bye")
                wait_for(lambda: self.task(number)["rendering_frames"] == 1, what="one worker less")
            self.takes(number, 4 * 36)
            self.said(self.farm.post(f"{BASE}/tasks/{number}/pause"))
            self.assertIsNone(self.when(number))
            self.said(self.farm.post(f"{BASE}/tasks/{number}/resume"))
            self.takes(number, 4 * 36)
            studio.render(run)
            studio.frame()
            self.takes(number, 3 * 36)
            self.said(self.farm.post(f"{BASE}/tasks/{number}/cancel"))
            self.assertIsNone(self.when(number))

    def test_the_highest_priority_first_then_the_oldest(self):
        with Studio(self.farm) as studio:
            self.create()
            run = studio.frame()  # while it is busy the others come
            low = self.create(priority=0)["id"]
            first, second = (self.create(priority=5, total_frames=2)["id"] for _ in range(2))
            high = self.create(priority=10, total_frames=2)["id"]
            order = []
            for _ in range(7):
                studio.render(run)
                run = studio.frame()
                order.append((run["parameters"]["render_task"], run["parameters"]["frame"]))
            studio.render(run)
        self.assertEqual(order, [(high, 1), (high, 2), (first, 1), (first, 2), (second, 1), (second, 2), (low, 1)])

    def counted(self):
        found = samples(self.farm.get("/api/system/metrics").body).get("gantry_render_frames_total")
        return found and (found['status="completed"'], found['status="failed"'])

    def test_what_is_counted_and_told(self):
        with Studio(self.farm) as studio:
            before = wait_for(self.counted, what="the metrics of the scheduler")
            number = self.create(total_frames=3)["id"]
            runs = []
            for end in (studio.render, studio.fail, studio.render):
                runs.append(studio.frame())
                end(runs[-1])
            self.becomes(number, "failed")
        wait_for(lambda: self.counted() == (before[0] + 2, before[1] + 1), what="the counts of its frames")
        for run, end in zip(runs, ("task.completed", "task.failed", "task.completed")):
            rows = self.farm.data_of(self.farm.get(f"/api/events?follow=false&run_id={run['run_id']}"))["items"]
            self.assertEqual({row["event"] for row in rows} & {"run.started", "task.completed", "task.failed"}, {"run.started", end}, rows)
            told = next(row["data"] for row in rows if row["event"] == end)
            self.assertEqual((told["run_id"], told.get("error_message")), (run["run_id"], "the renderer gave up" if end == "task.failed" else None))
            self.assertEqual(self.farm.run(run["run_id"])["task_name"], f"frame {run['parameters']['frame']} of {number}")

    def test_download(self):
        with Studio(self.farm) as studio:
            number = self.create(total_frames=2)["id"]
            first = self.frame(number, 1)["id"]
            path, second = f"{BASE}/files/download/{first}", f"{BASE}/files/download/{self.frame(number, 2)['id']}"
            self.refused(self.farm.get(path), 409, 3000, "frame_id")
            run = studio.frame()
            self.refused(self.farm.get(path), 409, 3000, "frame_id")
            studio.render(run)
            self.refused(self.farm.get(path), 404, 2002, "frame_id")  # its worker said so, but it is not there
            content = os.urandom(300000)
            file = self.farm.data / "render" / run["spec"]["output"]
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
            sent = ask(self.farm.port, "GET", path)
            self.assertEqual((sent.status, sent.raw, sent.headers["content-type"]), (200, content, "image/png"))
            self.assertEqual((sent.headers["etag"], sent.headers["accept-ranges"]), (f'"{MD5}"', "bytes"))
            sent = ask(self.farm.port, "GET", path, headers={"Range": "bytes=299990-", "If-Range": f'"{MD5}"'})
            self.assertEqual((sent.status, sent.raw, sent.headers["content-range"]), (206, content[-10:], "bytes 299990-299999/300000"))
            self.assertEqual(ask(self.farm.port, "GET", path, headers={"Range": "bytes=0-9", "If-Range": '"another"'}).raw, content)
            sent = ask(self.farm.port, "GET", path, headers={"Range": "bytes=300000-"})
            self.assertEqual((sent.status, sent.headers["content-range"], sent.body["code"]), (416, "bytes */300000", 1000))
            sent = ask(self.farm.port, "HEAD", path)
            self.assertEqual((sent.status, sent.headers["content-length"]), (200, "300000"))
            self.refused(self.farm.get(path + "?thumbnail=true"), 404, 2002, "frame_id")  # there is none
            self.refused(self.farm.get(path + "?thumbnail=1"), 400, 1002, "thumbnail")
            self.assertEqual(ask(self.farm.port, "GET", path + "?thumbnail=false").raw, content)
            (self.farm.data / "secret.png").write_bytes(b"not of a frame")
            (file.parent / "link.png").symlink_to(self.farm.data / "secret.png")
            run = studio.frame()
            studio.fail(run)
            self.becomes(number, "failed")
            self.refused(self.farm.get(second), 409, 3000, "frame_id")
            link = f"user123/{number}/renders/link.png"
            for said in ("../secret.png", str(self.farm.data / "secret.png"), link, f"user123/{number}/renders", "", "none.png", "x" * 5000):
                self.said(self.farm.post(f"{BASE}/tasks/{number}/frames/2/retry"))
                studio.render(studio.frame(), output_path=said, output_hash="no\r\nhash")
                self.becomes(number, "completed")
                self.refused(self.farm.get(second), 404, 2002, "frame_id")
            file.with_name("frame.tga").write_bytes(b"of no known type")
            self.said(self.farm.post(f"{BASE}/tasks/{number}/frames/2/retry"))
            studio.render(studio.frame(), output_path=f"user123/{number}/renders/frame.tga", output_hash="no\r\nhash")
            self.becomes(number, "completed")
            sent = ask(self.farm.port, "GET", second)
            self.assertEqual((sent.status, sent.raw, sent.headers["content-type"]), (200, b"of no known type", "application/octet-stream"))
            self.assertRegex(sent.headers["etag"], r'^"[0-9a-f]+-[0-9a-f]+"$')
            self.assertIn("there is no frame", self.refused(self.farm.get(f"{BASE}/files/download/{first + 2}", headers=EN), 404, 2000, "frame_id")["detail"])
            for none in ("0", "1", "x", "-1", "9" * 19, "9" * 30, str((number + 1000) << 14)):
                self.refused(self.farm.get(f"{BASE}/files/download/{none}"), 404, 2000, "frame_id")

    def test_thumbnails(self):
        with Studio(self.farm) as studio:
            number = self.create()["id"]
            run = studio.frame()
            self.assertIsNone(self.frame(number, 1)["thumbnail_path"])
            small = f"user123/{number}/renders/thumbnails/frame.0001.png"
            studio.render(run, thumbnail_path=small)
            self.becomes(number, "completed")
            frame = self.frame(number, 1)
            self.assertEqual(frame["thumbnail_path"], small)
            path = f"{BASE}/files/download/{frame['id']}?thumbnail=true"
            self.refused(self.farm.get(path), 404, 2002, "frame_id")
            file = self.farm.data / "render" / small
            file.parent.mkdir(parents=True)
            file.write_bytes(b"a small picture")
            sent = ask(self.farm.port, "GET", path)
            self.assertEqual((sent.status, sent.raw, sent.headers["content-type"]), (200, b"a small picture", "image/png"))
            (self.farm.data / "secret.png").write_bytes(b"not of a frame")
            for said in ("../secret.png", str(self.farm.data / "secret.png")):
                self.said(self.farm.post(f"{BASE}/tasks/{number}/frames/1/retry"))
                studio.render(studio.frame(), thumbnail_path=said)
                self.becomes(number, "completed")
                self.refused(self.farm.get(path), 404, 2002, "frame_id")

    def test_retry(self):
        with Studio(self.farm) as studio:
            number = self.create(total_frames=2)["id"]
            self.refused(self.farm.post(f"{BASE}/tasks/{number}/frames/2/retry"), 409, 3000)
            studio.fail(studio.frame())
            studio.render(studio.frame())
            shown = self.becomes(number, "failed")
            self.assertEqual((shown["completed_frames"], shown["failed_frames"]), (1, 1))
            frame = self.frame(number, 1)
            self.assertEqual((frame["status"], frame["error_message"], frame["output_path"]), ("failed", "the renderer gave up", None))
            data = self.said(self.farm.post(f"{BASE}/tasks/{number}/frames/1/retry"), message="帧重试已提交")
            self.assertEqual((data["frame_number"], data["status"], data["id"]), (1, "pending", frame["id"]))
            run = studio.frame()
            self.assertEqual(run["parameters"]["retry"], 1)
            studio.render(run)
            self.assertEqual(self.becomes(number, "completed")["failed_frames"], 0)
            self.assertEqual(self.frame(number, 1)["retry_count"], 1)
            self.refused(self.farm.post(f"{BASE}/tasks/{number}/frames/3/retry"), 404, 2000)
            self.refused(self.farm.get(f"{BASE}/tasks/{number}/frames/x"), 404, 2000)
            self.assertEqual(self.said(self.farm.post(f"{BASE}/tasks/{number}/retry-failed"))["retried"], 0)
            self.said(self.farm.post(f"{BASE}/tasks/{number}/frames/2/retry"))
            studio.fail(studio.frame())
            self.becomes(number, "failed")
            self.assertEqual(self.said(self.farm.post(f"{BASE}/tasks/{number}/retry-failed"))["retried"], 1)
            studio.render(studio.frame())
            self.becomes(number, "completed")

    def test_a_test_frame_that_fails_ends_the_task(self):
        with Studio(self.farm) as studio:
            number = self.create(total_frames=5, test_frames="3", stop_after_test=True)["id"]
            studio.fail(studio.frame())
            shown = self.becomes(number, "failed")
            self.assertEqual((shown["test_frame_status"], shown["failed_frames"], shown["cancelled_frames"]), ("failed", 1, 4))
            self.assertTrue(shown["error_message"])
            frames = self.said(self.farm.get(f"{BASE}/tasks/{number}/frames?status=cancelled&page_size=3"))
            self.assertEqual(([one["frame_number"] for one in frames["items"]], frames["total"], frames["total_pages"]), ([1, 2, 4], 4, 2))
            frames = self.said(self.farm.get(f"{BASE}/tasks/{number}/frames?status=cancelled&page_size=3&page=2"))
            self.assertEqual([one["frame_number"] for one in frames["items"]], [5])
            self.refused(self.farm.get(f"{BASE}/tasks/{number}/frames?status=gone"), 400, 1002, "status")

    def test_a_test_frame_that_fails_alone(self):
        """Without stop_after_test the rest follows."""
        with Studio(self.farm) as studio:
            number = self.create(total_frames=3, test_frames="2")["id"]
            run = studio.frame()
            self.assertEqual(run["parameters"]["frame"], 2)
            studio.fail(run)
            for frame in (1, 3):
                run = studio.frame()
                self.assertEqual((run["parameters"]["frame"], self.task(number)["test_frame_status"]), (frame, "failed"))
                studio.render(run)
            shown = self.becomes(number, "failed")
        self.assertEqual([shown[f"{status}_frames"] for status in ("completed", "failed", "cancelled")], [2, 1, 0], shown)

    def test_retries_have_keys(self):
        """Each is done once; what was done meanwhile is left alone."""
        with Studio(self.farm) as studio:
            number = self.create()["id"]
            studio.fail(studio.frame())
            self.becomes(number, "failed")
            for action, again in (("frames/1/retry", studio.fail), ("retry-failed", studio.render)):
                path, key = f"{BASE}/tasks/{number}/{action}", {"Idempotency-Key": f"{number} {action}"}
                first = self.farm.post(path, headers=key)
                self.said(first)
                self.assertEqual(self.farm.post(path, headers=key).body, first.body)
                again(studio.frame())
                status = self.becomes(number, "failed" if again == studio.fail else "completed")["status"]
                self.assertEqual(self.farm.post(path, headers=key).body, first.body)
                self.assertEqual(self.task(number)["status"], status)
            self.assertEqual(self.frame(number, 1)["retry_count"], 2)

    def test_one_that_fits_nobody_waits(self):
        with Studio(self.farm, **{"render.ram_gb": "16"}):
            number = self.create(ram=64)["id"]
            shown = self.task(number)
            self.assertEqual(shown["status"], "queued")
            self.assertIn("64 GB", shown["reason"])
            number = self.create(render_engine="maya")["id"]
            self.assertIn("maya", self.task(number)["reason"])


class Hardware(RenderContract):
    def test_configs(self):
        """Section 4.5."""
        rows = self.said(self.farm.get(f"{BASE}/hardware-configs"))
        self.assertEqual([row["id"] for row in rows], ["basic", "high_performance", "ultra_high"])
        self.assertEqual({key: rows[0][key] for key in ("config_name", "ram", "cpu_cores", "gpu_count", "gpu_model", "price_per_hour")},
                         {"config_name": "基础配置", "ram": 16, "cpu_cores": 8, "gpu_count": 0, "gpu_model": None, "price_per_hour": 0.5})
        self.assertEqual({key: rows[1][key] for key in ("config_name", "ram", "cpu_cores", "gpu_count", "gpu_model", "price_per_hour")},
                         {"config_name": "高性能配置", "ram": 64, "cpu_cores": 24, "gpu_count": 2, "gpu_model": "RTX 4090", "price_per_hour": 2.5})
        with Studio(self.farm):
            rows = self.said(self.farm.get(f"{BASE}/hardware-configs"))
            self.assertEqual([row["is_available"] for row in rows], [True, True, False])

    def test_match(self):
        data = self.said(self.farm.post(f"{BASE}/hardware-configs/match", {"ram": 64, "gpu_count": 2}))
        self.assertEqual((data["recommended"]["id"], [one["id"] for one in data["alternatives"]]), ("high_performance", ["ultra_high"]))
        self.assertEqual(self.said(self.farm.post(f"{BASE}/hardware-configs/match"))["recommended"]["id"], "basic")
        self.refused(self.farm.post(f"{BASE}/hardware-configs/match", {"ram": 512}), 404, 2000)
        self.refused(self.farm.post(f"{BASE}/hardware-configs/match", {"ram": 3}), 400, 1002, "ram")


class Whose(RenderContract):
    """A user sees only what has its name as unionid."""

    options = dict(RenderContract.options, auth_required="always")

    @classmethod
    def make_farm(cls, **more):
        farm = super().make_farm(start=False, **more)
        cls.keys = {name: bearer(make_key(farm, name, role)) for name, role in
                    (("boss", "admin"), ("user123", "user"), ("somebody", "user"), ("reader", "readonly"))}
        farm.autostart, farm.headers = True, cls.keys["boss"]
        return farm

    def test_tasks_of_others(self):
        number = self.said(self.farm.post(f"{BASE}/tasks", BODY, headers=self.keys["user123"]), 201)["id"]
        path = f"{BASE}/tasks/{number}"
        other = {"headers": self.keys["somebody"]}
        self.refused(self.farm.post(f"{BASE}/tasks", BODY, **other), 403, 4001)
        for get in (path, f"{path}/status", f"{path}/assets", f"{path}/frames", f"{path}/frames/1", f"{BASE}/tasks?unionid=user123",
                    f"{BASE}/files/download/{number << 14}", f"{BASE}/files/download/{number << 14}?thumbnail=true", f"{path}/results.zip"):
            self.refused(self.farm.get(get, **other), 403, 4001)
        for action in ("pause", "cancel", "retry-failed", "frames/1/retry"):
            self.refused(self.farm.post(f"{path}/{action}", **other), 403, 4001)
        self.assertEqual(self.said(self.farm.get(f"{BASE}/tasks", **other))["total"], 0)
        self.assertEqual(self.said(self.farm.post(f"{BASE}/tasks/batch-status", {"task_ids": [number]}, **other))["missing"], [number])
        for name in ("user123", "reader", "boss"):
            self.assertEqual(self.said(self.farm.get(path, headers=self.keys[name]))["id"], number)
            self.assertEqual(self.said(self.farm.get(f"{BASE}/tasks", headers=self.keys[name]))["total"], 1)
            self.refused(self.farm.get(f"{BASE}/files/download/{number << 14}", headers=self.keys[name]), 409, 3000)
        self.refused(self.farm.post(f"{path}/pause", headers=self.keys["reader"]), 403, 4000)
        for unionid, status in (("user123", 403), ("somebody", 200)):  # nor may he bind a path in another's name
            uploaded = ask(self.farm.port, "POST", "/render/api/files/upload", form(part("hash", MD5), part("unionid", unionid),
                                                                                   part("path", f"projects/{unionid}/x.blend")),
                           dict(FORM, **self.keys["somebody"]))
            self.assertEqual(uploaded.status, status, uploaded)
        self.refused(self.farm.get(path, headers={"Authorization": "Bearer nobody"}), 401, 4000)
        self.said(self.farm.post(f"{path}/pause", headers=self.keys["user123"]))

    def test_files_of_others(self):
        """Whose ids can be counted through; who knows its hash has a file, as by /files/blob."""
        def sent(content, who, **fields):
            reply = upload(self.farm.port, content, headers=self.keys[who], **fields)
            self.assertIn(reply.status, (200, 201), reply)
            return f"{BASE}/files/download-url/{reply.body['data']['asset_id']}"

        link = sent(b"of user123", "user123")
        self.assertEqual(sent(b"of user123", "somebody"), link)
        self.refused(self.farm.get(link, headers=self.keys["somebody"]), 403, 4001, "asset_id")
        self.refused(self.farm.get(f"{link}?hash={md5(b'another')}", headers=self.keys["somebody"]), 403, 4001, "asset_id")
        self.said(self.farm.get(f"{link}?hash={md5(b'of user123')}", headers=self.keys["somebody"]))
        for name in ("user123", "boss"):
            self.said(self.farm.get(link, headers=self.keys[name]))
        self.said(self.farm.get(sent(b"of nobody", "boss"), headers=self.keys["somebody"]))



class Subjects(RenderContract):
    """Of signed tokens."""

    options = dict(RenderContract.options, auth_required="always")

    @classmethod
    def make_farm(cls, **more):
        farm = super().make_farm(start=False, **more)
        jwks = farm.data / "jwks.json"
        jwks.write_text(json.dumps({"keys": [{"kty": "oct", "k": base64url(SECRET)}]}))
        farm.settings.update(auth_jwt_keys=str(jwks))
        farm.autostart, farm.headers = True, bearer(token(claims(sub="boss", role="admin", exp=int(time.time()) + 36000)))
        return farm

    def test_each_route_of_a_task(self):
        """That is documented: for somebody else, and for its own."""
        own, other = (bearer(token(claims(sub=sub))) for sub in ("ada", "eve"))
        number = self.said(self.farm.post(f"{BASE}/tasks", dict(BODY, unionid="ada"), headers=own), 201)["id"]
        text = (ROOT / "docs/http/render.yaml").read_text()
        routes = [(method.upper(), path) for path, methods in re.findall(r"^  (/render/api/tasks/\{id\}\S*):\n((?:    .*\n|\n)+)", text, re.M)
                  for method in re.findall(r"^    (get|post|put|delete):", methods, re.M)]
        self.assertLessEqual({("POST", f"{BASE}/tasks/{{id}}/{name}") for name in ("pause", "resume", "cancel", "cleanup", "retry-failed")}, set(routes))
        self.assertLessEqual({("GET", f"{BASE}/tasks/{{id}}/{name}") for name in ("status", "assets", "frames", "results.zip")}, set(routes))
        for method, path in routes:
            with self.subTest(method, path=path):
                path = path.replace("{id}", str(number)).replace("{frame_number}", "1")
                self.refused(self.farm.request(method, path, headers=other), 403, 4001)
                if method == "GET":
                    self.assertIn(self.farm.request(method, path, headers=own).status, (200, 409))  # results.zip: no frame is finished
        self.assertEqual(self.said(self.farm.get(f"{BASE}/tasks", headers=own))["total"], 1)
        self.assertEqual(self.said(self.farm.get(f"{BASE}/tasks", headers=other))["total"], 0)
        for action, status in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("cleanup", "cancelled")):
            self.assertEqual(self.said(self.farm.post(f"{BASE}/tasks/{number}/{action}", headers=own))["status"], status)


class OwnPort(Contract):
    options = {"workers": 0}

    @classmethod
    def make_farm(cls, **more):
        cls.render = free_port()
        return super().make_farm(render_port=cls.render, **more)

    def ask(self, method, path, port, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def test_the_same_on_a_port_of_its_own(self):
        self.assertEqual(self.ask("GET", "/api/hardware-configs", self.render), self.ask("GET", f"{BASE}/hardware-configs", self.farm.port))
        self.assertEqual(self.ask("GET", "/api/tasks/", self.render)[0], 200)
        status, body = self.ask("GET", "/api/runs", self.render)  # what the main port alone has
        self.assertEqual((status, body["code"], body["error_code"]), (404, 2000, 2000))
        status, body = self.ask("POST", "/api/tasks", self.render, {"name": "of the scheduler's"})
        self.assertEqual((status, body["code"]), (400, 1001))
        self.assertEqual(self.ask("GET", "/nothing", self.render)[1]["code"], 2000)

    def test_the_port_of_somebody_else(self):
        """One that nobody has asked for does no harm: what it serves is on the main port, too."""
        self.beside((socket.AF_INET, "127.0.0.1"))
        if socket.has_ipv6:
            self.beside((socket.AF_INET6, "::1"))

    def beside(self, address):
        family, host = address
        with socket.socket(family) as other:
            try:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind((host, 8000))
                other.listen()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return  # this host has no such address
            port = free_port()
            command = [str(BUILD / "gantry-gateway"), "--data", str(self.farm.data), "--port", str(port), "--recorder-port", "0"]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean_environment(), text=True) as gateway:
                said = []
                for line in gateway.stderr:
                    said.append(line)
                    if f"GTY-HTTP-LISTEN port={port} " in line:
                        break
                gateway.kill()
        self.assertRegex("".join(said), "GTY-HTTP-PORT-TAKEN surface=render .*8000")
        self.assertIn(f"GTY-HTTP-LISTEN port={port} ", said[-1])

    def test_a_port_in_use(self):
        self.farm.start("gateway2", ("--port", "0", "--render-port", str(self.render)))
        self.assertEqual(self.farm.processes["gateway2"].wait(60), 1)
        self.assertRegex(self.farm.log("gateway2"), re.escape(str(self.render)) + ".*in use")
