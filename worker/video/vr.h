/* Whether a video is for VR: what the file says, what its frame looks like, what its name says. */
#ifndef GANTRY_WORKER_VIDEO_VR_H
#define GANTRY_WORKER_VIDEO_VR_H

#include "worker/video/probe.h"

/* The rule list, a setting: words out of `spherical` (side data of the file), `frame` (2:1 or 1:1, at least 3840 wide), and tokens of
 * names, which stand between characters that are neither letters nor digits, in whatever case. Separated by commas. */
#define VR_DEFAULT "spherical,frame,VR,180,360,SBS,TB"

/* path: below the library's folder; only its last name counts. */
bool vr_is(const char *rules, const struct probe *probe, const char *path);

#endif
