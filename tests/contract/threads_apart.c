/*
 * Loops on two threads share no memory word on the path of a message, so that
 * neither takes a cache line from the other.
 *
 * Each thread allocates its own memory, under a protection key (pkeys(7)). When
 * both have echoed some messages, each gives up access to the other's memory,
 * and the writable data of the program and of weir become read-only. Then both
 * echo many more. A thread that writes to shared data, or touches the other's
 * memory, ends the test with the address.
 */
#define _GNU_SOURCE
#define UNIT_RUN unit_alone
#include "tests/contract/executor_rig.h"

/* Sanitizers write to words of their own. */
#if defined(__x86_64__) && defined(__GLIBC__) &&                               \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define APART_HAS_KEYS 1
#else
#define APART_HAS_KEYS 0
#endif

#if APART_HAS_KEYS

#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <weir/stream.h>
#include <weir/threads.h>

enum { SIDES = 2, FEW = 200, MANY = 2000, MESSAGE = 128, DATA_MAX = 8 };

#define MEMORY_SIZE ((size_t)256 << 20) /* of a side; only reserved */

struct side {
    uint8_t *memory;
    size_t used; /* allocated by its thread, and never freed */
    int key;
};

struct data {
    void *start;
    size_t size;
};

/* Outside of the program's data, which is read-only while the sides echo. */
struct apart {
    struct side sides[SIDES];
    atomic_uint side_count;
    pthread_barrier_t barrier;
    struct data data[DATA_MAX];
    size_t data_count;
};

static __thread struct side *own; /* NULL in other threads */
static __thread bool is_main;

static void *allocate(void *arg, size_t size)
{
    struct apart *apart = arg;
    if (is_main) {
        return malloc(size);
    }
    if (!own) {
        const unsigned index = atomic_fetch_add(&apart->side_count, 1);
        own = &apart->sides[index % SIDES];
    }
    void *result = own->memory + own->used;
    own->used += (size + 15) / 16 * 16;
    return own->used <= MEMORY_SIZE ? result : NULL;
}

static void give_back(void *arg, void *ptr, size_t size)
{
    struct apart *apart = arg;
    for (int i = 0; i < SIDES; i++) {
        const struct side *side = &apart->sides[i];
        if ((uintptr_t)ptr - (uintptr_t)side->memory < MEMORY_SIZE) {
            return;
        }
    }
    free(ptr);
}

/* Records the writable data of the program and of weir, except for what the
 * linker has made read-only. */
static int note_data(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct apart *apart = arg;
    uintptr_t fixed_end = 0;
    if (info->dlpi_name[0] != '\0' && !strstr(info->dlpi_name, "libweir")) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_GNU_RELRO) {
            fixed_end = info->dlpi_addr + part->p_vaddr + part->p_memsz;
        }
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        const uintptr_t end = start + part->p_memsz;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_W)) {
            continue;
        }
        if (fixed_end > start && fixed_end <= end) {
            start = fixed_end;
        }
        start = start / 4096 * 4096;
        if (start < end && apart->data_count < DATA_MAX) {
            apart->data[apart->data_count++] =
                (struct data){(void *)start, end - start};
        }
    }
    return 0;
}

static void protect_data(const struct apart *apart, int protection)
{
    for (size_t i = 0; i < apart->data_count; i++) {
        const struct data *data = &apart->data[i];
        if (mprotect(data->start, data->size, protection) < 0) {
            _exit(3);
        }
    }
}

/* Runs on its own stack, without access to the memory of a side. */
static void tell_fault(int signum, siginfo_t *info, void *context)
{
    char text[120];
    const int len = snprintf(
        text, sizeof(text), "a message touches %p: %s\n", info->si_addr,
        info->si_code == SEGV_PKUERR ? "the other thread's memory"
                                     : "data of both threads");
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0) {
        _exit(4);
    }
    _exit(2);
}

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf buf;
    ssize_t len;
    while ((len = weir_reader_read_view(reader, SIZE_MAX, &buf)) > 0) {
        int err = weir_writer_write(writer, buf.data, buf.len);
        err = err < 0 ? err : weir_writer_drain(writer);
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

/* Has no assertions, because an assertion of a runner may write to its data.
 */
static ssize_t talk(weir_reader *reader, weir_writer *writer, int count)
{
    uint8_t message[MESSAGE] = {1};
    ssize_t result = 0;
    for (int i = 0; i < count && result >= 0; i++) {
        result = weir_writer_write(writer, message, sizeof(message));
        if (result >= 0) {
            result = weir_reader_readexactly(reader, message, sizeof(message));
        }
    }
    return result;
}

/* Each side runs alone, between two barriers, at which no loop waits long. */
static ssize_t talk_apart(struct apart *apart, weir_reader *reader,
                          weir_writer *writer)
{
    const bool is_first = own == &apart->sides[0];
    const int other = apart->sides[is_first ? 1 : 0].key;

    pthread_barrier_wait(&apart->barrier);
    if (is_first) {
        protect_data(apart, PROT_READ);
    }
    pthread_barrier_wait(&apart->barrier);
    pkey_set(other, PKEY_DISABLE_ACCESS);
    const ssize_t result = talk(reader, writer, MANY);
    pkey_set(other, 0);
    pthread_barrier_wait(&apart->barrier);
    if (is_first) {
        protect_data(apart, PROT_READ | PROT_WRITE);
    }
    pthread_barrier_wait(&apart->barrier);
    return result;
}

static int serve_itself(weir_thread *thread, void *arg)
{
    weir_loop *l = weir_thread_get_loop(thread);
    weir_server *server;
    struct weir_address addr;
    weir_reader *reader;
    weir_writer *writer;
    uint8_t *stack = malloc(65536);

    cr_assert_not_null(stack);
    const struct sigaction action = {.sa_sigaction = tell_fault,
                                     .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const stack_t alternate = {.ss_sp = stack, .ss_size = 65536};
    expect_eq(sigaltstack(&alternate, NULL), 0);
    expect_eq(sigaction(SIGSEGV, &action, NULL), 0);
    expect_ok(weir_start_server(l, echo, "127.0.0.1", 0, NULL, &server));
    weir_server_get_socket(server, 0, &addr);
    expect_ok(weir_open_connection(l, "127.0.0.1",
                                   ntohs(addr.storage.inet.sin_port), NULL,
                                   &reader, &writer));
    expect_eq(talk(reader, writer, FEW), MESSAGE);
    expect_eq(talk_apart(arg, reader, writer), MESSAGE);
    weir_writer_close(writer);
    expect_ok(weir_writer_wait_closed(writer));
    weir_writer_unref(writer);
    weir_server_close(server);
    weir_server_free(server);
    expect_eq(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), 0);
    free(stack);
    return 0;
}

static struct apart *open_apart(void)
{
    struct apart *apart = calloc(1, sizeof(*apart));
    cr_assert_not_null(apart);
    is_main = true;
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &apart->sides[i];
        side->key = pkey_alloc(0, 0);
        if (side->key < 0) {
            cr_skip_test("no protection keys: %s; runs on a processor that has "
                         "them (pku)",
                         strerror(errno));
        }
        side->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        cr_assert(side->memory != MAP_FAILED);
        expect_ok(pkey_mprotect(side->memory, MEMORY_SIZE,
                                PROT_READ | PROT_WRITE, side->key));
    }
    expect_eq(pthread_barrier_init(&apart->barrier, NULL, SIDES), 0);
    dl_iterate_phdr(note_data, apart);
    expect_gt(apart->data_count, 0);
    return apart;
}

static void run_apart(void)
{
    struct apart *apart = open_apart();
    const struct weir_allocator allocator = {
        .alloc = allocate, .free = give_back, .arg = apart};
    const struct weir_loop_options loop_options = {.size = sizeof(loop_options),
                                                   .allocator = &allocator};
    weir_threads *threads;

    expect_ok(
        weir_threads_start(SIZED(weir_threads_options, .thread_count = SIDES,
                                 .no_signals = true, .loop = &loop_options),
                           serve_itself, apart, &threads));
    expect_eq(weir_threads_join(threads), 0);
    for (int i = 0; i < SIDES; i++) {
        expect_gt(apart->sides[i].used, 0);
        expect_eq(munmap(apart->sides[i].memory, MEMORY_SIZE), 0);
        expect_eq(pkey_free(apart->sides[i].key), 0);
    }
    pthread_barrier_destroy(&apart->barrier);
    free(apart);
}

#else

static void run_apart(void)
{
    cr_skip_test("no protection keys; runs on x86-64");
}

#endif

UNIT(threads_apart, two_loops_share_no_word_on_the_way_of_a_message)
{
    run_apart();
}
