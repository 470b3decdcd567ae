#!/usr/bin/env python3
"""GStreamer's RTSP server with a few streams, on a free port of 127.0.0.1, which it prints; with the name of a Matroska file, that at /film."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

VIDEO = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 ! "
H264 = VIDEO + "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph264pay name=pay0 pt=96 config-interval=-1"
H265 = VIDEO + "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=12 ! rtph265pay name=pay0 pt=96 config-interval=-1"
TONE = " audiotestsrc is-live=true ! audio/x-raw,rate={rate},channels=1 ! {encoder} name=pay1 pt={pt}"
STREAMS = {
    "/h264": H264,
    "/h264-aac": H264 + TONE.format(rate=48000, encoder="voaacenc ! aacparse ! rtpmp4gpay", pt=97),
    "/h264-pcma": H264 + TONE.format(rate=8000, encoder="alawenc ! rtppcmapay", pt=8),
    "/h265": H265,
}


def main():
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    for path, launch in STREAMS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(True)
        server.get_mount_points().add_factory(path, factory)
    if len(sys.argv) > 1:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f'( filesrc location="{sys.argv[1]}" ! matroskademux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )')
        server.get_mount_points().add_factory("/film", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
