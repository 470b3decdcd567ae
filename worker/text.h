/* Bytes from outside, made into the UTF-8 text that messages may carry. */
#ifndef GANTRY_WORKER_TEXT_H
#define GANTRY_WORKER_TEXT_H

#include <stddef.h>

/* Copies len bytes into out (size bytes, no NUL added): every byte that is not part of well-formed UTF-8, and every NUL,
 * becomes U+FFFD. What does not fit is left off at a character's border. Answers the bytes written. */
size_t text_clean(char *out, size_t size, const char *in, size_t len);

/* The largest length of at most max bytes that does not cut a character of well-formed UTF-8 text. */
size_t text_cut(const char *text, size_t len, size_t max);

#endif
