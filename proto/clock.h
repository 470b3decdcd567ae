/* Time. Scheduling decisions take it as a parameter; everything else asks here. */
#ifndef GANTRY_PROTO_CLOCK_H
#define GANTRY_PROTO_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_wall_ms(void); /* since 1970 UTC: what records and people see */
uint64_t clock_mono_ms(void); /* never goes back, goes on while suspended: leases, deadlines */
uint64_t clock_mono_us(void);

#define CLOCK_ISO_SIZE 32
/* "2024-01-01T00:00:00Z" (with .123 when millis is true); answers out. */
const char *clock_iso(uint64_t wall_ms, int millis, char out[CLOCK_ISO_SIZE]);
/* Reads RFC 3339 times and plain dates; 0 on success. */
int clock_parse_iso(const char *text, size_t len, uint64_t *wall_ms);

/* Days since 1970 of a date (proleptic Gregorian), and back. month 1..12, day 1..31. */
int64_t clock_days(int64_t year, int month, int day);
void clock_date(int64_t days, int64_t *year, int *month, int *day);

#endif
