"""The recorder's API: every endpoint, both shapes of each answer, exact texts, and what it refuses."""

import csv
import http.client
import json
import os
import pathlib
import shutil
import tempfile
import time

from tests.contract.base import Contract
from tests.contract.test_auth import bearer, make_key
from tests.farm import free_port, wait_for
from tests.recorder import API, Recorder

EN = {"Accept-Language": "en"}
GLOBAL = {"total_poll_duration_seconds": 60, "max_concurrent_streams": 2, "report_filename": "rtsp_report.json",
          "connection_timeout_seconds": 3, "read_timeout_seconds": 5, "poll_cycles": 1, "cycle_interval_seconds": 30}
STREAMS = [{"rtsp_url": "rtsp://cam:secret@example.com/stream1", "duration_seconds": 15, "weight": 1.0, "output_filename": "test_stream1.mp4"},
           {"rtsp_url": "rtsp://example.com/stream2", "duration_seconds": 20, "weight": 1.5, "output_filename": "test_stream2.mp4"}]


class RecorderContract(Contract):
    @classmethod
    def make_farm(cls, **more):
        cls.output = pathlib.Path(tempfile.mkdtemp(prefix="recorder-"))
        cls.addClassCleanup(shutil.rmtree, cls.output, True)
        more.setdefault("recorder_min_free_mb", 0)  # however little is free here
        return super().make_farm(workers=0, output=str(cls.output / "out"), recorder_config=str(cls.output / "config.json"), **more)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.out = cls.output / "out"
        cls.out.mkdir()
        wait_for(lambda: cls.farm.get(f"{API}/config").status == 200, what="the configuration")

    def get(self, path, **more):
        return self.farm.get(API + path, **more)

    def said(self, answer, message):
        self.assertEqual(answer.status, 200, answer)
        self.assertIs(answer.body["success"], True)
        self.assertEqual(answer.body["message"], message)
        return answer.body

    def refused(self, answer, status, error, message=None):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.body["error"], error)
        if message is not None:
            self.assertEqual(answer.body["message"], message)
        self.assertTrue(answer.body["message"])

    def configure(self, streams=STREAMS, **changes):
        whole = {"global_config": dict(GLOBAL, output_directory=str(self.out), **changes), "streams": streams}
        self.said(self.farm.put(f"{API}/config", whole), "配置更新成功")
        return whole


class Configuration(RecorderContract):
    def test_1_default_file(self):
        """Started without a file it writes a valid one, and has what is in it."""
        written = json.loads((self.output / "config.json").read_text())
        self.assertEqual(set(written), {"global_config", "streams"})
        self.assertEqual(self.get("/config").body, written)
        self.refused(self.farm.post(f"{API}/scheduler/start"), 400, "Bad Request", "没有可录制的流，请先添加流配置")

    def test_2_whole(self):
        whole = self.configure()
        self.assertEqual(self.get("/config").body, whole)
        self.assertEqual(self.get("/config/global").body, whole["global_config"])
        listed = self.get("/config/streams").body
        self.assertEqual(listed, {"count": 2, "streams": [dict(STREAMS[0], index=0), dict(STREAMS[1], index=1)]})
        for bad, field in (({"global_config": 5}, "global_config"), ({"streams": {}}, "streams"), ({"streams": [dict(STREAMS[0], weight="1")]}, "streams[0].weight"),
                           ({"streams": [dict(STREAMS[0], output_filename="a/b.mp4")]}, "streams[0].output_filename"),
                           ({"global_config": {"poll_cycles": 0}, "streams": STREAMS}, "poll_cycles"), ({"streams": []}, "")):
            answer = self.farm.put(f"{API}/config", bad)
            self.refused(answer, 400, "Bad Request")
            self.assertIn(field, answer.body["message"])
            self.assertEqual(self.get("/config").body, whole)
        self.refused(self.farm.put(f"{API}/config", {"streams": [{"rtsp_url": "rtsp://a/b"}]}), 400, "Bad Request", "流配置参数不完整或不合法")

    def test_3_global(self):
        self.configure()
        body = self.said(self.farm.put(f"{API}/config/global", {"max_concurrent_streams": 3, "poll_cycles": 5, "cycle_interval_seconds": 45}), "全局配置更新成功")
        self.assertEqual(body["updated_config"], dict(GLOBAL, output_directory=str(self.out), max_concurrent_streams=3, poll_cycles=5, cycle_interval_seconds=45))
        self.refused(self.farm.put(f"{API}/config/global", {"max_concurrent_streams": 0}), 400, "Bad Request", "配置验证失败: max_concurrent_streams 必须大于 0")
        answer = self.farm.put(f"{API}/config/global", {"max_concurrent_streams": 0}, headers=EN)
        self.assertEqual(answer.body["message"], "The configuration is not valid: max_concurrent_streams must be greater than 0")
        for outside in ("/etc", "..", str(self.out / ".." / "x"), "/"):
            self.refused(self.farm.put(f"{API}/config/global", {"output_directory": outside}), 400, "Bad Request")
        below = str(self.out / "below")
        self.assertEqual(self.said(self.farm.put(f"{API}/config/global", {"output_directory": below}), "全局配置更新成功")["updated_config"]["output_directory"], below)
        for bad in ("a/b", "report.txt", "x.mp4", ".hidden"):
            self.refused(self.farm.put(f"{API}/config/global", {"report_filename": bad}), 400, "Bad Request")

    def test_4_streams(self):
        self.configure()
        new = {"rtsp_url": "rtsp://example.com/new_stream", "duration_seconds": 25, "weight": 1.8, "output_filename": "new_stream.mp4"}
        body = self.said(self.farm.post(f"{API}/config/streams", new), "流配置添加成功")
        self.assertEqual((body["stream_index"], body["index"], body["added_stream"]), (2, 2, new))
        body = self.said(self.farm.put(f"{API}/config/streams/0", {"duration_seconds": 30, "weight": 2.0}), "流配置更新成功")
        self.assertEqual((body["stream_index"], body["index"]), (0, 0))
        self.assertEqual(body["updated_stream"], dict(STREAMS[0], duration_seconds=30, weight=2.0))
        body = self.said(self.farm.delete(f"{API}/config/streams/1"), "流配置删除成功")
        self.assertEqual((body["deleted_stream_index"], body["deleted_index"]), (1, 1))
        self.assertEqual(self.get("/config/streams").body["streams"][1]["output_filename"], "new_stream.mp4")
        self.refused(self.farm.delete(f"{API}/config/streams/5"), 404, "Not Found", "无效的流索引: 5")
        self.refused(self.farm.put(f"{API}/config/streams/x", {"weight": 1}), 404, "Not Found", "无效的流索引: x")
        self.refused(self.farm.post(f"{API}/config/streams", {"rtsp_url": "rtsp://example.com/x"}), 400, "Bad Request", "流配置参数不完整或不合法")
        self.refused(self.farm.post(f"{API}/config/streams", dict(new, rtsp_url="file:///etc/passwd")), 400, "Bad Request")
        self.refused(self.farm.post(f"{API}/config/streams", dict(new, rtsp_url="rtsp://user:pa/ss@host/x")), 400, "Bad Request")
        self.refused(self.farm.post(f"{API}/config/streams", dict(new, duration_seconds=86401)), 400, "Bad Request")
        self.refused(self.farm.post(f"{API}/config/streams", dict(new, duration_seconds="25")), 400, "Bad Request")
        self.refused(self.farm.post(f"{API}/config/streams", b"{"), 400, "Bad Request")
        self.said(self.farm.delete(f"{API}/config/streams/1"), "流配置删除成功")
        self.refused(self.farm.delete(f"{API}/config/streams/0"), 400, "Bad Request", "必须至少保留一个流配置")

    def test_5_file(self):
        whole, path = self.configure(), self.output / "config.json"
        body = self.said(self.farm.post(f"{API}/config/save"), "配置保存成功")
        self.assertEqual((body["saved_to"], body["file_path"]), (str(path), str(path)))
        self.assertEqual(json.loads(path.read_text()), whole)
        self.said(self.farm.post(f"{API}/config/save", {"file_path": "other.json"}), "配置保存成功")
        self.assertEqual(json.loads((self.output / "other.json").read_text()), whole)
        for outside in ("../x.json", "/tmp/x.json", "a/b.json", ".json", "config.txt"):
            self.refused(self.farm.post(f"{API}/config/save", {"file_path": outside}), 403, "Forbidden")
        path.write_text(json.dumps(dict(whole, streams=STREAMS[:1])))
        body = self.said(self.farm.post(f"{API}/config/reload"), "配置重新加载成功")
        self.assertEqual((body["loaded_from"], body["file_path"]), (str(path), str(path)))
        self.assertEqual(self.get("/config/streams").body["count"], 1)
        path.write_text("{")
        self.refused(self.farm.post(f"{API}/config/reload"), 400, "Bad Request")
        self.assertEqual(self.get("/config/streams").body["count"], 1)
        self.said(self.farm.put(f"{API}/config/global", {"poll_cycles": 7}), "全局配置更新成功")
        self.farm.restart("gateway")
        self.farm.restart("scheduler")
        self.farm.wait_ready()
        self.assertEqual(self.get("/config/global").body["poll_cycles"], 7)  # though it was not saved

    def test_6_http(self):
        answer = self.farm.get(f"{API}/config", headers={"Origin": "http://anywhere.example"})
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (200, "http://anywhere.example"))
        answer = self.farm.request("OPTIONS", f"{API}/config", headers={"Origin": "http://anywhere.example", "Access-Control-Request-Method": "PUT"})
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (204, "http://anywhere.example"))
        self.refused(self.get("/nothing"), 404, "Not Found")
        answer = self.farm.delete(f"{API}/config")
        self.refused(answer, 405, "Method Not Allowed")
        self.refused(self.farm.put(f"{API}/config", b"x", headers={"Content-Type": "text/plain"}), 415, "Unsupported Media Type")


class Folder(RecorderContract):
    """What is in the output folder, straight from there."""

    def make(self, *paths):
        for path in paths:
            (self.out / path).parent.mkdir(parents=True, exist_ok=True)
            (self.out / path).write_bytes(b"0123456789")

    def setUp(self):
        self.configure()
        for one in self.out.iterdir():
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        self.make("20251010_163000/test_stream1.mp4", "20251010_163000/test_stream2.mp4", "20251010_163000/report.txt", "20251010_163100/cam.mp4",
                  "other/no.mp4", "20251010_163000/.hidden.mp4", "20251010_163000/.gantry-rec-7/x.mp4")
        os.utime(self.out / "20251010_163000/test_stream1.mp4", (1760085026, 1760085026))

    def test_lists(self):
        self.assertEqual(self.get("/timestamps").body, {"count": 2, "timestamps": [
            {"timestamp": "20251010_163100", "video_count": 1, "total_size": 10, "held": False, "held_count": 0},
            {"timestamp": "20251010_163000", "video_count": 2, "total_size": 20, "held": False, "held_count": 0}]})
        videos = self.get("/videos").body
        self.assertEqual(videos["count"], 3)
        self.assertEqual([one["filename"] for one in videos["videos"]], ["cam.mp4", "test_stream1.mp4", "test_stream2.mp4"])
        self.assertEqual(videos["videos"][1], {"filename": "test_stream1.mp4", "full_path": f"{self.out}/20251010_163000/test_stream1.mp4",
                                               "timestamp_dir": "20251010_163000", "file_size": 10, "created_time": videos["videos"][1]["created_time"], "stream_index": "1", "held": False})
        self.assertRegex(videos["videos"][1]["created_time"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        self.assertEqual(videos["videos"][0]["stream_index"], "")
        one = self.get("/videos/20251010_163000").body
        self.assertEqual((one["timestamp"], one["count"], one["videos"]), ("20251010_163000", 2, videos["videos"][1:]))
        self.assertEqual(self.get("/videos?timestamp=20251010_163000").body, one)
        self.make("20251010_163000/third3.mp4")  # a folder that has changed is read again
        self.assertEqual(self.get("/videos").body["count"], 4)
        (self.out / "20251010_163100/cam.mp4").unlink()
        self.assertEqual(self.get("/timestamps").body["timestamps"][0], {"timestamp": "20251010_163100", "video_count": 0, "total_size": 0, "held": False, "held_count": 0})
        self.refused(self.get("/videos/20251010_999999"), 404, "Not Found", "文件或目录不存在")
        self.refused(self.get("/videos?timestamp=../../etc"), 403, "Forbidden")

    def test_playback(self):
        path = f"{API}/videos/20251010_163000/test_stream1.mp4"
        connection = http.client.HTTPConnection("127.0.0.1", self.farm.port, timeout=120)
        self.addCleanup(connection.close)
        for headers, status, content in (({}, 200, b"0123456789"), ({"Range": "bytes=2-4"}, 206, b"234"), ({"Range": "bytes=-3"}, 206, b"789"), ({"Range": "bytes=99-"}, 416, None)):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            self.assertEqual(answer.status, status)
            if content is not None:
                self.assertEqual(body, content)
                self.assertEqual(answer.headers["Content-Type"], "video/mp4")
        os.symlink("/etc/passwd", self.out / "20251010_163000/link.mp4")
        self.refused(self.get("/videos/20251010_163000/link.mp4"), 403, "Forbidden")
        self.refused(self.get("/videos/20251010_163000/none.mp4"), 404, "Not Found")
        self.refused(self.get("/videos/20251010_163000/report.txt"), 404, "Not Found")
        for attack in ("/videos/..%2f..%2fetc/passwd", "/videos/20251010_163000/..%2fx.mp4"):
            self.assertIn(self.get(attack).status, (400, 403, 404))

    def test_delete_file(self):
        path = f"{self.out}/20251010_163000/test_stream1.mp4"
        body = self.said(self.farm.delete(f"{API}/video?path={path}"), "文件删除成功")
        self.assertEqual(body["path"], path)
        self.assertFalse(os.path.exists(path))
        answer = self.farm.delete(f"{API}/video?path={path}")
        self.refused(answer, 404, "Not Found", "文件或目录不存在")
        self.assertEqual((answer.body["success"], answer.body["path"]), (False, path))
        outside = self.output / "config.json"
        for attack in (str(outside), f"{self.out}/../config.json", "/etc/passwd", f"{self.out}/20251010_163000/../../config.json", "config.json",
                       f"{self.out}/20251010_163000/%2e%2e/%2e%2e/config.json", f"{self.out}x/20251010_163000/a.mp4"):
            answer = self.farm.delete(f"{API}/video?path={attack}")
            self.refused(answer, 403, "Forbidden")
            self.assertIs(answer.body["success"], False)
        os.symlink(self.output, self.out / "20251010_163200")
        (self.output / "v.mp4").write_bytes(b"x")
        self.refused(self.farm.delete(f"{API}/video?path={self.out}/20251010_163200/v.mp4"), 403, "Forbidden")
        self.assertTrue((self.output / "v.mp4").exists() and outside.exists())
        self.refused(self.farm.delete(f"{API}/video"), 400, "Bad Request")
        self.refused(self.farm.delete(f"{API}/video?path={self.out}/20251010_163000/report.txt"), 404, "Not Found")

    def test_delete_folder(self):
        body = self.said(self.farm.delete(f"{API}/timestamp/20251010_163000"), "目录删除成功")
        self.assertEqual((body["timestamp"], body["path"]), ("20251010_163000", f"{self.out}/20251010_163000"))
        self.assertFalse((self.out / "20251010_163000").exists())
        answer = self.farm.delete(f"{API}/timestamp/20251010_163000")
        self.refused(answer, 404, "Not Found")
        self.assertEqual((answer.body["success"], answer.body["timestamp"], answer.body["path"]), (False, "20251010_163000", f"{self.out}/20251010_163000"))
        os.symlink(self.output, self.out / "20251010_163200")
        self.refused(self.farm.delete(f"{API}/timestamp/20251010_163200"), 403, "Forbidden")
        answer = self.farm.delete(f"{API}/timestamp/other")
        self.refused(answer, 404, "Not Found")
        self.assertEqual((answer.body["success"], answer.body["timestamp"], answer.body["path"]), (False, "other", f"{self.out}/other"))
        self.assertIn(self.farm.delete(f"{API}/timestamp/..%2fother").status, (400, 403, 404))
        self.assertTrue((self.out / "other/no.mp4").exists() and (self.output / "config.json").exists())


    def held(self):
        """What lists say: of folders, and of videos."""
        return ({one["timestamp"]: (one["held"], one["held_count"]) for one in self.get("/timestamps").body["timestamps"]},
                [f"{one['timestamp_dir']}/{one['filename']}" for one in self.get("/videos").body["videos"] if one["held"]])

    def test_hold_file(self):
        path, name = f"{API}/videos/20251010_163000/test_stream1.mp4/hold", f"{self.out}/20251010_163000/test_stream1.mp4"
        for _ in range(2):
            body = self.said(self.farm.put(path), "已设为保留")
            self.assertEqual((body["timestamp"], body["filename"], body["path"], body["held"], body["held_by"]), ("20251010_163000", "test_stream1.mp4", name, True, "file"))
        self.assertEqual(self.farm.put(path, headers=EN).body["message"], "Held: it is not removed until the hold ends")
        self.assertEqual(self.held(), ({"20251010_163100": (False, 0), "20251010_163000": (False, 1)}, ["20251010_163000/test_stream1.mp4"]))
        for delete in (f"/video?path={name}", "/timestamp/20251010_163000"):
            self.refused(self.farm.delete(API + delete), 409, "Conflict", "已设为保留，无法删除")
        self.farm.kill("gateway")
        self.farm.start("gateway")
        self.farm.wait_ready()
        self.assertEqual(self.held()[1], ["20251010_163000/test_stream1.mp4"])
        for _ in range(2):
            body = self.said(self.farm.delete(path), "已取消保留")
            self.assertEqual((body["held"], body["held_by"]), (False, ""))
        self.said(self.farm.delete(f"{API}/video?path={name}"), "文件删除成功")

    def test_hold_folder(self):
        path = f"{API}/videos/20251010_163000/hold"
        body = self.said(self.farm.put(path), "已设为保留")
        self.assertEqual((body["timestamp"], body["path"], body["held"], body["held_by"]), ("20251010_163000", f"{self.out}/20251010_163000", True, "folder"))
        self.assertNotIn("filename", body)
        self.assertEqual(self.held()[0]["20251010_163000"], (True, 2))
        body = self.said(self.farm.delete(f"{API}/videos/20251010_163000/test_stream2.mp4/hold"), "已取消保留")
        self.assertEqual((body["held"], body["held_by"]), (True, "folder"))
        self.refused(self.farm.delete(f"{API}/video?path={self.out}/20251010_163000/test_stream2.mp4"), 409, "Conflict")
        answer = self.farm.delete(f"{API}/timestamp/20251010_163000", headers=EN)
        self.refused(answer, 409, "Conflict", "It is held and cannot be deleted: end the hold first")
        self.assertEqual((answer.body["success"], answer.body["timestamp"]), (False, "20251010_163000"))
        self.said(self.farm.delete(path), "已取消保留")
        self.said(self.farm.delete(f"{API}/timestamp/20251010_163000"), "目录删除成功")

    def test_hold_nothing(self):
        os.symlink("/etc/passwd", self.out / "20251010_163000/link.mp4")
        os.symlink(self.output, self.out / "20251010_163200")
        for method in ("PUT", "DELETE"):
            for path in ("20251010_999999", "other", "20251010_163000/none.mp4", "20251010_163000/report.txt", "20251010_163000/.hidden.mp4", "20251010_163000/%2a"):
                self.refused(self.farm.request(method, f"{API}/videos/{path}/hold"), 404, "Not Found", "文件或目录不存在")
            for path in ("20251010_163000/link.mp4", "20251010_163200"):
                self.refused(self.farm.request(method, f"{API}/videos/{path}/hold"), 403, "Forbidden")
            for path in ("..%2f..%2fetc", "20251010_163000/..%2fx.mp4", "20251010_163000/a%0ab.mp4", "%2e%2e/x.mp4"):
                self.assertIn(self.farm.request(method, f"{API}/videos/{path}/hold").status, (400, 403, 404))
        for path in ("20251010_163000", "20251010_163000/test_stream1.mp4"):
            self.refused(self.farm.post(f"{API}/videos/{path}/hold"), 405, "Method Not Allowed")
        (self.out / "20251010_163000/.gantry-held").mkdir()  # what cannot be read holds everything
        self.assertEqual(self.held()[0]["20251010_163000"], (True, 2))
        self.refused(self.farm.put(f"{API}/videos/20251010_163000/hold"), 500, "Internal Server Error", "保留标记无法写入")


    def test_retention(self):
        """What would go, and does not."""
        def shown(query=""):
            body = self.get(f"/retention{query}").body
            return body, [(one["timestamp_dir"], one["filename"], one["reason"]) for one in body["videos"]]

        body, videos = shown()
        self.assertEqual((body["active"], body["keep_days"], body["keep_gb"], body["free_gb"], videos, body["timestamps"]), (False, 0, 0, 0, [], []))
        self.assertEqual((body["count"], body["bytes"], body["kept"], body["held"]), (0, 0, {"count": 3, "bytes": 30}, {"count": 0, "bytes": 0}))
        body, videos = shown("?keep_days=30.5")
        self.assertEqual((body["active"], body["keep_days"], videos), (True, 30.5, [("20251010_163000", "test_stream1.mp4", "age")]))
        self.assertEqual((body["count"], body["bytes"], body["folders"], body["reasons"]["age"], body["kept"]), (1, 10, 0, {"count": 1, "bytes": 10}, {"count": 2, "bytes": 20}))
        self.assertEqual(dict(body["videos"][0], reason=None), dict(self.get("/videos/20251010_163000").body["videos"][0], reason=None))
        body, videos = shown("?free_gb=1000000")
        self.assertEqual((videos[0], len(videos), {one[2] for one in videos}), (("20251010_163000", "test_stream1.mp4", "free_space"), 3, {"free_space"}))
        self.assertEqual((body["folders"], body["timestamps"]), (2, [{"timestamp": "20251010_163100", "reason": "empty"}, {"timestamp": "20251010_163000", "reason": "empty"}]))
        self.said(self.farm.put(f"{API}/videos/20251010_163000/test_stream1.mp4/hold"), "已设为保留")
        body, videos = shown("?keep_days=30&keep_gb=1")
        self.assertEqual((videos, body["held"]), ([], {"count": 1, "bytes": 10}))
        self.assertEqual(self.get("/videos").body["count"], 3)
        for bad in ("keep_days=-1", "keep_days=x", "keep_days=1.2345", "keep_days=36501", "keep_gb=1e3", "free_gb=.5", "free_gb=1000000.001", "keep_gb=1&keep_gb=2", "keep_gb=1."):
            self.refused(self.get(f"/retention?{bad}"), 400, "Bad Request")
        self.assertIn("0..36500，至多三位小数", self.get("/retention?keep_days=x").body["message"])


    def test_disk(self):
        body = self.get("/disk").body
        self.assertEqual((body["path"], body["state"], body["message"], body["guarded"], body["min_free"]), (str(self.out), "ok", "", False, 0))
        self.assertTrue(0 < body["free"] <= body["total"] and 0 < body["used"] <= body["total"])
        self.assertEqual(body["recordings"], {"count": 3, "bytes": 30, "held_bytes": 0})
        # Of the three one is older than the week that is looked at.
        self.assertEqual((body["observed_days"], body["bytes_per_day"], body["forecast"], body["full_at"]), (7, 3, "idle", ""))
        self.assertEqual(body["retention"], {"keep_days": 0, "keep_gb": 0, "free_gb": 0, "active": False})
        self.assertEqual(self.get("/disk", headers=EN).body["forecast_message"], "Next to nothing is recorded: the disk does not fill up")
        self.said(self.farm.put(f"{API}/config/global", {"output_directory": str(self.out / "later")}), "全局配置更新成功")
        body = self.get("/disk").body
        self.assertEqual((body["state"], body["total"], body["used"], body["free"], body["forecast"], body["full_at"]), ("missing", None, None, None, "unknown", ""))
        self.refused(self.farm.put(f"{API}/disk"), 405, "Method Not Allowed")


class FullDisk(RecorderContract):
    """No disk has as much free as is asked for here."""

    @classmethod
    def make_farm(cls, **more):
        return super().make_farm(recorder_min_free_mb=10**9, **more)

    def test_nothing_begins(self):
        text = "There is too little room on the disk: nothing new is recorded"
        self.configure([dict(STREAMS[1], duration_seconds=1)])
        body = self.get("/disk", headers=EN).body
        self.assertEqual((body["state"], body["message"], body["min_free"], body["forecast"], body["forecast_message"]), ("disk_full", text, 10**15, "full", "The disk is full"))
        self.assertRegex(body["full_at"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        with Recorder(self.farm):
            body = self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
            self.assertEqual((body["is_running"], body["disk_state"], body["disk_message"]), (True, "disk_full", "磁盘空间不足，暂不开始新的录制"))
            ended = wait_for(lambda: not (now := self.get("/scheduler/status", headers=EN).body)["is_running"] and now, what="the end of its slot")
        self.assertEqual((ended["disk_state"], ended["disk_message"], ended["failed_tasks"]), ("disk_full", text, 1))
        task, = self.get("/tasks").body["tasks"]
        self.assertEqual((task["status"], task["error_message"].split(":")[0], task["run_id"]), (6, "disk_full", 0))
        self.assertEqual(self.get("/tasks").body["disk_state"], "disk_full")


class Mount(RecorderContract):
    """A folder that has lost its marker is another, below where its disk was."""

    def test_marker(self):
        self.configure([dict(STREAMS[1], duration_seconds=3000)], total_poll_duration_seconds=3600)
        marker = self.out / ".gantry-recorder"
        self.assertIs(self.get("/disk").body["guarded"], False)
        self.assertEqual(self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")["disk_state"], "ok")
        self.assertTrue(marker.is_file())
        self.assertEqual((self.get("/disk").body["state"], self.get("/disk").body["guarded"]), ("ok", True))
        wait_for(lambda: self.get("/tasks").body["tasks"], what="a cycle")
        self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")
        wait_for(lambda: list(self.out.glob("*/streams.csv")), what="its reports, of which the table is the last")
        shutil.rmtree(self.out)
        self.out.mkdir()
        body = self.get("/disk", headers=EN).body
        self.assertEqual((body["state"], body["guarded"], body["total"], body["free"], body["forecast"]), ("unmounted", True, None, None, "unknown"))
        self.assertIn(".gantry-recorder", body["message"])
        body = self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
        self.assertEqual((body["is_running"], body["disk_state"]), (True, "unmounted"))
        waits = wait_for(lambda: (now := self.get("/tasks").body["tasks"][0])["error_message"].startswith("unmounted") and now, what="a recording that waits")
        self.assertEqual((waits["status"], waits["run_id"]), (0, 0))
        self.assertEqual(list(self.out.iterdir()), [])
        self.out.rmdir()
        self.assertEqual(self.get("/disk").body["state"], "unmounted")
        self.assertFalse(self.out.exists())
        self.out.mkdir()
        marker.touch()  # as the message says
        wait_for(lambda: self.get("/scheduler/status").body["disk_state"] == "ok", what="its disk")
        self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")

    def unmarked(self, name):
        """A folder that has a cycle, and no marker, as there are other things in it."""
        folder = self.out / name
        (folder / "films").mkdir(parents=True)
        self.configure()
        self.said(self.farm.put(f"{API}/config/global", {"output_directory": str(folder)}), "全局配置更新成功")
        self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
        self.assertEqual((self.get("/disk").body["state"], self.get("/disk").body["guarded"]), ("ok", False))
        self.assertEqual([one.name for one in folder.iterdir() if one.name.startswith(".")], [])
        wait_for(lambda: self.get("/scheduler/status").body["cycles"], what="a cycle")
        self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")
        wait_for(lambda: list(folder.glob("*/streams.csv")), what="its reports, of which the table is the last")
        return folder

    def test_somebody_elses_folder_becomes_ours(self):
        folder = self.unmarked("third")
        (folder / "films").rmdir()
        wait_for((folder / ".gantry-recorder").exists, what="its marker")  # though nothing is recorded

    def test_somebody_elses_folder(self):
        """It never had a marker, and is as empty then as what is below a disk that is away."""
        folder = self.unmarked("other")
        shutil.rmtree(folder)
        folder.mkdir()
        wait_for(lambda: self.get("/disk").body["state"] == "unmounted", what="that it is seen")  # the reports were told of
        self.assertIs(self.get("/disk").body["guarded"], False)
        body = self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
        self.assertEqual((body["is_running"], body["disk_state"], list(folder.iterdir())), (True, "unmounted", []))
        wait_for(lambda: self.get("/tasks").body["tasks"][0]["error_message"].startswith("unmounted"), what="a recording that waits")
        self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")
        wait_for(lambda: not self.get("/scheduler/cycle").body["active_tasks"], what="its end")
        self.assertEqual(list(folder.iterdir()), [])  # no reports either
        (folder / ".gantry-recorder").touch()  # as the message says
        wait_for(lambda: list(folder.glob("*/streams.csv")), what="the reports that were owed")
        wait_for(lambda: self.get("/scheduler/status").body["disk_state"] == "ok", what="its disk")


class Cycles(RecorderContract):
    def test_cycle(self):
        self.configure()
        idle = self.get("/scheduler/status").body
        self.assertEqual((idle["is_running"], idle["start_time"], idle["end_time"], idle["total_tasks"]), (False, "", "", 0))
        self.assertEqual(self.get("/tasks").body["tasks"], [])
        self.assertIs(self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")["is_running"], False)
        with Recorder(self.farm) as worker:
            self.assertIs(self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")["is_running"], True)
            self.refused(self.farm.post(f"{API}/scheduler/start"), 409, "Conflict", "调度器已经在运行中")
            runs = [worker.begin(), worker.begin()]
            first, second = sorted(runs, key=lambda run: run["parameters"]["stream"])
            self.assertEqual(first["parameters"]["url"], STREAMS[0]["rtsp_url"])
            folder = pathlib.Path(first["parameters"]["output"]).parent
            self.assertEqual((folder.parent, first["spec"]["output"]), (self.out, first["parameters"]["output"]))
            self.assertEqual((first["parameters"]["duration_s"], first["parameters"]["connect_s"], first["parameters"]["read_s"]), (15, 3, 5))
            shown = self.farm.get(f"/api/runs/{first['run_id']}").body["data"]
            self.assertEqual((shown["parameters"]["url"], shown["parameters"]["stream"]), ("rtsp://***@example.com/stream1", 1))
            self.assertNotIn("secret", json.dumps(shown))
            note = json.dumps({"status": 3, "seconds": 12.5, "bytes": 1024000, "frames": 300})
            worker.tell("progress", items=[{"run_id": second["run_id"], "attempt": second["attempt"], "percent": 60, "note": note}])
            tasks = wait_for(lambda: (found := self.get("/tasks").body)["tasks"][1]["status"] == 3 and found, what="its progress")
            self.assertEqual((tasks["count"], tasks["scheduler_running"], tasks["total_tasks"], tasks["completed_tasks"]), (2, True, 2, 0))
            self.assertEqual(tasks["schedule_info"], "调度方案: 2个任务\n任务 0: 0秒开始, 持续 15秒\n任务 1: 0秒开始, 持续 20秒")
            one = tasks["tasks"][1]
            self.assertEqual((one["status_code"], one["status_name"], one["status_text"], one["progress"], one["bytes_received"], one["frames_received"]),
                             (3, "录制中", "录制中", 12, 1024000, 300))
            self.assertEqual((one["output_file"], one["end_time"], one["error_message"]), (str(folder / "test_stream2.mp4"), "", ""))
            self.assertEqual(tasks["tasks"][0]["rtsp_url"], "rtsp://***@example.com/stream1")
            self.assertEqual(self.get("/tasks/status", headers=EN).body["tasks"][1]["status_name"], "recording")
            cycle = self.get("/scheduler/cycle").body
            self.assertEqual((cycle["scheduler_running"], cycle["is_running"], cycle["current_cycle"]), (True, True, 1))
            self.assertEqual((cycle["cycle_info"]["total_duration"], cycle["cycle_progress"]["total_seconds"]), (60, 60))
            self.assertIn({"stream_index": 1, "status": 3, "progress_seconds": 12, "target_duration": 20}, cycle["active_tasks"])
            folder.mkdir(exist_ok=True)
            (folder / "test_stream1.mp4").write_bytes(b"x")
            answer = self.farm.delete(f"{API}/video?path={folder}/test_stream1.mp4")
            self.refused(answer, 409, "Conflict", "正在录制，无法删除")
            self.refused(self.farm.delete(f"{API}/timestamp/{folder.name}"), 409, "Conflict")
            said = {"seconds": 15.2, "bytes": 2048576, "frames": 450, "gaps": [{"at": 3, "seconds": 0.5, "cause": "read"}], "status": 4, "video": "h264"}
            worker.end(first, result=json.dumps(said))
            self.farm.restart("scheduler")
            worker.hello(running=[{"run_id": second["run_id"], "attempt": second["attempt"]}])
            worker.end(second, outcome=2, error="=connect: refused")
        report = wait_for(lambda: (folder / "streams.csv").exists() and json.loads((folder / "rtsp_report.json").read_text()), what="the reports")
        self.assertEqual((report["total_tasks"], report["completed_tasks"], report["failed_tasks"]), (2, 1, 1))
        self.assertEqual(report["streams"][0]["gaps"], said["gaps"])
        text = (folder / "report.txt").read_text()
        rows = list(csv.reader((folder / "streams.csv").open(newline="")))
        self.assertEqual((len(rows), rows[1][2], rows[1][3], rows[2][-1]), (3, "test_stream1.mp4", "4", "'=connect: refused"))
        for content in (text, (folder / "rtsp_report.json").read_text(), (folder / "streams.csv").read_text()):
            self.assertNotIn("secret", content)
        ended = self.get("/scheduler/status").body
        self.assertEqual((ended["is_running"], ended["completed_tasks"], ended["failed_tasks"], ended["max_concurrent_used"], ended["completion_rate"]), (False, 1, 1, 2, 0.5))
        self.assertTrue(ended["start_time"] and ended["end_time"])
        done = self.get("/tasks").body["tasks"]
        self.assertEqual([(one["status"], one["status_text"]) for one in done], [(4, "已完成"), (6, "录制错误")])
        days = self.get("/coverage").body
        self.assertEqual((days["count"], sum(day["due_seconds"] for day in days["days"]), sum(day["recorded_seconds"] for day in days["days"])), (2, 35, 15.2))
        self.assertEqual(self.get("/coverage?stream_id=1").body["count"], 1)
        self.coverage(days["days"], folder.name)
        for bad in ("page=0", "per_page=1001", "stream_id=x", "day=-1", "since=x"):
            for path in ("/coverage", "/coverage/gaps"):
                self.refused(self.get(f"{path}?{bad}"), 400, "Bad Request")
        self.assertEqual(self.farm.delete(f"{API}/timestamp/{folder.name}").status, 200)

    def coverage(self, days, folder):
        """The ledger adds up, and what is missing is listed with its cause."""
        for day in days:
            self.assertAlmostEqual(day["due_seconds"] + day["extra_seconds"],
                                   day["recorded_seconds"] + day["gap_seconds"] + day["lost_seconds"] + day["unplanned_seconds"], places=3)
        sums = {name: sum(day[name] for day in days) for name in ("gap_seconds", "lost_seconds", "extra_seconds", "unplanned_seconds")}
        self.assertEqual({name: round(value, 3) for name, value in sums.items()},
                         {"gap_seconds": 0.5, "lost_seconds": 20, "extra_seconds": 0.7, "unplanned_seconds": 0})
        found = self.get("/coverage/gaps", headers=EN).body
        self.assertEqual((found["count"], found["total"]), (2, 2))
        failed, first = found["recordings"]
        self.assertEqual((first["stream_id"], first["timestamp"], first["output_filename"], first["planned_seconds"], first["status"], first["gaps"]),
                         (1, folder, "test_stream1.mp4", 15, 4, [{"at": 3, "seconds": 0.5, "cause": "read"}]))
        self.assertEqual((failed["stream_id"], failed["status_text"], failed["missing_seconds"], failed["gaps"]),
                         (2, "recording error", 20, [{"at": 0, "seconds": 20, "cause": "read"}]))
        day = first["day"]
        self.assertEqual(self.get(f"/coverage/gaps?stream_id=1&day={day}").body["recordings"][0]["recording_id"], first["recording_id"])
        self.assertEqual([self.get(f"/coverage/gaps?{query}").body["count"] for query in (f"since={day}", f"since={day + 1}", "day=20200101", "per_page=1", "page=2")],
                         [2, 0, 0, 1, 0])
        self.assertEqual([self.get(f"/coverage?since={since}").body["count"] for since in (day, day + 1)], [2, 0])

    def test_folder(self):
        """The output folder is made by the start; where it cannot be, nothing starts."""
        below = self.out / "taken"
        below.write_text("no folder")
        self.configure()
        self.said(self.farm.put(f"{API}/config/global", {"output_directory": str(below)}), "全局配置更新成功")
        self.refused(self.farm.post(f"{API}/scheduler/start"), 500, "Internal Server Error", f"输出目录无法创建: {below}")
        self.assertEqual(self.farm.post(f"{API}/scheduler/start", headers=EN).body["message"], f"The output folder cannot be made: {below}")
        self.assertIs(self.get("/scheduler/status").body["is_running"], False)
        below.unlink()
        self.said(self.farm.put(f"{API}/config/global", {"output_directory": str(below / "deep")}), "全局配置更新成功")
        self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
        self.assertTrue((below / "deep").is_dir())
        self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")


class Reports(RecorderContract):
    def test_some_that_cannot_be_written(self):
        """They keep no other one waiting."""
        failing = 2  # cycles whose folders are no folders
        self.configure(STREAMS[1:], poll_cycles=failing + 1, cycle_interval_seconds=1)
        folders = []
        with Recorder(self.farm) as worker:
            self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
            for cycle in range(failing + 1):
                run = worker.begin()
                folders.append(pathlib.Path(run["parameters"]["output"]).parent)
                if cycle < failing:
                    folders[cycle].write_text("a file in its place")
                worker.end(run, result=json.dumps({"seconds": 20, "bytes": 1, "frames": 1, "gaps": [], "status": 4, "video": "h264"}))
        wait_for(lambda: (folders[-1] / "streams.csv").exists(), what="the last cycle's reports")
        self.assertTrue(all(folder.is_file() for folder in folders[:-1]))


class Retention(RecorderContract):
    """The oldest go first; what is being recorded stays."""

    @classmethod
    def make_farm(cls, **more):
        return super().make_farm(recorder_keep_days=30, recorder_keep_gb=0.001, **more)

    def make(self, path, days, size=600000):
        """It is there with its age, and at once."""
        path.parent.mkdir(exist_ok=True)
        hidden = path.with_name(".made")
        hidden.write_bytes(bytes(size))
        os.utime(hidden, (time.time() - days * 86400,) * 2)
        hidden.rename(path)
        return path

    def test_what_goes(self):
        self.configure()
        with Recorder(self.farm) as worker:
            self.said(self.farm.post(f"{API}/scheduler/start"), "调度器启动成功")
            run = worker.begin()
            folder = pathlib.Path(run["parameters"]["output"]).parent
            recorded = self.make(folder / "test_stream1.mp4", 90)
            kept = self.make(self.out / "20250104_000000" / "a.mp4", 1, 300000)
            more = [self.make(self.out / name / "a.mp4", days) for name, days in (("20250102_000000", 3), ("20250103_000000", 2))]
            self.make(self.out / "20250101_000000" / "report.txt", 31)
            old = self.make(self.out / "20250101_000000" / "a.mp4", 31, 1)
            wait_for(lambda: not old.parent.exists() and not [path for path in more if path.exists()], what="their end")
            self.assertTrue(recorded.exists() and kept.exists())
            self.assertEqual([one["timestamp"] for one in self.get("/timestamps").body["timestamps"] if one["video_count"]], [folder.name, kept.parent.name])
            self.said(self.farm.post(f"{API}/scheduler/stop"), "调度器停止成功")


class Roles(RecorderContract):
    """Who sees with which password a camera is watched."""

    @classmethod
    def make_farm(cls, **more):
        farm = super().make_farm(auth_required="always", start=False, **more)
        cls.keys = {role: make_key(farm, role, role) for role in ("admin", "user", "readonly")}
        farm.headers = bearer(cls.keys["admin"])
        farm.autostart = True
        return farm

    def as_role(self, role, method, path, body=None):
        return self.farm.request(method, API + path, body, headers=bearer(self.keys[role]))

    def shown(self, role):
        return [stream["rtsp_url"] for path in ("/config", "/config/streams") for stream in self.as_role(role, "GET", path).body["streams"]]

    def test_addresses(self):
        whole, real = self.configure(), [stream["rtsp_url"] for stream in STREAMS]
        masked = ["rtsp://***@example.com/stream1", real[1]]
        self.assertEqual(self.shown("admin"), real * 2)
        for role in ("user", "readonly"):
            self.assertEqual(self.shown(role), masked * 2, role)
            for path in ("/config/global", "/tasks", "/tasks/status", "/scheduler/status", "/scheduler/cycle", "/coverage", "/videos", "/timestamps", "/retention", "/disk"):
                answer = self.as_role(role, "GET", path)
                self.assertEqual(answer.status, 200, path)
                self.assertNotIn("secret", json.dumps(answer.body), path)
        # Who may change it, but not see it, gives it back as he saw it, and nothing is lost.
        seen = self.as_role("user", "GET", "/config").body
        self.assertEqual(self.as_role("user", "PUT", "/config", seen).status, 200)
        body = self.as_role("user", "PUT", "/config/streams/0", {"rtsp_url": masked[0], "weight": 2.0}).body
        self.assertEqual(body["updated_stream"]["rtsp_url"], masked[0])
        self.assertEqual(self.shown("admin"), real * 2)
        new = dict(STREAMS[1], rtsp_url="rtsp://me:secret@example.com/new", output_filename="new.mp4")
        self.assertEqual(self.as_role("user", "POST", "/config/streams", new).body["added_stream"]["rtsp_url"], "rtsp://***@example.com/new")
        self.assertEqual(self.as_role("user", "PUT", "/config/streams/1", {"rtsp_url": "rtsp://***@elsewhere.example/x"}).status, 400)
        self.assertEqual(self.get("/config").body["streams"][2], new)
        self.assertEqual(self.as_role("user", "PUT", "/config", whole).status, 200)

    def test_addresses_that_differ_in_the_password_alone(self):
        """Who cannot see which is which never gives one the other's."""
        two = [dict(STREAMS[0], rtsp_url=f"rtsp://me:{word}@example.com/x", output_filename=name) for word, name in (("one", "a.mp4"), ("two", "b.mp4"))]
        self.configure(two)
        seen = self.as_role("user", "GET", "/config").body
        seen["streams"].reverse()
        self.assertEqual(self.as_role("user", "PUT", "/config", seen).status, 200)
        self.assertEqual(self.get("/config").body["streams"], two[::-1])
        answer = self.as_role("user", "PUT", "/config", dict(seen, streams=[dict(one, output_filename=f"new{at}.mp4") for at, one in enumerate(seen["streams"])]))
        self.refused(answer, 400, "Bad Request")
        self.assertIn("rtsp_url", answer.body["message"])
        self.assertEqual(self.get("/config").body["streams"], two[::-1])

    def test_a_password_among_the_parameters(self):
        real, shown = (dict(STREAMS[0], rtsp_url=f"rtsp://example.com/s?user=me&Password={word}&channel=1") for word in ("hidden", "***"))
        self.configure([real])
        for role in ("user", "readonly"):
            self.assertEqual(self.shown(role), [shown["rtsp_url"]] * 2)
        self.assertEqual(self.as_role("user", "PUT", "/config", self.as_role("user", "GET", "/config").body).status, 200)
        self.assertEqual(self.as_role("user", "PUT", "/config/streams/0", shown).body["updated_stream"], shown)
        self.assertEqual(self.get("/config").body["streams"], [real])

    def test_who_may(self):
        for method, path, body in (("PUT", "/config", {}), ("PUT", "/config/global", {}), ("POST", "/config/streams", {}), ("PUT", "/config/streams/0", {}),
                                   ("DELETE", "/config/streams/0", None), ("POST", "/config/save", {}), ("POST", "/config/reload", {}), ("POST", "/scheduler/start", {}),
                                   ("POST", "/scheduler/stop", {}), ("DELETE", "/video?path=x", None), ("DELETE", "/timestamp/20251010_163000", None),
                                   ("PUT", "/videos/20251010_163000/hold", None), ("DELETE", "/videos/20251010_163000/hold", None),
                                   ("PUT", "/videos/20251010_163000/a.mp4/hold", None), ("DELETE", "/videos/20251010_163000/a.mp4/hold", None)):
            self.refused(self.as_role("readonly", method, path, body), 403, "Forbidden")
        self.refused(self.farm.get(f"{API}/config", headers={"Authorization": "Bearer x"}), 401, "Unauthorized")


class OwnPort(RecorderContract):
    @classmethod
    def make_farm(cls, **more):
        cls.own = free_port()
        return super().make_farm(recorder_port=cls.own, **more)

    def test_port(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.own, timeout=120)
        self.addCleanup(connection.close)
        for path, status in (("/api/config", 200), ("/api/timestamps", 200), ("/api/disk", 200), ("/api/retention", 200), ("/api/runs", 404), ("/api/nothing", 404)):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            self.assertEqual(answer.status, status)
            if status == 404:
                self.assertEqual(set(body), {"error", "message"})
        for method, path, status in (("OPTIONS", "/api/config", 204), ("GET", "/api/config", 200), ("GET", "/api/nothing", 404), ("PATCH", "/api/config", 405)):
            connection.request(method, path, headers={"Origin": "http://anywhere.example", "Access-Control-Request-Method": "PUT"})
            answer = connection.getresponse()
            answer.read()
            self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (status, "http://anywhere.example"), path)
        connection.request("OPTIONS", "/api/config/streams", headers={"Origin": "http://anywhere.example", "Access-Control-Request-Method": "POST"})
        answer = connection.getresponse()
        answer.read()
        self.assertEqual({name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")} & {"GET", "POST"}, {"GET", "POST"})
        for path in ("20251010_163000", "20251010_163000/a.mp4"):
            connection.request("PUT", f"/api/videos/{path}/hold")
            answer = connection.getresponse()
            self.assertEqual((answer.status, json.loads(answer.read())["message"]), (404, "文件或目录不存在"))
