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

/* What ffmpeg is going to write, as far as is known; 0 is unknown. */
static uint64_t ffmpeg_length(const struct progress *progress)
{
    uint64_t length = progress->loops ? 0 : progress->duration_us;
    if (length)
        length = length > progress->skip_us ? length - progress->skip_us : 0;
    return progress->most_us && (length == 0 || progress->most_us < length) ? progress->most_us : length;
}

/* ffmpeg closes each of its reports with a line progress=continue or progress=end. */
static void ffmpeg_report(struct progress *progress, bool end)
{
    char note[PROGRESS_NOTE];
    int len = 0;
    if (progress->frame)
        len = snprintf(note, sizeof(note), "frame %" PRIu64 ", ", progress->frame);
    uint64_t seconds = progress->out_us / 1000000, length = ffmpeg_length(progress);
    snprintf(note + len, sizeof(note) - (size_t)len, "time %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "%s%s", seconds / 3600,
             seconds / 60 % 60, seconds % 60, progress->speed[0] ? ", speed " : "", progress->speed);
    set_note(progress, note);
    if (end)
        set_percent(progress, 100);
    else if (length)
        set_percent(progress, 100.0 * (double)progress->out_us / (double)length);
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

/* ---- ffmpeg's arguments ---- */

/* Seconds, MM:SS or HH:MM:SS, with a fraction; seconds may have a unit. 0 for everything else, and for what is over a year. */
static uint64_t read_time(const char *text)
{
    static const struct {
        const char *name;
        double us;
    } units[] = {{"", 1e6}, {"s", 1e6}, {"ms", 1e3}, {"us", 1}};
    double whole = 0, part = 0, scale = 1;
    int parts = 0;
    for (;; text++) {
        size_t digits = strspn(text, "0123456789");
        if (digits > 12 || (digits == 0 && *text != '.'))
            return 0;
        for (part = 0; digits > 0; digits--)
            part = part * 10 + (*text++ - '0');
        whole = whole * 60 + part;
        if (*text != ':' || ++parts > 2)
            break;
    }
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++)
            whole += (*text - '0') * (scale /= 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text, units[i].name) == 0 && (parts == 0 || i == 0))
            return whole * units[i].us < 366 * 86400e6 ? (uint64_t)(whole * units[i].us + 0.5) : 0;
    return 0;
}

struct cut { /* what options before one file say of it */
    uint64_t skip, length, until;
};

static void cut_take(struct progress *progress, const struct cut *cut)
{
    uint64_t most = cut->length ? cut->length : cut->until > cut->skip ? cut->until - cut->skip : 0;
    progress->skip_us += cut->skip;
    if (most && (progress->most_us == 0 || most < progress->most_us))
        progress->most_us = most;
}

/* Options stand before the file that they are for: an input after -i, else an output. Of several inputs each may be cut differently, and
 * the longest counts: what is said of them is left aside. */
void progress_arguments(struct progress *progress, char *const *argv)
{
    struct cut cut = {0}, input = {0};
    unsigned inputs = 0;
    bool loops = false;
    for (; argv[0] && argv[1]; argv++) {
        const char *name = argv[0], *value = argv[1];
        if (strcmp(name, "-i") == 0) {
            input = cut;
            cut = (struct cut){0};
            inputs++;
        } else if (strcmp(name, "-ss") == 0)
            cut.skip = read_time(value);
        else if (strcmp(name, "-t") == 0)
            cut.length = read_time(value);
        else if (strcmp(name, "-to") == 0)
            cut.until = read_time(value);
        else if (strcmp(name, "-loop") == 0 || strcmp(name, "-stream_loop") == 0)
            loops = loops || strcmp(value, "0") != 0;
    }
    cut_take(progress, &cut);
    if (inputs == 1)
        cut_take(progress, &input);
    progress->loops = loops && inputs == 1;
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
