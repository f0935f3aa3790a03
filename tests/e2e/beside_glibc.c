/*
 * Names looked up by the C library or by weir, whichever the argument names.
 *
 * Each line of the input is a family (4, 6 or 0) and a name; for each line, in
 * the same order, the output has what became of it: the addresses, sorted, or
 * the kind of failure, which both libraries are to agree on. Both read the
 * files of this machine and nothing else. Many names are under way together.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolver.h>

enum { LINES_MAX = 8192, NAME_SIZE = 512, RESULT_SIZE = 512, THREADS = 32 };

#define PATIENCE_NS UINT64_C(300000000000)

struct line {
    int family;
    char name[NAME_SIZE];
    char result[RESULT_SIZE];
};

static struct line lines[LINES_MAX];
static size_t line_count;

static int compare(const void *one, const void *other)
{
    return strcmp(one, other);
}

/* Writes texts of addresses, sorted, each with a space before it. */
static void write_sorted(struct line *line, char texts[][INET6_ADDRSTRLEN + 16],
                         size_t count)
{
    qsort(texts, count, sizeof(texts[0]), compare);
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(line->result);
        snprintf(line->result + len, sizeof(line->result) - len, " %s",
                 texts[i]);
    }
}

/* ---- the C library ---- */

static const char *glibc_name(int err)
{
    switch (err) {
    case EAI_NONAME:
        return "no name";
    case EAI_NODATA:
        return "no data";
    case EAI_AGAIN:
        return "again";
    case EAI_FAIL:
        return "bad";
    default:
        return gai_strerror(err);
    }
}

static void glibc_lookup(struct line *line)
{
    char texts[32][INET6_ADDRSTRLEN + 16];
    const struct addrinfo hints = {.ai_family = line->family,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    size_t count = 0;
    const int err = getaddrinfo(line->name, NULL, &hints, &list);

    if (err != 0) {
        snprintf(line->result, sizeof(line->result), "%s", glibc_name(err));
        return;
    }
    for (struct addrinfo *at = list; at && count < 32; at = at->ai_next) {
        getnameinfo(at->ai_addr, at->ai_addrlen, texts[count],
                    sizeof(texts[count]), NULL, 0, NI_NUMERICHOST);
        count++;
    }
    freeaddrinfo(list);
    write_sorted(line, texts, count);
}

/* A lookup in a thread of its own: the C library keeps what it has read, and
 * how the last lookup failed, for each thread. */
static void *glibc_work(void *arg)
{
    glibc_lookup(arg);
    return NULL;
}

static void glibc_run(void)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < line_count; i++) {
        pthread_t *thread = &threads[i % THREADS];
        if (i >= THREADS) {
            pthread_join(*thread, NULL);
        }
        if (pthread_create(thread, NULL, glibc_work, &lines[i]) != 0) {
            abort();
        }
    }
    for (size_t i = 0; i < line_count && i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* ---- weir ---- */

static size_t waiting;

static const char *weir_name(int err)
{
    switch (err) {
    case WEIR_EDNSNOTFOUND:
        return "no name";
    case WEIR_EDNSNODATA:
        return "no data";
    case WEIR_EDNSSERVFAIL:
    case WEIR_EDNSTIMEOUT:
    case WEIR_EDNSREFUSED:
    case WEIR_EDNSUNREACHABLE:
        return "again";
    case WEIR_EDNSBADANSWER:
        return "bad";
    default:
        return weir_err_name(err);
    }
}

static void weir_done(void *arg, int err, const struct weir_address *addresses,
                      size_t count)
{
    char texts[32][INET6_ADDRSTRLEN + 16];
    struct line *line = arg;

    waiting--;
    if (err < 0) {
        snprintf(line->result, sizeof(line->result), "%s", weir_name(err));
        return;
    }
    count = count < 32 ? count : 32;
    for (size_t i = 0; i < count; i++) {
        getnameinfo(&addresses[i].storage.any, addresses[i].len, texts[i],
                    sizeof(texts[i]), NULL, 0, NI_NUMERICHOST);
    }
    write_sorted(line, texts, count);
}

static bool weir_is_over(void *arg)
{
    (void)arg;
    return waiting == 0;
}

static void weir_run(void)
{
    const struct weir_dns_options dns = {.size = sizeof(dns), .no_cache = true};
    weir_loop *loop;

    if (weir_loop_new(NULL, &loop) < 0) {
        abort();
    }
    if (weir_loop_set_dns_options(loop, &dns) < 0) {
        fprintf(stderr, "built without c-ares\n");
        exit(77);
    }
    for (size_t i = 0; i < line_count; i++) {
        const struct weir_getaddrinfo_options options = {
            .size = sizeof(options),
            .family = lines[i].family,
            .timeout_ns = PATIENCE_NS};
        waiting++;
        const int err = weir_lookup_start(loop, lines[i].name, 0, &options,
                                          weir_done, &lines[i], NULL);
        if (err < 0) {
            weir_done(&lines[i], err, NULL, 0);
        }
    }
    if (weir_loop_run_until(loop, weir_is_over, NULL) < 0) {
        abort();
    }
    weir_loop_free(loop);
}

static void read_lines(void)
{
    static const int families[] = {
        ['0'] = AF_UNSPEC, ['4'] = AF_INET, ['6'] = AF_INET6};
    char text[NAME_SIZE + 2];

    while (line_count < LINES_MAX && fgets(text, sizeof(text), stdin)) {
        struct line *line = &lines[line_count++];
        text[strcspn(text, "\n")] = '\0';
        line->family =
            families[(text[0] == '4' || text[0] == '6') ? text[0] : '0'];
        memcpy(line->name, text + 2, sizeof(line->name) - 1);
    }
}

int main(int argc, char **argv)
{
    read_lines();
    if (argc > 1 && strcmp(argv[1], "weir") == 0) {
        weir_run();
    } else {
        glibc_run();
    }
    for (size_t i = 0; i < line_count; i++) {
        puts(lines[i].result);
    }
    return 0;
}
