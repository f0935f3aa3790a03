/*
 * add_reader and add_writer: callbacks that are called while a descriptor is
 * ready.
 *
 * A poll that fires makes its callback ready, and is due again before the
 * callback is called. So a callback is called once in a loop iteration while
 * its descriptor is ready, never from inside another callback, and may remove
 * any callback, including itself. A callback that replaces another gets a new
 * poll, because the number may refer to another file now.
 */
#include "weir/watch.h"

#include "descriptor.h"

#include <sys/stat.h>

static const char *const watch_names[WR_DIRECTIONS] = {
    [WR_READING] = "add_reader",
    [WR_WRITING] = "add_writer",
};

static void watch_call(struct wr_ready *ready)
{
    struct wr_watch *watch = wr_container_of(ready, struct wr_watch, ready);
    struct wr_poll *poll = watch->poll;

    wr_assert(poll);
    wr_assert(watch->cb);
    wr_poll_again(poll);
    wr_loop_call(poll->loop, watch->cb, watch->arg,
                 watch_names[poll->direction]);
}

static void watch_end(struct wr_watch *watch, int err)
{
    const struct wr_poll *poll = watch->poll;
    weir_loop *loop = poll->loop;
    const struct weir_exception exception = {
        .message = "a descriptor cannot be watched any more",
        .err = err,
        .callback = watch_names[poll->direction],
    };

    wr_assert(err < 0);
    wr_assert(!wr_loop_is_closing(loop));
    wr_watch_clear(watch);
    wr_loop_report(loop, &exception);
}

static void watch_fired(struct wr_poll *poll, int err)
{
    struct wr_watch *watch = poll->arg;

    wr_assert(watch->poll == poll);
    wr_assert(!wr_ready_is_pending(&watch->ready));
    if (err < 0) {
        watch_end(watch, err);
    } else {
        wr_ready_push(&poll->loop->ready, &watch->ready);
    }
}

WEIR_MUST_USE static int watch_add(weir_loop *loop, int fd,
                                   enum wr_direction direction,
                                   weir_callback_fn *cb, void *arg)
{
    wr_require_loop(loop);
    wr_require(cb, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    wr_require(fd >= 0, -EBADF);
    mode_t mode;
    int err = wr_sys_mode(fd, &mode);
    wr_require(err >= 0, err);
    wr_require(!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISBLK(mode), -EPERM);
    err = wr_descriptor_check_free(loop, fd);
    wr_require(err >= 0, err);
    struct wr_descriptor *descriptor = wr_descriptor_make(loop, fd);
    wr_require(descriptor, -ENOMEM);
    struct wr_watch *watch = &descriptor->watches[direction];
    wr_assert(watch->poll || !wr_ready_is_pending(&watch->ready));
    struct wr_poll *poll;
    err = wr_poll_new(loop, fd, direction, watch_fired, watch, &poll);
    wr_require(err >= 0, err);

    if (watch->poll) {
        wr_watch_clear(watch);
    }
    wr_ready_init(&watch->ready, watch_call);
    watch->poll = poll;
    watch->cb = cb;
    watch->arg = arg;
    return 0;
}

static bool watch_remove(weir_loop *loop, int fd, enum wr_direction direction)
{
    if (wr_loop_check(loop) < 0) {
        return false;
    }
    struct wr_descriptor *descriptor = wr_descriptor_find(loop, fd);
    if (!descriptor || !descriptor->watches[direction].poll) {
        return false;
    }
    wr_watch_clear(&descriptor->watches[direction]);
    return true;
}

int weir_loop_add_reader(weir_loop *loop, int fd, weir_callback_fn *cb,
                         void *arg)
{
    return watch_add(loop, fd, WR_READING, cb, arg);
}

bool weir_loop_remove_reader(weir_loop *loop, int fd)
{
    return watch_remove(loop, fd, WR_READING);
}

int weir_loop_add_writer(weir_loop *loop, int fd, weir_callback_fn *cb,
                         void *arg)
{
    return watch_add(loop, fd, WR_WRITING, cb, arg);
}

bool weir_loop_remove_writer(weir_loop *loop, int fd)
{
    return watch_remove(loop, fd, WR_WRITING);
}
