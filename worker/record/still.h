/* A still of a video that is not trusted: one of its key frames as JPEG. */
#ifndef GANTRY_WORKER_RECORD_STILL_H
#define GANTRY_WORKER_RECORD_STILL_H

/* gantry-picture --still early|last <VIDEO >JPEG
 *
 * early: from a tenth of the video on, small; last: the last one that is there, also of a recording that goes on. VIDEO is a file that can be
 * read at any place. Under limits of time, memory and files. Answers the exit code; with 1 what was written are words why there is none. */
int still_main(const char *which);

#endif
