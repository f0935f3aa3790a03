/*
 * Clients of weir-proxy by their addresses: how many connections each may have
 * at once and in a period, which addresses count as one client, a full table,
 * and which networks are allowed.
 *
 * The clock is a number that the tests advance.
 */
#define UNIT_RUN with_clients
#include "tests/unit.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/runtime/clients.h"
#include "tools/weir-proxy/runtime/networks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

enum { MANY = 90 };

static struct config config;
static struct config_service services[2];
static char names[2][2] = {"a", "b"};
static struct clients **clients;
static char why[OPTION_WHY_SIZE];
static uint64_t now_ns;
static struct clients_refusal refusal;

bool say(const char *format, ...)
{
    (void)format;
    return false;
}

void console_write(const char *text, size_t len)
{
    (void)text;
    (void)len;
}

static void with_clients(void (*body)(void))
{
    for (size_t i = 0; i < 2; i++) {
        services[i] = (struct config_service){.name = names[i],
                                              .client_prefix4 = 32,
                                              .client_prefix6 = 64,
                                              .client_rate_ns = 10 * SECOND};
    }
    config = (struct config){
        .services = services, .service_count = 2, .client_table = 6400};
    now_ns = 1000 * SECOND;
    clients = NULL;
    body();
    clients_free(clients, &config);
}

static void make(void)
{
    clients = clients_make(&config, NULL, NULL, why);
    cr_assert_not_null(clients, "%s", why);
}

/* Reads the configuration again. */
static bool make_next(void)
{
    struct clients **made = clients_make(&config, clients, &config, why);

    if (made) {
        clients_free(clients, &config);
        clients = made;
    }
    return made != NULL;
}

static struct weir_address address_of(const char *text)
{
    struct weir_address address;

    expect_eq(weir_address_parse(text, 1, &address), 0, "%s", text);
    return address;
}

/* A connection to the first service. Returns NULL if it is refused. */
static struct client *enter(const char *text)
{
    const struct weir_address address = address_of(text);
    struct client *client = NULL;
    const bool is_in =
        clients_enter(clients[0], &address, now_ns, &client, &refusal);

    expect_eq(is_in, client != NULL, "%s", text);
    return client;
}

/* A connection that ends at once. */
static bool visits(const char *text)
{
    struct client *client = enter(text);

    if (client) {
        clients_leave(clients[0], client);
    }
    return client != NULL;
}

static void add_word(struct config_texts *texts, char **words, size_t count)
{
    *texts = (struct config_texts){.texts = words, .count = count};
}

UNIT(proxy_clients, a_client_has_so_many_connections_at_once)
{
    services[0].client_conns = 2;
    make();
    struct client *one = enter("192.0.2.1");
    expect_eq(one, enter("192.0.2.1"));
    expect_eq(enter("192.0.2.1"), NULL);
    expect_eq(refusal.reason, END_CLIENT_LIMIT);
    cr_assert_not_null(enter("192.0.2.2"));
    clients_leave(clients[0], one);
    cr_assert_not_null(enter("192.0.2.1"));
    expect_eq(clients[1], NULL, "a service without rules");
}

UNIT(proxy_clients, a_client_makes_so_many_connections_in_a_time)
{
    services[0].client_rate = 3;
    make();
    for (size_t i = 0; i < 3; i++) {
        cr_assert(visits("192.0.2.1"));
        now_ns += SECOND;
    }
    cr_assert_not(visits("192.0.2.1"));
    expect_eq(refusal.reason, END_CLIENT_RATE);
    /* Refused attempts do not count: the first one leaves the window. */
    now_ns += 5 * SECOND;
    cr_assert_not(visits("192.0.2.1"));
    now_ns += 2 * SECOND;
    cr_assert(visits("192.0.2.1"));
    cr_assert_not(visits("192.0.2.1"));
    now_ns += 1000 * SECOND;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(visits("192.0.2.1"));
    }
    cr_assert_not(visits("192.0.2.1"));
}

UNIT(proxy_clients, a_window_is_off_by_a_tenth_at_most)
{
    static uint64_t accepted[4000];
    size_t count = 0;
    size_t oldest = 0;

    services[0].client_rate = 100;
    make();
    /* 400 attempts in ten seconds, which do not start with a slot. */
    now_ns += 123456789;
    for (size_t i = 0; i < 4000; i++) {
        if (visits("2001:db8::1")) {
            accepted[count++] = now_ns;
        }
        now_ns += SECOND / 40;
    }
    for (size_t i = 0; i < count; i++) {
        while (accepted[i] - accepted[oldest] >= 9 * SECOND) {
            oldest++;
        }
        expect_leq(i - oldest + 1, 100);
    }
    /* A hundred seconds have ten windows. */
    expect_geq(count, 1000);
    expect_leq(count, 1120);
}

UNIT(proxy_clients, after_a_refusal_nothing_is_accepted_for_the_ban)
{
    services[0].client_conns = 1;
    services[0].client_ban_ns = 5 * SECOND;
    make();
    struct client *one = enter("192.0.2.1");
    expect_eq(enter("192.0.2.1"), NULL);
    clients_leave(clients[0], one);
    now_ns += 5 * SECOND - 1;
    expect_eq(enter("192.0.2.1"), NULL);
    expect_eq(refusal.reason, END_CLIENT_LIMIT);
    cr_assert_not_null(enter("192.0.2.2"));
    now_ns += 1;
    cr_assert_not_null(enter("192.0.2.1"));
}

UNIT(proxy_clients, a_prefix_is_one_client)
{
    services[0].client_conns = 1;
    services[0].client_prefix4 = 24;
    make();
    cr_assert_not_null(enter("192.0.2.1"));
    expect_eq(enter("192.0.2.200"), NULL);
    expect_eq(enter("::ffff:192.0.2.3"), NULL, "IPv4 inside IPv6");
    cr_assert_not_null(enter("192.0.3.1"));
    cr_assert_not_null(enter("2001:db8::1"));
    expect_eq(enter("2001:db8::ffff:ffff:ffff:ffff"), NULL);
    cr_assert_not_null(enter("2001:db8:0:1::1"));
}

UNIT(proxy_clients, services_of_one_name_count_together)
{
    struct client *client = NULL;
    const struct weir_address address = address_of("192.0.2.1");

    services[0].client_conns = 1;
    services[1].client_conns = 1;
    services[0].client_share = (char *)"a";
    services[1].client_share = (char *)"a";
    make();
    cr_assert_not_null(enter("192.0.2.1"));
    cr_assert_not(
        clients_enter(clients[1], &address, now_ns, &client, &refusal));
}

UNIT(proxy_clients, a_full_table_forgets_the_idle_and_refuses_nobody)
{
    char text[40];
    size_t uncounted = 0;
    const size_t count = 20000;

    services[0].client_conns = 1;
    make();
    /* Each stays: when the table is full, the others are admitted without being
     * counted. */
    for (size_t i = 0; i < count; i++) {
        struct client *client = NULL;
        snprintf(text, sizeof(text), "10.%zu.%zu.1", i / 256, i % 256);
        const struct weir_address address = address_of(text);
        cr_assert(
            clients_enter(clients[0], &address, now_ns, &client, &refusal));
        uncounted += client == NULL;
    }
    expect_eq(uncounted, count - 6400);
    expect_eq(enter("10.0.0.1"), NULL, "a client with a connection is known");
}

UNIT(proxy_clients, idle_clients_make_room)
{
    char text[40];

    services[0].client_conns = 1;
    make();
    for (size_t i = 0; i < 60000; i++) {
        snprintf(text, sizeof(text), "10.%zu.%zu.1", i / 256, i % 256);
        cr_assert(visits(text), "%s", text);
    }
}

static void *come_and_go(void *arg)
{
    const struct weir_address address = address_of("192.0.2.1");
    _Atomic unsigned *inside = arg;

    for (unsigned i = 0; i < 20000; i++) {
        struct clients_refusal ignored;
        struct client *client;
        if (clients_enter(clients[0], &address, now_ns, &client, &ignored)) {
            if (++*inside > 3) {
                return (void *)"too many";
            }
            --*inside;
            clients_leave(clients[0], client);
        }
    }
    return NULL;
}

UNIT(proxy_clients, threads_together_let_in_no_more)
{
    _Atomic unsigned inside = 0;
    pthread_t threads[4];
    void *said = NULL;

    services[0].client_conns = 3;
    make();
    for (size_t i = 0; i < 4; i++) {
        expect_eq(pthread_create(&threads[i], NULL, come_and_go, &inside), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &said);
        expect_eq(said, NULL);
    }
}

UNIT(proxy_clients, a_refusal_a_second_is_told_with_the_number_of_the_others)
{
    services[0].client_conns = 1;
    make();
    enter("192.0.2.1");
    expect_eq(enter("192.0.2.1"), NULL);
    cr_assert(refusal.is_told && refusal.left_out == 0);
    for (size_t i = 0; i < 7; i++) {
        expect_eq(enter("192.0.2.1"), NULL);
        cr_assert_not(refusal.is_told);
    }
    now_ns += SECOND;
    expect_eq(enter("192.0.2.1"), NULL);
    cr_assert(refusal.is_told && refusal.left_out == 7);
}

static bool comes(const char *text)
{
    const struct weir_address address = address_of(text);
    struct client *client;

    return clients_enter(clients[0], &address, now_ns, &client, &refusal);
}

UNIT(proxy_clients, networks_say_who_may_come)
{
    static char *allow[] = {(char *)"10.0.0.0/8", (char *)"2001:db8::/32"};
    static char *deny[] = {(char *)"10.1.0.0/16", (char *)"10.1.2.0/24"};

    add_word(&services[0].client_allow, allow, 2);
    add_word(&services[0].client_deny, deny, 2);
    make();
    cr_assert(comes("10.0.255.255") && comes("10.2.0.0") && comes("10.0.0.0"));
    cr_assert(comes("2001:db8:ffff::1") && comes("::ffff:10.200.0.1"));
    cr_assert_not(comes("10.1.0.0") || comes("10.1.2.3"));
    cr_assert_not(comes("10.1.255.255"));
    expect_eq(refusal.reason, END_CLIENT_DENIED);
    cr_assert_not(comes("9.255.255.255") || comes("11.0.0.0"));
    cr_assert_not(comes("2001:db9::") || comes("::1"));
}

UNIT(proxy_clients, free_networks_are_not_limited)
{
    static char *deny[] = {(char *)"0.0.0.0/0"};
    static char *free_of[] = {(char *)"192.0.2.0/30"};

    services[0].client_conns = 1;
    add_word(&services[0].client_free, free_of, 1);
    make();
    cr_assert(comes("192.0.2.3") && comes("192.0.2.3"));
    cr_assert(comes("192.0.2.4"));
    cr_assert_not(comes("192.0.2.4"));
    clients_free(clients, &config);
    /* client-deny has precedence. */
    add_word(&services[0].client_deny, deny, 1);
    make();
    cr_assert_not(comes("192.0.2.3"));
    cr_assert(comes("2001:db8::1"));
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

UNIT(proxy_clients, files_have_a_network_in_each_line_and_are_read_again)
{
    char path[64];
    char word[80];
    char *words[] = {word};

    snprintf(path, sizeof(path), "/tmp/weir-networks-%d", (int)getpid());
    snprintf(word, sizeof(word), "@%s", path);
    write_file(path, "# office\n\n 10.0.0.0/8 \t# all of it\r\n192.0.2.1\n");
    add_word(&services[0].client_allow, words, 1);
    make();
    cr_assert(comes("10.9.9.9") && comes("192.0.2.1"));
    cr_assert_not(comes("192.0.2.2"));

    write_file(path, "192.0.2.2\n");
    cr_assert(make_next(), "%s", why);
    cr_assert(comes("192.0.2.2"));
    cr_assert_not(comes("10.9.9.9"));

    write_file(path, "192.0.2.3\n10.0.0.1/8\n");
    cr_assert_not(make_next());
    cr_assert_not_null(strstr(why, ":2: '10.0.0.1/8' is not a network"), "%s",
                       why);
    cr_assert(comes("192.0.2.2"), "those of before stay");

    write_file(path, "");
    cr_assert(make_next(), "%s", why);
    cr_assert_not(comes("192.0.2.2"), "an empty list allows nobody");
    unlink(path);
    cr_assert_not(make_next());
    cr_assert_not_null(strstr(why, "No such file"), "%s", why);
}

UNIT(proxy_clients, clients_go_on_when_the_configuration_is_read_again)
{
    services[0].client_conns = 1;
    make();
    struct client *client = enter("192.0.2.1");
    cr_assert_not_null(client);
    cr_assert(make_next(), "%s", why);
    cr_assert_null(enter("192.0.2.1"), "it has one from before");
    clients_leave(clients[0], client);
    client = enter("192.0.2.1");
    cr_assert_not_null(client);
    clients_leave(clients[0], client);
}

/* Each service in turn, in another order than before; every third one shares
 * its clients with one of these. */
UNIT(proxy_clients, each_of_many_services_goes_on_with_its_clients)
{
    static struct config_service many[2][MANY];
    static char all[MANY][16];
    const struct weir_address address = address_of("192.0.2.1");
    struct client *client;

    for (size_t i = 0; i < MANY; i++) {
        snprintf(all[i], sizeof(all[i]), "%zu", i % 3 == 2 ? i % 30 : i);
        many[0][i] = services[0];
        many[0][i].client_conns = i % 7 == 0 ? 0 : 1;
        many[0][i].name = i % 3 == 2 ? (char *)"shared" : all[i];
        many[0][i].client_share = i % 3 == 2 ? all[i] : NULL;
        many[1][MANY - 1 - i] = many[0][i];
    }
    struct config before = config;
    before.services = many[0];
    before.service_count = MANY;
    before.client_table = 64;
    struct config after = before;
    after.services = many[1];
    struct clients **old = clients_make(&before, NULL, NULL, why);
    struct clients **made = clients_make(&after, old, &before, why);
    cr_assert(old && made, "%s", why);
    for (size_t i = 0; i < MANY; i++) {
        const size_t again = MANY - 1 - i;
        expect_eq(!old[i], many[0][i].client_conns == 0);
        expect_eq(!old[i], !made[again]);
        for (size_t j = 0; old[i] && j < MANY; j++) {
            const bool is_one =
                j == i || (i % 3 == 2 && j % 3 == 2 && i % 30 == j % 30);
            cr_assert(
                clients_enter(old[i], &address, now_ns, &client, &refusal));
            struct client *other = NULL;
            expect_eq(made[MANY - 1 - j] &&
                          !clients_enter(made[MANY - 1 - j], &address, now_ns,
                                         &other, &refusal),
                      made[MANY - 1 - j] && is_one, "%zu %zu", i, j);
            clients_leave(old[i], client);
            if (other) {
                clients_leave(made[MANY - 1 - j], other);
            }
        }
    }
    clients_free(old, &before);
    clients_free(made, &after);
}

UNIT(proxy_clients, unix_clients_are_a_network_and_not_counted)
{
    static char *allow[] = {(char *)"10.0.0.0/8"};
    static char *both[] = {(char *)"10.0.0.0/8", (char *)"unix"};
    struct weir_address address;
    struct client *client;

    services[0].client_conns = 1;
    expect_eq(weir_address_parse_unix("/tmp/x", &address), 0);
    make();
    for (size_t i = 0; i < 3; i++) {
        cr_assert(
            clients_enter(clients[0], &address, now_ns, &client, &refusal));
        expect_eq(client, NULL);
    }
    clients_free(clients, &config);
    add_word(&services[0].client_allow, allow, 1);
    make();
    cr_assert_not(
        clients_enter(clients[0], &address, now_ns, &client, &refusal));
    clients_free(clients, &config);
    add_word(&services[0].client_allow, both, 2);
    make();
    cr_assert(clients_enter(clients[0], &address, now_ns, &client, &refusal));
}
