/*
 * One end of a TLS connection, for tests of programs that do not use weir.
 *
 * A server sends each client its bytes back (echo), or the body of each of its
 * HTTP requests (http), or connects one client with standard input and output
 * (take); talk does the same as a client. The end of standard input ends only
 * the direction of writing. The client put writes a MiB and closes without
 * reading what the server sends. Standard error has lines about each
 * connection:
 *
 *     open TLSv1.3 TLS_AES_128_GCM_SHA256 alpn=h2 name=localhost resumed=0 ...
 *     end ok                        or   end WEIR_ETLSTRUNCATED: ...
 *     failed WEIR_ETLSALERT: ...    the handshake
 *
 * Usage: tls_peer echo|http|take PORT [SETTING=VALUE...]
 *        tls_peer talk|put PORT [SETTING=VALUE...]
 * Settings: cert, key, sign (a key with which the program openssl signs in its
 * own process), pass (the passphrase of the key), ca (files), alpn, name, host,
 * auth (optional, required), id (CHAIN:KEY, another certificate), groups, min
 * and max (2, 3), strict=1, tickets (a file of keys or "none"), first (a text:
 * a connection before this one sends it, and this one resumes its session),
 * export=1 (print the keys of the label EXPORTER-weir), records (change keys
 * after this number of records).
 */
#include "lib/tls/context/context_impl.h"

#include <weir/error.h>
#include <weir/stream.h>
#include <weir/task.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define IDENTITIES_MAX 4
#define KEYS_MAX       192
#define PIECE          65536u
#define PUT_BYTES      (1u << 20)

struct peer {
    weir_loop *loop;
    weir_server *server;
    const char *mode;
    const char *host;
    const char *first; /* sent by the connection before, or NULL */
    uint16_t port;
    uint32_t records; /* records with the same keys; 0 for the default */
    struct weir_tls_options options;
    struct weir_tls_settings tls;
    struct weir_tls_identity identities[IDENTITIES_MAX];
    const struct weir_tls_identity *all[IDENTITIES_MAX];
    char keys[KEYS_MAX];
};

/* Standard input and output, and the connection that they are relayed to. */
struct relay {
    weir_reader *reader;
    weir_writer *writer;
    int stdin_fd;
    int stdout_fd;
};

static void check(int error, const char *what)
{
    if (error < 0) {
        errx(1, "%s: %s", what, weir_strerror(error));
    }
}

/* ---- reports ---- */

static const char *get_text(weir_transport *t, const char *name)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    return weir_transport_get_extra_info(t, name, &info) == 0 ? info.text : "-";
}

static void report_export(weir_transport *t)
{
    uint8_t keys[32];

    if (weir_tls_export_keying_material(t, "EXPORTER-weir", NULL, 0, keys,
                                        sizeof(keys)) < 0) {
        return; /* keys are not requested */
    }
    fprintf(stderr, " export=");
    for (size_t i = 0; i < sizeof(keys); i++) {
        fprintf(stderr, "%02X", keys[i]);
    }
}

/* Fields that the connection does not have keep their values. */
static void get_info(weir_transport *t, const char *name,
                     struct weir_extra_info *info)
{
    const bool is_known = weir_transport_get_extra_info(t, name, info) == 0;
    (void)is_known;
}

static void report_open(weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info), .text = "-", .len = 1};
    struct weir_extra_info resumed = {.size = sizeof(resumed), .number = -1};
    struct weir_extra_info certificate = {.size = sizeof(certificate)};

    get_info(t, "alpn", &info);
    get_info(t, "tls_resumed", &resumed);
    get_info(t, "peercert", &certificate);
    fprintf(stderr, "open %s %s alpn=%.*s name=%s resumed=%d certificate=%d",
            get_text(t, "tls_version"), get_text(t, "cipher"), (int)info.len,
            info.text, get_text(t, "server_name"), resumed.number,
            certificate.len > 0);
    fprintf(stderr, " group=%s", get_text(t, "tls_group"));
    report_export(t);
    fputc('\n', stderr);
}

static void report_error(const char *what, int error, weir_transport *t)
{
    const char *text = t ? get_text(t, "tls_error") : "-";

    fprintf(stderr, "%s %s: %s\n", what, weir_err_name(error),
            *text == '-' ? weir_strerror(error) : text);
}

static void report_end(weir_transport *t, ssize_t error)
{
    if (error < 0) {
        report_error("end", (int)error, t);
    } else {
        fprintf(stderr, "end ok\n");
    }
}

static void report_exception(void *arg, weir_loop *loop,
                             const struct weir_exception *exception)
{
    (void)arg;
    (void)loop;
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return; /* io_uring is not allowed here */
    }
    report_error("failed", exception->err, exception->transport);
}

/* ---- echo ---- */

static int send_on(weir_writer *writer, const struct weir_buf *bytes)
{
    const int error = weir_writer_write(writer, bytes->data, bytes->len);

    return error < 0 ? error : weir_writer_drain(writer);
}

/* Copies up to @count bytes. Returns the error that ended it, or 0. */
static ssize_t copy(weir_reader *reader, weir_writer *writer, size_t count)
{
    struct weir_buf bytes;
    ssize_t len = 1;

    while (count > 0 &&
           (len = weir_reader_read_view(reader, count, &bytes)) > 0) {
        const int error = send_on(writer, &bytes);
        if (error < 0) {
            return error;
        }
        count -= (size_t)len;
    }
    return len < 0 ? len : 0;
}

/* ---- HTTP ---- */

/* Reads the head of a request. Returns 1, or 0 at the end of the stream, or an
 * error. */
static ssize_t read_head(weir_reader *reader, size_t *ret_body)
{
    static const char name[] = "Content-Length:";
    struct weir_buf line;
    ssize_t len;

    *ret_body = 0;
    while ((len = weir_reader_readline_view(reader, &line)) > 0) {
        if (len > (ssize_t)sizeof(name) &&
            strncasecmp((const char *)line.data, name, sizeof(name) - 1) == 0) {
            *ret_body =
                strtoul((const char *)line.data + sizeof(name) - 1, NULL, 10);
        }
        if (line.data[0] == '\r') {
            return 1;
        }
    }
    return len;
}

static ssize_t send_all(weir_writer *writer, const char *data, size_t size)
{
    ssize_t error = 0;

    for (size_t at = 0; at < size && error >= 0; at += PIECE) {
        const size_t left = size - at;
        const struct weir_buf bytes = {
            .data = (const uint8_t *)data + at,
            .len = left < PIECE ? left : PIECE,
        };
        error = send_on(writer, &bytes);
    }
    return error;
}

/* Reads the whole body first, because nginx reads no response before it has
 * sent all. */
static ssize_t answer_one(weir_reader *reader, weir_writer *writer, size_t size)
{
    char head[100];
    char *body = malloc(size + 1);

    if (!body) {
        return -ENOMEM;
    }
    ssize_t len = weir_reader_readexactly(reader, body, size);
    if (len >= 0) {
        len = snprintf(head, sizeof(head),
                       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
        weir_writer_write(writer, head, (size_t)len);
        len = send_all(writer, body, size);
    }
    free(body);
    return len;
}

/* Answers each request with its body. */
static ssize_t answer(weir_reader *reader, weir_writer *writer)
{
    size_t size;
    ssize_t len;

    while ((len = read_head(reader, &size)) > 0) {
        len = answer_one(reader, writer, size);
        if (len < 0) {
            break;
        }
    }
    return len;
}

/* ---- standard input and output ---- */

static int send_input(weir_loop *loop, void *arg)
{
    struct relay *relay = arg;
    weir_reader *input;
    weir_writer *handle;
    int error = weir_open_connection_at(
        loop, weir_endpoint_read_pipe(relay->stdin_fd), NULL, &input, &handle);

    if (error < 0) {
        return error;
    }
    error = (int)copy(input, relay->writer, SIZE_MAX);
    weir_writer_unref(handle);
    return error < 0 ? error : weir_writer_write_eof(relay->writer);
}

static ssize_t show_output(weir_loop *loop, const struct relay *relay)
{
    weir_writer *output;
    ssize_t error = weir_open_connection_at(
        loop, weir_endpoint_write_pipe(relay->stdout_fd), NULL, NULL, &output);

    if (error < 0) {
        return error;
    }
    error = copy(relay->reader, output, SIZE_MAX);
    weir_writer_close(output);
    const int closed = weir_writer_wait_closed(output);
    weir_writer_unref(output);
    return error < 0 ? error : closed;
}

/* Reads until the peer has ended its direction, and drops the rest of the
 * input. */
static ssize_t join_with_output(weir_loop *loop, weir_reader *reader,
                                weir_writer *writer)
{
    struct relay relay = {reader, writer, STDIN_FILENO, STDOUT_FILENO};
    weir_task *sender;
    int sent;

    check(weir_task_spawn(loop, send_input, &relay, NULL, &sender), "spawn");
    ssize_t error = show_output(loop, &relay);
    weir_task_cancel(sender);
    check(weir_task_join(sender, &sent), "join");
    return error;
}

/* ---- one connection ---- */

static int serve_connection(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct peer *peer = arg;
    weir_transport *t = weir_writer_get_transport(writer);
    ssize_t error;

    report_open(t);
    if (strcmp(peer->mode, "http") == 0) {
        error = answer(reader, writer);
    } else if (strcmp(peer->mode, "echo") == 0) {
        error = copy(reader, writer, SIZE_MAX);
    } else {
        error = join_with_output(peer->loop, reader, writer);
        weir_server_close(peer->server);
    }
    weir_writer_close(writer);
    const int closed = weir_writer_wait_closed(writer);
    report_end(t, error < 0 ? error : closed);
    return 0;
}

static int serve(weir_loop *loop, void *arg)
{
    struct peer *peer = arg;
    struct weir_start_server_options options = {
        .size = sizeof(options), .arg = peer, .server.tls = &peer->tls};
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    peer->loop = loop;
    weir_loop_set_exception_handler(loop, report_exception, NULL);
    check(weir_start_server(loop, serve_connection, "127.0.0.1", peer->port,
                            &options, &peer->server),
          "start_server");
    weir_server_get_socket(peer->server, 0, &address);
    printf("serving on %s\n", weir_address_format(&address, text, 128));
    fflush(stdout);
    const int error = weir_server_serve_forever(peer->server);
    check(weir_server_wait_closed(peer->server), "wait_closed");
    weir_server_free(peer->server);
    return error == -ESHUTDOWN ? 0 : error;
}

/* ---- as the client ---- */

static int open_to(weir_loop *loop, const struct peer *peer,
                   weir_reader **ret_reader, weir_writer **ret_writer)
{
    char text[256] = "";
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.tls = &peer->tls,
                    .error_text = text,
                    .error_text_size = sizeof(text)}};
    const int error = weir_open_connection(loop, peer->host, peer->port,
                                           &options, ret_reader, ret_writer);

    if (error < 0) {
        fprintf(stderr, "failed %s: %s\n", weir_err_name(error), text);
    }
    return error;
}

/* Makes the connection that sends `first`; the next one resumes its session. */
static int begin_session(weir_loop *loop, struct peer *peer)
{
    weir_reader *reader;
    weir_writer *writer;
    char answer;
    int error = open_to(loop, peer, &reader, &writer);

    if (error < 0) {
        return error;
    }
    weir_transport *t = weir_writer_get_transport(writer);
    report_open(t);
    weir_writer_write(writer, peer->first, strlen(peer->first));
    weir_writer_write(writer, "\r\n\r\n", 4);
    check((int)weir_reader_readexactly(reader, &answer, 1), "the answer");
    check(weir_tls_get_session(t, &peer->tls.session), "get_session");
    weir_writer_unref(writer);
    return 0;
}

static int talk(weir_loop *loop, void *arg)
{
    struct peer *peer = arg;
    weir_reader *reader;
    weir_writer *writer;
    int error = peer->first ? begin_session(loop, peer) : 0;

    if (error == 0) {
        error = open_to(loop, peer, &reader, &writer);
    }
    weir_tls_session_unref(peer->tls.session);
    if (error < 0) {
        return error;
    }
    weir_transport *t = weir_writer_get_transport(writer);
    report_open(t);
    error = (int)join_with_output(loop, reader, writer);
    weir_writer_close(writer);
    const int closed = weir_writer_wait_closed(writer);
    report_end(t, error < 0 ? error : closed);
    weir_writer_unref(writer);
    return error;
}

static int put(weir_loop *loop, void *arg)
{
    static uint8_t bytes[PUT_BYTES];
    weir_reader *reader;
    weir_writer *writer;
    const int error = open_to(loop, arg, &reader, &writer);

    if (error < 0) {
        return error;
    }
    weir_transport *t = weir_writer_get_transport(writer);
    report_open(t);
    for (size_t i = 0; i < PUT_BYTES; i++) {
        bytes[i] = (uint8_t)(i % 251);
    }
    check(weir_writer_write(writer, bytes, PUT_BYTES), "write");
    weir_writer_close(writer);
    report_end(t, weir_writer_wait_closed(writer));
    weir_writer_unref(writer);
    return 0;
}

/* ---- the command line ---- */

static void read_keys(struct peer *peer, const char *path)
{
    if (strcmp(path, "none") == 0) {
        peer->options.no_tickets = true;
        return;
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        err(1, "%s", path);
    }
    peer->options.ticket_keys = peer->keys;
    peer->options.ticket_keys_size = fread(peer->keys, 1, KEYS_MAX, file);
    fclose(file);
}

/* openssl gets the hash as octal numbers for printf(1). */
static int sign_by_openssl(void *user, const struct weir_tls_to_sign *job,
                           void *signature, size_t size)
{
    const uint8_t *hash = job->hash;
    char command[4096];
    size_t len = (size_t)snprintf(command, sizeof(command), "printf '");

    for (size_t i = 0; i < job->hash_size; i++) {
        len += (size_t)snprintf(command + len, sizeof(command) - len, "\\%03o",
                                hash[i]);
    }
    len += (size_t)snprintf(
        command + len, sizeof(command) - len,
        "' | openssl pkeyutl -sign -inkey '%s' -pkeyopt digest:sha%zu%s",
        (const char *)user, job->hash_size * 8,
        job->kind == WEIR_TLS_SIGNATURE_RSA_PSS
            ? " -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest"
            : "");
    FILE *output = len < sizeof(command) ? popen(command, "re") : NULL;
    if (!output) {
        return -EIO;
    }
    const size_t count = fread(signature, 1, size, output);
    return pclose(output) == 0 ? (int)count : -EIO;
}

/* Parses CHAIN:KEY; splits the text in place. */
static void add_identity(struct peer *peer, char *value)
{
    const size_t index = peer->options.identity_count++;
    struct weir_tls_identity *identity = &peer->identities[index];
    char *colon = strchr(value, ':');

    if (!colon || peer->options.identity_count == IDENTITIES_MAX) {
        errx(2, "id=%s", value);
    }
    *colon = '\0';
    identity->size = sizeof(*identity);
    identity->certificate.file = value;
    identity->key.file = colon + 1;
    peer->all[index] = identity;
    peer->options.identities = peer->all;
}

static bool set_text(struct peer *peer, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **at;
    } texts[] = {{"cert", &peer->options.certificate.file},
                 {"key", &peer->options.key.file},
                 {"pass", &peer->options.passphrase.file},
                 {"ca", &peer->options.authorities.file},
                 {"alpn", &peer->options.alpn},
                 {"groups", &peer->options.groups},
                 {"name", &peer->tls.server_hostname},
                 {"host", &peer->host},
                 {"first", &peer->first}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (strcmp(texts[i].name, name) == 0) {
            *texts[i].at = value;
            return true;
        }
    }
    return false;
}

static enum weir_tls_version version_of(const char *value)
{
    return *value == '2' ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
}

static void set(struct peer *peer, char *word)
{
    char *value = strchr(word, '=');

    if (!value) {
        errx(2, "%s: no value", word);
    }
    *value++ = '\0';
    if (set_text(peer, word, value)) {
        return;
    }
    if (strcmp(word, "id") == 0) {
        add_identity(peer, value);
    } else if (strcmp(word, "sign") == 0) {
        peer->options.key.file = NULL;
        peer->options.sign = sign_by_openssl;
        peer->options.sign_user = value;
    } else if (strcmp(word, "tickets") == 0) {
        read_keys(peer, value);
    } else if (strcmp(word, "min") == 0) {
        peer->options.min_version = version_of(value);
    } else if (strcmp(word, "max") == 0) {
        peer->options.max_version = version_of(value);
    } else if (strcmp(word, "strict") == 0) {
        peer->options.refuse_unknown_names = true;
    } else if (strcmp(word, "records") == 0) {
        peer->records = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(word, "export") == 0) {
        peer->tls.can_export = true;
    } else if (strcmp(word, "auth") == 0) {
        peer->options.client_auth = *value == 'r'
                                        ? WEIR_TLS_CLIENT_AUTH_REQUIRED
                                        : WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    } else {
        errx(2, "%s: no such setting", word);
    }
}

int main(int argc, char **argv)
{
    struct peer peer = {.mode = argc > 2 ? argv[1] : "",
                        .host = "localhost",
                        .port = (uint16_t)(argc > 2 ? atoi(argv[2]) : 0),
                        .options = {.size = sizeof(peer.options)},
                        .tls = {.size = sizeof(peer.tls)}};
    const bool puts = strcmp(peer.mode, "put") == 0;
    const bool is_client = puts || strcmp(peer.mode, "talk") == 0;
    char text[256];

    for (int i = 3; i < argc; i++) {
        set(&peer, argv[i]);
    }
    setvbuf(stderr, NULL, _IOLBF, 0);
    peer.options.server = !is_client;
    int error = weir_tls_context_new(&peer.options, &peer.tls.context, text,
                                     sizeof(text));
    if (error < 0) {
        errx(1, "%s: %s", weir_err_name(error), text);
    }
    if (peer.records > 0) {
        peer.tls.context->key_records = peer.records;
    }
    error = weir_run(NULL, puts ? put : is_client ? talk : serve, &peer);
    weir_tls_context_unref(peer.tls.context);
    return error < 0;
}
