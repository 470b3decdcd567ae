"""The files of a task: those that its scene needs, which of them are there, and for whom."""

import hashlib
import os
import pathlib
import re
import shutil
import tempfile

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.render_client import ask, md5, upload

BASE = "/render/api"
WOOD, MAP, SKY = b"a picture of wood", b"a map of clouds", b"the sky"


def maya(*paths, note=""):
    nodes = "".join(f'createNode file -n "file{n}";\n\tsetAttr ".ftn" -type "string" "{path}";\n' for n, path in enumerate(paths))
    return f'//Maya ASCII 2024 scene\n// {note}\nrequires maya "2024";\n{nodes}'.encode()


class Assets(Contract):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="gantry-scenes-")).resolve()
        cls.options = {"workers": 1, "scene_root": str(cls.root)}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.root)

    def upload(self, content, **fields):
        reply = upload(self.farm.port, content, **fields)
        self.assertIn(reply.status, (200, 201), reply)
        return reply.body["data"]["asset_id"]

    def create(self, path, status=201, **more):
        body = dict({"unionid": "user123", "oss_file_path": path, "render_engine": "maya"}, **more)
        reply = ask(self.farm.port, "POST", f"{BASE}/tasks", body)
        self.assertEqual(reply.status, status, reply)
        return reply.body

    def assets(self, task):
        reply = self.farm.get(f"{BASE}/tasks/{task}/assets")
        self.assertEqual(reply.status, 200, reply)
        return reply.body["data"]

    def known(self, task):
        """Once its scene was read."""
        wait_for(lambda: self.assets(task)["analysed"], what="the scene to be read")
        data = self.assets(task)
        return data, {row["file_path"]: row for row in data["assets"]}

    def test_each_file(self):
        """Its making has the scene read; what was uploaded is found by its path, however that is written."""
        scene = maya("C:/textures/wood.jpg", "sourceimages/map.exr", "sourceimages/sky.<UDIM>.exr", "Y:/Render_Test/missing.jpg", note="each")
        scene_id = self.upload(scene, path="projects/user123/wolf.ma", unionid="user123")
        wood = self.upload(WOOD, path="C:\\textures\\wood.jpg", unionid="user123")
        here = self.upload(MAP, path="projects/user123/sourceimages/map.exr")
        self.upload(SKY, path="projects/user123/sourceimages/sky.1002.exr", unionid="user123")
        number = self.create("projects/user123/wolf.ma")["data"]["id"]
        data, rows = self.known(number)
        self.assertEqual((data["task_id"], data["total_count"], data["missing_count"]), (number, 5, 1))
        self.assertEqual(rows["projects/user123/wolf.ma"], {
            "asset_id": scene_id, "file_path": "projects/user123/wolf.ma", "file_hash": md5(scene), "file_size": len(scene), "file_type": "scene",
            "local_path": "projects/user123/wolf.ma", "server_path": "/projects/user123/wolf.ma", "is_missing": False})
        self.assertEqual(rows["C:/textures/wood.jpg"], {
            "asset_id": wood, "file_path": "C:/textures/wood.jpg", "file_hash": md5(WOOD), "file_size": len(WOOD), "file_type": "texture",
            "local_path": "C:/textures/wood.jpg", "server_path": "/C/textures/wood.jpg", "is_missing": False})
        beside = rows["sourceimages/map.exr"]
        self.assertEqual((beside["asset_id"], beside["server_path"]), (here, "/projects/user123/sourceimages/map.exr"))
        self.assertEqual(rows["sourceimages/sky.<UDIM>.exr"]["file_hash"], md5(SKY))
        lost = rows["Y:/Render_Test/missing.jpg"]
        self.assertEqual((lost["asset_id"], lost["file_hash"], lost["file_size"], lost["is_missing"]), (None, None, None, True))
        self.assertEqual(lost["server_path"], "/Y/Render_Test/missing.jpg")
        self.upload(b"found", path="/Y/Render_Test/missing.jpg", unionid="user123")  # by where a worker has it
        self.assertEqual(self.assets(number)["missing_count"], 0)

    def test_of_others(self):
        """What one has bound is nobody else's; what nobody's name is on is everybody's, behind one's own."""
        scene = maya("C:/others/a.jpg", "C:/others/b.jpg", note="others")
        self.upload(scene, path="others/wolf.ma", unionid="her")
        self.upload(WOOD, path="C:/others/a.jpg", unionid="her")
        self.upload(MAP, path="C:/others/b.jpg")
        self.upload(SKY, path="C:/others/b.jpg", unionid="her")
        self.assertEqual(self.create("others/wolf.ma", 404)["error_code"], 2002)
        _, hers = self.known(self.create("others/wolf.ma", unionid="her")["data"]["id"])
        self.assertEqual([hers[f"C:/others/{name}.jpg"]["file_hash"] for name in "ab"], [md5(WOOD), md5(SKY)])
        data, his = self.known(self.create(f"assets/{md5(scene)}")["data"]["id"])
        self.assertEqual([his[f"C:/others/{name}.jpg"]["file_hash"] for name in "ab"], [None, md5(MAP)])
        self.assertEqual(data["missing_count"], 1)
        reply = ask(self.farm.port, "POST", f"{BASE}/scene/analyse", {"oss_file_path": "others/wolf.ma", "unionid": "user123"})
        self.assertEqual((reply.status, reply.body["error_code"]), (404, 2002), reply)

    def test_none_may_be_missing(self):
        scene = maya("C:/strict/a.jpg", *(f"C:/strict/{n}.jpg" for n in range(300)), note="strict")
        self.upload(scene, path="strict/wolf.ma", unionid="user123")
        self.upload(WOOD, path="C:/strict/a.jpg", unionid="user123")
        self.assertEqual(self.known(self.create("strict/wolf.ma")["data"]["id"])[0]["missing_count"], 300)
        refused = self.create("strict/wolf.ma", 404, allow_missing=False)
        self.assertEqual((refused["code"], refused["error_code"]), (2002, 2002))
        self.assertIn("300", refused["detail"])
        self.assertEqual(len(refused["errors"]), 100)
        for error in refused["errors"]:
            self.assertEqual(error["field"], "assets")
            self.assertRegex(error["value"], r"^C:/strict/\d+\.jpg$")
            self.assertIn(error["value"], error["message"])
        whole = maya("C:/strict/a.jpg", note="whole")
        self.upload(whole, path="strict/whole.ma", unionid="user123")
        self.known(self.create("strict/whole.ma")["data"]["id"])
        made = ask(self.farm.port, "POST", f"{BASE}/tasks", {"unionid": "user123", "oss_file_path": "strict/whole.ma", "render_engine": "maya",
                                                             "allow_missing": False}, {"Idempotency-Key": "strict"})
        again = ask(self.farm.port, "POST", f"{BASE}/tasks", {"unionid": "user123", "oss_file_path": "strict/whole.ma", "render_engine": "maya",
                                                              "allow_missing": False}, {"Idempotency-Key": "strict"})
        self.assertEqual((made.status, again.body), (201, made.body))
        self.assertEqual(self.create("strict/none.ma", 404, allow_missing=False)["error_code"], 2002)

    def test_repeat_of_one_that_was_taken(self):
        """Before its scene was read, which lacks something: its repeat is answered as it was, whatever is known by then."""
        self.upload(maya("C:/late/gone.jpg", note="late"), path="late/wolf.ma", unionid="user123")
        body = {"unionid": "user123", "oss_file_path": "late/wolf.ma", "render_engine": "maya", "allow_missing": False}
        made = ask(self.farm.port, "POST", f"{BASE}/tasks", body, {"Idempotency-Key": "late"})
        self.assertEqual(made.status, 201, made)
        self.assertEqual(self.known(made.body["data"]["id"])[0]["missing_count"], 1)
        again = ask(self.farm.port, "POST", f"{BASE}/tasks", body, {"Idempotency-Key": "late"})
        self.assertEqual((again.status, again.body), (201, made.body))
        another = ask(self.farm.port, "POST", f"{BASE}/tasks", body, {"Idempotency-Key": "later"})
        self.assertEqual((another.status, another.body["error_code"]), (404, 2002), another)
        reused = ask(self.farm.port, "POST", f"{BASE}/tasks", dict(body, priority=6), {"Idempotency-Key": "late"})
        self.assertEqual(reused.status, 422, reused)
        self.upload(WOOD, path="C:/late/gone.jpg", unionid="user123")
        another = ask(self.farm.port, "POST", f"{BASE}/tasks", body, {"Idempotency-Key": "later"})
        self.assertEqual(another.status, 201, another)

    def test_many(self):
        """10,000 files, over restarts."""
        names = [f"D:/show/shots/seq{n // 100:03d}/tex.{n:05d}.exr" for n in range(10000)]
        self.upload(maya(*names), path="many/wolf.ma", unionid="user123")
        for n in (0, 127, 128, 9999):
            self.upload(str(n).encode(), path=names[n], unionid="user123")
        number = self.create("many/wolf.ma")["data"]["id"]
        data, _ = self.known(number)
        self.assertEqual((data["total_count"], data["missing_count"]), (10001, 9996))
        self.assertNotIn("left_out", data)
        self.assertEqual([row["file_path"] for row in data["assets"][1:]], names)
        self.assertEqual([n for n, row in enumerate(data["assets"][1:]) if not row["is_missing"]], [0, 127, 128, 9999])
        for name in ("scheduler", "store", "gateway"):
            self.farm.restart(name)
        self.farm.wait_ready()
        self.assertEqual(self.assets(number), data)
        self.upload(maya(note="here"), path="many/here.ma")  # behind a restart its worker is known before it is here: others' scenes wait for it
        wait_for(lambda: ask(self.farm.port, "POST", f"{BASE}/scene/analyse", {"oss_file_path": "many/here.ma"}).status == 200, what="a worker that reads scenes")

    def test_below_the_folders_of_scenes(self):
        """It is used where it is, and so are its files."""
        scene = maya("C:/Project/tex/there.jpg", "tex/beside.jpg", "C:/Project/tex/gone.jpg", "tex/sky.<udim>.exr", "C:/Project/tex/sea_####.exr", note="below")
        for name, content in (("C/Project/wolf.ma", scene), ("C/Project/tex/there.jpg", WOOD), ("C/Project/tex/beside.jpg", MAP),
                              ("C/Project/tex/sky.1012.exr", SKY), ("C/Project/tex/sea_1.exr", SKY)):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(content)
        number = self.create("C:/Project/wolf.ma")["data"]["id"]
        self.assertEqual((self.assets(number)["analysed"], self.assets(number)["missing_count"]), (False, 0))
        self.assertEqual(ask(self.farm.port, "POST", f"{BASE}/scene/analyse", {"scene_file": "C:/Project/wolf.ma"}).status, 200)
        data, rows = self.known(number)
        self.assertEqual((data["total_count"], data["missing_count"]), (6, 2))
        self.assertTrue(rows["C:/Project/tex/gone.jpg"]["is_missing"])
        self.assertTrue(rows["C:/Project/tex/sea_####.exr"]["is_missing"])
        self.assertEqual(rows["tex/sky.<udim>.exr"]["file_size"], len(SKY))
        self.assertEqual((rows["tex/beside.jpg"]["file_size"], rows["tex/beside.jpg"]["server_path"]), (len(MAP), "/C/Project/tex/beside.jpg"))
        (self.root / "C/Project/wolf.ma").unlink()
        data = self.assets(number)
        self.assertEqual((data["total_count"], data["missing_count"], data["assets"][0]["is_missing"]), (1, 1, True))

    def test_a_folder_of_many(self):
        """Sequences among many files are found as a worker finds them; what there was no patience for is not called missing."""
        folder = self.root / "C/many"
        folder.mkdir(parents=True)
        for n in range(6000):
            (folder / f"other.{n}.tmp").touch()
        for n in range(20):
            (folder / f"fire{chr(97 + n)}.0001.vdb").write_bytes(SKY)
        (folder / "wood##.png").write_bytes(WOOD)
        (folder / "link.0001.vdb").symlink_to("firea.0001.vdb")
        names = [f"C:/many/fire{chr(97 + n)}.####.vdb" for n in range(20)] + ["C:/many/wood##.png", "C:/many/link.####.vdb"]
        (folder / "wolf.ma").write_bytes(maya(*names, "C:/many/gone.####.vdb", note="folder"))
        number = self.create("C:/many/wolf.ma")["data"]["id"]
        self.assertEqual(ask(self.farm.port, "POST", f"{BASE}/scene/analyse", {"scene_file": "C:/many/wolf.ma"}).status, 200)
        data, rows = self.known(number)
        self.assertEqual([row["file_path"] for row in rows.values() if row["is_missing"]], ["C:/many/gone.####.vdb"])
        self.assertEqual([rows[name]["file_size"] for name in names], [len(SKY)] * 20 + [len(WOOD), len(SKY)])
        for n in range(6000, 20001):
            (folder / f"other.{n}.tmp").touch()
        data, rows = self.known(number)
        self.assertEqual((data["missing_count"], rows["C:/many/gone.####.vdb"]["file_size"]), (0, 0))

    def test_celery_task_id(self):
        self.upload(maya(note="celery"), path="celery/wolf.ma")
        given = "6E57efc1-fb88-400d-8c48-20e160348f07"
        self.assertEqual(self.create("celery/wolf.ma", celery_task_id=given)["data"]["celery_task_id"], given)
        made = {self.create("celery/wolf.ma", celery_task_id=none)["data"]["celery_task_id"] for none in (None, "")}
        self.assertEqual(len(made), 2)
        for one in made:
            self.assertTrue(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one), one)
        for wrong in ("abc-123-def-456", given + "0", given[:-1], given.replace("-", "0"), given[:-1] + "x", 7):
            refused = self.create("celery/wolf.ma", 400, celery_task_id=wrong)
            self.assertEqual((refused["error_code"], refused["errors"][0]["field"]), (1002, "celery_task_id"), wrong)

    def test_paths_of_uploads(self):
        for path in ("C:\\", "C:/", "/C/", "C:/a/../b", "C:\\a\\..\\b", "/C/..", "C:/a//b", "/etc/passwd", "//server/x"):
            reply = upload(self.farm.port, WOOD, path=path)
            self.assertEqual((reply.status, reply.body["code"]), (403, 4000), path)
        for path in ("a\\b", "CC:\\b", "/C\\b"):
            self.assertEqual(upload(self.farm.port, WOOD, path=path).status, 400, path)


class Unread(Contract):
    """No worker is here that could read a scene."""

    options = {"workers": 0}

    def test_not_analysed(self):
        scene = os.urandom(30)
        self.assertEqual(upload(self.farm.port, scene, path="p/x.blend").status, 201)
        body = {"unionid": "user123", "oss_file_path": "p/x.blend", "render_engine": "blender", "allow_missing": False}
        made = ask(self.farm.port, "POST", f"{BASE}/tasks", body)
        self.assertEqual(made.status, 201, made)
        data = self.farm.get(f"{BASE}/tasks/{made.body['data']['id']}/assets").body["data"]
        self.assertEqual((data["total_count"], data["missing_count"], data["analysed"]), (1, 0, False))
        self.assertEqual(data["assets"][0]["file_hash"], hashlib.md5(scene).hexdigest())
