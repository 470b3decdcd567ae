"""Scenes of the render surface: read by a worker, kept by their hash."""

import json
import os
import pathlib
import shutil
import tempfile

from tests.bus import ScriptedWorker
from tests.contract.base import Contract
from tests.farm import wait_for
from tests.render_client import ask, md5, upload
from tests.scene import tiny

ANALYSE = "/render/api/scene/analyse"


class Scenes(Contract):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="gantry-scenes-")).resolve()
        cls.options = {"workers": 1, "scene_root": str(cls.root)}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.root)

    def put(self, path, content):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        return content

    def analyse(self, **body):
        return ask(self.farm.port, "POST", ANALYSE, body)

    def refused(self, reply, status, code, error_code=None, field=None):
        self.assertEqual(reply.status, status, reply)
        self.assertEqual((reply.body["code"], reply.body["error_code"]), (code, error_code or code), reply)
        if field:
            self.assertEqual(reply.body["errors"][0]["field"], field, reply)

    def scene(self, name):
        return self.put(name, tiny.MAYA.encode() + f"// {name}\n".encode())

    def test_as_documented(self):
        content = self.scene("C/Project/wolf.ma")
        reply = self.analyse(scene_file="C:/Project/wolf.ma", unionid="user123")
        self.assertEqual((reply.status, reply.body["code"]), (200, 200), reply)
        data = reply.body["data"]
        self.assertEqual(data["scene_file"], "C:/Project/wolf.ma")
        self.assertEqual((data["scene_file_size"], data["scene_file_hash"]), (len(content), md5(content)))
        self.assertLessEqual({"scene_info", "asset_summary", "assets", "missing", "analyzed_at"}, set(data))
        self.assertLessEqual({"renderer", "start_frame", "end_frame", "width", "height", "image_format", "render_camera", "sampling"},
                             set(data["scene_info"]))
        self.assertLessEqual({"total_count", "total_size", "missing_count"}, set(data["asset_summary"]))
        kept = ask(self.farm.port, "GET", f"{ANALYSE}/{md5(content)}")
        self.assertEqual(kept.status, 200, kept)
        self.assertEqual(kept.body["data"]["scene_info"], data["scene_info"])

    def test_read_once(self):
        content = self.scene("once.ma")
        first = self.analyse(scene_file="once.ma")
        self.put("copy.ma", content)
        second = self.analyse(scene_file=str(self.root / "copy.ma"))
        self.assertEqual(second.body["data"]["analyzed_at"], first.body["data"]["analyzed_at"])
        self.assertEqual(second.body["data"]["scene_file"], str(self.root / "copy.ma"))
        runs = self.farm.get("/api/runs?task_type=scene").body
        names = [run["task_name"] for run in runs["data"]["runs"]] if "runs" in runs["data"] else []
        self.assertNotIn("copy.ma", names)
        self.assertEqual(self.analyse(scene_file="copy.ma", refresh=True).status, 200)

    def test_kept_over_restarts(self):
        content = self.scene("kept.ma")
        self.assertEqual(self.analyse(scene_file="kept.ma").status, 200)
        for name in ("scheduler", "store", "gateway"):
            self.farm.restart(name)
        self.farm.wait_ready()
        self.assertEqual(ask(self.farm.port, "GET", f"{ANALYSE}/{md5(content)}").status, 200)

    def test_not_in_place(self):
        content = self.scene("later.ma")
        reply = self.analyse(scene_file="later.ma", wait_seconds=0)
        self.assertIn(reply.status, (200, 202), reply)
        self.assertEqual(reply.body["data"]["scene_file_hash"], md5(content))
        wait_for(lambda: ask(self.farm.port, "GET", f"{ANALYSE}/{md5(content)}").status == 200, what="the report")

    def test_uploaded(self):
        content = tiny.MAYA.encode() + b"// uploaded\n"
        self.assertEqual(upload(self.farm.port, content, path="projects/user123/wolf.ma").status, 201)
        for path in ("projects/user123/wolf.ma", f"assets/{md5(content)}"):
            reply = self.analyse(oss_file_path=path, unionid="user123")
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual((reply.body["data"]["scene_file"], reply.body["data"]["scene_file_hash"]), (path, md5(content)))
        self.refused(self.analyse(oss_file_path="projects/user123/other.ma"), 404, 2002, field="oss_file_path")
        self.refused(self.analyse(oss_file_path="assets/" + "0" * 32), 404, 2002)

    def test_not_there(self):
        self.refused(self.analyse(scene_file="C:/Project/none.ma"), 400, 400, 2002, "scene_file")

    def test_outside(self):
        outside = pathlib.Path(tempfile.mkdtemp(prefix="gantry-outside-"))
        self.addCleanup(shutil.rmtree, outside)
        (outside / "x.ma").write_bytes(tiny.MAYA.encode())
        os.symlink(outside / "x.ma", self.root / "link.ma")
        for path in ("../x.ma", f"../{outside.name}/x.ma", "a/../../x.ma", str(outside / "x.ma"), "link.ma", "/etc/passwd", "..\\x.ma"):
            with self.subTest(path):
                self.refused(self.analyse(scene_file=path), 403, 4000)

    def test_no_scene(self):
        self.put("text.ma", b"")
        self.refused(self.analyse(scene_file="text.ma"), 400, 1002, field="scene_file")
        (self.root / "folder").mkdir()
        self.refused(self.analyse(scene_file="folder"), 400, 400, 2002)

    def test_refusals(self):
        for body, code, field in (({}, 1001, "scene_file"), ({"scene_file": 1}, 1002, "scene_file"), ({"scene_file": ""}, 1001, "scene_file"),
                                  ({"scene_file": "a", "oss_file_path": "b"}, 1002, "scene_file"),
                                  ({"scene_file": "a\0b"}, 1000, "body"), ({"scene_file": "a", "unionid": 1}, 1002, "unionid"),
                                  ({"scene_file": "a", "wait_seconds": 31}, 1002, "wait_seconds"),
                                  ({"scene_file": "a", "refresh": "yes"}, 1002, "refresh")):
            with self.subTest(body):
                self.refused(self.analyse(**body), 400, code, field=field)
        self.refused(ask(self.farm.port, "GET", f"{ANALYSE}/{'0' * 32}"), 404, 2000)
        self.refused(ask(self.farm.port, "GET", f"{ANALYSE}/xyz"), 400, 1002)
        self.refused(ask(self.farm.port, "DELETE", f"{ANALYSE}/xyz"), 405, 1000)


class NobodyReads(Contract):
    def test_no_worker(self):
        root = pathlib.Path(tempfile.mkdtemp(prefix="gantry-scenes-")).resolve()
        self.addCleanup(shutil.rmtree, root)
        (root / "a.ma").write_bytes(tiny.MAYA.encode())
        with Contract.make_farm.__func__(type(self), workers=0, scene_root=str(root)) as farm:
            reply = ask(farm.port, "POST", ANALYSE, {"scene_file": "a.ma"})
            self.assertEqual((reply.status, reply.body["code"]), (503, 5003), reply)
            self.assertRegex(reply.headers["retry-after"], r"^\d+$")

    def test_one_that_takes_long(self):
        """Longer than who asks waits: it is read all the same, once for all who ask."""
        root = pathlib.Path(tempfile.mkdtemp(prefix="gantry-scenes-")).resolve()
        self.addCleanup(shutil.rmtree, root)
        content = tiny.MAYA.encode()
        (root / "a.ma").write_bytes(content)
        with Contract.make_farm.__func__(type(self), workers=0, scene_root=str(root)) as farm:
            with ScriptedWorker(farm.endpoint("workers"), ("scene",), executors=("scene",)) as worker:
                worker.hello()
                later = ask(farm.port, "POST", ANALYSE, {"scene_file": "a.ma", "wait_seconds": 1})
                self.assertEqual((later.status, later.body["code"]), (202, 202), later)
                self.assertEqual((later.body["data"]["scene_file"], later.body["data"]["scene_file_hash"]), ("a.ma", md5(content)))
                run = worker.assignment()
                self.assertEqual(later.body["data"]["run_id"], run["run_id"])
                worker.tell("accept", leases=[{"run_id": run["run_id"], "attempt": run["attempt"]}])
                path = f"{ANALYSE}/{md5(content)}"
                for reply in (ask(farm.port, "GET", path), ask(farm.port, "POST", ANALYSE, {"scene_file": "a.ma", "wait_seconds": 0})):
                    self.assertEqual((reply.status, reply.body["data"]["scene_file_hash"], reply.body["data"]["run_id"]), (202, md5(content), run["run_id"]), reply)
                report = {"scene_file": "a.ma", "scene_file_hash": md5(content), "scene_info": {"renderer": "arnold"}}
                worker.result(run["run_id"], run["attempt"], result=json.dumps(report))
                worker.expect("result_ack")
                reply = ask(farm.port, "GET", path)
                self.assertEqual((reply.status, reply.body["data"]["scene_info"]), (200, report["scene_info"]), reply)
                worker.tell("bye")
