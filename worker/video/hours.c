#include "worker/video/hours.h"

#include <stdio.h>

#include "proto/messages.h"

/* One span; the place behind it, NULL if it is none. */
static const char *span_read(const char *text, unsigned *from, unsigned *to)
{
    unsigned a, b, c, d;
    int used = 0;
    if (sscanf(text, " %2u:%2u - %2u:%2u %n", &a, &b, &c, &d, &used) != 4 || a > 24 || b > 59 || c > 24 || d > 59 ||
        (a == 24 && b) || (c == 24 && d))
        return NULL;
    *from = a * 60 + b;
    *to = c * 60 + d;
    return text + used;
}

int hours_check(const char *text, struct err *err)
{
    unsigned from, to;
    for (const char *at = text; at && *text;) {
        at = span_read(at, &from, &to);
        if (at && *at == '\0')
            return 0;
        if (!at || *at++ != ',')
            return err_set(err, ERR_INVALID,
                           "transcode.hours is to be like 22:00-06:00, or several such separated by commas, not '%.100s'", text);
    }
    return 0;
}

/* A span that ends before it begins goes over midnight; one that ends where it begins is a whole day. */
bool hours_hold(const char *text, unsigned minute)
{
    unsigned from, to;
    if (*text == '\0')
        return true;
    for (const char *at = text; at; at = at && *at == ',' ? at + 1 : NULL) {
        at = span_read(at, &from, &to);
        if (at && (from < to ? minute >= from && minute < to : minute >= from || minute < to))
            return true;
    }
    return false;
}
