/*
 * Looks up many host names at the same time, each with a task, and prints their
 * addresses. Uses the system's name servers, or the ones given with -s.
 * Usage: resolve [-s SERVER[,SERVER...]] NAME...
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weir.h>

#define FOUND_MAX (2 * WEIR_ADDRESSES_MAX) /* IPv4 and IPv6 */

struct names {
    const char *servers; /* from -s, or NULL */
    char **all;          /* names, then NULL */
};

static bool has_failed; /* a name has no address */

static int resolve(weir_loop *loop, void *name)
{
    struct weir_address found[FOUND_MAX];
    char text[WEIR_ADDRESS_TEXT_SIZE];
    int count = weir_getaddrinfo(loop, name, 0, NULL, found, FOUND_MAX);

    if (count < 0) {
        printf("%s: %s\n", (char *)name, weir_strerror(count));
        has_failed = true;
    }
    for (int i = 0; i < count; i++) {
        weir_address_format(&found[i], text, sizeof(text));
        *strrchr(text, ':') = '\0'; /* removes the port */
        printf("%s %s\n", (char *)name, text);
    }
    return 0;
}

static int resolve_all(weir_loop *loop, void *arg)
{
    const struct names *names = arg;
    const struct weir_dns_options options = {.size = sizeof(options),
                                             .servers = names->servers};
    struct weir_task_group group;
    int error = weir_loop_set_dns_options(loop, &options);
    if (error == 0) {
        error = weir_task_group_begin(loop, &group);
    }
    if (error < 0) {
        return error;
    }
    for (char **name = names->all; *name && error == 0; name++) {
        error = weir_task_group_spawn(&group, resolve, *name, NULL, NULL);
    }
    return weir_task_group_end(&group, error);
}

int main(int argc, char **argv)
{
    struct names names = {.servers = NULL};

    if (getopt(argc, argv, "s:") == 's') {
        names.servers = optarg;
    }
    names.all = argv + optind;
    int error = weir_run(NULL, resolve_all, &names);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return has_failed;
}
