/* The memory that requests may take together: bodies, what is parsed of them, and answers that wait for their clients to read them.
 *
 * Each of these has a bound of its own, but there may be as many as there are connections. What is small is not counted: that is
 * bounded by the number of connections, and an answer that says that memory is short always fits.
 */
#ifndef GANTRY_GATEWAY_BUDGET_H
#define GANTRY_GATEWAY_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#define BUDGET_SMALL ((size_t)64 << 10)

struct budget {
    size_t limit; /* bytes; 0: none */
    size_t used;
};

/* Makes *held (0 at first) what a holder of that many bytes takes of the budget. False when they do not fit: nothing has changed. */
bool budget_hold(struct budget *budget, size_t *held, size_t bytes);
/* The same for what is there already. */
void budget_charge(struct budget *budget, size_t *held, size_t bytes);
/* The holder has nothing any more. */
void budget_release(struct budget *budget, size_t *held);

/* Half of it is taken: those that can wait, wait. */
bool budget_scarce(const struct budget *budget);

#endif
