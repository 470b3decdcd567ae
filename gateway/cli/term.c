#include "gateway/cli/term.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "proto/clock.h"

/* The next character: how many bytes and columns it takes; *show false when it must not reach a terminal. */
static size_t character_next(const char *text, int *columns, bool *show)
{
    wchar_t wide = 0;
    mbstate_t state = {0};
    size_t len = mbrtowc(&wide, text, strlen(text), &state);

    *show = true;
    *columns = 1;
    if (len == 0 || len > MB_LEN_MAX) {
        *show = false;
        return 1;
    }
    int width = wcwidth(wide);
    if (width < 0) {
        *show = false;
    } else {
        *columns = width;
    }
    return len;
}

int term_width(const char *text)
{
    int sum = 0;

    while (*text != '\0') {
        int columns;
        bool show;
        text += character_next(text, &columns, &show);
        sum += columns;
    }
    return sum;
}

int term_fit(const char *text, int columns, char *out, size_t size)
{
    static const char dots[] = "…";
    int used = 0;
    size_t len = 0;
    bool cut = term_width(text) > columns;
    int room = cut ? columns - 1 : columns;

    while (*text != '\0') {
        int wide;
        bool show;
        size_t bytes = character_next(text, &wide, &show);
        size_t need = show ? bytes : 1;
        if (used + wide > room || len + need + sizeof dots > size) {
            break;
        }
        memcpy(out + len, show ? text : "?", need);
        len += need;
        used += wide;
        text += bytes;
    }
    if (*text != '\0' && columns > 0 && len + sizeof dots <= size) {
        memcpy(out + len, dots, sizeof dots - 1);
        len += sizeof dots - 1;
        used++;
    }
    out[len] = '\0';
    return used;
}

void term_wrap(const char *text, int indent, int columns, FILE *out)
{
    int at = indent;

    while (*text != '\0') {
        char word[256];
        size_t len = strcspn(text, " ");
        size_t kept = len < sizeof word ? len : sizeof word - 1;
        memcpy(word, text, kept);
        word[kept] = '\0';
        int width = term_width(word);
        if (at > indent && at + 1 + width > columns) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', out);
            at++;
        }
        fputs(word, out);
        at += width;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

int term_columns(FILE *stream)
{
    struct winsize window;
    int fd = fileno(stream);

    if (fd < 0 || !isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

const char *term_time(const char *iso, char *out, size_t size)
{
    uint64_t wall_ms;
    struct tm local;

    if (iso == NULL) {
        snprintf(out, size, "-");
        return out;
    }
    if (clock_parse_iso(iso, strlen(iso), &wall_ms) != 0) {
        term_fit(iso, 30, out, size);
        return out;
    }
    time_t seconds = (time_t)(wall_ms / 1000);
    if (localtime_r(&seconds, &local) == NULL || strftime(out, size, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        snprintf(out, size, "?");
    }
    return out;
}

const char *term_duration(double seconds, char *out, size_t size)
{
    uint64_t whole = seconds > 0 && seconds < 1e12 ? (uint64_t)seconds : 0;

    if (whole < 60) {
        snprintf(out, size, "%.1f s", seconds > 0 ? seconds : 0.0);
    } else if (whole < 3600) {
        snprintf(out, size, "%um %02us", (unsigned)(whole / 60), (unsigned)(whole % 60));
    } else if (whole < 86400) {
        snprintf(out, size, "%uh %02um", (unsigned)(whole / 3600), (unsigned)(whole / 60 % 60));
    } else {
        snprintf(out, size, "%llud %02uh", (unsigned long long)(whole / 86400), (unsigned)(whole / 3600 % 24));
    }
    return out;
}
