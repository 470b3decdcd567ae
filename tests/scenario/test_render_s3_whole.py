"""Frames whose scene is kept by an S3-compatible store: the worker that sees no folder of uploads gets it by the gateway's word, and scenes are read."""

from tests.farm import wait_for
from tests.render_client import ask, md5, upload
from tests.s3 import S3
from tests.scenario.test_render_whole import BASE, PATH, Whole


class FromTheStore(Whole):
    def setUp(self):
        self.s3 = S3()
        self.addCleanup(self.s3.__exit__)
        self.s3.start()
        self.more = self.s3.settings(blob_dir=str(self.s3.folder / "blobs"))  # a worker that has one set reads scenes
        super().setUp()

    def test_from_afar(self):
        self.past.touch()
        content = (self.scenes / "cube.blend").read_bytes()
        named = self.create(content)
        self.assertEqual(self.s3.objects(), {md5(content)})
        self.ended(named["id"])
        for frame in (1, 2):
            self.picture(named["id"], frame)
        done = ask(self.studio.port, "POST", BASE + "/files/gc", {"grace_seconds": 0})
        self.assertEqual((done.status, done.body["data"]["files"]), (200, 0), done)  # the task is kept
        self.assertEqual(self.s3.objects(), {md5(content)})
        read = ask(self.studio.port, "POST", BASE + "/scene/analyse", {"oss_file_path": PATH})
        self.assertEqual((read.status, read.body["data"]["scene_file_hash"]), (200, md5(content)), read)

    test_a_scene_from_its_upload_to_its_pictures = test_cancelled_and_too_slow = None


del Whole
