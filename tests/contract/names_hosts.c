/*
 * The hosts file of the built-in resolver: it is searched before any server is
 * queried, its names may be any text, it is read again when it changes, and its
 * memory is freed by a trim.
 */
#include "tests/contract/names_rig.h"
#include "tests/no_fd.h"

#include <poll.h>
#include <weir/datagram_stream.h>
#include <weir/stream.h>
#include <weir/task.h>

NAMES(names_hosts, the_file_is_asked_before_servers_about_both_families, n)
{
    names_use_hosts(n, "192.0.2.77 a4-a6.example\n2001:db8::77 a6.example\n"
                       "::1 loop.example\n");
    names_expect(n, "a4-a6.example", NULL, "192.0.2.77:80 ");
    names_expect(n, "A6.Example", NULL, "[2001:db8::77]:80 ");
    names_lookup(n, "loop.example",
                 &(struct weir_getaddrinfo_options){
                     .size = sizeof(struct weir_getaddrinfo_options),
                     .family = AF_INET});
    expect_str_eq(names_text(n), "127.0.0.1:80 ");
    expect_str_eq(dns_server_read_log(&n->server), "");
}

NAMES(names_hosts, a_family_that_the_file_has_not_is_asked_for_alone, n)
{
    names_use_hosts(n, "192.0.2.77 a4-a6.example\n");
    names_expect(n, "a4-a6.example",
                 SIZED(weir_getaddrinfo_options, .family = AF_INET6),
                 "[2001:db8::1]:80 ");
}

NAMES(names_hosts, a_name_may_be_any_text, n)
{
    static const char *const names[] = {"odd!name", "a..b", "foo.onion",
                                        "256.1.1.1", "b\374cher"};
    names_use_hosts(n, "192.0.2.77 odd!name a..b foo.onion 256.1.1.1 b\374cher "
                       "127.1\n");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        names_lookup(n, names[i], NULL);
        expect_str_eq(names_text(n), "192.0.2.77:80 ", "%s", names[i]);
    }
    expect_eq(names_start(n, "odd!name2", NULL), WEIR_EDNSBADNAME);
    expect_eq(names_start(n, "127.1", NULL), WEIR_EDNSBADNAME);
    expect_eq(names_start(n, "", NULL), WEIR_EDNSBADNAME);
    expect_str_eq(dns_server_read_log(&n->server), "");
}

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    return 0;
}

static int connect_by_odd_name(weir_loop *loop, void *arg)
{
    static CALLBACKS(endpoint, DATAGRAM);
    const struct weir_factory datagrams = bind_to(&endpoint, NULL);
    struct weir_address bound;
    weir_transport *transport;
    weir_server *server;
    weir_writer *writer;
    expect_ok(weir_start_server(loop, serve, "odd!name", 0, NULL, &server));
    expect_geq(weir_server_get_socket(server, 0, &bound), 0);
    expect_ok(weir_open_connection(loop, "odd!name",
                                   ntohs(bound.storage.inet.sin_port), NULL,
                                   NULL, &writer));
    weir_writer_unref(writer);
    weir_server_free(server);
    expect_eq(weir_open_connection(loop, "odder!name", 9, NULL, NULL, &writer),
              WEIR_EDNSBADNAME);
    expect_ok(weir_open_datagram_endpoint(
        loop, &datagrams,
        SIZED(weir_datagram_options, .local_host = "odd!name",
              .remote_host = "odd!name", .remote_port = 9),
        &transport));
    weir_transport_abort(transport);
    weir_transport_unref(transport);
    return 0;
}

NAMES(names_hosts, makers_take_such_a_name_too, n)
{
    names_use_hosts(n, "127.0.0.1 odd!name\n");
    expect_eq(weir_loop_run_task(n->loop, connect_by_odd_name, n, NULL), 0);
}

static int refuse(void *user, weir_lookup *lookup, const char *host, int family,
                  void **ret_data)
{
    cr_assert_fail("a resolver of the program was asked for %s", host);
    return WEIR_EDNSNOTFOUND;
}

static void forget(void *user, weir_lookup *lookup, void *data)
{
}

NAMES(names_hosts, a_resolver_of_the_program_is_given_host_names_alone, n)
{
    static const struct weir_resolver own = {
        .size = sizeof(own), .start = refuse, .cancel = forget};
    names_use_hosts(n, "192.0.2.77 odd!name\n");
    expect_eq(names_start(n, "odd!name", NULL), 0);
    expect_eq(weir_loop_set_resolver(n->loop, &own, NULL), 0);
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    expect_eq(n->result, WEIR_EDNSBADNAME, "it has another resolver now");
    expect_eq(names_start(n, "odd!name", NULL), WEIR_EDNSBADNAME);
}

/* The file is checked once a second. */
static void wait_for_look(struct names *n)
{
    names_run_for(n, 1010 * MS);
}

static int expect_name(weir_loop *loop, void *arg)
{
    struct weir_address address;
    struct weir_nameinfo info = {.size = sizeof(info)};
    expect_eq(weir_address_parse("192.0.2.7", 80, &address), 0);
    expect_eq(weir_getnameinfo(loop, &address, NULL, &info), 0);
    expect_str_eq(info.host, "a4.example");
    return 0;
}

NAMES(names_hosts, a_change_counts_within_a_second_and_for_kept_names, n)
{
    names_use_hosts(n, "192.0.2.77 other.example\n");
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");

    names_write_hosts(n, "192.0.2.7 a4.example\n");
    wait_for_look(n);
    expect_ok(weir_loop_run_task(n->loop, expect_name, NULL, NULL));
    names_expect(n, "a4.example", NULL, "192.0.2.7:80 ");
    names_expect(n, "other.example", NULL, "WEIR_EDNSNOTFOUND");

    names_write_hosts(n, "192.0.2.8 a4.example odd!name\n");
    wait_for_look(n);
    names_expect(n, "odd!name", NULL, "192.0.2.8:80 ");

    names_remove_hosts(n);
    wait_for_look(n);
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
    expect_eq(names_start(n, "odd!name", NULL), WEIR_EDNSBADNAME);
}

/* The trim makes the resolver read the file again, before the periodic
 * check. */
NAMES(names_hosts, a_change_behind_a_trim_counts_for_kept_names, n)
{
    names_use_hosts(n, "192.0.2.77 other.example\n");
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");

    expect_eq(weir_loop_trim(n->loop), 0);
    names_write_hosts(n, "192.0.2.7 a4.example\n");
    names_lookup(n, "other.example", NULL);
    wait_for_look(n);
    names_lookup(n, "a4.example", NULL);

    expect_str_eq(names_text(n), "192.0.2.7:80 ");
}

NAMES(names_hosts, a_name_that_goes_while_its_lookup_waits_is_none, n)
{
    names_use_hosts(n, "192.0.2.77 odd!name\n");
    expect_eq(names_start(n, "odd!name", NULL), 0);
    names_write_hosts(n, "");
    expect_eq(weir_loop_trim(n->loop), 0);
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    expect_eq(n->result, WEIR_EDNSBADNAME);
}

static char settings_path[] = "/tmp/weir-resolv-XXXXXX";

static void write_settings(const char *text)
{
    FILE *file = fopen(settings_path, "we");
    fputs(text, file);
    fclose(file);
}

static void note_one(void *arg, int err, const struct weir_address *addresses,
                     size_t count)
{
    struct names *n = (struct names *)arg;
    n->answered += err == 0;
    n->waiting--;
}

static void start_one(struct names *n, const char *host)
{
    n->waiting++;
    expect_ok(weir_resolve_start(n->loop, host, 80, NULL, note_one, n, NULL));
}

static void start_known(void *arg)
{
    start_one((struct names *)arg, "known.example");
}

/* The next iteration starts when it is time to check the files again. */
static void change_settings(void *arg)
{
    write_settings("options timeout:29 attempts:1\n");
    poll(NULL, 0, 1010);
}

static bool none_waits(void *arg)
{
    return ((struct names *)arg)->waiting == 0;
}

/* The lookup that the file answers sees the change, and opens no channel. */
NAMES(names_hosts, settings_change_before_a_lookup_has_asked_its_server, n)
{
    close(mkstemp(settings_path));
    write_settings("options timeout:30\n");
    names_use_hosts(n, "192.0.2.77 known.example\n");
    struct weir_dns_options dns = names_dns_options(n);
    dns.resolv_conf = settings_path;
    expect_ok(weir_loop_set_dns_options(n->loop, &dns));
    expect_ok(weir_loop_call_soon(n->loop, start_known, n, NULL));
    start_one(n, "a4.example");
    expect_ok(weir_loop_call_soon(n->loop, change_settings, n, NULL));

    expect_eq(weir_loop_run_until(n->loop, none_waits, n), 0);

    expect_eq(n->answered, 2);
    unlink(settings_path);
}

NAMES(names_hosts, its_memory_goes_with_a_trim, n)
{
    const uint64_t before = names_count_memory(n);
    const int fds = names_count_fds();
    names_use_hosts(n, "192.0.2.77 one.example two.example\n");
    names_lookup(n, "one.example", NULL);
    expect_gt(names_count_memory(n), before);
    names_run_for(n, MS);
    expect_eq(weir_loop_trim(n->loop), 0);
    expect_eq(names_count_fds(), fds);
    names_expect(n, "two.example", NULL, "192.0.2.77:80 ");
}

NAMES(names_hosts, a_lack_of_descriptors_is_no_missing_name, n)
{
    names_use_hosts(n, "192.0.2.77 a4.example odd!name\n");
    const struct rlimit before = use_up_descriptors();
    const int err = names_start(n, "odd!name", NULL);
    names_lookup(n, "a4.example", NULL);
    const int result = n->result;
    give_descriptors(&before);
    expect_eq(err, -EMFILE);
    expect_eq(result, -EMFILE);
    names_expect(n, "a4.example", NULL, "192.0.2.77:80 ");
}

NAMES(names_hosts, an_answer_has_up_to_64_addresses_of_a_family, n)
{
    char text[16384] = "";
    for (int i = 0; i < 100; i++) {
        char line[64];
        snprintf(line, sizeof(line), "192.0.2.%d many\n2001:db8::%x many\n", i,
                 i);
        strcat(text, line);
    }
    names_use_hosts(n, text);
    names_lookup(n, "many", NULL);
    expect_eq(n->result, 2 * WEIR_ADDRESSES_MAX);
    cr_assert(
        strstr(names_text(n), " 192.0.2.0:80 192.0.2.1:80 192.0.2.2:80 "));
}
