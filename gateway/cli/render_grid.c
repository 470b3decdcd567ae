#include "gateway/cli/render_grid.h"

#include <string.h>

#define LEAST 10 /* characters in a line */

static const struct {
    char mark;
    const char *status, *colour;
} marks[] = {
    {GRID_FAILED, "failed", "\033[31m"},      {GRID_RENDERING, "rendering", "\033[33m"}, {GRID_WAITING, "pending", "\033[2m"},
    {GRID_CANCELLED, "cancelled", "\033[2m"}, {GRID_DONE, "completed", "\033[32m"},
};
#define MARKS (sizeof marks / sizeof *marks)

char grid_of(const char *status)
{
    for (size_t i = 0; i < MARKS; i++) {
        if (strcmp(status, marks[i].status) == 0) {
            return marks[i].mark;
        }
    }
    return '?';
}

static size_t mark_rank(char mark)
{
    size_t i = 0;

    while (i < MARKS && marks[i].mark != mark) {
        i++;
    }
    return i;
}

static int digits(long long number)
{
    return snprintf(NULL, 0, "%lld", number);
}

/* Characters in a line behind its number: whole tens, where there is room. */
static size_t line_width(size_t count, long long first, int columns)
{
    int room = columns - digits(first + (long long)count - 1) - 2;

    return room < LEAST ? LEAST : (size_t)(room / 10 * 10);
}

size_t grid_scale(size_t count, long long first, int columns, int rows)
{
    size_t cells = line_width(count, first, columns) * (size_t)(rows > 1 ? rows : 1);

    return count > cells ? (count + cells - 1) / cells : 1;
}

/* What stands for some frames. */
static size_t cell_rank(const char *frames, size_t count)
{
    size_t rank = MARKS;

    for (size_t i = 0; i < count; i++) {
        size_t one = mark_rank(frames[i]);
        rank = one < rank ? one : rank;
    }
    return rank;
}

int grid_print(const char *frames, size_t count, long long first, int columns, int rows, bool colours, FILE *out)
{
    size_t scale = grid_scale(count, first, columns, rows), width = line_width(count, first, columns);
    int wide = digits(first + (long long)count - 1), lines = 0;

    for (size_t at = 0; at < count; lines++) {
        size_t before = MARKS + 1;
        fprintf(out, "%*lld ", wide, first + (long long)at);
        for (size_t cell = 0; cell < width && at < count; cell++) {
            size_t some = count - at < scale ? count - at : scale, rank = cell_rank(frames + at, some);
            if (colours && rank != before) {
                fprintf(out, "\033[0m%s", rank < MARKS ? marks[rank].colour : "");
            }
            fputc(rank < MARKS ? marks[rank].mark : '?', out);
            before = rank;
            at += some;
        }
        fputs(colours ? "\033[0m\033[K\n" : "\n", out);
    }
    return lines;
}
