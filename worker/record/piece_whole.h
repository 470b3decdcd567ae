/* How much of an MP4 that was cut short is there whole. */
#ifndef GANTRY_WORKER_RECORD_PIECE_WHOLE_H
#define GANTRY_WORKER_RECORD_PIECE_WHOLE_H

#include <stdint.h>

/* Reads up to len bytes from there on; answers how many, below 0 for an error. */
typedef int64_t piece_read_at(void *self, int64_t at, unsigned char *bytes, int64_t len);

/* Of a file of that size, the bytes of its whole boxes up to the end of the last mdat; 0: there is none. */
int64_t piece_whole(piece_read_at *read_at, void *self, int64_t size);

#endif
