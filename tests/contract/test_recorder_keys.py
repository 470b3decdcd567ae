"""The recorder's writes with an Idempotency-Key: who asks again gets the first answer, and nothing is done twice."""

import json

from tests.contract.test_recorder import API, STREAMS, RecorderContract


class Keys(RecorderContract):
    def again(self, path, body=None, key="k", status=200):
        """The answer, which is the same twice; with another body the key is refused."""
        first, second = (self.farm.post(API + path, body, headers={"Idempotency-Key": key}) for _ in range(2))
        self.assertEqual((first.status, second.status, first.body), (status, status, second.body), (first, second))
        self.refused(self.farm.post(API + path, {"other": key}, headers={"Idempotency-Key": key}), 422, "Unprocessable Content")
        return first.body

    def test_streams(self):
        self.configure()
        new = dict(STREAMS[1], output_filename="new.mp4")
        self.assertEqual(self.again("/config/streams", new, "add")["index"], 2)
        self.assertEqual(self.get("/config/streams").body["count"], 3)
        self.said(self.farm.post(f"{API}/config/streams", new, headers={"Idempotency-Key": "add another"}), "流配置添加成功")
        self.assertEqual(self.get("/config/streams").body["count"], 4)
        self.again("/config/streams", {"rtsp_url": "rtsp://example.com/x"}, "incomplete", 400)

    def test_files(self):
        whole, path = self.configure(), self.output / "config.json"
        self.again("/config/save", {"file_path": "kept.json"}, "save")
        self.assertEqual(json.loads((self.output / "kept.json").read_text()), whole)
        self.said(self.farm.post(f"{API}/config/save"), "配置保存成功")
        self.again("/config/reload", None, "reload")
        self.said(self.farm.put(f"{API}/config/global", {"poll_cycles": 9}), "全局配置更新成功")
        self.said(self.farm.post(f"{API}/config/reload", headers={"Idempotency-Key": "reload"}), "配置重新加载成功")
        self.assertEqual(self.get("/config/global").body["poll_cycles"], 9)  # it was reloaded once, before
        for text in ('{"streams": 1}', "nonsense", None):
            path.unlink() if text is None else path.write_text(text)
            self.said(self.farm.post(f"{API}/config/reload", headers={"Idempotency-Key": "reload"}), "配置重新加载成功")
            self.refused(self.farm.post(f"{API}/config/reload", headers={"Idempotency-Key": "reload anew"}), 400, "Bad Request")
        self.assertEqual(self.get("/config/global").body["poll_cycles"], 9)
        (self.output / "kept.json").unlink()
        self.said(self.farm.post(f"{API}/config/save", {"file_path": "kept.json"}, headers={"Idempotency-Key": "save"}), "配置保存成功")
        self.assertTrue((self.output / "kept.json").exists())  # that was said: it is so

    def test_running(self):
        self.configure(poll_cycles=-1)
        self.assertIs(self.again("/scheduler/start", None, "start")["is_running"], True)
        self.refused(self.farm.post(f"{API}/scheduler/start"), 409, "Conflict")
        self.assertIs(self.again("/scheduler/stop", None, "stop")["is_running"], False)
        self.assertIs(self.said(self.farm.post(f"{API}/scheduler/start", headers={"Idempotency-Key": "start"}), "调度器启动成功")["is_running"], True)
        self.assertIs(self.get("/scheduler/status").body["is_running"], False)  # that was the first one's answer
        cycles = self.get("/scheduler/status").body["cycles"]
        self.farm.restart("scheduler")
        self.farm.wait_ready(0)
        self.said(self.farm.post(f"{API}/scheduler/start", headers={"Idempotency-Key": "start"}), "调度器启动成功")
        self.assertEqual(self.get("/scheduler/status").body["cycles"], cycles)
