#include "worker/render/lines.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool has_any(const char *line, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(line, *words))
            return true;
    return false;
}

static void percent_set(struct lines *lines, double percent)
{
    if (percent >= 0 && percent <= 100 && percent > lines->percent)
        lines->percent = percent;
}

/* `Sample 3/64`, `Rendered 2/8 Tiles`: those of Cycles; `Rendering 26 / 64 samples`: Eevee's. */
static bool fraction(struct lines *lines, const char *line, const char *word)
{
    const char *at = strstr(line, word);
    unsigned done, all;
    if (!at || sscanf(at + strlen(word), "%u / %u", &done, &all) != 2)
        return false;
    if (all && done <= all)
        percent_set(lines, 100.0 * done / all);
    return true;
}

/* ` 25% done - 12 rays/pixel`: Arnold's. */
static void done_percent(struct lines *lines, const char *line)
{
    const char *at = strstr(line, "% done");
    const char *number = at;
    double percent;
    while (number && number > line && (isdigit((unsigned char)number[-1]) || number[-1] == '.'))
        number--;
    if (number && number < at && sscanf(number, "%lf", &percent) == 1)
        percent_set(lines, percent);
}

bool lines_take(struct lines *lines, const char *line)
{
    static const char *const memory[] = {
        "out of memory", "bad_alloc", "malloc returns null", "calloc returns null", "out of GPU and shared host memory", NULL};
    static const char *const display[] = {"unable to open a display", "could not open display", "no display", NULL};
    bool progress = strncmp(line, "Fra:", 4) == 0 && strstr(line, "Mem:");
    lines->memory = lines->memory || has_any(line, memory);
    lines->display = lines->display || has_any(line, display);
    if (!fraction(lines, line, "Rendered ") && !fraction(lines, line, "Rendering ") && !fraction(lines, line, "Sample "))
        done_percent(lines, line);
    if (!progress && (strncasecmp(line, "error", 5) == 0 || strstr(line, "Error:") || strstr(line, "ERROR")))
        snprintf(lines->error, sizeof(lines->error), "%s", line);
    return progress;
}
