#include "worker/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/str.h"

void progress_init(struct progress *progress)
{
    memset(progress, 0, sizeof(*progress));
    progress->percent = -1;
}

static void set_percent(struct progress *progress, double percent)
{
    if (!isfinite(percent))
        return;
    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    progress->changed = progress->changed || percent != progress->percent;
    progress->percent = percent;
}

static void set_note(struct progress *progress, const char *text)
{
    char note[PROGRESS_NOTE];
    size_t len = str_clean(note, sizeof(note) - 1, str_of(text));
    note[len] = '\0';
    progress->changed = progress->changed || strcmp(note, progress->note) != 0;
    memcpy(progress->note, note, len + 1);
}

/* Digits only, so that neither signs, blanks nor hexadecimal pass; false when they do not fit. */
static bool read_natural(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (value > (UINT64_MAX / 10) - 1)
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *out = value;
    return *text == '\0';
}

/* NN or NN.NN, with or without a % sign. */
static bool read_percent(const char *text, double *out)
{
    size_t whole = strspn(text, "0123456789");
    size_t len = whole;
    if (text[len] == '.')
        len += 1 + strspn(text + len + 1, "0123456789");
    if (whole == 0 || len > 40 || !(text[len] == '\0' || strcmp(text + len, "%") == 0))
        return false;
    *out = strtod(text, NULL);
    return true;
}

/* ffmpeg closes each of its reports with a line progress=continue or progress=end. */
static void ffmpeg_report(struct progress *progress, bool end)
{
    char note[PROGRESS_NOTE];
    int len = 0;
    if (progress->frame)
        len = snprintf(note, sizeof(note), "frame %" PRIu64 ", ", progress->frame);
    uint64_t seconds = progress->out_us / 1000000;
    snprintf(note + len, sizeof(note) - (size_t)len, "time %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "%s%s", seconds / 3600,
             seconds / 60 % 60, seconds % 60, progress->speed[0] ? ", speed " : "", progress->speed);
    set_note(progress, note);
    if (end)
        set_percent(progress, 100);
    else if (progress->duration_us)
        set_percent(progress, 100.0 * (double)progress->out_us / (double)progress->duration_us);
}

static void take_line(struct progress *progress, char *line)
{
    char *value = strchr(line, '=');
    if (!value)
        return;
    *value++ = '\0';
    value += strspn(value, " ");
    double percent;
    if (strcmp(line, "percent") == 0) {
        if (read_percent(value, &percent))
            set_percent(progress, percent);
    } else if (strcmp(line, "note") == 0)
        set_note(progress, value);
    else if (strcmp(line, "out_time_us") == 0)
        read_natural(value, &progress->out_us);
    else if (strcmp(line, "frame") == 0)
        read_natural(value, &progress->frame);
    else if (strcmp(line, "speed") == 0 && strlen(value) < sizeof(progress->speed))
        snprintf(progress->speed, sizeof(progress->speed), "%s", strcmp(value, "N/A") == 0 ? "" : value);
    else if (strcmp(line, "progress") == 0)
        ffmpeg_report(progress, strcmp(value, "end") == 0);
}

void progress_feed(struct progress *progress, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (c == '\n' || c == '\r') {
            progress->line[progress->len] = '\0';
            if (!progress->skip && progress->len)
                take_line(progress, progress->line);
            progress->len = 0;
            progress->skip = false;
        } else if (c == '\0' || progress->len == PROGRESS_LINE - 1)
            progress->skip = true;
        else
            progress->line[progress->len++] = c;
    }
}

/* HH:MM:SS with a fraction; N/A and everything else is no duration. */
static bool read_duration(const char *text, size_t len, uint64_t *us)
{
    uint64_t parts[3] = {0}, fraction = 0, scale = 1000000;
    size_t i = 0;
    for (int part = 0; part < 3; part++) {
        size_t digits = 0;
        for (; i < len && text[i] >= '0' && text[i] <= '9' && digits < 6; i++, digits++)
            parts[part] = parts[part] * 10 + (uint64_t)(text[i] - '0');
        if (digits == 0 || (part < 2 && (i >= len || text[i++] != ':')))
            return false;
    }
    if (i < len && text[i] == '.')
        for (i++; i < len && text[i] >= '0' && text[i] <= '9' && scale > 1; i++) {
            scale /= 10;
            fraction += (uint64_t)(text[i] - '0') * scale;
        }
    *us = ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000000 + fraction;
    return true;
}

void progress_stderr(struct progress *progress, const char *text, size_t len)
{
    static const char mark[] = "Duration: ";
    const char *at = memmem(text, len, mark, sizeof(mark) - 1);
    if (!at)
        return;
    at += sizeof(mark) - 1;
    uint64_t us;
    if (read_duration(at, len - (size_t)(at - text), &us) && us > progress->duration_us)
        progress->duration_us = us;
}
