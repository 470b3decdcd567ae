/* What a command did to the farm's own files, for its audit log: who may give such commands needs no key, so nobody else would tell of it. */
#ifndef GANTRY_CLI_DEED_H
#define GANTRY_CLI_DEED_H

struct cli;

/* Tells the scheduler of this machine, and waits until the line is on disk; says on stderr and to the system's log when there is none that
 * answers. The deed is done in either case. */
void deed_tell(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
