"""GET /tasks/{id}/results.zip: what all frames of a task came to, as one archive."""

import io
import os
import socket
import zipfile

from tests.contract import test_render as render
from tests.farm import wait_for
from tests.render_client import ask

BASE, EN = render.BASE, render.EN


class Results(render.RenderContract):
    def path(self, number):
        return f"{BASE}/tasks/{number}/results.zip"

    def fetch(self, number, headers=None):
        """The archive: what is in it by name. Each file's checksum is looked at as it is read."""
        sent = ask(self.farm.port, "GET", self.path(number), headers=headers)
        self.assertEqual((sent.status, sent.headers["content-type"]), (200, "application/zip"), sent)
        self.assertEqual(int(sent.headers["content-length"]), len(sent.raw))
        self.assertEqual(sent.headers["content-disposition"], f'attachment; filename="task-{number}.zip"')
        self.assertIn("x-request-id", sent.headers)
        archive = zipfile.ZipFile(io.BytesIO(sent.raw))
        self.assertEqual({info.compress_type for info in archive.infolist()}, {zipfile.ZIP_STORED})
        return {info.filename: archive.read(info) for info in archive.infolist()}

    def rendered(self, studio, content, **more):
        """A frame is rendered, and its picture is there unless content is None. Its number."""
        run = studio.frame()
        studio.render(run, **more)
        file = self.farm.data / "render" / (more.get("output_path") or run["spec"]["output"])
        if content is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        number = run["parameters"]["frame"]
        task = run["parameters"]["render_task"]
        wait_for(lambda: self.frame(task, number)["status"] == "completed", what="the frame being completed")
        return number

    def test_while_frames_are_rendered_and_behind(self):
        pictures = {n: os.urandom(size) for n, size in ((5, 300001), (6, 0), (7, 1), (8, 70000))}
        with render.Studio(self.farm) as studio:
            number = self.create(total_frames=4, task_info={"start_frame": 5})["id"]
            self.refused(self.farm.get(self.path(number)), 409, 3000, "id")
            self.assertIn("no frame", self.refused(self.farm.get(self.path(number), headers=EN), 409, 3000)["detail"])
            expected = {}
            for n, picture in pictures.items():
                self.assertEqual(self.rendered(studio, picture), n)
                expected[f"renders/frame.{n:04d}.png"] = picture
                self.assertEqual(self.fetch(number), expected)
            self.becomes(number, "completed")
        self.assertEqual(self.fetch(number), expected)
        head = ask(self.farm.port, "HEAD", self.path(number))
        whole = ask(self.farm.port, "GET", self.path(number))
        self.assertEqual((head.status, head.raw, head.headers["content-length"]), (200, b"", whole.headers["content-length"]))

    def test_files_that_are_gone_are_named(self):
        secret = self.farm.data / "secret.png"
        secret.write_bytes(b"not of a frame")
        with render.Studio(self.farm) as studio:
            number = self.create(total_frames=6)["id"]
            folder = f"user123/{number}/renders"
            self.rendered(studio, None)
            self.assertEqual(list(self.fetch(number)), ["MISSING.txt"])
            self.rendered(studio, b"two")
            (self.farm.data / "render" / folder / "link.png").symlink_to(secret)
            for said in ("../secret.png", f"{folder}/link.png", folder):
                self.rendered(studio, None, output_path=said)
            self.rendered(studio, b"six", output_path=f"{folder}/a:b.png")
            self.becomes(number, "completed")
        found = self.fetch(number, EN)
        self.assertEqual({name: found[name] for name in found if name != "MISSING.txt"}, {"renders/frame.0002.png": b"two", "renders/frame.0006.png": b"six"})
        lines = found["MISSING.txt"].decode().splitlines()
        self.assertIn("not there", lines[0])
        self.assertEqual(lines[2:], [f"1  {folder}/frame.0001.png", "3  ../secret.png", f"4  {folder}/link.png", f"5  {folder}"])
        self.assertIn("文件已不存在", self.fetch(number)["MISSING.txt"].decode())

    def test_names_that_are_not_plain(self):
        """A frame's number stands for one, so that it can be unpacked anywhere; what kind of picture it is stays to be seen."""
        said = ["a b.png", '"q".exr', "帧.JPG", "%s." % ("x" * 200), ".png", "-.tar.gz", "x.p\u00f1g", "back\\slash.png", "semi;colon=1.png"]
        with render.Studio(self.farm) as studio:
            number = self.create(total_frames=len(said))["id"]
            for n, name in enumerate(said, 1):
                self.rendered(studio, b"%d" % n, output_path=f"user123/{number}/renders/{name}")
            self.becomes(number, "completed")
        names = ["frame.0001.png", "frame.0002.exr", "frame.0003.JPG", said[3], "frame.0005.png", "-.tar.gz", "frame.0007", "frame.0008.png", said[8]]
        self.assertEqual(self.fetch(number), {f"renders/{name}": b"%d" % n for n, name in enumerate(names, 1)})

    def test_there_is_no_such_task(self):
        for none in ("0", "x", "9" * 19, "123456"):
            self.refused(self.farm.get(f"{BASE}/tasks/{none}/results.zip"), 404, 2001, "id")
        answer = self.farm.post(self.path(1))
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD, OPTIONS"), answer)

    def test_a_client_that_leaves(self):
        """In the middle, and one that never reads: others are served."""
        with render.Studio(self.farm) as studio:
            number = self.create(total_frames=1)["id"]
            self.rendered(studio, os.urandom(8 << 20))
            self.becomes(number, "completed")
        request = f"GET {self.path(number)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.farm.port)) as still, socket.create_connection(("127.0.0.1", self.farm.port)) as leaving:
            still.sendall(request)
            leaving.sendall(request)
            self.assertTrue(leaving.recv(4096).startswith(b"HTTP/1.1 200 "))
            leaving.close()
            self.assertEqual(len(self.fetch(number)["renders/frame.0001.png"]), 8 << 20)

    def test_a_file_that_changes_breaks_it_off(self):
        with render.Studio(self.farm) as studio:
            number = self.create(total_frames=2)["id"]
            self.rendered(studio, os.urandom(16 << 20))
            self.rendered(studio, b"two")
            self.becomes(number, "completed")
        with socket.create_connection(("127.0.0.1", self.farm.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.sendall(f"GET {self.path(number)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = client.recv(4096)
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "))  # all files have been looked at, and the first one is not sent yet
            (self.farm.data / f"render/user123/{number}/renders/frame.0002.png").write_bytes(b"longer")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            came = len(head.split(b"\r\n\r\n", 1)[1])
            while piece := client.recv(1 << 20):
                came += len(piece)
        self.assertLess(came, length)
        wait_for(lambda: "GTY-RESULTS-CUT" in self.farm.log("gateway"), what="the gateway saying so")
