/* Prints the table of a run's life (scheduler/run.c): a line `state change next` for each pair that can happen, waiting standing for
 * whichever of the waiting states is true. The auditor holds every run's history against it. */
#include <stdio.h>

#include "scheduler/run.h"

int main(void)
{
    for (unsigned state = 0; state < STATE_COUNT; state++)
        for (unsigned change = 0; change < CHANGE_COUNT; change++) {
            enum run_state next = run_next((enum run_state)state, (enum run_change)change);
            if (next != STATE_NONE)
                printf("%s %s %s\n", run_state_name(state), run_change_name(change), run_state_name(next));
        }
    return 0;
}
