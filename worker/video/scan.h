/* A scan: looks through a folder of the library, and tells the farm what is new, has changed, has moved or is gone.
 *
 * Nothing is kept here: the farm knows what is known, so that any worker can scan, and a scan that is killed goes on where it was. The whole
 * folder is walked first. Then what does not look as it is known is probed, several at once, and sent in batches; each is committed before
 * the next. What was not met at all is gone, and told last, and only if every folder could be read.
 *
 * The mount guard: a root that is missing, or holds no video while some are known, ends the scan with an error; below a folder that has
 * no entry at all, but should have many videos, nothing is gone.
 */
#ifndef GANTRY_WORKER_VIDEO_SCAN_H
#define GANTRY_WORKER_VIDEO_SCAN_H

#include <stdint.h>

#define SCAN_EXTENSIONS                                                                                                          \
    "mp4,m4v,mkv,webm,mov,avi,ts,m2ts,mts,mpg,mpeg,vob,wmv,asf,flv,f4v,ogv,ogm,rm,rmvb,3gp,3g2,divx,mxf,dv,wtv,insv,360"

/* Stands for what judges videos: rules, list of VR words, and how this version of Gantry reads them. */
uint64_t scan_rules_id(const char *rules, const char *vr);

/* The process behind `gantry-worker --scan NAME=VALUE…`: root, run, attempt, probe (the program), rules, vr, extensions, jobs. Its channel is the
 * farm. What came of it goes to the file GANTRY_RESULT as JSON. */
int scan_main(char *const *argv);

#endif
