/*
 * The cryptography library fails: each function of the backend interface
 * (lib/tls/backend/backend.h) that may fail does so, at each of its calls, with
 * errors that the interface allows; a step of a connection also after it has
 * done its work.
 *
 * A client and a server on one loop create contexts, connect twice, the second
 * time with a session, change their keys, and end. Whichever call fails, the
 * side whose call it was ends with that error and the other one ends, too; an
 * unverified signature or ticket is not accepted; and all objects of the
 * library are freed. The functions here are in front of the table of the
 * build's library.
 */
#define UNIT_RUN   fault_run
#define UNIT_TAKES weir_loop *loop
#include "tests/contract/harness.h"
#include "tests/task.h"
#include "tests/tls/rig.h"

#include <weir/stream.h>

const struct wr_tls_backend *__real_wr_tls_backend_get(void);
const struct wr_tls_backend *__wrap_wr_tls_backend_get(void);
uint32_t __real_wr_tls_context_get_key_records(const weir_tls_context *context);
uint32_t __wrap_wr_tls_context_get_key_records(const weir_tls_context *context);

enum { FAULT_BYTES = 12000, FAULT_CHUNK = 4000, FAULT_KEY_RECORDS = 6 };

#define FAULT_ROW(name) offsetof(struct wr_tls_backend, name)

static struct fault {
    size_t row; /* 0 is none */
    int result;
    bool is_late; /* the step does its work before it fails */
    int at;       /* which call fails, counted from 1 */
    int calls;
    bool has_hit;
    bool by_server; /* the step belongs to a server */
    bool is_first;  /* and is the first of its connection */
} fault;

static bool is_short;
static int live;
static int server_error;
static int server_errors;
static int server_steps; /* of the newest connection */

static const struct wr_tls_backend *fault_real(void)
{
    return __real_wr_tls_backend_get();
}

static bool fault_hits(size_t row)
{
    if (fault.row != row || ++fault.calls != fault.at) {
        return false;
    }
    fault.has_hit = true;
    return true;
}

static int fault_count(bool makes, int err)
{
    live += makes && err == 0;
    return err;
}

#define FAULT_IN_FRONT(name, makes, parameters, ...)                           \
    static int fault_##name parameters                                         \
    {                                                                          \
        return fault_hits(FAULT_ROW(name))                                     \
                   ? fault.result                                              \
                   : fault_count(makes, fault_real()->name(__VA_ARGS__));      \
    }

FAULT_IN_FRONT(start, false, (void), )
FAULT_IN_FRONT(hash, false,
               (enum wr_x509_hash kind, struct wr_bytes data, uint8_t *ret),
               kind, data, ret)
FAULT_IN_FRONT(verify, false, (const struct wr_tls_signed *job), job)
FAULT_IN_FRONT(seal, false, (const struct wr_tls_aead *job), job)
FAULT_IN_FRONT(open_sealed, false, (const struct wr_tls_aead *job), job)
FAULT_IN_FRONT(credential_new, true, (struct wr_tls_credential * *ret), ret)
FAULT_IN_FRONT(credential_use_chain, false,
               (struct wr_tls_credential * own, const uint8_t *pem,
                size_t size),
               own, pem, size)
FAULT_IN_FRONT(credential_use_key, false,
               (struct wr_tls_credential * own, const uint8_t *pem,
                size_t size),
               own, pem, size)
FAULT_IN_FRONT(credential_check, false, (struct wr_tls_credential * own), own)
FAULT_IN_FRONT(shared_new, true,
               (const struct wr_tls_settings *settings,
                struct wr_tls_shared **ret),
               settings, ret)
FAULT_IN_FRONT(show, false,
               (struct wr_tls_conn * conn, struct wr_tls_credential *own,
                const char *suites),
               conn, own, suites)
FAULT_IN_FRONT(choose_protocol, false,
               (struct wr_tls_conn * conn, const char *name, size_t len), conn,
               name, len)
FAULT_IN_FRONT(export_keys, false,
               (struct wr_tls_conn * conn, const struct wr_tls_export *job),
               conn, job)
FAULT_IN_FRONT(session_take, true,
               (struct wr_tls_conn * conn, struct wr_tls_known **ret), conn,
               ret)

static int fault_open(struct wr_tls_conn *conn, const struct wr_tls_peer *peer)
{
    if (fault_hits(FAULT_ROW(open))) {
        fault.by_server = conn->is_server;
        return fault.result;
    }
    server_steps = conn->is_server ? 0 : server_steps;
    return fault_count(true, fault_real()->open(conn, peer));
}

static void fault_close(struct wr_tls_conn *conn)
{
    live--;
    fault_real()->close(conn);
}

static void fault_credential_free(struct wr_tls_credential *own)
{
    live -= own != NULL;
    fault_real()->credential_free(own);
}

static void fault_shared_free(struct wr_tls_shared *shared)
{
    live -= shared != NULL;
    fault_real()->shared_free(shared);
}

static void fault_session_free(struct wr_tls_known *session)
{
    live -= session != NULL;
    fault_real()->session_free(session);
}

static int fault_fail(struct wr_tls_conn *conn)
{
    fault.by_server = conn->is_server;
    fault.is_first = conn->is_server && server_steps == 1;
    conn->lacks_memory = fault.result == -ENOMEM;
    conn->code = fault.result;
    conn->number = 0;
    return WR_TLS_STEP_FAILED;
}

#define FAULT_STEP(name, parameters, ...)                                      \
    static int fault_##name parameters                                         \
    {                                                                          \
        server_steps += conn->is_server;                                       \
        const bool hits = fault_hits(FAULT_ROW(name));                         \
        const int ret =                                                        \
            hits && !fault.is_late ? 0 : fault_real()->name(__VA_ARGS__);      \
        return hits ? fault_fail(conn) : ret;                                  \
    }

FAULT_STEP(handshake, (struct wr_tls_conn * conn), conn)
FAULT_STEP(read, (struct wr_tls_conn * conn, void *buf, size_t size), conn, buf,
           is_short &&size > 7 ? 7 : size)
FAULT_STEP(write, (struct wr_tls_conn * conn, const void *data, size_t len),
           conn, data, len)
FAULT_STEP(shutdown, (struct wr_tls_conn * conn), conn)
FAULT_STEP(update_keys, (struct wr_tls_conn * conn), conn)

const struct wr_tls_backend *__wrap_wr_tls_backend_get(void)
{
    static struct wr_tls_backend table;

    if (table.name) {
        return &table;
    }
    table = *fault_real();
    table.start = fault_start;
    table.hash = fault_hash;
    table.verify = fault_verify;
    table.seal = fault_seal;
    table.open_sealed = fault_open_sealed;
    table.credential_new = fault_credential_new;
    table.credential_use_chain = fault_credential_use_chain;
    table.credential_use_key = fault_credential_use_key;
    table.credential_check = fault_credential_check;
    table.credential_free = fault_credential_free;
    table.shared_new = fault_shared_new;
    table.shared_free = fault_shared_free;
    table.open = fault_open;
    table.close = fault_close;
    table.handshake = fault_handshake;
    table.read = fault_read;
    table.write = fault_write;
    table.shutdown = fault_shutdown;
    table.update_keys = fault_update_keys;
    table.show = fault_show;
    table.choose_protocol = fault_choose_protocol;
    table.export_keys = fault_export_keys;
    table.session_take = fault_session_take;
    table.session_free = fault_session_free;
    return &table;
}

/* Makes key changes frequent. */
uint32_t __wrap_wr_tls_context_get_key_records(const weir_tls_context *context)
{
    expect_gt(__real_wr_tls_context_get_key_records(context),
              (uint32_t)FAULT_KEY_RECORDS);
    return FAULT_KEY_RECORDS;
}

struct world {
    weir_loop *loop;
    int version;
    weir_tls_context *contexts[2]; /* of the server and of the client */
    weir_server *server;
    uint16_t port;
    weir_tls_session *session;
    bool has_resumed;
};

static void fault_hear_key(void *user, const char *line)
{
    expect_geq(strlen(line), 32);
}

static int fault_make_context(struct world *world, bool is_server)
{
    struct weir_tls_options options = tls_options(is_server);
    struct weir_tls_identity identity = {.size = sizeof(identity)};
    const struct weir_tls_identity *identities[] = {&identity};
    char text[256] = "";

    identity.certificate.file = tls_file("rsa.pem");
    identity.key.file = tls_file("rsa.key");
    options.authorities.file = tls_file("ca.pem");
    options.certificate.file = tls_file("ecdsa.pem");
    options.key.file = tls_file("ecdsa.key");
    options.alpn = "h2,http/1.1";
    options.keylog = fault_hear_key;
    options.max_version = world->version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    if (!is_server && world->version == 12) { /* another identity is sent */
        options.ciphers = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    }
    if (is_server) {
        options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        options.identities = identities;
        options.identity_count = 1;
    }
    const int err = weir_tls_context_new(&options, &world->contexts[is_server],
                                         text, sizeof(text));
    cr_assert(err == 0 || text[0] != '\0', "%d", err); /* 0 is a notice */
    return err;
}

static int fault_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char data[FAULT_CHUNK];
    ssize_t len;
    while ((len = weir_reader_read(reader, data, sizeof(data))) > 0) {
        len = weir_writer_write(writer, data, (size_t)len);
        len = len < 0 ? len : weir_writer_drain(writer);
        if (len < 0) {
            break;
        }
    }
    if (len < 0) {
        server_error =
            weir_transport_get_error(weir_writer_get_transport(writer));
    }
    return (int)len;
}

static void fault_serve(struct world *world)
{
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = world->contexts[1],
                                          .shutdown_timeout_ns = RIG_WAIT_NS};
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .tls = &tls}};
    struct weir_address address;
    const int err = weir_start_server(world->loop, fault_echo, "127.0.0.1", 0,
                                      &options, &world->server);
    expect_eq(err, 0);
    expect(weir_server_get_socket(world->server, 0, &address) >= 0);
    world->port = ntohs(address.storage.inet.sin_port);
}

static int fault_exchange(weir_reader *reader, weir_writer *writer)
{
    static char sent[FAULT_CHUNK];
    static char got[FAULT_CHUNK];
    int err = 0;

    for (int done = 0; err == 0 && done < FAULT_BYTES; done += FAULT_CHUNK) {
        memset(sent, 1 + done / FAULT_CHUNK, sizeof(sent));
        err = weir_writer_write(writer, sent, sizeof(sent));
        const ssize_t len =
            err < 0 ? err : weir_reader_readexactly(reader, got, sizeof(got));
        err = len < 0 ? (int)len : 0;
        expect(err < 0 || memcmp(sent, got, sizeof(got)) == 0);
    }
    return err;
}

static int fault_ask(struct world *world, weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    char key[32];
    int err = weir_tls_export_keying_material(t, "EXPORTER-weir", NULL, 0, key,
                                              sizeof(key));
    if (err == 0 && !world->session && world->version == 13) {
        err = weir_tls_get_session(t, &world->session);
    }
    if (weir_transport_get_extra_info(t, "tls_resumed", &info) == 0) {
        world->has_resumed = info.number == 1;
    }
    return err;
}

static int fault_talk(struct world *world)
{
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = world->contexts[0],
                                          .server_hostname = "localhost",
                                          .shutdown_timeout_ns = RIG_WAIT_NS,
                                          .can_export = true,
                                          .session = world->session};
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect), .tls = &tls}};
    weir_reader *reader;
    weir_writer *writer;
    int err = weir_open_connection(world->loop, "127.0.0.1", world->port,
                                   &options, &reader, &writer);
    if (err < 0) {
        return err;
    }
    err = fault_exchange(reader, writer);
    weir_transport *t = weir_writer_get_transport(writer);
    if (err == -EPIPE) {
        err = weir_transport_get_error(t);
    }
    if (err == 0) {
        err = fault_ask(world, t);
    }
    weir_writer_close(writer);
    const int end = weir_writer_wait_closed(writer);
    weir_writer_unref(writer);
    return err < 0 ? err : end;
}

static int fault_live(weir_loop *loop, int version, bool *ret_has_resumed)
{
    struct world world = {.loop = loop, .version = version};
    int err = fault_make_context(&world, true);

    err = err < 0 ? err : fault_make_context(&world, false);
    if (err == 0) {
        fault_serve(&world);
        err = fault_talk(&world);
        err = err < 0 ? err : fault_talk(&world);
        weir_server_close(world.server);
        expect_eq(weir_server_wait_closed(world.server), 0);
        weir_server_free(world.server);
    }
    weir_tls_session_unref(world.session);
    weir_tls_context_unref(world.contexts[0]);
    weir_tls_context_unref(world.contexts[1]);
    /* The server's connections may end after the client's. */
    for (int i = 0; live > 0 && i < 60000; i++) {
        expect_eq(weir_sleep(world.loop, 1000000), 0);
    }
    expect_eq(live, 0, "objects of the library are left");
    *ret_has_resumed = world.has_resumed;
    return err;
}

enum fault_end {
    FAULT_SAME, /* the same error; for a server's connection any error */
    FAULT_SOFT, /* any error, or a full handshake instead of a resumed one */
    FAULT_ANY,  /* any error, or none: the peer has everything, or its ticket is
                   useless */
};

struct fault_kind {
    const char *name;
    size_t row;
    int result;
    enum fault_end end;
    bool is_late;
    int told;     /* another error that is reported instead */
    int version;  /* the only version with such calls; 0 means both */
    int harmless; /* number of calls that may fail without ending anything */
};

#define FAULT_KIND(function, error, ...)                                       \
    {                                                                          \
        .name = #function, .row = FAULT_ROW(function), .result = (error),      \
        __VA_ARGS__                                                            \
    }

static const struct fault_kind fault_kinds[] = {
    FAULT_KIND(start, WEIR_ETLSENGINE, ),
    FAULT_KIND(hash, -ENOMEM, .end = FAULT_ANY, .harmless = 6),
    FAULT_KIND(hash, -EOPNOTSUPP, .end = FAULT_ANY, .harmless = 6),
    FAULT_KIND(verify, -ENOMEM, .end = FAULT_SOFT),
    FAULT_KIND(verify, -EOPNOTSUPP, .end = FAULT_SOFT),
    FAULT_KIND(verify, -EBADMSG, .end = FAULT_SOFT),
    FAULT_KIND(seal, -ENOMEM, .end = FAULT_SOFT),
    FAULT_KIND(open_sealed, -ENOMEM, .end = FAULT_SOFT, .version = 13),
    FAULT_KIND(open_sealed, -EBADMSG, .end = FAULT_SOFT, .version = 13),
    FAULT_KIND(credential_new, -ENOMEM, ),
    FAULT_KIND(credential_use_chain, WEIR_ETLSFILE, ),
    FAULT_KIND(credential_use_key, WEIR_ETLSNOKEY, ),
    FAULT_KIND(credential_check, WEIR_ETLSMISMATCH, ),
    FAULT_KIND(credential_check, WEIR_ETLSWEAK, .told = WEIR_ETLSFILE),
    FAULT_KIND(shared_new, WEIR_ETLSCIPHERS, ),
    FAULT_KIND(shared_new, WEIR_ETLSVERSION, ),
    FAULT_KIND(open, -ENOMEM, ),
    FAULT_KIND(open, WEIR_ETLSENGINE, ),
    FAULT_KIND(show, -ENOMEM, .end = FAULT_SOFT, .version = 12),
    FAULT_KIND(show, WEIR_ETLSCIPHER, .end = FAULT_SOFT, .version = 12),
    FAULT_KIND(choose_protocol, -ENOMEM, .end = FAULT_SOFT),
    FAULT_KIND(export_keys, -ENOMEM, ),
    FAULT_KIND(session_take, -ENOMEM, .version = 13),
    FAULT_KIND(handshake, WEIR_ETLSENGINE, ),
    FAULT_KIND(handshake, -ENOMEM, .is_late = true),
    FAULT_KIND(read, WEIR_ETLSENGINE, ),
    FAULT_KIND(read, -ENOMEM, .is_late = true),
    FAULT_KIND(write, WEIR_ETLSENGINE, ),
    FAULT_KIND(write, -ENOMEM, .is_late = true),
    FAULT_KIND(shutdown, WEIR_ETLSENGINE, ),
    FAULT_KIND(shutdown, -ENOMEM, .end = FAULT_ANY, .is_late = true),
    FAULT_KIND(update_keys, WEIR_ETLSENGINE, ),
    FAULT_KIND(update_keys, -ENOMEM, .is_late = true),
};

static void fault_run(task_body_fn *body)
{
    tls_require();
    task_run(body);
}

static void fault_expect(const struct fault_kind *kind, int err,
                         bool has_resumed)
{
    if (fault.by_server && server_error < 0) {
        expect_eq(server_error, kind->result, "%s, call %d", kind->name,
                  fault.at);
        server_errors++;
    }
    if (fault.is_first && !kind->is_late) {
        expect_eq(err, WEIR_ETLSALERT, "the server has sent nothing before");
    }
    if (kind->end == FAULT_SAME && !fault.by_server) {
        expect_eq(err, kind->told ? kind->told : kind->result, "%s, call %d",
                  kind->name, fault.at);
    } else if (kind->end == FAULT_SAME) {
        expect_lt(err, 0, "%s, call %d", kind->name, fault.at);
    } else if (kind->end == FAULT_SOFT) {
        expect_eq(err == 0 && has_resumed, false, "%s, call %d", kind->name,
                  fault.at);
    }
}

static int fault_each(weir_loop *loop, const struct fault_kind *kind,
                      int version)
{
    bool has_resumed;
    int harmless = 0;

    for (int at = 1;; at++) {
        fault = (struct fault){.row = kind->row,
                               .result = kind->result,
                               .is_late = kind->is_late,
                               .at = at};
        server_error = 0;
        const int err = fault_live(loop, version, &has_resumed);
        fault.row = 0;
        if (!fault.has_hit) {
            expect_eq(err, 0);
            if (kind->harmless > 0) {
                expect_eq(harmless, kind->harmless, "%s", kind->name);
            }
            return at - 1;
        }
        harmless += err == 0;
        fault_expect(kind, err, has_resumed);
    }
}

/* OpenSSL encrypts its tickets itself. */
static bool fault_is_met(const struct fault_kind *kind, int version)
{
    const bool is_of_tickets =
        kind->row == FAULT_ROW(seal) || kind->row == FAULT_ROW(open_sealed);

    return (kind->version == 0 || kind->version == version) &&
           !(is_of_tickets && strcmp(fault_real()->name, "OpenSSL") == 0);
}

static void fault_all(weir_loop *loop, int version)
{
    for (size_t i = 0; i < sizeof(fault_kinds) / sizeof(fault_kinds[0]); i++) {
        const struct fault_kind *kind = &fault_kinds[i];
        const int count = fault_each(loop, kind, version);
        expect_eq(count > 0, fault_is_met(kind, version), "%s", kind->name);
    }
    expect_gt(server_errors, 0);
}

UNIT(tls_fault, reads_of_few_bytes_change_nothing)
{
    bool has_resumed;

    for (int version = 12; version <= 13; version++) {
        is_short = true;
        expect_eq(fault_live(loop, version, &has_resumed), 0);
        expect_eq(has_resumed, version == 13);
        is_short = false;
    }
}

UNIT(tls_fault, a_call_that_fails_ends_tls_12_by_its_error)
{
    fault_all(loop, 12);
}

UNIT(tls_fault, a_call_that_fails_ends_tls_13_by_its_error)
{
    fault_all(loop, 13);
}
