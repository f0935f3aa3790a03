/*
 * The executor: threads for calls that block.
 *
 * Threads are made when there is a job and none is idle; results come back
 * through the loop's mailbox. The state that threads share with the loop is
 * counted and outlives it.
 */
#include "../include/weir/executor.h"

#include "loop.h"

void wr_executor_close(weir_loop *loop)
{
    wr_assert(!loop->executor);
}
