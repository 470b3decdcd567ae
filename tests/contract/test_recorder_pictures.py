"""Pictures of the recorder: of videos that are there, and of streams that are being recorded."""

import json
import os
import pathlib
import shutil

from tests.contract.test_auth import bearer, make_key
from tests.contract.test_recorder import EN, STREAMS, RecorderContract
from tests.farm import free_port, wait_for
from tests.recorder import API, Recorder
from tests.render_client import ask
from tests.stills import FRAGMENTED, clip, seen

CYCLE = "20251010_163000"


class Pictures(RecorderContract):
    @classmethod
    def make_farm(cls, **more):
        cls.own = free_port()
        return super().make_farm(recorder_port=cls.own, **more)

    def raw(self, path, port=None, **headers):
        """(status, headers, body), as it came."""
        answer = ask(port or self.farm.port, "GET", path, headers=headers)
        return answer.status, answer.headers, answer.raw

    def thumbnail(self, name, cycle=CYCLE, **headers):
        return self.raw(f"{API}/videos/{cycle}/{name}/thumbnail.jpg", **headers)

    def missing(self, path, message=None):
        self.refused(self.get(path), 404, "Not Found", message)


class Thumbnails(Pictures):
    def setUp(self):
        self.configure()
        self.folder = self.out / CYCLE
        shutil.rmtree(self.folder, ignore_errors=True)

    def test_a_thumbnail(self):
        path = clip(self.folder / "cam1.mp4", "red", "blue")
        status, headers, body = self.thumbnail("cam1.mp4")
        self.assertEqual((status, headers["content-type"]), (200, "image/jpeg"))
        self.assertEqual(seen(body), (320, 180, "red"))
        tag = headers["etag"]
        self.assertEqual(self.thumbnail("cam1.mp4")[2], body)
        for listed in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            status, headers, rest = self.thumbnail("cam1.mp4", **{"If-None-Match": listed})
            self.assertEqual((status, headers["etag"], rest), (304, tag, b""))
        self.assertEqual(self.thumbnail("cam1.mp4", **{"If-None-Match": '"x"'})[0], 200)
        self.assertEqual(self.raw(f"/api/videos/{CYCLE}/cam1.mp4/thumbnail.jpg", self.own)[2], body)  # as on its own port
        clip(path, "green")
        status, headers, body = self.thumbnail("cam1.mp4", **{"If-None-Match": tag})
        self.assertEqual((status, seen(body)), (200, (320, 180, "green")))
        self.assertNotEqual(headers["etag"], tag)
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["cam1.mp4"])  # nothing is left beside it
        self.assertEqual(self.farm.delete(f"{API}/video?path={path}").status, 200)
        self.missing(f"/videos/{CYCLE}/cam1.mp4/thumbnail.jpg", "文件或目录不存在")

    def test_what_has_none(self):
        self.folder.mkdir()
        whole = clip(self.out / "whole.mp4", "red", seconds=1).read_bytes()
        for content in (b"", b"0123456789", whole[:len(whole) // 3]):
            (self.folder / "broken.mp4").write_bytes(content)
            answer = self.get(f"/videos/{CYCLE}/broken.mp4/thumbnail.jpg")
            self.refused(answer, 404, "Not Found")
            self.assertIn("无法从该视频中取得画面", answer.body["message"])
        self.assertIn("No picture can be made of that video: ", self.get(f"/videos/{CYCLE}/broken.mp4/thumbnail.jpg", headers=EN).body["message"])
        self.refused(self.farm.delete(f"{API}/videos/{CYCLE}/broken.mp4/thumbnail.jpg"), 405, "Method Not Allowed")

    def test_attacks(self):
        clip(self.folder / "cam1.mp4", "red", seconds=1)
        clip(self.output / "outside.mp4", "red", seconds=1)
        os.symlink(self.output / "outside.mp4", self.folder / "link.mp4")
        os.symlink(self.output, self.out / "20251010_163500")
        self.addCleanup((self.out / "20251010_163500").unlink)
        self.refused(self.get(f"/videos/{CYCLE}/link.mp4/thumbnail.jpg"), 403, "Forbidden")
        self.refused(self.get("/videos/20251010_163500/outside.mp4/thumbnail.jpg"), 403, "Forbidden")
        for folder in ("..", "%2e%2e", "%252e%252e", ".", "..%2f..", "%2fetc", CYCLE + "%2f..", "..%5c..", "..%00"):
            for name in ("outside.mp4", "..%2f..%2foutside.mp4", "%2e%2e%2foutside.mp4", "%252e%252e%252foutside.mp4", "passwd"):
                status, _, body = self.raw(f"{API}/videos/{folder}/{name}/thumbnail.jpg")
                self.assertIn(status, (400, 403, 404), (folder, name))
                self.assertEqual(set(json.loads(body)), {"error", "message"})
        for name in ("..%2fcam1.mp4", "%2e%2e", ".hidden.mp4", "report.txt", "none.mp4", "cam1.mp4%2f..", "cam1.mp4%00.mp4", "%252e%252e%252fcam1.mp4"):
            status, _, body = self.thumbnail(name)
            self.assertIn(status, (400, 403, 404), name)
            self.assertEqual(set(json.loads(body)), {"error", "message"})


class Live(Pictures):
    def test_live(self):
        self.configure()
        whole = clip(self.output / "whole.mp4", "red", "blue", options=FRAGMENTED).read_bytes()
        half = whole[:whole.index(b"moof", len(whole) // 4) + 20]
        self.missing("/streams/0/live.jpg", "该流当前没有可显示的画面（未在录制，或尚未收到画面）: 0")
        self.assertIn("There is no picture of stream 0", self.get("/streams/0/live.jpg", headers=EN).body["message"])
        for wrong in ("2", "99999999999999999999999", "x", "-1"):
            self.missing(f"/streams/{wrong}/live.jpg", f"无效的流索引: {wrong}")
        with Recorder(self.farm) as worker:
            self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
            first, second = sorted((worker.begin(), worker.begin()), key=lambda run: run["parameters"]["stream"])
            folder = pathlib.Path(first["parameters"]["output"]).parent
            self.missing("/streams/0/live.jpg")  # nothing has come yet
            pieces = {run["run_id"]: folder / f".gantry-rec-{run['run_id']}" for run in (first, second)}
            for piece in pieces.values():
                piece.mkdir(parents=True)
            (pieces[first["run_id"]] / "1-1760085000000.mp4").write_bytes(half)
            status, headers, body = self.raw(f"{API}/streams/0/live.jpg")
            self.assertEqual((status, headers["content-type"], headers["cache-control"]), (200, "image/jpeg", "no-store"))
            self.assertEqual(seen(body), (640, 360, "red"))
            (pieces[first["run_id"]] / "2-1760085001000.mp4").write_bytes(whole)  # another attempt
            self.assertEqual(seen(self.raw("/api/streams/0/live.jpg", self.own)[2]), (640, 360, "blue"))
            (pieces[second["run_id"]] / "1-1760085000000.mp4").write_bytes(whole[:100])
            answer = self.get("/streams/1/live.jpg")
            self.refused(answer, 404, "Not Found")
            self.assertIn("无法从该视频中取得画面", answer.body["message"])
            # Its stream stays the same one when indices shift.
            (pieces[second["run_id"]] / "1-1760085000000.mp4").write_bytes(half)
            self.said(self.farm.delete(f"{API}/config/streams/0"), "流配置删除成功")
            self.assertEqual(seen(self.raw(f"{API}/streams/0/live.jpg")[2]), (640, 360, "red"))
            self.missing("/streams/1/live.jpg", "无效的流索引: 1")
            worker.end(first, result=json.dumps({"seconds": 15, "bytes": 1, "frames": 1, "status": 4}))
            worker.end(second, outcome=2, error="disk: it cannot be put together")
        wait_for(lambda: (folder / "streams.csv").exists(), what="the reports")
        wait_for(lambda: not pieces[first["run_id"]].exists(), what="the end of what became a video")
        kept = pieces[second["run_id"]] / "1-1760085000000.mp4"
        self.assertEqual(kept.read_bytes(), half)  # there is no other copy of it
        self.missing("/streams/0/live.jpg")


class Roles(Pictures):
    @classmethod
    def make_farm(cls, **more):
        farm = super().make_farm(auth_required="always", start=False, **more)
        cls.keys = {role: make_key(farm, role, role) for role in ("admin", "readonly")}
        farm.headers = bearer(cls.keys["admin"])
        farm.autostart = True
        return farm

    def test_who_may(self):
        self.configure(STREAMS)
        clip(self.out / CYCLE / "cam1.mp4", "red", seconds=1)
        for path, status in ((f"{API}/videos/{CYCLE}/cam1.mp4/thumbnail.jpg", 200), (f"{API}/streams/0/live.jpg", 404)):
            self.assertEqual(self.raw(path, **bearer(self.keys["readonly"]))[0], status)
            self.assertEqual(self.raw(path)[0], 401)
            self.assertEqual(self.raw(path, **bearer("x"))[0], 401)
