/* The bus's clients without a bus: what is asked and told is held against the table and kept; answers are given by hand (linked
 * with --wrap). Time stands still unless it is moved. */
#ifndef GANTRY_TESTS_FARSIDE_H
#define GANTRY_TESTS_FARSIDE_H

#include "proto/bus.h"

extern uint64_t farside_mono_ms;

void farside_check(bool holds); /* ends the process when it does not */

/* The clients' connections stand, or are lost: told to each. */
void farside_up(bool up);
/* Answers the oldest question; what does not decode is silence. False: there was none. */
bool farside_answer(struct str frame);
/* Its deadline passes. */
bool farside_silence(void);
/* A message that is no answer, at every client. */
void farside_message(struct str frame);
void farside_ring(struct str frame); /* the doorbell */

#endif
