/* A stream of output, cut into lines.
 *
 * A line over CAPTURE_LINE is cut there and marked; the rest of it is dropped. A carriage return begins the line anew, as on a
 * terminal: of a progress bar only what stands at the line's end is kept, and one state a second while it goes on.
 */
#ifndef GANTRY_WORKER_CAPTURE_H
#define GANTRY_WORKER_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_LINE ((size_t)16384)
#define CAPTURE_MARK " …[cut]"
#define CAPTURE_REDRAW_MS 1000

struct capture;

/* text is well-formed UTF-8 without its newline, valid during the call. */
typedef void capture_line(void *self, const char *text, size_t len);

struct capture *capture_new(capture_line *line, void *self); /* NULL when out of memory */
void capture_free(struct capture *capture);                  /* takes NULL */
void capture_feed(struct capture *capture, const char *data, size_t len, uint64_t now_ms);
void capture_finish(struct capture *capture); /* a last line without a newline */

#endif
