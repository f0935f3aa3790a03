/*
 * Seed, clock, descriptors and trace of the fake machine.
 *
 * The machine is a global variable, because the functions of uring/sys.h have
 * no parameter for a context. Numbers of descriptors start at 1000, where the
 * process has none of its own. As in the kernel the lowest free number is
 * taken, unless the options request fresh numbers.
 */
#include "tests/fake/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_machine fake;

struct event {
    struct wr_list link;
    uint64_t when_ns;
    void (*run)(void *arg);
    void *arg;
};

/* ---- failure and chance ---- */

void fake_fail(const char *fmt, ...)
{
    va_list args;
    fprintf(
        stderr, "fake machine%s, seed %llu, variant %llu, %llu ns: ",
        fake.ring && fake_ring_polls(fake.ring) ? " on epoll" : "",
        (unsigned long long)fake.options.seed,
        (unsigned long long)fake.options.variant,
        (unsigned long long)(fake.running ? fake.now_ns - FAKE_START_NS : 0));
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    if (fake.text) {
        size_t from = fake.text_len > 20000 ? fake.text_len - 20000 : 0;
        fprintf(stderr, "%s", fake.text + from);
    }
    fflush(stderr);
    abort();
}

/* splitmix64, which gives a good sequence for every seed, even 0. */
uint64_t fake_random(uint64_t below)
{
    fake.random += 0x9e3779b97f4a7c15u;
    uint64_t z = fake.random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below ? z % below : z;
}

bool fake_chance(uint32_t permille)
{
    return permille != 0 && fake_random(1000) < permille;
}

void fake_set_fault(enum fake_fault fault, uint32_t permille)
{
    fake.options.permille[fault] = permille;
}

void fake_set_fd_limit(uint32_t limit)
{
    fake.options.fd_limit = limit;
}

/* ---- clock ---- */

uint64_t fake_now(void)
{
    return fake.now_ns;
}

void fake_spend(uint64_t time_ns)
{
    fake.now_ns += time_ns;
}

void fake_at(uint64_t when_ns, void (*run)(void *arg), void *arg)
{
    struct event *event = malloc(sizeof(*event));
    wr_assert(event);
    event->when_ns = when_ns;
    event->run = run;
    event->arg = arg;
    wr_list_init(&event->link);
    struct wr_list *at = fake.events.prev;
    while (at != &fake.events &&
           wr_container_of(at, struct event, link)->when_ns > when_ns) {
        at = at->prev;
    }
    wr_list_push_back(at->next, &event->link);
}

uint64_t fake_event_next(void)
{
    if (wr_list_is_empty(&fake.events)) {
        return UINT64_MAX;
    }
    return wr_container_of(fake.events.next, struct event, link)->when_ns;
}

void fake_events_run(void)
{
    while (fake_event_next() <= fake.now_ns) {
        struct event *event =
            wr_container_of(fake.events.next, struct event, link);
        wr_list_remove(&event->link);
        void (*run)(void *arg) = event->run;
        void *arg = event->arg;
        free(event);
        run(arg);
    }
}

/* ---- descriptors ---- */

struct fake_file *fake_file_get(int fd, const char *what)
{
    uint32_t slot = (uint32_t)(fd - FAKE_FIRST_FD);
    if (fd < FAKE_FIRST_FD || slot >= fake.file_slots || !fake.files[slot]) {
        fake_fail("%s names descriptor %d, which is not open", what, fd);
    }
    return fake.files[slot];
}

static uint32_t find_free_slot(void)
{
    uint32_t slot = fake.options.fresh_fds ? fake.file_slots : 0;
    while (slot < fake.file_slots && fake.files[slot]) {
        slot++;
    }
    if (slot == fake.file_slots) {
        size_t size = (fake.file_slots + 1u) * sizeof(*fake.files);
        fake.files = realloc(fake.files, size);
        wr_assert(fake.files);
        fake.files[fake.file_slots++] = NULL;
    }
    return slot;
}

struct fake_file *fake_file_open(enum fake_kind kind, int family)
{
    uint32_t limit = fake.options.fd_limit;
    if (limit != 0 && fake.file_count >= limit) {
        return NULL;
    }
    uint32_t slot = find_free_slot();
    struct fake_file *file = calloc(1, sizeof(*file));
    wr_assert(file);
    file->fd = FAKE_FIRST_FD + (int)slot;
    file->kind = kind;
    file->family = family;
    fake.files[slot] = file;
    fake.file_count++;
    return file;
}

void fake_file_drop(struct fake_file *file)
{
    fake.files[file->fd - FAKE_FIRST_FD] = NULL;
    fake.file_count--;
    free(file);
}

uint32_t fake_fd_count(void)
{
    return fake.file_count;
}

int fake_sockopt(int fd, int level, int name)
{
    const struct fake_file *file = fake_file_get(fd, "the test");
    for (uint32_t i = 0; i < file->sockopt_count; i++) {
        if (file->sockopts[i].level == level &&
            file->sockopts[i].name == name) {
            return file->sockopts[i].value;
        }
    }
    return -1;
}

/* ---- trace ---- */

void fake_trace(const char *fmt, ...)
{
    char line[512];
    va_list args;
    if (!fake.options.trace) {
        return;
    }
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof(line) - 1, fmt, args);
    va_end(args);
    wr_assert(len >= 0);
    wr_assert((size_t)len < sizeof(line) - 1);
    line[len] = '\n';
    size_t need = fake.text_len + (size_t)len + 2;
    if (need > fake.text_size) {
        fake.text_size = need * 2;
        fake.text = realloc(fake.text, fake.text_size);
        wr_assert(fake.text);
    }
    memcpy(fake.text + fake.text_len, line, (size_t)len + 1);
    fake.text_len += (size_t)len + 1;
    fake.text[fake.text_len] = '\0';
}

const char *fake_text(void)
{
    return fake.text ? fake.text : "";
}

void fake_text_clear(void)
{
    fake.text_len = 0;
    if (fake.text) {
        fake.text[0] = '\0';
    }
}

/* ---- start and stop ---- */

void fake_start(const struct fake_options *options)
{
    wr_assert(!fake.running);
    memset(&fake, 0, sizeof(fake));
    fake.options = *options;
    fake.random = options->seed;
    fake.now_ns = FAKE_START_NS;
    fake.port_next = 40000;
    fake.clock = (struct fake_file){.fd = -1, .kind = FAKE_CLOCK};
    if (fake.options.send_size == 0) {
        fake.options.send_size = 64u << 10;
    }
    if (fake.options.recv_size == 0) {
        fake.options.recv_size = 64u << 10;
    }
    wr_list_init(&fake.events);
    wr_list_init(&fake.conns);
    wr_list_init(&fake.listeners);
    wr_list_init(&fake.fifos);
    wr_list_init(&fake.boxes);
    wr_list_init(&fake.packets);
    wr_list_init(&fake.closers);
    fake.running = true;
}

static void free_events(void)
{
    for (;;) {
        struct wr_list *link = wr_list_pop_front(&fake.events);
        if (!link) {
            return;
        }
        free(wr_container_of(link, struct event, link));
    }
}

void fake_stop(void)
{
    wr_assert(fake.running);
    if (fake.ring) {
        fake_fail("the ring was not closed");
    }
    fake_closers_end();
    if (fake.closer_count > 0) {
        fake_fail("%u closers were not let go", fake.closer_count);
    }
    for (uint32_t i = 0; i < fake.file_slots; i++) {
        if (fake.files[i]) {
            fake_fail("descriptor %d was not closed", fake.files[i]->fd);
        }
    }
    free_events();
    fake_conns_free();
    fake_boxes_free();
    fake_fifos_free();
    free(fake.files);
    free(fake.text);
    fake.files = NULL;
    fake.text = NULL;
    fake.running = false;
}

const struct fake_stats *fake_stats(void)
{
    return &fake.stats;
}

uint32_t fake_ops_in_flight(void)
{
    return fake.ring ? fake.ring->op_count - fake.clock.op_count : 0;
}
