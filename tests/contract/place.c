/*
 * A directory of a test.
 *
 * It is in the directory for temporary files. A path too long for a Unix
 * address is not used.
 */
#include "tests/contract/place.h"

#include <weir/unix.h>

void place_open(struct place *place)
{
    const char *parent = getenv("TMPDIR");
    memset(place, 0, sizeof(*place));
    snprintf(place->dir, sizeof(place->dir), "%s/weir-test-XXXXXX",
             parent && strlen(parent) < 32 ? parent : "/tmp");
    cr_assert_not_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof(place->path), "%.48s/s", place->dir);
}

void place_close(const struct place *place)
{
    cr_assert_eq(rmdir(place->dir), 0, "left in %s: %s", place->dir,
                 strerror(errno));
}

struct weir_address place_address(const struct place *place)
{
    struct weir_address address;
    cr_assert_eq(weir_address_parse_unix(place->path, &address), 0);
    return address;
}

int place_bind(const struct place *place, int type, int backlog)
{
    const struct weir_address address = place_address(place);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, &address.storage.any, address.len), 0);
    if (backlog >= 0) {
        cr_assert_eq(listen(fd, backlog), 0);
    }
    return fd;
}

void place_litter(const struct place *place)
{
    close(place_bind(place, SOCK_STREAM, 1));
    cr_assert(place_exists(place));
}

int place_connect(const struct place *place)
{
    const struct weir_address address = place_address(place);
    return peer_connect_to(&address);
}

bool place_exists(const struct place *place)
{
    struct stat file;
    return lstat(place->path, &file) == 0;
}

ino_t place_inode(const struct place *place)
{
    struct stat file;
    cr_assert_eq(lstat(place->path, &file), 0);
    return file.st_ino;
}

int place_wait_told(struct maker *m, int err)
{
    if (err < 0) {
        return err;
    }
    maker_run(m, maker_is_done);
    return m->done_err;
}

int place_serve(struct maker *m, const char *path,
                const struct weir_server_options *options)
{
    m->done = 0;
    return place_wait_told(
        m, weir_create_unix_server(m->loop, &m->factory, path, options,
                                   maker_server_done, m, &m->server));
}

void place_expect_served(struct maker *m, const struct place *place)
{
    const int made = m->made;
    const int lost = m->lost;
    char text[8];
    m->echo = true;
    int fd = place_connect(place);
    expect_geq(fd, 0);
    expect_eq(send(fd, "hello", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    expect_eq(m->made, made + 1);
    close(fd);
    maker_run_for(m, 5 * MS);
    expect_eq(m->lost, lost + 1);
}

void with_place(void (*body)(struct maker *m, struct place *place))
{
    struct maker m;
    struct place place;
    maker_open(&m);
    place_open(&place);
    body(&m, &place);
    weir_server_free(m.server);
    m.server = NULL;
    maker_run_for(&m, 1 * MS);
    place_close(&place);
    maker_close(&m);
}
