/*
 * The functions of transports and loops that weir-load's HTTP/2 calls, as the
 * linker finds them under the names of --wrap; others are the library's.
 *
 * Time stands still but for timers, which come due when the writer is resumed.
 */
#include "tests/fuzz/h2_transport.h"
#include "tests/fuzz/check.h"
#include "tools/common/console.h"

#include "weir/loop.h"

#include <errno.h>
#include <string.h>

/* The marks between which a writer is paused. */
#define HIGH_BYTES (UINT64_C(64) << 10)

/* What a writer that is paused may still write: frames that were begun. */
#define BEHIND_BYTES (UINT64_C(64) << 10)

struct fake fake;

const char console_name[] = "fuzz";

static char place;
static size_t memory_before;

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t memory_now(void)
{
    return __sanitizer_get_current_allocated_bytes
               ? __sanitizer_get_current_allocated_bytes()
               : 0;
}

void fake_forget_memory(void)
{
    memory_before = memory_now();
}

size_t fake_memory(void)
{
    const size_t now = memory_now();

    return now > memory_before ? now - memory_before : 0;
}

weir_transport *fake_transport(void)
{
    return (weir_transport *)(void *)&place;
}

weir_transport *fake_begin(const struct weir_protocol *protocol, void *user)
{
    fake = (struct fake){.protocol = protocol, .user = user, .now_ns = 1};
    return fake_transport();
}

void fake_take(void)
{
    void (*due)(void *arg) = fake.due;

    fake.queued = 0;
    if (fake.is_paused) {
        fake.is_paused = false;
        fake.protocol->resume_writing(fake.user, fake_transport());
    }
    fake.due = NULL;
    if (due) {
        due(fake.due_arg);
    }
}

static int write_bytes(size_t len)
{
    if (fake.is_closing) {
        return -EPIPE;
    }
    check(!fake.is_paused || fake.queued <= HIGH_BYTES + BEHIND_BYTES + len);
    fake.written += len;
    fake.queued += len;
    if (!fake.is_paused && fake.queued > HIGH_BYTES) {
        fake.is_paused = true;
        fake.protocol->pause_writing(fake.user, fake_transport());
    }
    return 0;
}

/* ---- transports ---- */

int __wrap_weir_transport_write(weir_transport *t, const void *data,
                                size_t len);
int __wrap_weir_transport_write(weir_transport *t, const void *data, size_t len)
{
    (void)t;
    (void)data;
    return write_bytes(len);
}

int __wrap_weir_transport_write_ref(weir_transport *t, const void *data,
                                    size_t len, weir_release_fn *release,
                                    void *arg);
int __wrap_weir_transport_write_ref(weir_transport *t, const void *data,
                                    size_t len, weir_release_fn *release,
                                    void *arg)
{
    (void)t;
    (void)data;
    (void)arg;
    check(release == NULL);
    return write_bytes(len);
}

int __wrap_weir_transport_close(weir_transport *t);
int __wrap_weir_transport_close(weir_transport *t)
{
    (void)t;
    fake.is_closing = true;
    return 0;
}

int __wrap_weir_transport_abort(weir_transport *t);
int __wrap_weir_transport_abort(weir_transport *t)
{
    (void)t;
    fake.is_closing = true;
    fake.was_aborted = true;
    return 0;
}

bool __wrap_weir_transport_is_closing(const weir_transport *t);
bool __wrap_weir_transport_is_closing(const weir_transport *t)
{
    (void)t;
    return fake.is_closing;
}

int __wrap_weir_transport_pause_reading(weir_transport *t);
int __wrap_weir_transport_pause_reading(weir_transport *t)
{
    (void)t;
    return 0;
}

int __wrap_weir_transport_resume_reading(weir_transport *t);
int __wrap_weir_transport_resume_reading(weir_transport *t)
{
    (void)t;
    return 0;
}

int __wrap_weir_transport_set_write_hard_limit(weir_transport *t,
                                               uint64_t limit_bytes);
int __wrap_weir_transport_set_write_hard_limit(weir_transport *t,
                                               uint64_t limit_bytes)
{
    (void)t;
    (void)limit_bytes;
    return 0;
}

const char *__wrap_weir_transport_get_error_text(const weir_transport *t,
                                                 char *text, size_t size);
const char *__wrap_weir_transport_get_error_text(const weir_transport *t,
                                                 char *text, size_t size)
{
    (void)t;
    check(size > 0);
    text[0] = '\0';
    return text;
}

weir_loop *__wrap_weir_transport_get_loop(const weir_transport *t);
weir_loop *__wrap_weir_transport_get_loop(const weir_transport *t)
{
    (void)t;
    return (weir_loop *)(void *)&place;
}

/* ---- the loop ---- */

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop);
uint64_t __wrap_weir_loop_get_time(const weir_loop *loop)
{
    (void)loop;
    return fake.now_ns;
}

int __wrap_weir_loop_call_at(weir_loop *loop, uint64_t when_ns,
                             weir_callback_fn *cb, void *arg,
                             struct weir_handle *ret);
int __wrap_weir_loop_call_at(weir_loop *loop, uint64_t when_ns,
                             weir_callback_fn *cb, void *arg,
                             struct weir_handle *ret)
{
    (void)loop;
    (void)when_ns;
    fake.due = cb;
    fake.due_arg = arg;
    *ret = (struct weir_handle){.index = 1, .generation = 1};
    return 0;
}

bool __wrap_weir_handle_cancel(weir_loop *loop, struct weir_handle handle);
bool __wrap_weir_handle_cancel(weir_loop *loop, struct weir_handle handle)
{
    (void)loop;
    if (handle.index != 0) {
        fake.due = NULL;
    }
    return true;
}
