/* What happens when mapped bytes cannot be had: the file became shorter, the disk fails, a damaged page leads out of it.
 *
 * That is a signal in the middle of anything. The process ends at once with one line that says what it is, code 1 and no core;
 * nothing was written, as the map is for reading only.
 */
#ifndef GANTRY_STORE_KV_GUARD_H
#define GANTRY_STORE_KV_GUARD_H

#define KV_GUARDS 4 /* maps at once; further ones are not guarded */

/* Guards the map of an open file. path is copied, cut to what a line has room for. Answers its number, or -1: it is not guarded. */
int kv_guard_add(const char *path, int fd);
void kv_guard_remove(int guard); /* takes -1 */
/* Ends the process as above, for a cause the database found by itself. */
_Noreturn void kv_guard_end(const char *path, const char *why);

#endif
