/*
 * The certificates of tls_matrix.sh with the default verifier: each is sent by
 * a server to its client, and by a client to its server, in both versions of
 * TLS.
 *
 * Each bad one is refused with its own code and a text with the reason; each
 * good one is accepted.
 */
#include "lib/tls/context/context_impl.h"
#include "tests/tls/rig.h"
#include "tests/unit/tls_show.h"

enum {
    MATRIX_GOOD_OF_CLIENT = 1 << 0, /* a server accepts it */
    MATRIX_NOT_OF_CLIENT = 1 << 1,  /* wolfSSL does not let a client send it */
    MATRIX_NOT_IN_1_3 = 1 << 2,     /* TLS 1.3 has no signature scheme for it */
    MATRIX_OF_RECIPE =
        1 << 3, /* only a wolfSSL built by tools/deps parses it */
};

struct matrix_row {
    const char *name; /* name of the files */
    const char *host; /* name that a client requests; NULL means localhost */
    int err;          /* for a verifying client; 0 means that it accepts */
    const char *text; /* part of the reason */
    unsigned flags;   /* MATRIX_... bits */
};

#define ISSUER_TEXT "signed by nobody who is trusted"
#define NOT_FOR     "may not issue"

static const struct matrix_row matrix_rows[] = {
    {.name = "good"},
    {.name = "good-wildcard", .host = "www.example.org"},
    {.name = "good-ip", .host = "127.0.0.1"},
    {.name = "good-ip", .host = "::1"},
    {.name = "good-idna", .host = "XN--bcher-KVA.example."},
    {.name = "good-rsa"},
    {.name = "good-ed25519"},
    {.name = "good-chain"},
    {.name = "good-constrained", .host = "www.example.org"},

    {.name = "good-deep"},
    {.name = "good-twice"},
    {.name = "good-issuer-twice"},
    {.name = "good-root-sent"},
    {.name = "good-stranger"},
    {.name = "good-stranger-first"},
    {.name = "good-false-root"},
    {.name = "good-other-leaf"},
    {.name = "good-order"},
    {.name = "good-order-and-more"},
    {.name = "good-cross"},
    {.name = "good-cross-and-root"},
    {.name = "good-cross-expired"},
    {.name = "good-cross-sha1"},
    {.name = "good-path-length"},
    {.name = "good-short"},
    {.name = "good-odd-last"},
    {.name = "good-odd-first"},
    {.name = "good-weak-beside"},
    {.name = "good-leaf-beside"},
    {.name = "good-beside-ed25519"},
    {.name = "good-beside-ed448"},
    {.name = "good-beside-secp224r1"},
    {.name = "good-beside-secp256k1"},
    {.name = "good-beside-brainpool"},
    {.name = "good-beside-explicit"},
    {.name = "good-beside-rsa-1024"},
    {.name = "good-beside-rsa-4160"},
    {.name = "good-beside-rsa-pss"},
    {.name = "good-beside-sha1"},
    {.name = "good-beside-sha512"},
    {.name = "good-beside-negative"},
    {.name = "good-beside-long-serial"},
    {.name = "good-beside-two-in-a-set"},
    {.name = "good-beside-nameless"},
    {.name = "good-beside-no-authority"},
    {.name = "good-beside-policies"},
    {.name = "good-beside-no-policy"},
    {.name = "good-beside-limits"},
    {.name = "good-beside-odd-limits"},
    {.name = "good-beside-odd-names"},
    {.name = "good-beside-bad-usage"},
    {.name = "good-beside-bad-names"},
    {.name = "good-beside-bad-key-id"},
    {.name = "long-8"},
    {.name = "long-9", .flags = MATRIX_OF_RECIPE},
    {"long-10", NULL, WEIR_ETLSPATHLEN, "more than 10", MATRIX_OF_RECIPE},
    {"issuer-left-out", NULL, WEIR_ETLSISSUER, "is missing", 0},
    {"top-left-out", NULL, WEIR_ETLSISSUER, "CN=good-deep.middle", 0},
    {"cross-expired", NULL, WEIR_ETLSEXPIRED, "CN=uncrossed", 0},
    {"cross-sha1", NULL, WEIR_ETLSWEAK, "CN=uncrossed", 0},
    {"false-root", NULL, WEIR_ETLSBADCERT, "CN=false-root", 0},
    {"strange-root", NULL, WEIR_ETLSSELFSIGNED, "CN=stranger", 0},
    {"forged-issuer", NULL, WEIR_ETLSBADCERT, "CN=good-deep.middle", 0},
    {"forged-order", NULL, WEIR_ETLSBADCERT, "CN=good-deep)", 0},
    {"forged-constrained", NULL, WEIR_ETLSBADCERT, "CN=issuer-const", 0},
    {"forged-limits", NULL, WEIR_ETLSCONSTRAINT, "CN=forged-limits", 0},
    {"forged-limits-issuer", NULL, WEIR_ETLSBADCERT, ".middle", 0},
    {"limits-of-leaf", NULL, WEIR_ETLSCONSTRAINT, "no authority", 0},
    {.name = "good-limits-first"},
    {"path-too-long-order", NULL, WEIR_ETLSPATHLEN, "longer", 0},
    {"root-path-too-long", NULL, WEIR_ETLSPATHLEN, "longer", 0},

    {.name = "zero-serial"},
    {.name = "many-names", .flags = MATRIX_OF_RECIPE},
    {.name = "many-limits", .flags = MATRIX_OF_RECIPE},
    {.name = "large", .flags = MATRIX_OF_RECIPE},
    {.name = "critical-policy", .flags = MATRIX_OF_RECIPE},

    {.name = "good-deep-constrained", .host = "www.example.org"},
    {.name = "good-deep-wildcard", .host = "www.example.org"},
    {.name = "good-deep-kinds", .host = "127.0.0.1"},
    {.name = "good-root-constrained", .host = "www.example.org"},
    {.name = "good-middle-excluded"},
    {.name = "good-deep-excluded"},
    {.name = "good-deep-ip", .host = "127.0.0.1"},
    {.name = "good-deep-ip-absent"},
    {.name = "good-deep-mail"},
    {.name = "good-deep-uri-absent"},
    {.name = "good-deep-directory"},
    {"deep-wildcard", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"root-constrained", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"middle-excluded", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"middle-excluded-wildcard", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"both-constrained", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-excluded", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-ip", "127.0.0.1", WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-ip-excluded", "127.0.0.1", WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-mail", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-mail-excluded", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-uri", NULL, WEIR_ETLSCONSTRAINT, "not known", 0},
    {"deep-directory", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"directory-not-permitted", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},

    {"expired", NULL, WEIR_ETLSEXPIRED, "expired", 0},
    {"not-yet", NULL, WEIR_ETLSNOTYET, "not valid yet", 0},
    {"issuer-expired", NULL, WEIR_ETLSEXPIRED, "CN=issuer-expired.middle", 0},

    {"self-signed", NULL, WEIR_ETLSSELFSIGNED, "signed by itself", 0},
    {"wrong-issuer", NULL, WEIR_ETLSISSUER, ISSUER_TEXT, 0},
    {"missing-issuer", NULL, WEIR_ETLSISSUER, ISSUER_TEXT, 0},
    {"issuer-is-leaf", NULL, WEIR_ETLSPURPOSE, "issue", 0},
    {"issuer-without-constraints", NULL, WEIR_ETLSPURPOSE, "issue", 0},
    {"issuer-without-usage", NULL, WEIR_ETLSPURPOSE, "keyUsage", 0},
    {"issuer-for-clients", NULL, WEIR_ETLSPURPOSE, "extKeyUsage",
     MATRIX_GOOD_OF_CLIENT},
    {"issuer-constrained", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"deep-constrained", NULL, WEIR_ETLSCONSTRAINT, NOT_FOR, 0},
    {"path-too-long", NULL, WEIR_ETLSPATHLEN, "longer", 0},
    {"forged", NULL, WEIR_ETLSBADCERT, "CN=forged", 0},

    {"other-name", NULL, WEIR_ETLSHOSTNAME, "not for localhost",
     MATRIX_GOOD_OF_CLIENT},
    {"name-in-subject", NULL, WEIR_ETLSHOSTNAME, "no subjectAltName",
     MATRIX_GOOD_OF_CLIENT},
    {"good-wildcard", "a.b.example.org", WEIR_ETLSHOSTNAME,
     "not for a.b.example.org", MATRIX_GOOD_OF_CLIENT},
    {"good-wildcard", "example.org", WEIR_ETLSHOSTNAME, "not for",
     MATRIX_GOOD_OF_CLIENT},
    {"wildcard-in-label", "www.example.org", WEIR_ETLSHOSTNAME, "not for",
     MATRIX_GOOD_OF_CLIENT},
    {"wildcard-alone", NULL, WEIR_ETLSHOSTNAME, "not for",
     MATRIX_GOOD_OF_CLIENT},
    {"wildcard-of-top", "example.org", WEIR_ETLSHOSTNAME, "not for",
     MATRIX_GOOD_OF_CLIENT},
    {"address-as-name", "127.0.0.1", WEIR_ETLSHOSTNAME, "not for 127",
     MATRIX_GOOD_OF_CLIENT},
    {"other-address", "127.0.0.1", WEIR_ETLSHOSTNAME, "not for 127",
     MATRIX_GOOD_OF_CLIENT},
    {"mail-name", NULL, WEIR_ETLSHOSTNAME, "not for", MATRIX_GOOD_OF_CLIENT},
    {"short-address", NULL, WEIR_ETLSBADCERT, "", 0},
    {"nul-in-name", NULL, WEIR_ETLSBADCERT, "malformed", 0},

    {"weak-rsa", NULL, WEIR_ETLSWEAK, "2048 bits", 0},
    {"weak-curve", NULL, WEIR_ETLSWEAK, "P-256", MATRIX_NOT_IN_1_3},
    {"other-curve", NULL, WEIR_ETLSWEAK, "P-256", MATRIX_NOT_OF_CLIENT},
    {"small-root", NULL, WEIR_ETLSWEAK, "CN=small) has a key on a curve", 0},
    {"sha1", NULL, WEIR_ETLSWEAK, "SHA-256", 0},
    {"md5", NULL, WEIR_ETLSWEAK, "SHA-256", 0},
    {"issuer-weak", NULL, WEIR_ETLSWEAK, "CN=issuer-weak.middle", 0},

    {"for-clients", NULL, WEIR_ETLSPURPOSE, "not for servers",
     MATRIX_GOOD_OF_CLIENT},
    {"for-mail", NULL, WEIR_ETLSPURPOSE, "not for", 0},
    {"no-signature", NULL, WEIR_ETLSPURPOSE, "keyUsage", 0},
    {"unknown-critical", NULL, WEIR_ETLSCRITICAL, "critical", 0},
    {"revoked", NULL, WEIR_ETLSREVOKED, "revoked", 0},
    {"revoked-issuer", NULL, WEIR_ETLSREVOKED, ".middle", 0},
    {"revoked-and-more", NULL, WEIR_ETLSREVOKED, "revoked", 0},
    {"revoked-issuer-and-more", NULL, WEIR_ETLSREVOKED, ".middle", 0},
};

#define MATRIX_COUNT (sizeof(matrix_rows) / sizeof(*matrix_rows))

static struct tls_pair pair;

/* Returns the default options of a verifying side. */
static struct weir_tls_options matrix_verifier(const char *name)
{
    struct weir_tls_options options = {
        .size = sizeof(options),
        .authorities = {.file = tls_file("tls-matrix/trusted.pem")},
    };
    if (strncmp(name, "zero", strlen("zero")) == 0) {
        options.authorities.file = tls_file("tls-matrix/zero-too.pem");
    }
    if (strncmp(name, "revoked", strlen("revoked")) == 0) {
        options.revocations.file = tls_file("tls-matrix/authority.crl");
    }
    return options;
}

/* Returns a context that sends a certificate, even one that weir would not
 * accept for it. */
static weir_tls_context *matrix_show(const struct weir_tls_options *options,
                                     const char *name)
{
    struct weir_tls_options good = *options;
    good.certificate.file = tls_file("tls-matrix/good.pem");
    good.key.file = tls_file("tls-matrix/good.key");
    weir_tls_context *context = tls_context(&good);
    tls_show(context, name);
    return context;
}

/* Returns true if the verifier's result and reason are as in the row. */
static bool matrix_compare(const struct matrix_row *row,
                           const struct wr_tls_engine *judge, int err)
{
    const int found = judge->err;
    const char *text = wr_tls_engine_get_error_text(judge);
    const bool is_right =
        found == err && (err == 0 || judge->conn.is_server ||
                         strstr(text, row->text ? row->text : ""));
    if (!is_right) {
        fprintf(stderr, "%s, shown to a %s: %s, not %s: %s\n", row->name,
                judge->conn.is_server ? "server" : "client",
                weir_err_name(found), weir_err_name(err), text);
    }
    return is_right;
}

/* Returns the alert for a verdict, or -1. */
static int matrix_alert_of(int err)
{
    switch (err) {
    case 0:
        return -1;
    case WEIR_ETLSEXPIRED:
    case WEIR_ETLSNOTYET:
        return 45; /* certificate_expired */
    case WEIR_ETLSISSUER:
    case WEIR_ETLSSELFSIGNED:
    case WEIR_ETLSPATHLEN:
        return 48; /* unknown_ca */
    default:
        return 42; /* bad_certificate */
    }
}

/* Servers with RSA keys fail by themselves if TLS 1.2 is used: a context
 * created for a key on a curve has no suites for them. */
static bool matrix_hears_nothing(const struct matrix_row *row,
                                 const struct wr_tls_engine *shown)
{
    return shown->conn.is_server && strstr(row->name, "-rsa");
}

/* Returns true if the verifier has sent the verdict's alert, and the other side
 * has received it. */
static bool matrix_compare_alert(const struct matrix_row *row,
                                 const struct wr_tls_engine *judge,
                                 const struct wr_tls_engine *shown, int err)
{
    const int expected = matrix_alert_of(err);
    const int sent = judge->alert_sent;
    const int received = wr_tls_engine_get_alert_received(shown);
    const bool is_right =
        sent == expected &&
        (received == expected || matrix_hears_nothing(row, shown));
    if (!is_right) {
        fprintf(stderr, "%s, shown to a %s: alert %d, which is %d there\n",
                row->name, judge->conn.is_server ? "server" : "client", sent,
                received);
    }
    return is_right;
}

/* Returns true if the sender of a refused certificate has received an alert. */
static bool matrix_is_told(const struct matrix_row *row,
                           const struct wr_tls_engine *shown, int err)
{
    const int found = shown->err;
    const bool is_right = found == (err < 0 ? WEIR_ETLSALERT : 0) ||
                          matrix_hears_nothing(row, shown);
    if (!is_right) {
        fprintf(stderr, "%s, shown by a %s: it has %s: %s\n", row->name,
                shown->conn.is_server ? "server" : "client",
                weir_err_name(found), wr_tls_engine_get_error_text(shown));
    }
    return is_right;
}

/* Sends a row to a client, or to a server, and compares the verdict. */
static bool matrix_judge(const struct matrix_row *row, bool to_client,
                         enum weir_tls_version version)
{
    struct weir_tls_options client_options = matrix_verifier(row->name);
    struct weir_tls_options server_options = client_options;
    const char *host = row->host && to_client ? row->host : "localhost";
    const struct wr_tls_peer_options how = {.server_hostname = host};
    const int err = !tls_show_reads(row->name) ? WEIR_ETLSBADCERT
                    : to_client || !(row->flags & MATRIX_GOOD_OF_CLIENT)
                        ? row->err
                        : 0;
    client_options.max_version = version;
    server_options.server = true;
    if (to_client) {
        server_options.authorities.file = NULL;
        server_options.revocations.file = NULL;
    } else {
        server_options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        client_options.revocations.file = NULL;
    }
    weir_tls_context *server =
        matrix_show(&server_options, to_client ? row->name : "good");
    weir_tls_context *client =
        matrix_show(&client_options, to_client ? "good" : row->name);

    tls_pair_connect(&pair, client, server, &how);

    const struct wr_tls_engine *judge =
        to_client ? &pair.client.engine : &pair.server.engine;
    const struct wr_tls_engine *shown =
        to_client ? &pair.server.engine : &pair.client.engine;
    /* wolfSSL's alert for a certificate that it cannot parse is decode_error,
     * or none. */
    const bool is_right = matrix_compare(row, judge, err) &&
                          (!tls_show_reads(row->name) ||
                           (matrix_compare_alert(row, judge, shown, err) &&
                            matrix_is_told(row, shown, err)));
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
    return is_right;
}

static void matrix_judge_all(bool to_client, enum weir_tls_version version)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < MATRIX_COUNT; i++) {
        const unsigned flags = matrix_rows[i].flags;
        if (!tls_show_reads_all() && (flags & MATRIX_OF_RECIPE)) {
            fprintf(stderr,
                    "%s is left out: this wolfSSL was not built by the "
                    "recipe of tools/deps\n",
                    matrix_rows[i].name);
            continue;
        }
        if ((!to_client && (flags & MATRIX_NOT_OF_CLIENT)) ||
            (version == WEIR_TLS_1_3 && (flags & MATRIX_NOT_IN_1_3)) ||
            !tls_show_can(matrix_rows[i].name, to_client,
                          version == WEIR_TLS_1_2)) {
            continue;
        }
        wrong += !matrix_judge(&matrix_rows[i], to_client, version);
    }
    expect_eq(wrong, 0);
}

UNIT(tls_matrix, a_server_refuses_a_certificate_for_servers)
{
    const struct matrix_row row = {"for-servers", NULL, WEIR_ETLSPURPOSE,
                                   "not for clients", 0};
    cr_assert(matrix_judge(&row, false, WEIR_TLS_1_3));
    cr_assert(matrix_judge(&row, false, WEIR_TLS_1_2));
}

UNIT(tls_matrix, a_client_of_tls_1_3_judges_certificates_of_servers)
{
    matrix_judge_all(true, WEIR_TLS_1_3);
}

UNIT(tls_matrix, a_client_of_tls_1_2_judges_certificates_of_servers)
{
    matrix_judge_all(true, WEIR_TLS_1_2);
}

UNIT(tls_matrix, a_server_of_tls_1_3_judges_certificates_of_clients)
{
    matrix_judge_all(false, WEIR_TLS_1_3);
}

UNIT(tls_matrix, a_server_of_tls_1_2_judges_certificates_of_clients)
{
    matrix_judge_all(false, WEIR_TLS_1_2);
}

UNIT(tls_matrix, an_issuer_that_one_server_showed_is_forgotten)
{
    const struct weir_tls_options options = matrix_verifier("good");
    struct weir_tls_options server_options = options;
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_context(&options);
    server_options.server = true;
    for (int i = 0; i < 2; i++) {
        weir_tls_context *whole = matrix_show(&server_options, "good-chain");
        weir_tls_context *orphan = matrix_show(&server_options, "orphan");
        tls_pair_connect(&pair, client, whole, &how);
        tls_pair_end(&pair, 0, 0);
        tls_pair_connect(&pair, client, orphan, &how);
        expect_eq(pair.client.engine.err, WEIR_ETLSISSUER);
        tls_pair_disconnect(&pair);
        weir_tls_context_unref(whole);
        weir_tls_context_unref(orphan);
    }
    weir_tls_context_unref(client);
}

/* wolfSSL applies the limits of DNS names to a common name, and has not checked
 * the revocation list then, which is the second list in its text. */
UNIT(tls_matrix, a_revoked_client_of_a_limited_issuer_is_refused)
{
    static const struct {
        const char *name;
        int err;
    } clients[] = {{"good-limited", 0}, {"revoked-limited", WEIR_ETLSREVOKED}};
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};

    for (size_t i = 0; i < 2; i++) {
        struct weir_tls_options options = matrix_verifier("good");
        weir_tls_context *client = matrix_show(&options, clients[i].name);
        options = matrix_verifier("good");
        options.server = true;
        options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        options.revocations.file = tls_file("tls-matrix/lists.crl");
        weir_tls_context *server = matrix_show(&options, "good");
        tls_pair_connect(&pair, client, server, &how);
        expect_eq(pair.server.engine.err, clients[i].err, "%s",
                  wr_tls_engine_get_error_text(&pair.server.engine));
        tls_pair_disconnect(&pair);
        tls_contexts_unref(client, server);
    }
}

UNIT(tls_matrix, an_issuer_without_a_list_is_refused_where_there_are_lists)
{
    struct weir_tls_options client_options = matrix_verifier("revoked");
    const struct weir_tls_options server_options = {
        .size = sizeof(server_options),
        .server = true,
    };
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_context(&client_options);
    weir_tls_context *listed = matrix_show(&server_options, "good");
    weir_tls_context *other = matrix_show(&server_options, "other-authority");
    tls_pair_connect(&pair, client, listed, &how);
    tls_pair_end(&pair, 0, 0);
    tls_pair_connect(&pair, client, other, &how);
    expect_eq(pair.client.engine.err, WEIR_ETLSNOCRL, "%s",
              wr_tls_engine_get_error_text(&pair.client.engine));
    tls_pair_disconnect(&pair);
    weir_tls_context_unref(client);
    weir_tls_context_unref(listed);
    weir_tls_context_unref(other);
}
