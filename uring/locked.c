/*
 * Sleeping until the kernel has uncharged the memory of closed rings.
 *
 * Once a ring has used up its sleeps without success, no ring of the process
 * sleeps until a ring is closed. Otherwise a program with many loops would
 * start slowly.
 */
#include "engine.h"

#include "../include/weir/error.h"
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>

static pthread_mutex_t locked_mutex = PTHREAD_MUTEX_INITIALIZER;
/* Maximum number of sleeps of a ring; 0 once a ring has used them up. */
static uint32_t locked_most = WR_LOCKED_WAITS_AT_FIRST;

static void locked_set_most(uint32_t most)
{
    int err = pthread_mutex_lock(&locked_mutex);
    wr_assert(err == 0);
    locked_most = most;
    err = pthread_mutex_unlock(&locked_mutex);
    wr_assert(err == 0);
}

bool wr_locked_wait(int err, uint32_t *waits, uint32_t limit)
{
    wr_assert(limit <= WR_LOCKED_WAITS);
    if (err != -ENOMEM && err != WEIR_ERINGMEMLOCK) {
        return false;
    }
    int locked = pthread_mutex_lock(&locked_mutex);
    wr_assert(locked == 0);
    const uint32_t most = locked_most;
    locked = pthread_mutex_unlock(&locked_mutex);
    wr_assert(locked == 0);
    if (*waits >= limit || *waits >= most) {
        return false;
    }
    wr_sys_sleep_a_little();
    (*waits)++;
    if (*waits == most) {
        locked_set_most(0);
    }
    return true;
}

void wr_locked_given_back(void)
{
    locked_set_most(WR_LOCKED_WAITS);
}
