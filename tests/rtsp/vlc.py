"""VLC as an RTSP server: independent of GStreamer's, and of libav. It refuses to run as root, so it runs as somebody else there."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from tests.farm import clean_environment, free_port, wait_for
from tests.rtsp.film import FRAMES

THERE = shutil.which("cvlc") is not None
SECONDS = 1200  # of a film: longer than a test


def film(path, codec):
    """A film of that codec and AAC, with a key frame every half second: a short one is encoded, and repeated."""
    encoder = {"h264": ["libx264"], "h265": ["libx265", "-x265-params", "log-level=none"]}[codec]
    short = path.with_name("short-" + path.name)
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={FRAMES}:duration=4", "-f", "lavfi", "-i",
                    "sine=frequency=440:sample_rate=48000:duration=4", "-pix_fmt", "yuv420p", "-c:v", *encoder, "-preset", "ultrafast", "-bf", "0", "-g", "12", "-c:a", "aac",
                    "-shortest", str(short)], check=True, timeout=600)
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-stream_loop", str(SECONDS // 4), "-i", str(short), "-c", "copy", str(path)], check=True, timeout=600)
    return path


def described(port):
    """Whether it answers for the stream."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(f"DESCRIBE rtsp://127.0.0.1:{port}/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
            return b" 200 " in connection.recv(4096).split(b"\r\n")[0]
    except OSError:
        return False


class Vlc:
    """Sends such a film over and over, from when it is made to its end, whether somebody looks or not."""

    def __init__(self, codec):
        self.holder = tempfile.TemporaryDirectory(prefix="gantry-vlc-")
        folder = pathlib.Path(self.holder.name)
        path = film(folder / f"{codec}.mkv", codec)
        somebody = []
        if os.geteuid() == 0:
            somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            folder.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        home.chmod(0o777)
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        self.process = subprocess.Popen([*somebody, "cvlc", "-q", "--no-sout-display", "--sout", f"#rtp{{sdp={self.url}}}", "--sout-keep", "--repeat", str(path)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                        env=dict(clean_environment(), HOME=str(home), XDG_RUNTIME_DIR=str(home)))

    def __enter__(self):
        wait_for(lambda: self.process.poll() is not None or described(self.port), what="VLC's stream")
        if self.process.poll() is not None:
            raise AssertionError(f"VLC ended with {self.process.returncode}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.holder.cleanup()
