#include "gateway/budget.h"

void budget_charge(struct budget *budget, size_t *held, size_t bytes)
{
    size_t counted = bytes > BUDGET_SMALL ? bytes : 0;

    budget->used = budget->used - *held + counted;
    *held = counted;
}

bool budget_hold(struct budget *budget, size_t *held, size_t bytes)
{
    size_t more = bytes > BUDGET_SMALL && bytes > *held ? bytes - *held : 0;

    if (more > 0 && budget->limit > 0 && (budget->used >= budget->limit || more > budget->limit - budget->used))
        return false;
    budget_charge(budget, held, bytes);
    return true;
}

void budget_release(struct budget *budget, size_t *held)
{
    budget->used -= *held;
    *held = 0;
}

bool budget_scarce(const struct budget *budget)
{
    return budget->limit > 0 && budget->used > budget->limit / 2;
}
