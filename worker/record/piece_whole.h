/* How much of an MP4 that was cut short is there whole, and which fragments it consists of. */
#ifndef GANTRY_WORKER_RECORD_PIECE_WHOLE_H
#define GANTRY_WORKER_RECORD_PIECE_WHOLE_H

#include <stdint.h>

/* Reads up to len bytes from there on; answers how many, below 0 for an error. */
typedef int64_t piece_read_at(void *self, int64_t at, unsigned char *bytes, int64_t len);

/* Of a file of that size, the bytes of its whole boxes up to the end of the last mdat; 0: there is none. */
int64_t piece_whole(piece_read_at *read_at, void *self, int64_t size);

struct piece_span {
    int64_t head;   /* bytes in front of the first fragment; all that is whole where there is none */
    int64_t from;   /* where the fragment of that number begins */
    int64_t whole;  /* as piece_whole */
    uint64_t count; /* fragments that are there whole */
};

/* Where fragment `number` (from 0) begins; where there are not so many, from is whole. */
void piece_span(piece_read_at *read_at, void *self, int64_t size, uint64_t number, struct piece_span *span);

#endif
