/*
 * The files of a TLS context: folders of authorities, and the error line if a
 * file is missing, empty, wrong, encrypted or for another key.
 *
 * Each test has its own folder, which it removes.
 */
#define UNIT_RUN with_folder
#include "tests/no_fd.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <sys/stat.h>

static struct tls_pair pair;
static char error_text[512];
static char folder[64];

static const char *const entries[] = {
    "0a1b2c3d.0", "README",       "authority.pem", ".hidden.pem",
    "subfolder",  "dangling.pem", "broken.pem",    "trusted.pem",
};

static const char *files_in(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void files_write(const char *name, const char *text)
{
    FILE *file = fopen(files_in(name), "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void files_link(const char *target, const char *name)
{
    char path[4096];
    cr_assert_not_null(realpath(target, path));
    cr_assert_eq(symlink(path, files_in(name)), 0);
}

static void with_folder(void (*body)(void))
{
    snprintf(folder, sizeof(folder), "/tmp/weir-tls-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    body();
    for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
        if (unlink(files_in(entries[i])) < 0) {
            rmdir(files_in(entries[i]));
        }
    }
    cr_assert_eq(rmdir(folder), 0);
}

static struct weir_tls_options files_client(void)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .authority_folder = folder,
    };
}

static void files_refuse(const struct weir_tls_options *options, int err,
                         const char *name)
{
    weir_tls_context *context = NULL;
    const char *reason = weir_strerror(err);
    expect_eq(
        weir_tls_context_new(options, &context, error_text, sizeof(error_text)),
        err, "%s", error_text);
    cr_assert_null(context);
    cr_assert_not_null(strstr(error_text, name), "%s", error_text);
    cr_assert_not_null(strstr(error_text, reason), "%s", error_text);
}

static void files_connect(const struct weir_tls_options *client_options,
                          int client_err, int server_err)
{
    tls_pair_join(&pair, client_options, NULL, NULL);
    tls_pair_end(&pair, client_err, server_err);
}

UNIT(tls_files, the_authorities_of_a_folder_are_trusted)
{
    const struct weir_tls_options client = files_client();
    files_link(tls_file("tls-matrix/trusted.pem"), "authority.pem");
    files_write("README", "These are authorities.\n");
    cr_assert_eq(mkdir(files_in("subfolder"), 0700), 0);
    files_connect(&client, WEIR_ETLSISSUER, WEIR_ETLSALERT);

    files_link(tls_file("ca.pem"), "0a1b2c3d.0");

    files_connect(&client, 0, 0);
}

UNIT(tls_files, a_folder_may_stand_beside_a_file)
{
    struct weir_tls_options client = files_client();
    files_link(tls_file("tls-matrix/trusted.pem"), "authority.pem");
    client.authorities.file = tls_file("ca.pem");

    files_connect(&client, 0, 0);
}

UNIT(tls_files, a_folder_without_an_authority_is_refused)
{
    struct weir_tls_options client = files_client();
    files_refuse(&client, WEIR_ETLSFILE, folder);
    files_write("README", "There is none.\n");
    files_link(tls_file("ca.pem"), ".hidden.pem");
    expect_ok(symlink("/tmp/weir-no-such-file", files_in("dangling.pem")));
    files_refuse(&client, WEIR_ETLSFILE, folder);

    client.authority_folder = "/tmp/weir-no-such-folder";
    files_refuse(&client, -ENOENT, "/tmp/weir-no-such-folder");
    client.authority_folder = tls_file("ca.pem");
    files_refuse(&client, -ENOTDIR, "ca.pem");
}

/* Without descriptors it is unknown which authorities a client would trust. */
UNIT(tls_files, a_lack_of_descriptors_is_not_a_lack_of_authorities)
{
    const struct weir_tls_options clients[] = {
        files_client(), {.size = sizeof(struct weir_tls_options)}};
    int errors[2];
    char texts[2][512];
    weir_tls_context *context = NULL;
    files_link(tls_file("ca.pem"), "authority.pem");
    const struct rlimit before = use_up_descriptors();
    for (int i = 0; i < 2; i++) {
        errors[i] = weir_tls_context_new(&clients[i], &context, texts[i],
                                         sizeof(texts[i]));
    }
    give_descriptors(&before);

    for (int i = 0; i < 2; i++) {
        expect_eq(errors[i], -EMFILE, "%s", texts[i]);
        cr_assert_not_null(strstr(texts[i], weir_strerror(-EMFILE)));
    }
}

UNIT(tls_files, a_certificate_in_a_folder_that_is_none_is_named)
{
    const struct weir_tls_options client = files_client();
    files_link(tls_file("ca.pem"), "authority.pem");
    files_write("broken.pem", "-----BEGIN CERTIFICATE-----\n"
                              "bm90aGluZw==\n"
                              "-----END CERTIFICATE-----\n");

    files_refuse(&client, WEIR_ETLSFILE, files_in("broken.pem"));
    unlink(files_in("broken.pem"));
    files_write("broken.pem", "");
    files_refuse(&client, WEIR_ETLSFILE, files_in("broken.pem"));
}

UNIT(tls_files, a_server_takes_the_authorities_of_its_clients_from_a_folder)
{
    struct weir_tls_options server = tls_options(true);
    weir_tls_context *context = NULL;
    server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    files_refuse(&server, -EINVAL, "authorities");
    files_link(tls_file("ca.pem"), "authority.pem");
    server.authority_folder = folder;

    expect_eq(weir_tls_context_new(&server, &context, NULL, 0), 0);

    weir_tls_context_unref(context);
}

/* Debian's list of authorities has nine with the serial number 0. A rehashed
 * folder has each of them twice. */
UNIT(tls_files, an_authority_with_the_serial_number_0_is_trusted)
{
    struct weir_tls_options client = files_client();
    struct weir_tls_options server = tls_options(true);
    files_link(tls_file("tls-matrix/zero.pem"), "authority.pem");
    files_link(tls_file("tls-matrix/zero.pem"), "0a1b2c3d.0");
    files_link(tls_file("tls-matrix/trusted.pem"), "trusted.pem");
    server.certificate.file = tls_file("tls-matrix/zero-serial.pem");
    server.key.file = tls_file("tls-matrix/zero-serial.key");
    tls_pair_join(&pair, &client, &server, NULL);
    tls_pair_end(&pair, 0, 0);
}

/* A server sends a certificate of the matrix. */
static void files_show(const struct weir_tls_options *client, const char *name,
                       int err)
{
    struct weir_tls_options server = tls_options(true);
    server.certificate.file = tls_file("tls-matrix/%s.pem", name);
    server.key.file = tls_file("tls-matrix/%s.key", name);
    tls_pair_join(&pair, client, &server, NULL);
    tls_pair_end(&pair, err, err < 0 ? WEIR_ETLSALERT : 0);
}

UNIT(tls_files, authorities_of_a_folder_sign_lists_of_revocations)
{
    struct weir_tls_options client = files_client();
    files_link(tls_file("tls-matrix/trusted.pem"), "authority.pem");
    files_link(tls_file("ca.pem"), "0a1b2c3d.0");
    files_show(&client, "revoked", 0);

    client.revocations.file = tls_file("tls-matrix/authority.crl");

    files_show(&client, "good", 0);
    files_show(&client, "revoked", WEIR_ETLSREVOKED);
    files_show(&client, "revoked-issuer", WEIR_ETLSREVOKED);
    files_connect(&client, WEIR_ETLSNOCRL, WEIR_ETLSALERT);
}

/* The list may be of an issuer whose certificate the peer will send. */
UNIT(tls_files, a_list_of_an_issuer_that_is_not_trusted_is_taken)
{
    struct weir_tls_options client = files_client();
    files_link(tls_file("ca.pem"), "authority.pem");
    client.revocations.file = tls_file("tls-matrix/authority.crl");

    files_connect(&client, WEIR_ETLSNOCRL, WEIR_ETLSALERT);
}

UNIT_IN(tls_files, an_error_names_the_file_and_the_reason, unit_alone, void)
{
    struct weir_tls_options server = tls_options(true);
    server.certificate.file = "/tmp/weir-no-such.pem";
    files_refuse(&server, -ENOENT, "certificate: /tmp/weir-no-such.pem: ");
    server.certificate.file = "/tmp";
    files_refuse(&server, -EISDIR, "certificate: /tmp: ");
    server.certificate.file = "/dev/null";
    files_refuse(&server, WEIR_ETLSFILE, "certificate: /dev/null: ");
    server.certificate.file = NULL;
    files_refuse(&server, -EINVAL, "certificate: none is given");
    server = tls_options(true);
    server.key.file = tls_file("rsa.key");
    files_refuse(&server, WEIR_ETLSMISMATCH, "rsa.key: ");
    server.key.file = tls_file("rsa.pem");
    files_refuse(&server, WEIR_ETLSNOKEY, "rsa.pem: ");
    server.key.file = "/dev/null";
    files_refuse(&server, WEIR_ETLSFILE, "key: /dev/null: ");
}

UNIT_IN(tls_files, an_error_of_a_certificate_by_name_names_its_file, unit_alone,
        void)
{
    struct weir_tls_identity identity = {
        .size = sizeof(identity),
        .certificate = {.file = "/dev/null"},
        .key = {.file = tls_file("rsa.key")},
    };
    struct weir_tls_options server = tls_options(true);
    const struct weir_tls_identity *const all[] = {&identity};
    server.identities = all;
    server.identity_count = 1;
    files_refuse(&server, WEIR_ETLSFILE, "certificate: /dev/null: ");
    identity.certificate.file = tls_file("ecdsa.pem");
    files_refuse(&server, WEIR_ETLSMISMATCH, "rsa.key: ");
    const struct weir_tls_identity *const none[] = {NULL};
    server.identities = none;
    weir_tls_context *context = NULL;
    expect_eq(weir_tls_context_new(&server, &context, NULL, 0), -EINVAL);
}

UNIT_IN(tls_files, an_encrypted_key_is_told_apart, unit_alone, void)
{
    static const char key[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                              "MIGbMFcGCSqGSIb3DQEFDTBK\n"
                              "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct weir_tls_options server = tls_options(true);
    server.key = (struct weir_tls_pem){.data = key, .size = sizeof(key) - 1};

    files_refuse(&server, WEIR_ETLSPASSWORD, "key: the text in memory: ");
}

/* Returns the text of a file with another label for certificates. */
static struct weir_tls_pem files_rename(const char *file, const char *label)
{
    static char from[16 << 10];
    static char text[16 << 10];
    static const char name[] = "CERTIFICATE-----";
    const size_t len = tls_file_read(tls_file("%s", file), from, sizeof(from));
    const char *at = from;
    const char *next;
    size_t size = 0;
    from[len] = '\0';
    while ((next = strstr(at, name))) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s%s %s",
                                 (int)(next - at), at, label, name);
        at = next + sizeof(name) - 1;
    }
    size += (size_t)snprintf(text + size, sizeof(text) - size, "%s", at);
    cr_assert_lt(size, sizeof(text));
    return (struct weir_tls_pem){.data = text, .size = size};
}

/* An old label for a certificate. */
UNIT_IN(tls_files, blocks_called_x509_certificate_are_read, unit_alone, void)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};

    client.authorities = files_rename("ca.pem", "X509");
    weir_tls_context *trusting = tls_context(&client);
    server.certificate = files_rename("ecdsa.pem", "X509");
    weir_tls_context *shown = tls_context(&server);
    tls_pair_connect(&pair, trusting, shown, &how);
    tls_pair_end(&pair, 0, 0);
    tls_contexts_unref(trusting, shown);
}

static void files_refuse_trusted(const struct weir_tls_options *options,
                                 const char *label)
{
    weir_tls_context *context = NULL;

    error_text[0] = '\0';
    expect_eq(
        weir_tls_context_new(options, &context, error_text, sizeof(error_text)),
        WEIR_ETLSFILE);
    expect_eq(strncmp(error_text, label, strlen(label)), 0, "%s", error_text);
    cr_assert(strstr(error_text, "TRUSTED CERTIFICATE"), "%s", error_text);
    cr_assert(strstr(error_text, "openssl x509"), "%s", error_text);
}

#define FILES_TEXT(text)                                                       \
    {                                                                          \
        .data = text, .size = sizeof(text) - 1                                 \
    }
#define FILES_OF(path)                                                         \
    {                                                                          \
        .file = path                                                           \
    }

UNIT_IN(tls_files, a_text_of_another_kind_is_told, unit_alone, void)
{
    static const char der[] = "it is DER";
    static const char no_block[] = "no PEM block";
    const struct {
        struct weir_tls_pem certificate;
        struct weir_tls_pem key;
        struct weir_tls_pem authorities;
        const char *why;
    } rows[] = {
#define DER FILES_TEXT("\x30\x03\x02\x01\x05")
#define PFX FILES_TEXT("\x30\x82\0\x08\x02\x01\x03\x30\x03\x02\x01\x00")
        {.certificate = DER, .why = der},
        {.certificate = PFX, .why = "it is PKCS #12"},
        {.certificate = FILES_TEXT("hello"), .why = no_block},
        {.certificate = FILES_OF("/dev/null"), .why = "it is empty"},
        {.certificate = FILES_OF(tls_file("ecdsa.key")),
         .why = "it has a key and no certificate"},
        {.certificate = FILES_OF(tls_file("tls-matrix/weak-rsa.pem")),
         .key = FILES_OF(tls_file("tls-matrix/weak-rsa.key")),
         .why = "its RSA key does not have 2048 to 4096 bits"},
        {.certificate = FILES_OF(tls_file("tls-matrix/other-curve.pem")),
         .key = FILES_OF(tls_file("tls-matrix/other-curve.key")),
         .why = "its key is of a kind that is not used"},
        {.certificate = FILES_OF(tls_file("explicit.pem")),
         .key = FILES_OF(tls_file("explicit.key")),
         .why = "its key is of a kind that is not used"},
        {.key = DER, .why = "openssl pkey"},
        {.key = PFX, .why = "it is PKCS #12"},
        {.key = FILES_TEXT("hello"), .why = no_block},
        {.key = FILES_OF(tls_file("ecdsa.pem")),
         .why = "it has a certificate and no key"},
        {.authorities = DER, .why = der},
        {.authorities = FILES_OF(tls_file("ecdsa.key")),
         .why = "it has a key and no certificate"},
        {.authorities = FILES_OF(tls_file("ecdsa.pem")),
         .why = "; give their issuer's"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct weir_tls_options options =
            tls_options(!rows[i].authorities.file && !rows[i].authorities.data);
        weir_tls_context *context = NULL;
        if (rows[i].certificate.file || rows[i].certificate.data) {
            options.certificate = rows[i].certificate;
        }
        if (rows[i].key.file || rows[i].key.data) {
            options.key = rows[i].key;
        }
        if (!options.server) {
            options.authorities = rows[i].authorities;
        }
        const int err = weir_tls_context_new(&options, &context, error_text,
                                             sizeof(error_text));
        cr_assert(err == WEIR_ETLSFILE || err == WEIR_ETLSNOKEY, "%zu: %d, %s",
                  i, err, error_text);
        cr_assert(strstr(error_text, rows[i].why), "%zu: %s", i, error_text);
    }
}

/* A certificate that no peer, or few peers, will accept is not an error. */
UNIT_IN(tls_files, a_chain_that_cannot_serve_is_noticed, unit_alone, void)
{
    static const struct {
        const char *name;
        const char *notice;
    } rows[] = {
        {"tls-matrix/expired", "the certificate has expired"},
        {"tls-matrix/orphan", "no certificate of its issuer follows"},
        {"tls-matrix/good-chain", NULL},
        {"tls-matrix/self-signed", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct weir_tls_options options = tls_options(true);
        weir_tls_context *context = NULL;
        char path[64];
        snprintf(path, sizeof(path), "%s.pem", rows[i].name);
        options.certificate.file = tls_file("%s", path);
        snprintf(path, sizeof(path), "%s.key", rows[i].name);
        options.key.file = tls_file("%s", path);
        expect_ok(weir_tls_context_new(&options, &context, error_text,
                                       sizeof(error_text)));
        weir_tls_context_unref(context);
        cr_assert(rows[i].notice ? !!strstr(error_text, rows[i].notice)
                                 : error_text[0] == '\0',
                  "%s: %s", rows[i].name, error_text);
    }
}

/* OpenSSL's own form contains more than the certificate. */
UNIT_IN(tls_files, a_block_called_trusted_certificate_is_refused_in_words,
        unit_alone, void)
{
    struct weir_tls_options options = tls_options(false);

    options.authorities = files_rename("ca.pem", "TRUSTED");
    files_refuse_trusted(&options, "authorities: the text in memory: ");
    options = tls_options(true);
    options.certificate = files_rename("ecdsa.pem", "TRUSTED");
    files_refuse_trusted(&options, "certificate: the text in memory: ");
}

UNIT(tls_files, a_trusted_certificate_in_a_folder_is_refused_with_its_file)
{
    struct weir_tls_options options = tls_options(false);
    const struct weir_tls_pem text = files_rename("ca.pem", "TRUSTED");

    files_write("trusted.pem", text.data);
    options.authorities.file = NULL;
    options.authority_folder = folder;
    files_refuse_trusted(&options, "authority_folder: ");
    cr_assert(strstr(error_text, "trusted.pem: "), "%s", error_text);
}

/* Returns the path of a file with this text before the authority. */
static const char *files_write_behind(const char *front, size_t count)
{
    static char text[80 << 10];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const int len = snprintf(text + size, sizeof(text) - size, "%s", front);
        size += (size_t)len;
        cr_assert_lt(size, sizeof(text) - 1);
    }
    size += tls_file_read(tls_file("ca.pem"), text + size, sizeof(text) - size);
    text[size] = '\0';
    files_write("trusted.pem", text);
    return files_in("trusted.pem");
}

/* A file is read in parts, the first of 16 KiB. */
UNIT(tls_files, a_file_may_have_much_text_before_a_certificate)
{
    static const size_t counts[] = {0, 1000, 2000, 4000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        struct weir_tls_options options = tls_options(false);
        options.authorities.file =
            files_write_behind("of an authority\n", counts[i]);
        files_connect(&options, 0, 0);
    }
}

UNIT(tls_files, a_block_that_cannot_be_read_may_stand_before_a_certificate)
{
    static const char bad[] = "-----BEGIN CERTIFICATE-----\n*\n"
                              "-----END CERTIFICATE-----\n";
    struct weir_tls_options options = tls_options(false);
    options.authorities.file = files_write_behind(bad, 2);
    files_connect(&options, 0, 0);
    files_write("broken.pem", bad);
    options.authorities.file = files_in("broken.pem");
    files_refuse(&options, WEIR_ETLSFILE, "broken.pem");
}
