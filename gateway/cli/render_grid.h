/* The frames of a task as a grid: a character each, or, where they are more than the terminal has room for, for some of them. */
#ifndef GANTRY_CLI_RENDER_GRID_H
#define GANTRY_CLI_RENDER_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What a frame is; of several the first of these that one of them is. */
#define GRID_FAILED '!'
#define GRID_RENDERING '>'
#define GRID_WAITING '.'
#define GRID_CANCELLED '-'
#define GRID_DONE '#'

/* The character for a frame's status, as the farm calls it. */
char grid_of(const char *status);

/* How many frames a character stands for. */
size_t grid_scale(size_t count, long long first, int columns, int rows);

/* Prints them in lines of at most `columns`, each with the number of its first frame before it. Answers how many lines, at most rows (which
 * is 1 at least). */
int grid_print(const char *frames, size_t count, long long first, int columns, int rows, bool colours, FILE *out);

#endif
