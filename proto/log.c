/* Structured logs on stderr: each line leaves in one write, so lines of processes that share a terminal never mix.
 *
 * A pipe that nobody reads (of a stopped `gantry up`), or a terminal that was told to wait (Ctrl-S), must not hold up the farm: lines are
 * dropped and counted.
 */
#include "proto/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/ident.h"

#define LINE_MAX_BYTES 4096 /* what is longer is cut, and says so */
#define CUT " [cut]"
#define PATIENCE_MS 50 /* for a reader that is behind, once; then nothing is waited for until it reads again */

static const char *log_service = "gantry";
static atomic_int log_lowest = LOG_INFO;
static atomic_ulong log_dropped;                       /* lines, since the last that was written */
static atomic_ulong log_lines, log_unread, log_unsent; /* since the start */
static void (*log_keep)(void *self, const struct log_said *said);
static void *log_keeper;
static _Thread_local char log_rid[65]; /* a helper thread serves no request */

static const char *const level_words[] = {"debug", "info", "warn", "error"};
static const char *const level_marks[] = {"DEBUG", "INFO", "WARN", "ERROR"};
static const char *const journal_marks[] = {"<7>", "<6>", "<4>", "<3>"};
static bool to_journal;

/* JOURNAL_STREAM names the device and inode of the stream that the journal gave; stderr may have become another one since. */
static bool is_journal(void)
{
    const char *given = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat out;

    return given && sscanf(given, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &out) == 0 &&
           out.st_dev == (dev_t)device && out.st_ino == (ino_t)inode;
}

void log_init(const char *service, enum log_level level)
{
    log_service = service;
    to_journal = is_journal();
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_lowest, (int)level);
}

int log_level_parse(struct str word)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (str_is(word, level_words[i]))
            return i;
    return -1;
}

const char *log_level_name(unsigned level)
{
    return level <= LOG_ERROR ? level_words[level] : "?";
}

void log_on_line(void (*keep)(void *self, const struct log_said *said), void *self)
{
    log_keep = keep;
    log_keeper = self;
}

struct log_counts log_counts(void)
{
    return (struct log_counts){atomic_load(&log_lines), atomic_load(&log_unread), atomic_load(&log_unsent)};
}

void log_count_unsent(uint64_t lines)
{
    atomic_fetch_add(&log_unsent, lines);
}

const char *log_mark(enum log_level level)
{
    return to_journal ? journal_marks[level] : "";
}

void log_request(struct str rid)
{
    str_copy(log_rid, sizeof(log_rid), ident_valid(rid) ? rid : STR_LIT(""));
}

/* Bytes of the well-formed UTF-8 character at text, 0 if there is none. */
static size_t utf8_length(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t len = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < len; i++)
        if (text[i] == '\0')
            return 0;
    return str_utf8((struct str){text, (uint32_t)len}) ? len : 0;
}

/* Copies text with control characters and broken UTF-8 as \n, \xNN: a peer cannot forge lines or drive the terminal.
 * Answers the bytes written, at most room; *cut when there was more. */
static size_t escape(char *out, size_t room, const char *text, bool *cut)
{
    size_t at = 0;
    while (*text) {
        char code[8];
        size_t len = utf8_length(text), take = len > 0 ? len : 1;
        const char *piece = text;
        /* C1 controls (U+0080..U+009F) are c2 80..9f. */
        bool control = (unsigned char)*text < 0x20 || *text == 0x7f ||
                       (len == 2 && (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0);
        if (len == 0 || control) {
            take = control && len == 2 ? 2 : 1;
            if (*text == '\n')
                snprintf(code, sizeof(code), "\\n");
            else
                snprintf(code, sizeof(code), "\\x%02x", (unsigned char)text[take - 1]);
            piece = code;
            len = strlen(code);
        }
        if (len > room - at) {
            *cut = true;
            return at;
        }
        memcpy(out + at, piece, len);
        at += len;
        text += take;
    }
    return at;
}

/* True when a line can be written without waiting: a pipe that says so has room for PIPE_BUF bytes, a line's worth. */
static bool line_fits(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, atomic_load(&log_dropped) > 0 ? 0 : PATIENCE_MS) != 0;
}

/* A log that cannot be written has nobody to tell. */
static void line_write(const char *line, size_t len)
{
    char lost[128], iso[CLOCK_ISO_SIZE];

    if (!line_fits()) {
        atomic_fetch_add(&log_dropped, 1);
        atomic_fetch_add(&log_unread, 1);
        return;
    }
    unsigned long dropped = atomic_exchange(&log_dropped, 0);
    if (dropped > 0) {
        int lost_len = snprintf(lost, sizeof(lost), "%s%s WARN %s GTY-LOG-DROPPED lines=%lu nobody has read them\n",
                                log_mark(LOG_WARN), clock_iso(clock_wall_ms(), 1, iso), log_service, dropped);
        bool told = write(STDERR_FILENO, lost, (size_t)lost_len) > 0;
        if (!told || !line_fits()) {
            atomic_fetch_add(&log_dropped, told ? 1 : dropped + 1);
            atomic_fetch_add(&log_unread, 1);
            return;
        }
    }
    if (write(STDERR_FILENO, line, len) < 0)
        errno = 0;
}

void log_line(enum log_level level, const char *id, const char *format, ...)
{
    if ((int)level < atomic_load(&log_lowest) || level > LOG_ERROR)
        return;
    int kept = errno;
    char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES], iso[CLOCK_ISO_SIZE];
    bool cut = false;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (wanted < 0)
        text[0] = '\0';
    cut = wanted >= (int)sizeof(text);

    size_t room = sizeof(line) - sizeof(CUT) - 1; /* the mark and the newline always fit */
    uint64_t now = clock_wall_ms();
    int head = snprintf(line, room, "%s%s %s %s %s%s%s ", log_mark(level), clock_iso(now, 1, iso), level_marks[level],
                        log_service, id, log_rid[0] ? " req=" : "", log_rid);
    size_t at = head < 0 ? 0 : (size_t)head < room ? (size_t)head : room - 1, begin = at;
    at += escape(line + at, room - at, text, &cut);
    if (cut) {
        memcpy(line + at, CUT, sizeof(CUT) - 1);
        at += sizeof(CUT) - 1;
    }
    atomic_fetch_add(&log_lines, 1);
    if (log_keep) {
        struct log_said said = {.at = now,
                                .level = level,
                                .service = log_service,
                                .code = id,
                                .rid = log_rid,
                                .text = {line + begin, (uint32_t)(at - begin)}};
        log_keep(log_keeper, &said);
    }
    line[at++] = '\n';
    line_write(line, at);
    errno = kept;
}
