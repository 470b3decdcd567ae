"""What recording costs: streams of 1080p recorded side by side by one worker, beside as many `ffmpeg -c copy` of the same server.

GStreamer's RTSP server sends a film made once, at its pace, over TCP. CPU is that of the recorders alone (user and system, with their children), from start to end.
"""

import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

from tests.farm import BUILD, clean_environment


def make(folder, seconds, kbit):
    """A film of that rate: noise takes what is left of it."""
    path = folder / "film.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25,noise=alls=10:allf=t", "-t", str(seconds), "-c:v", "libx264",
                    "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "50", "-b:v", f"{kbit}k", "-maxrate", f"{kbit}k", "-bufsize",
                    f"{kbit}k", str(path)], check=True)
    return path


def serve(film):
    return subprocess.Popen([sys.executable, str(pathlib.Path(__file__).resolve().parent.parent / "rtsp" / "gst.py"), str(film)], stdout=subprocess.PIPE, text=True,
                            env=clean_environment())


def spent():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def record(folder, port, streams, seconds):
    """CPU seconds of recordings by gantry-record, and what their results say."""
    before, running = spent(), []
    for number in range(streams):
        home = folder / f"run{number}"
        home.mkdir()
        (home / "params.json").write_text(json.dumps({"url": f"rtsp://127.0.0.1:{port}/film", "duration_s": seconds, "connect_s": 60, "read_s": 60,
                                                      "output": str(folder / "out" / f"{number}.mp4")}))
        running.append(subprocess.Popen(["sh", "-c", 'exec "$@" 3>/dev/null 4>/dev/null', "sh", str(BUILD / "gantry-record"), "--record", "run", f"run={number + 1}",
                                         "attempt=1"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        env=dict(clean_environment(), GANTRY_PARAMS=str(home / "params.json"), GANTRY_RESULT=str(home / "result"))))
    codes = [process.wait() for process in running]
    results = [json.loads((folder / f"run{number}" / "result").read_text()) for number in range(streams) if codes[number] == 0]
    return spent() - before, results


def copy(folder, port, streams, seconds):
    before = spent()
    running = [subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", f"rtsp://127.0.0.1:{port}/film", "-c", "copy", "-t", str(seconds),
                                 str(folder / "out" / f"copy{number}.mp4")], stdin=subprocess.DEVNULL, env=clean_environment()) for number in range(streams)]
    for process in running:
        process.wait()
    return spent() - before


def measure(streams=64, seconds=20, kbit=4000):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-bench-"))
    (folder / "out").mkdir()
    try:
        server = serve(make(folder, seconds + 3, kbit))
        try:
            port = int(server.stdout.readline())
            ours, results = record(folder, port, streams, seconds)
            theirs = copy(folder, port, streams, seconds)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    whole = sum(result["status"] == 4 and not result["gaps"] for result in results)
    return {"streams": streams, "whole": whole, "recorded": sum(result["seconds"] for result in results), "record_cores": ours / seconds,
            "ffmpeg_cores": theirs / seconds, "ratio": ours / theirs if theirs else 0}
