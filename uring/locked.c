/*
 * The sleeps are counted for each ring. When one has had them all, the others
 * of the process ask once, until one is closed: a program of many loops would
 * be slow otherwise.
 */
#include "locked.h"

#include "../include/weir/error.h"
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>

static pthread_mutex_t locked_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool locked_is_vain; /* under the mutex */

static void locked_set_vain(bool is_vain)
{
    int err = pthread_mutex_lock(&locked_mutex);
    wr_assert(err == 0);
    locked_is_vain = is_vain;
    err = pthread_mutex_unlock(&locked_mutex);
    wr_assert(err == 0);
}

static bool locked_get_vain(void)
{
    int err = pthread_mutex_lock(&locked_mutex);
    wr_assert(err == 0);
    const bool is_vain = locked_is_vain;
    err = pthread_mutex_unlock(&locked_mutex);
    wr_assert(err == 0);
    return is_vain;
}

bool wr_locked_wait(int err, uint32_t *waits, uint32_t limit)
{
    wr_assert(limit <= WR_LOCKED_WAITS);
    if ((err != -ENOMEM && err != WEIR_ERINGMEMLOCK) || *waits >= limit ||
        locked_get_vain()) {
        return false;
    }
    wr_sys_sleep_a_little();
    (*waits)++;
    if (*waits == WR_LOCKED_WAITS) {
        locked_set_vain(true);
    }
    return true;
}

void wr_locked_given_back(void)
{
    locked_set_vain(false);
}
