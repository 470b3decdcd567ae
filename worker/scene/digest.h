/* MD5 of a stream of blocks, beside whoever reads them.
 *
 * MD5 is slower than a reader, so a thread of its own does it, begun with the second block. Blocks are borrowed: each has a number, below
 * DIGEST_BLOCKS, and whoever wants to write into one again waits for it first. Where no thread can be had it is done at once.
 */
#ifndef GANTRY_WORKER_SCENE_DIGEST_H
#define GANTRY_WORKER_SCENE_DIGEST_H

#include <stddef.h>

#define DIGEST_BLOCKS 8
#define DIGEST_SIZE 16

struct digest;

struct digest *digest_new(void);         /* NULL: no memory */
void digest_free(struct digest *digest); /* takes NULL; ends the thread */
void digest_add(struct digest *digest, unsigned block, const void *data, size_t len);
void digest_wait(struct digest *digest, unsigned block); /* until that block is not needed any more */
/* Of all that was added. Nothing may be added afterwards. -1: the library failed. */
int digest_end(struct digest *digest, unsigned char out[DIGEST_SIZE]);

#endif
