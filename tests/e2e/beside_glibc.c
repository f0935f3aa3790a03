/*
 * Looks up names with the C library or with weir, as the argument says.
 *
 * Each line of the input is a letter and a text. For each line, in the same
 * order, the output has the result, or the kind of failure, on which both
 * libraries must agree:
 *
 *     0, 4, 6   the addresses of a name, sorted, of both families or of one
 *     M, A      the addresses of IPv6, with mapped ones of IPv4: if there are
 *               no others, or always
 *     C         the canonical name of a name
 *     R         the name of an address
 *
 * Both read only the files of this machine. Many names are looked up at the
 * same time.
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
#include <weir/task.h>

enum { LINES_MAX = 8192, NAME_SIZE = 512, RESULT_SIZE = 512, THREADS = 32 };

#define PATIENCE_NS UINT64_C(300000000000)

struct line {
    char kind;
    char name[NAME_SIZE];
    char result[RESULT_SIZE];
};

static struct line lines[LINES_MAX];
static size_t line_count;

static int family_of(const struct line *line)
{
    switch (line->kind) {
    case '4':
        return AF_INET;
    case '6':
    case 'M':
    case 'A':
        return AF_INET6;
    default:
        return AF_UNSPEC;
    }
}

static int compare(const void *one, const void *other)
{
    return strcmp(one, other);
}

/* Writes the sorted texts of addresses, without duplicates, each after a space.
 */
static void write_sorted(struct line *line, char texts[][INET6_ADDRSTRLEN + 16],
                         size_t count)
{
    qsort(texts, count, sizeof(texts[0]), compare);
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(line->result);
        if (i > 0 && strcmp(texts[i - 1], texts[i]) == 0) {
            continue;
        }
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

static int glibc_flags(const struct line *line)
{
    switch (line->kind) {
    case 'M':
        return AI_V4MAPPED;
    case 'A':
        return AI_V4MAPPED | AI_ALL;
    case 'C':
        return AI_CANONNAME;
    default:
        return 0;
    }
}

static void glibc_reverse(struct line *line)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int err = getaddrinfo(line->name, NULL, &hints, &list);

    if (err == 0) {
        err = getnameinfo(list->ai_addr, list->ai_addrlen, line->result,
                          sizeof(line->result), NULL, 0, NI_NAMEREQD);
        freeaddrinfo(list);
    }
    if (err != 0) {
        snprintf(line->result, sizeof(line->result), "%s", glibc_name(err));
    }
}

static void glibc_lookup(struct line *line)
{
    char texts[32][INET6_ADDRSTRLEN + 16];
    const struct addrinfo hints = {.ai_family = family_of(line),
                                   .ai_flags = glibc_flags(line),
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    size_t count = 0;
    const int err = getaddrinfo(line->name, NULL, &hints, &list);

    if (err != 0) {
        snprintf(line->result, sizeof(line->result), "%s", glibc_name(err));
        return;
    }
    if (line->kind == 'C') {
        snprintf(line->result, sizeof(line->result), "%s", list->ai_canonname);
        freeaddrinfo(list);
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

/* Looks up a name in its own thread, because the C library keeps for each
 * thread what it has read and how the last lookup failed. */
static void *glibc_work(void *arg)
{
    struct line *line = arg;

    if (line->kind == 'R') {
        glibc_reverse(line);
    } else {
        glibc_lookup(line);
    }
    return NULL;
}

static void glibc_look_up(void)
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
    if (line->kind == 'C') {
        return; /* the result has the name */
    }
    count = count < 32 ? count : 32;
    for (size_t i = 0; i < count; i++) {
        getnameinfo(&addresses[i].storage.any, addresses[i].len, texts[i],
                    sizeof(texts[i]), NULL, 0, NI_NUMERICHOST);
    }
    write_sorted(line, texts, count);
}

static void weir_lookup_line(weir_loop *loop, struct line *line)
{
    const struct weir_getaddrinfo_options options = {
        .size = sizeof(options),
        .family = family_of(line),
        .map_ipv4 = line->kind == 'M',
        .map_all = line->kind == 'A',
        .canonical_name = line->kind == 'C' ? line->result : NULL,
        .canonical_name_size = sizeof(line->result),
        .timeout_ns = PATIENCE_NS};

    waiting++;
    const int err = weir_resolve_start(loop, line->name, 0, &options, weir_done,
                                       line, NULL);
    if (err < 0) {
        weir_done(line, err, NULL, 0);
    }
}

/* Looks up the name of a line's address. Runs as a task. */
static int weir_reverse(weir_loop *loop, void *arg)
{
    const struct weir_getnameinfo_options options = {.size = sizeof(options),
                                                     .name_required = true,
                                                     .timeout_ns = PATIENCE_NS};
    struct weir_nameinfo info = {.size = sizeof(info)};
    struct weir_address address;
    struct line *line = arg;
    int err = weir_address_parse(line->name, 0, &address);

    if (err == 0) {
        err = weir_getnameinfo(loop, &address, &options, &info);
    }
    snprintf(line->result, sizeof(line->result), "%s",
             err < 0 ? weir_name(err) : info.host);
    return 0;
}

static bool weir_is_over(void *arg)
{
    (void)arg;
    return waiting == 0;
}

static void weir_look_up(void)
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
        if (lines[i].kind != 'R') {
            weir_lookup_line(loop, &lines[i]);
        } else if (weir_loop_run_task(loop, weir_reverse, &lines[i], NULL) <
                   0) {
            abort();
        }
    }
    if (weir_loop_run_until(loop, weir_is_over, NULL) < 0) {
        abort();
    }
    weir_loop_free(loop);
}

static void read_lines(void)
{
    char text[NAME_SIZE + 2];

    while (line_count < LINES_MAX && fgets(text, sizeof(text), stdin)) {
        struct line *line = &lines[line_count++];
        text[strcspn(text, "\n")] = '\0';
        line->kind = text[0];
        memcpy(line->name, text + 2, sizeof(line->name) - 1);
    }
}

int main(int argc, char **argv)
{
    read_lines();
    if (argc > 1 && strcmp(argv[1], "weir") == 0) {
        weir_look_up();
    } else {
        glibc_look_up();
    }
    for (size_t i = 0; i < line_count; i++) {
        puts(lines[i].result);
    }
    return 0;
}
