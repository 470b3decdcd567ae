/* Watches a folder of the library between scans (inotify), and hints to the farm when something in it has changed. */
#ifndef GANTRY_WORKER_VIDEO_WATCH_H
#define GANTRY_WORKER_VIDEO_WATCH_H

/* The process behind `gantry-worker --watch root=FOLDER extensions=LIST`: each hint is a frame on its channel, some seconds behind the last change, so that a file
 * that is being copied is looked at once. Ends when the folder goes, or cannot be watched; what is watched is started anew then. */
int watch_main(char *const *argv);

#endif
