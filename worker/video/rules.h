/* Which videos need transcoding: a small table of expressions, which is a setting.
 *
 *   rules = row { ";" row }         the first row whose condition holds decides; none: no
 *   row   = ("yes" | "no") [ "if" or ]
 *   or    = and { "or" and }
 *   and   = not { "and" not }
 *   not   = [ "not" ] test
 *   test  = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=") sum | "in" "(" sum { "," sum } ")" | "like" sum ]
 *   sum   = term { ("+" | "-") term }
 *   term  = one { ("*" | "/") one }
 *   one   = number | 'text' | "text" | name | ("min" | "max" | "clamp") "(" or { "," or } ")" | "(" or ")"
 *
 * Names are those in rules_names. Numbers, texts and truths are kept apart when a table is read, so that evaluating one cannot fail.
 * like matches shell patterns (* ? […]) without regard to case. Division by zero is zero.
 */
#ifndef GANTRY_WORKER_VIDEO_RULES_H
#define GANTRY_WORKER_VIDEO_RULES_H

#include "worker/video/probe.h"

#define RULES_TEXT_MAX 4095
#define RULES_OPS_MAX 512
#define RULES_STACK 32 /* values at once: how deep an expression may go */

#define RULES_DEFAULT                                                                                                            \
    "yes if codec == 'h264'; "                                                                                                   \
    "yes if codec in ('hevc', 'av1') and not vr and bitrate >= clamp(pixels / 2073600 * fps / 30 * 3500, 2000, 25000); no"

struct rules_op {
    unsigned char code; /* of rules.c */
    unsigned char name; /* for the one that pushes a name's value */
    unsigned short count, at, len;
    double number;
};

struct rules {
    char text[RULES_TEXT_MAX + 1];
    unsigned count;
    struct rules_op ops[RULES_OPS_MAX];
};

struct rules_verdict {
    bool wanted;
    unsigned row; /* that decided, from 1; 0: none */
};

/* Reads a table. -1 with err, which says where. */
int rules_read(const char *text, struct rules *rules, struct err *err);
/* Judges a video that can be read. path: below its library's folder. */
struct rules_verdict rules_judge(const struct rules *rules, const struct probe *probe, const char *path, bool vr);

extern const char *const rules_names[]; /* ends in NULL */

#endif
