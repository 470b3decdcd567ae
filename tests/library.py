"""A library without a scanner: videos are said over a worker's session, as a scan says them."""

from tests.bus import ScriptedWorker
from tests.farm import wait_for


def video(path, **fields):
    """A file as a scan finds it: h264 at 8000 kbit/s, 1080p, 30 fps, one minute, unless said otherwise."""
    found = {"path": path, "size": 60_000_000 + len(path), "mtime_ns": 1_700_000_000_000_000_000, "codec": "h264", "bitrate_k": 8000,
             "fps": 30.0, "width": 1920, "height": 1080, "duration_ms": 60000, "container": "mov"}
    found.update(fields)
    return found


class Scanner(ScriptedWorker):
    """The farm's only worker of type scan: it has a scan of `root` in its hands."""

    def __init__(self, farm, root):
        super().__init__(farm.endpoint("workers"), types=("scan",), executors=("scan",), slots=4)
        self.farm, self.root, self.seq = farm, str(root), 0

    def __enter__(self):
        self.hello()
        answer = self.farm.post("/api/v1/videos/scan", {"library": self.root})
        assert answer.status == 201, answer
        wanted = answer.body["data"]["run_ids"][0]
        while True:
            run = self.assignment()
            if run["run_id"] == wanted:
                break
        self.run, self.attempt = run["run_id"], run["attempt"]
        self.parameters = run["parameters"]
        self.tell("accept", leases=[{"run_id": self.run, "attempt": self.attempt}])
        return self

    def say(self, *videos, gone=(), walked=1):
        """What is found and gone; answers when it is on disk."""
        self.seq += 1
        name, fields = self.ask("library_found", run_id=self.run, attempt=self.attempt, seq=self.seq, root=self.root,
                                videos=list(videos), gone=list(gone), walked=walked)
        assert name == "library_found_ack", (name, fields)

    def known(self):
        name, fields = self.ask("library_known", run_id=self.run, attempt=self.attempt, root=self.root, limit=1000)
        assert name == "library_known_rows", (name, fields)
        return fields["videos"]

    def end(self):
        self.insist("result", "result_ack", items=[{"run_id": self.run, "attempt": self.attempt, "outcome": 1, "result": "{}"}])


def fill(farm, root, *videos):
    """Puts videos into the library; answers their ids by path."""
    with Scanner(farm, root) as scanner:
        for at in range(0, len(videos), 200):
            scanner.say(*videos[at:at + 200])
        scanner.end()
    found = {}
    page = 1
    while page:
        data = farm.get(f"/api/v1/videos?per_page=1000&page={page}").body["data"]
        found.update((one["video_path"], one["id"]) for one in data["videos"])
        page = page + 1 if data["pagination"]["has_next"] else 0
    return found


def video_of(farm, number):
    return farm.get(f"/api/v1/videos/{number}").body["data"]


def wait_status(farm, number, status, timeout=60):
    return wait_for(lambda: video_of(farm, number)["transcode_status"] == status, timeout, f"video {number} being {status}")
