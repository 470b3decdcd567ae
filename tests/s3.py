"""A real S3-compatible server for tests: s3rver, which `./dev deps test` installs below build/tools.

    with S3() as s3:
        with Farm(**s3.settings()) as farm: ...
"""

import pathlib
import shutil
import subprocess
import tempfile

from tests.farm import ROOT, free_port, wait_for
import socket

PROGRAM = ROOT / "build" / "tools" / "node_modules" / "s3rver" / "bin" / "s3rver.js"
BUCKET = "films"


class S3:
    def __init__(self):
        assert PROGRAM.exists(), "s3rver is not there: ./dev deps test installs it"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-s3-"))
        self.port = free_port()
        self.key = self.folder / "key"
        self.key.write_text("S3RVER S3RVER\n")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """The legacy ciphers make the tokens by which a list of more than a thousand goes on."""
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["node", "--openssl-legacy-provider", str(PROGRAM), "--directory", str(self.folder / "data"), "--address", "127.0.0.1", "--port", str(self.port),
                 "--configure-bucket", BUCKET], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, what="the S3 server")

    def answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more):
        return dict({"blob_s3_url": self.url, "blob_s3_bucket": BUCKET, "blob_s3_key_file": str(self.key)}, **more)

    def objects(self, prefix=""):
        """Hashes of the files that it keeps below a prefix."""
        return {path.name.partition("._S3rver")[0] for path in (self.folder / "data" / BUCKET / prefix / "assets").glob("*._S3rver_object")}

    def marks(self, prefix=""):
        """The files of which the owner's mark there is made."""
        return list((self.folder / "data" / BUCKET / prefix).glob(".gantry-owner._S3rver_*"))
