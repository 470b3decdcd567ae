"""Nobody reaches what is outside of the recorder's output folder, whatever names he sends and whatever links are put into it meanwhile."""

import os
import pathlib
import shutil
import tempfile
import threading

from tests.contract.test_recorder import API, RecorderContract

NAME = "20251010_163000"
ROUNDS = 60


class Paths(RecorderContract):
    def setUp(self):
        self.configure()
        for one in self.out.iterdir():
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        self.fill(self.out / NAME)
        self.outside = pathlib.Path(tempfile.mkdtemp(prefix="outside-"))
        self.addCleanup(shutil.rmtree, self.outside, True)
        (self.outside / "v.mp4").write_bytes(b"outside")
        (self.outside / ".gantry-held").write_bytes(b"")
        self.was = self.state()

    def fill(self, folder):
        folder.mkdir(exist_ok=True)
        (folder / "v.mp4").write_bytes(b"inside")

    def state(self):
        """What is in the folder outside, with what tells that it was written to."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.outside.iterdir()}

    def test_each_parameter(self):
        """Encoded once it is what it is, encoded twice it is a name like others, which is not there."""
        ways = ("..", ".", f"../{self.outside.name}", "/etc", f"{NAME}/../../{self.outside.name}", "..\\..", f"{NAME}\0")
        requests = (("GET", "/videos/{}"), ("GET", "/videos?timestamp={}"), ("GET", "/videos/{}/v.mp4"), ("GET", f"/videos/{NAME}/{{}}"), ("GET", f"/videos/{NAME}/{{}}/thumbnail.jpg"),
                    ("GET", "/videos/{}/v.mp4/thumbnail.jpg"), ("DELETE", "/timestamp/{}"), ("DELETE", "/video?path={}"), ("DELETE", f"/video?path={self.out}/{{}}/v.mp4"),
                    ("DELETE", f"/video?path={self.out}/{NAME}/{{}}"), ("PUT", "/videos/{}/hold"), ("PUT", f"/videos/{NAME}/{{}}/hold"), ("DELETE", "/videos/{}/v.mp4/hold"))
        for way in ways:
            once = "".join(f"%{byte:02x}" for byte in way.encode())
            for text in (once, once.replace("%", "%25")):
                for method, path in requests:
                    answer = self.farm.request(method, API + path.format(text))
                    self.assertIn(answer.status, (400, 403, 404), (method, path, way, text, answer))
                    self.assertEqual(set(answer.body) & {"error", "message"}, {"error", "message"})
        for method, path in requests:
            if "path=" not in path:
                self.assertIn(self.farm.request(method, API + path.format("..%2f" * 50 + "etc%2fpasswd")).status, (400, 403, 404))
        for text in ("%2e%2e%2fconfig.json", "..%252fconfig.json", "%2Fetc%2Fx.json"):
            for given in (text, text.replace("%2f", "/").replace("%2F", "/").replace("%2e", ".")):
                answer = self.farm.post(f"{API}/config/save", {"file_path": given})
                self.assertIn(answer.status, (200, 403), answer)
                if answer.status == 200:  # a name like others
                    self.assertEqual(pathlib.Path(answer.body["saved_to"]).parent, self.output)
        self.assertEqual((self.out / NAME / "v.mp4").read_bytes(), b"inside")
        self.assertEqual(self.state(), self.was)

    def swap(self, over):
        """A cycle's folder is a link out of the output folder, and is itself again, as fast as that goes."""
        folder, link, aside = self.out / NAME, self.out / ".link", self.out / ".aside"
        os.symlink(self.outside, link)
        while not over.is_set():
            try:
                os.rename(folder, aside)
            except OSError:  # it was deleted
                self.fill(aside)
            try:
                os.rename(link, folder)
                os.rename(folder, link)
                os.rename(aside, folder)
            except OSError:  # somebody has it: it is made anew
                shutil.rmtree(aside, True)
                if not link.is_symlink():
                    os.symlink(self.outside, link)

    def test_a_folder_that_becomes_a_link(self):
        over = threading.Event()
        swapper = threading.Thread(target=self.swap, args=(over,))
        swapper.start()
        seen = set()
        try:
            for number in range(ROUNDS):
                for method, path in (("GET", "/videos"), ("GET", f"/videos/{NAME}"), ("GET", f"/videos/{NAME}/v.mp4/thumbnail.jpg"), ("DELETE", f"/video?path={self.out}/{NAME}/v.mp4"),
                                     ("PUT", f"/videos/{NAME}/hold"), ("DELETE", f"/videos/{NAME}/hold"), ("DELETE", f"/timestamp/{NAME}")):
                    answer = self.farm.request(method, API + path)
                    self.assertIn(answer.status, (200, 403, 404, 409, 500), (method, path, answer))
                    seen.add((method, answer.status))
                    for video in answer.body.get("videos", []) if isinstance(answer.body, dict) else []:
                        self.assertEqual(video["file_size"], len(b"inside"), (number, answer.body))
        finally:
            over.set()
            swapper.join()
        self.assertEqual(self.state(), self.was)
        self.assertIn(("GET", 200), seen)

    def test_a_folder_that_is_a_link(self):
        os.symlink(self.outside, self.out / "20251010_163200")
        self.assertEqual([one["timestamp"] for one in self.get("/timestamps").body["timestamps"]], [NAME])
        self.assertEqual(self.get("/videos/20251010_163200").status, 404)
        for method, path in (("GET", "/videos/20251010_163200/v.mp4"), ("GET", "/videos/20251010_163200/v.mp4/thumbnail.jpg"), ("DELETE", "/timestamp/20251010_163200"),
                             ("DELETE", f"/video?path={self.out}/20251010_163200/v.mp4"), ("PUT", "/videos/20251010_163200/hold"), ("DELETE", "/videos/20251010_163200/v.mp4/hold")):
            self.refused(self.farm.request(method, API + path), 403, "Forbidden")
        self.assertEqual(self.state(), self.was)

    def test_kinds(self):
        """Each kind of file is told as what it is."""
        for ending, kind in (("mp4", "mp4"), ("mkv", "x-matroska"), ("mov", "quicktime"), ("ts", "mp2t"), ("flv", "x-flv"), ("avi", "x-msvideo")):
            (self.out / NAME / f"a.{ending}").write_bytes(b"0123456789")
            answer = self.farm.get(f"{API}/videos/{NAME}/a.{ending}", headers={"Range": "bytes=0-3"})
            self.assertEqual((answer.status, answer.headers["content-type"]), (206, f"video/{kind}"))

    def test_more_than_is_listed(self):
        """What is left out is said."""
        for number in range(20001):
            os.close(os.open(self.out / NAME / f"{number}.mp4", os.O_CREAT | os.O_WRONLY))
        for path in ("/videos", f"/videos/{NAME}", f"/videos?timestamp={NAME}"):
            said = self.get(path).body
            self.assertEqual((said["count"], said["left_out"], len(said["videos"])), (20000, 2, 20000), path)
        for number in range(20001):
            (self.out / NAME / f"{number}.mp4").unlink()
        self.assertNotIn("left_out", self.get("/videos").body)
        self.assertNotIn("left_out", self.get("/timestamps").body)
