/*
 * Unix servers on real files: where they listen, what they leave behind, and
 * what is refused.
 *
 * unix_in_way.c tests files at a server's path, unix_connect.c tests clients.
 */
#define UNIT_RUN   with_place
#define UNIT_TAKES struct maker *m, struct place *place
#include "tests/contract/place.h"

#include <weir/unix.h>

static int adopt_with(struct maker *m, int fd,
                      const struct weir_server_options *options)
{
    m->done = 0;
    return place_wait_told(
        m, weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(fd),
                                 options, maker_server_done, m, &m->server));
}

UNIT(unix_socket, a_server_listens_on_a_path_and_removes_it_when_closed)
{
    struct weir_address address;
    const struct weir_address wanted = place_address(place);

    expect_eq(place_serve(m, place->path, NULL), 0);
    place_expect_served(m, place);
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    cr_assert(weir_address_is_equal(&address, &wanted));

    weir_server_close(m->server);
    cr_assert(!place_exists(place), "at once");
    expect_eq(place_connect(place), -ENOENT);
}

UNIT(unix_socket, a_server_that_is_bound_listens_when_it_is_told_to)
{
    const struct weir_server_options options = {.size = sizeof(options),
                                                .no_start_serving = true};
    expect_eq(place_serve(m, place->path, &options), 0);
    expect_eq(place_connect(place), -ECONNREFUSED);
    expect_eq(weir_server_start_serving(m->server), 0);
    place_expect_served(m, place);
}

UNIT(unix_socket, the_end_of_the_loop_removes_the_path)
{
    struct maker other;
    maker_open(&other);
    expect_eq(place_serve(&other, place->path, NULL), 0);
    cr_assert(place_exists(place));

    maker_close(&other);

    cr_assert(!place_exists(place));
    expect_eq(m->made, 0);
}

UNIT(unix_socket, an_abstract_name_is_no_file)
{
    char name[PLACE_SIZE + 2];
    char text[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_address address;
    snprintf(name, sizeof(name), "@%s", place->path);

    expect_eq(place_serve(m, name, NULL), 0);

    cr_assert(!place_exists(place));
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    weir_address_format(&address, text, sizeof(text));
    expect_str_eq(text + 5, name);
    int fd = peer_connect_to(&address);
    expect_geq(fd, 0);
    maker_run(m, maker_is_made);
    close(fd);
    weir_server_close(m->server);
    maker_run_for(m, 2 * MS);
    expect_eq(peer_connect_to(&address), -ECONNREFUSED);
}

UNIT(unix_socket, the_kernel_chooses_a_name_where_there_is_none)
{
    struct weir_address address;

    expect_eq(place_serve(m, "", NULL), 0);

    cr_assert(!place_exists(place));
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    expect_eq(address.storage.local.sun_path[0], '\0');
    expect_gt(address.len, sizeof(sa_family_t) + 1);
    int fd = peer_connect_to(&address);
    expect_geq(fd, 0);
    maker_run(m, maker_is_made);
    close(fd);
}

UNIT(unix_socket, a_path_may_be_relative_and_as_long_as_the_address)
{
    char path[200];
    expect_eq(chdir(place->dir), 0);
    memset(path, 'p', sizeof(path));
    path[107] = '\0';

    expect_eq(place_serve(m, path, NULL), 0);
    cr_assert_eq(access(path, F_OK), 0);
    weir_server_close(m->server);
    cr_assert_neq(access(path, F_OK), 0);
    weir_server_free(m->server);
    m->server = NULL;

    path[107] = 'p';
    path[108] = '\0';
    expect_eq(place_serve(m, path, NULL), -ENAMETOOLONG);
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, path, NULL,
                                          maker_connect_done, m, NULL),
              -ENAMETOOLONG);
    expect_eq(chdir("/"), 0);
}

UNIT(unix_socket, a_directory_that_is_not_there_is_an_error)
{
    char path[PLACE_SIZE + 8];
    snprintf(path, sizeof(path), "%s/none", place->path);
    expect_eq(place_serve(m, path, NULL), -ENOENT);
}

UNIT(unix_socket, a_file_that_took_the_place_of_ours_is_not_removed)
{
    expect_eq(place_serve(m, place->path, NULL), 0);
    cr_assert_eq(unlink(place->path), 0);
    int fd = place_bind(place, SOCK_STREAM, 4);

    weir_server_close(m->server);

    cr_assert(place_exists(place));
    close(fd);
    unlink(place->path);
}

UNIT(unix_socket, a_file_that_has_gone_is_no_error)
{
    expect_eq(place_serve(m, place->path, NULL), 0);
    cr_assert_eq(unlink(place->path), 0);
    weir_server_close(m->server);
    expect_eq(m->reports, 0);
}

UNIT(unix_socket, no_cleanup_socket_leaves_the_file)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.no_cleanup_socket = true;
    expect_eq(place_serve(m, place->path, &options), 0);

    weir_server_close(m->server);

    cr_assert(place_exists(place));
    unlink(place->path);
}

UNIT(unix_socket, the_file_of_a_socket_that_was_handed_in_is_removed_too)
{
    struct weir_server_options options = {.size = sizeof(options)};
    expect_eq(adopt_with(m, place_bind(place, SOCK_STREAM, -1), &options), 0);
    place_expect_served(m, place);

    weir_server_close(m->server);

    cr_assert(!place_exists(place));
    weir_server_free(m->server);
    options.no_cleanup_socket = true;
    expect_eq(adopt_with(m, place_bind(place, SOCK_STREAM, 4), &options), 0);
    weir_server_close(m->server);
    cr_assert(place_exists(place));
    unlink(place->path);
}

UNIT(unix_socket, a_start_that_fails_later_leaves_no_file)
{
    struct weir_address all[2] = {place_address(place)};
    int taken = peer_listen(1, &all[1]);
    m->done = 0;
    expect_ok(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(all, 2), NULL,
                                    maker_server_done, m, &m->server));

    maker_expect_done(m, -EADDRINUSE);
    cr_assert(!place_exists(place));
    close(taken);
}

static unsigned int mode_of(const struct place *place)
{
    struct stat file;
    cr_assert_eq(lstat(place->path, &file), 0);
    return file.st_mode & 07777;
}

UNIT(unix_socket, the_file_has_the_permissions_that_were_asked_for)
{
    const mode_t umasks[] = {0, 022, 0777};
    const unsigned int modes[] = {0600, 0666, 0770, 0777, 0022};
    struct weir_server_options options = {.size = sizeof(options)};
    for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
        umask(umasks[i]);
        for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++) {
            options.socket_mode = modes[at];
            expect_eq(place_serve(m, place->path, &options), 0);
            expect_eq(mode_of(place), modes[at], "umask %o", umasks[i]);
            weir_server_free(m->server);
        }
        options.socket_mode = 0;
        expect_eq(place_serve(m, place->path, &options), 0);
        expect_eq(mode_of(place), 0777u & ~umasks[i], "as the umask has it");
        weir_server_free(m->server);
    }
    m->server = NULL;
    options.socket_mode = 010000;
    expect_eq(place_serve(m, place->path, &options), -EINVAL);
}

UNIT(unix_socket, usage_errors_come_from_the_call)
{
    struct weir_connect_options connect = {.size = sizeof(connect)};
    struct weir_server_options server = {.size = sizeof(server)};
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, NULL, &connect,
                                          maker_connect_done, m, NULL),
              -EINVAL);
    expect_eq(place_serve(m, NULL, &server), -EINVAL);
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, "", &connect,
                                          maker_connect_done, m, NULL),
              -EINVAL, "no name to connect to");
    connect.family = AF_INET;
    server.family = AF_INET6;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          &connect, maker_connect_done, m,
                                          NULL),
              -EINVAL);
    expect_eq(place_serve(m, place->path, &server), -EINVAL);
    connect.family = AF_UNIX;
    connect.local_port = 1;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          &connect, maker_connect_done, m,
                                          NULL),
              -EINVAL);
    server.family = AF_UNIX;
    expect_eq(adopt_with(m, tcp, &server), -EINVAL, "a TCP socket");
    cr_assert(!is_open(tcp));
    connect.size = 0;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          &connect, maker_connect_done, m,
                                          NULL),
              WEIR_EOPTIONSIZE);
    server.size = 0;
    expect_eq(place_serve(m, place->path, &server), WEIR_EOPTIONSIZE);
    expect_eq(m->done, 0);
}

UNIT(unix_socket, works_without_options)
{
    expect_ok(weir_create_unix_server(m->loop, &m->factory, place->path, NULL,
                                      NULL, NULL, &m->server));
    expect_ok(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          NULL, NULL, NULL, NULL));
    maker_run_for(m, 10 * MS);
    expect_eq(m->made, 2);
}
