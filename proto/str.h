/* Borrowed text and the error every fallible call fills in.
 *
 * A struct str never owns its bytes: it points into a received frame, an arena,
 * or a literal, and lives no longer than that. It is not NUL-terminated.
 */
#ifndef GANTRY_PROTO_STR_H
#define GANTRY_PROTO_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr; /* bytes, UTF-8 where the field is text; may be NULL when len is 0 */
    uint32_t len;    /* bytes */
};

#define STR_LIT(s) ((struct str){(s), sizeof(s) - 1})

static inline struct str str_of(const char *s)
{
    return (struct str){s, s ? (uint32_t)strlen(s) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(struct str a, const char *s)
{
    return str_eq(a, str_of(s));
}

/* Why a call failed: a sentence for people, in storage the caller owns. */
struct err {
    int code; /* enum error_code (proto/messages.h), 0 when nothing failed */
    char text[256];
};

/* Fills err (may be NULL) and returns -1, so that `return err_set(...)` reads well. errno is kept. */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* True when text is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool str_utf8(struct str text);
uint32_t str_characters(struct str text); /* of UTF-8 */

/* The longest beginning of text, of at most max bytes, that is well-formed UTF-8: a cut that splits no character. */
struct str str_cut(struct str text, size_t max);

/* Bytes from outside as text that messages may carry: copies into out (size bytes, no NUL added), and every byte that is not part
 * of well-formed UTF-8, and every NUL, becomes U+FFFD. What does not fit is left off at a character's border. Answers the bytes
 * written. */
size_t str_clean(char *out, size_t size, struct str text);

/* Copies text into out (size bytes, always NUL-terminated); false when it had to be cut. */
bool str_copy(char *out, size_t size, struct str text);

/* Text without those of `blanks` that stand at its ends. */
struct str str_trim(struct str text, const char *blanks);

/* Appends text to what out (size bytes) holds, behind the separator unless out is empty; false when it did not fit whole and
 * nothing was appended. */
bool str_append(char *out, size_t size, const char *separator, const char *text);

/* Takes the next item off a list of items with commas between them, without the blanks around it; empty ones are passed over. False: there
 * is none any more. */
bool str_item(struct str *list, struct str *item);

#endif
