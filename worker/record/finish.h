/* The pieces of a recording become one file: all that they hold, each where its clock says, with its index in front. */
#ifndef GANTRY_WORKER_RECORD_FINISH_H
#define GANTRY_WORKER_RECORD_FINISH_H

#include "worker/record/pieces.h"
#include "worker/record/report.h"

/* Makes target, new, of the pieces, each at the time of its clock from start_ms on, and looks whether it is what was to be made. Fills the report's
 * seconds, frames, codecs and size of the picture, and adds the gaps between pieces, and the gaps and bytes of pieces of earlier attempts than `own`,
 * whose gaps, and bytes as they were received, the report has. 0: done; 1: there is nothing whole in them; -1 with err. */
int finish_make(const struct pieces *pieces, uint64_t start_ms, uint64_t own, const char *target, struct record_report *report,
                struct err *err);
/* Looks at a file that was made so: the same of the report, which is empty before, with all the gaps that are in the file. -1 with err: it is no
 * video, does not begin with a key frame, or is not what the report of its making says (NULL: that is not known), by its frames or by where
 * the last begins, which is off by more than a second. */
int finish_check(const char *path, const struct record_report *made, struct record_report *report, struct err *err);
/* Which of the pieces is the only one that has something in it; -1: there is none, or there are more. */
int finish_only(const struct pieces *pieces);
/* Of the file that a report is of, gaps included. */
int64_t finish_length_us(const struct record_report *report);

#endif
