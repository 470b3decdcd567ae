#include "gateway/cli/term.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
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
    bool turns =
        (wide >= 0x202a && wide <= 0x202e) || (wide >= 0x2066 && wide <= 0x2069); /* what is behind it reads as something else */
    if (width < 0 || turns) {
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

/* The length of a sequence that sets colours, as ESC [ 1;31 m, at text; 0: there is none. */
static size_t colour_length(const char *text)
{
    if (text[0] != '\033' || text[1] != '[') {
        return 0;
    }
    size_t digits = strspn(text + 2, "0123456789;:");

    return text[2 + digits] == 'm' ? digits + 3 : 0;
}

void term_clean(const char *text, bool colours, char *out)
{
    bool coloured = false;

    while (*text != '\0') {
        size_t colour = colours ? colour_length(text) : 0;
        int columns;
        bool show;
        size_t bytes = character_next(text, &columns, &show);
        coloured = coloured || colour > 0;
        if (colour > 0 || show || *text == '\t') {
            bytes = colour > 0 ? colour : bytes;
            memcpy(out, text, bytes);
            out += bytes;
        } else {
            *out++ = '?';
        }
        text += bytes;
    }
    memcpy(out, coloured ? "\033[0m" : "", coloured ? sizeof "\033[0m" : 1);
}

int term_line(FILE *out, bool colours, const char *format, ...)
{
    char *text = NULL, *clean = NULL;
    va_list list;

    va_start(list, format);
    int len = vasprintf(&text, format, list);
    va_end(list);
    if (len < 0) {
        errno = ENOMEM;
        return -1;
    }
    if (term_columns(out) > 0) {
        clean = malloc(TERM_LINE((size_t)len));
        if (clean == NULL) {
            free(text);
            errno = ENOMEM;
            return -1;
        }
        term_clean(text, colours, clean);
    }
    int rc = fputs(clean != NULL ? clean : text, out) < 0 || fputc('\n', out) == EOF ? -1 : 0;
    int kept = errno;
    free(text);
    free(clean);
    errno = kept;
    return rc;
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

int term_rows(FILE *stream)
{
    struct winsize window;
    int fd = fileno(stream);

    if (fd < 0 || !isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_row > 0 ? window.ws_row : 24;
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

const char *term_size(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++) {
        value /= 1024;
    }
    snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
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
