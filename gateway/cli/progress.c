#include "gateway/cli/progress.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/cli/term.h"

#define BAR_MOST 40
#define BAR_LEAST 10

/* The bar: whole blocks, one of eight parts of a block, spaces. */
static void bar_make(double percent, int width, bool blocks, char *out, size_t size)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(percent / 100.0 * width * 8.0 + 1e-6);
    int used = 0;
    size_t len = 0;

    for (; used < eighths / 8 && len + 4 < size; used++) {
        len += (size_t)snprintf(out + len, size - len, "%s", blocks ? "█" : "#");
    }
    if (blocks && eighths % 8 != 0 && used < width && len + 4 < size) {
        len += (size_t)snprintf(out + len, size - len, "%s", parts[eighths % 8]);
        used++;
    }
    for (; used < width && len + 2 < size; used++) {
        out[len++] = ' ';
    }
    out[len] = '\0';
}

void progress_line(double percent, double seconds, const char *words, int columns, bool blocks, char *out, size_t size)
{
    char whole[512];
    char bar[BAR_MOST * 4 + 1];
    char took[32];
    char left[48] = "";
    char behind[96];

    term_duration(seconds, took, sizeof took);
    if (!(percent >= 0)) {
        snprintf(whole, sizeof whole, seconds > 0 ? "%s  %s" : "%s", words, took);
        term_fit(whole, columns, out, size);
        return;
    }
    percent = percent > 100 ? 100 : percent;
    if (percent >= 1 && percent < 100 && seconds >= 1) {
        char rest[32];
        snprintf(left, sizeof left, ", %s left", term_duration(seconds * (100 - percent) / percent, rest, sizeof rest));
    }
    snprintf(behind, sizeof behind, " %5.1f%%  %s%s", percent, took, left);
    int room = columns - term_width(words) - term_width(behind) - 3;
    if (room < BAR_LEAST) {
        snprintf(whole, sizeof whole, "%s%s", words, behind);
    } else {
        bar_make(percent, room < BAR_MOST ? room : BAR_MOST, blocks, bar, sizeof bar);
        snprintf(whole, sizeof whole, "%s [%s]%s", words, bar, behind);
    }
    term_fit(whole, columns, out, size);
}

void progress_init(struct progress *progress, FILE *out)
{
    *progress = (struct progress){.out = out, .on = term_columns(out) > 0};
}

void progress_set(struct progress *progress, double percent, double seconds, const char *words)
{
    if (progress->on) {
        int columns = term_columns(progress->out);
        progress_line(percent, seconds, words, columns > 1 ? columns - 1 : columns, MB_CUR_MAX > 1, progress->line,
                      sizeof progress->line);
        progress->drawn = false;
        progress_show(progress);
    }
}

void progress_hide(struct progress *progress)
{
    if (progress->on && progress->drawn) {
        fputs("\r\033[K", progress->out);
        fflush(progress->out);
        progress->drawn = false;
    }
}

void progress_show(struct progress *progress)
{
    if (progress->on && !progress->drawn && progress->line[0] != '\0') {
        fprintf(progress->out, "\r\033[K%s", progress->line);
        fflush(progress->out);
        progress->drawn = true;
    }
}
