/*
 * The search for a path of certificates, with links that are valid or not as
 * each test sets: it backtracks from dead ends, ends however many certificates
 * have one name, and reports the reason of the path that came furthest.
 *
 * No signature is verified.
 */
#include "lib/x509/path.h"
#include "tests/unit.h"

#include <errno.h>
#include <weir/error.h>

#define SENT_MAX WR_X509_CHAIN_MAX

/* Size of a name of one letter, CN=x. */
#define NAME_SIZE 14
static uint8_t names[128][NAME_SIZE];

static struct wr_x509 sent[SENT_MAX];
static uint8_t bytes[2 * SENT_MAX]; /* each certificate is one of them */
static struct wr_x509 anchors[2];
static struct wr_x509_trust trust;
static struct wr_x509_path path;
/* Results for links: from a child, by the position of its issuer; anchors last.
 */
static int answers[SENT_MAX + 2][SENT_MAX + 2];

static struct wr_bytes name_of(char letter)
{
    const uint8_t name[NAME_SIZE] = {0x30, 12,   0x31, 10, 0x30, 8, 0x06,
                                     3,    0x55, 4,    3,  0x0c, 1, 0};
    uint8_t *place = names[(int)letter];
    memcpy(place, name, sizeof(name));
    place[NAME_SIZE - 1] = (uint8_t)letter;
    return (struct wr_bytes){place, NAME_SIZE};
}

/* Returns a strong, current certificate, "ab": a, issued by b. */
static struct wr_x509 certificate(const char *pair, size_t number)
{
    bytes[number] = (uint8_t)number;
    return (struct wr_x509){
        .der = {&bytes[number], 1},
        .subject = name_of(pair[0]),
        .issuer = name_of(pair[1]),
        .not_before = 100,
        .not_after = 200,
        .version = 3,
        .path_len = WR_X509_PATH_LEN_ANY,
        .has_usage = true,
        .usage = WR_X509_USE_SIGNATURE | WR_X509_USE_CERT_SIGN,
        .is_authority = true,
    };
}

static size_t place_of(const struct wr_x509 *x509)
{
    return x509 >= sent && x509 < sent + SENT_MAX
               ? (size_t)(x509 - sent)
               : SENT_MAX + (size_t)(x509 - anchors);
}

static bool is_revocation(int err)
{
    return err == WEIR_ETLSREVOKED || err == WEIR_ETLSNOCRL;
}

static struct wr_x509_reason answer(void *user, const struct wr_x509 *child,
                                    const struct wr_x509 *issuer)
{
    cr_assert(user == &path);
    cr_assert(wr_der_is_equal(&child->issuer, &issuer->subject));
    const int err = answers[place_of(child)][place_of(issuer)];
    return err < 0 && !is_revocation(err)
               ? (struct wr_x509_reason){err, "is bad"}
               : (struct wr_x509_reason){.err = 0};
}

static struct wr_x509_reason listed(void *user, const struct wr_x509 *child,
                                    const struct wr_x509 *issuer)
{
    cr_assert(user == &path);
    cr_assert(wr_der_is_equal(&child->issuer, &issuer->subject));
    const int err = answers[place_of(child)][place_of(issuer)];
    return is_revocation(err) ? (struct wr_x509_reason){err, "is revoked"}
                              : (struct wr_x509_reason){.err = 0};
}

/* A peer sends certificates, "ab bc ..."; those of @trusted are anchors. */
static void path_open(const char *list, const char *trusted)
{
    memset(answers, 0, sizeof(answers));
    trust = (struct wr_x509_trust){.anchors = anchors};
    path = (struct wr_x509_path){
        .rules = {.now = 150},
        .trust = &trust,
        .sent = sent,
        .link = answer,
        .revoked = listed,
        .user = &path,
    };
    for (; *list; list += strcspn(list, " "), list += *list == ' ') {
        cr_assert(path.sent_count < SENT_MAX);
        sent[path.sent_count] = certificate(list, path.sent_count);
        path.sent_count++;
    }
    for (; *trusted;
         trusted += strcspn(trusted, " "), trusted += *trusted == ' ') {
        cr_assert(trust.count < 2);
        anchors[trust.count] = certificate(trusted, SENT_MAX + trust.count);
        trust.count++;
    }
}

static void expect_path(const char *steps)
{
    cr_assert(wr_x509_path_find(&path), "%s", path.reason.text);
    expect_eq(path.length, strlen(steps));
    for (size_t i = 0; steps[i]; i++) {
        expect_eq(path.steps[i], (uint32_t)(steps[i] - '0'), "step %zu", i);
    }
}

static void expect_none(int err, uint32_t wrong)
{
    cr_assert_not(wr_x509_path_find(&path));
    expect_eq(path.reason.err, err);
    expect_eq(place_of(path.wrong), wrong);
}

UNIT(x509_path, is_found_in_any_order)
{
    path_open("ab cr bc xy ab", "rr");
    expect_path("021");
    path_open("ab bc cr", "rr");
    expect_path("012");
}

UNIT(x509_path, takes_an_anchor_where_there_is_one)
{
    path_open("ab bc cb", "cr bz");
    expect_path("0");
    expect_eq(path.links, 1);
}

UNIT(x509_path, goes_back_from_a_dead_end)
{
    path_open("ab bx bc xy cr", "rr");
    expect_path("024");
}

UNIT(x509_path, tries_every_anchor_of_a_name)
{
    path_open("ar", "rr rr");
    answers[0][SENT_MAX] = WEIR_ETLSBADCERT;
    expect_path("0");
    expect_eq(path.links, 2);
}

UNIT(x509_path, passes_an_issuer_that_breaks_a_rule)
{
    path_open("ab br br", "rr");
    sent[1].not_after = 149;
    expect_path("02");
    path_open("ab br", "rr");
    sent[1].not_after = 149;
    expect_none(WEIR_ETLSEXPIRED, 1);
}

UNIT(x509_path, passes_what_is_malformed)
{
    path_open("ab br br", "rr");
    sent[1] = (struct wr_x509){.der = {NULL, 0}};
    expect_path("02");
}

UNIT(x509_path, ends_however_many_have_one_name)
{
    path_open("aa aa aa aa aa aa aa aa aa aa", "");
    expect_none(WEIR_ETLSPATHLEN, 6);
    expect_eq(path.links, 16);
}

/* The key of each issuer takes three times the usual work, or twice. */
UNIT(x509_path, verifies_fewer_links_by_keys_that_take_longer)
{
    static const uint32_t links[] = {16, 8, 5};
    for (uint32_t extra = 0; extra < 3; extra++) {
        path_open("aa aa aa aa aa aa aa aa aa aa", "");
        for (uint32_t i = 0; i < path.sent_count; i++) {
            sent[i].key.extra_cost = extra;
        }
        cr_assert_not(wr_x509_path_find(&path));
        expect_eq(path.reason.err, WEIR_ETLSPATHLEN);
        expect_eq(path.links, links[extra]);

        for (uint32_t i = 1; i < path.sent_count; i++) {
            answers[0][i] =
                WEIR_ETLSBADCERT; /* no certificate has signed the leaf */
        }
        cr_assert_not(wr_x509_path_find(&path));
        expect_eq(path.links, links[extra] < 9 ? links[extra] : 9);
    }
    path_open("ab bc cd de er", "rr");
    for (uint32_t i = 0; i < path.sent_count; i++) {
        sent[i].key.extra_cost = 2;
    }
    anchors[0].key.extra_cost = 2;
    expect_path("01234");
}

/* Returns a number below @limit that depends on the previous one. */
static uint32_t path_draw(uint32_t *state, uint32_t limit)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 16) % limit;
}

/* Certificates that issued each other at random, below two anchors with a name
 * of theirs: whatever is sent, a certificate is inspected once for each of 17
 * verified ones. */
UNIT(x509_path, looks_at_a_limited_number_of_issuers)
{
    uint32_t state = 1;
    uint32_t most = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        char list[3 * SENT_MAX + 1] = "";
        const uint32_t letters = 1 + path_draw(&state, 4);
        for (uint32_t i = 0; i < SENT_MAX; i++) {
            list[3 * i] = (char)('a' + path_draw(&state, letters));
            list[3 * i + 1] = (char)('a' + path_draw(&state, letters));
            list[3 * i + 2] = i + 1 < SENT_MAX ? ' ' : '\0';
        }
        path_open(list, "aa ba");
        const uint32_t bad = path_draw(&state, 4);
        for (uint32_t i = 0; i < SENT_MAX * (SENT_MAX + 2u); i++) {
            answers[i / (SENT_MAX + 2)][i % (SENT_MAX + 2)] =
                i % (SENT_MAX + 2) >= SENT_MAX || path_draw(&state, 4) < bad
                    ? WEIR_ETLSBADCERT
                    : 0;
        }
        cr_assert_not(wr_x509_path_find(&path));
        expect_leq(path.links, 16);
        expect_leq(path.looks, 17 * SENT_MAX);
        most = path.looks > most ? path.looks : most;
    }
    expect_gt(most, 8 * SENT_MAX, "the worst is not tried: %u", most);

    path_open("aa aa aa aa aa aa aa aa aa aa", "");
    cr_assert_not(wr_x509_path_find(&path));
    expect_eq(path.looks, 137);
}

UNIT(x509_path, one_that_was_sent_twice_stands_once_in_a_path)
{
    path_open("ab bb bb br", "rr");
    bytes[2] = bytes[1];
    for (uint32_t i = 1; i < 3; i++) {
        answers[i][3] = WEIR_ETLSBADCERT;
    }
    expect_path("03");
    answers[0][3] = WEIR_ETLSBADCERT;
    cr_assert_not(wr_x509_path_find(&path));
    /* The leaf by each copy and by the last one, then that one by both copies.
     */
    expect_eq(path.links, 5);
}

UNIT(x509_path, says_how_far_it_came)
{
    path_open("ab bc", "rr");
    expect_none(WEIR_ETLSISSUER, 1);
    path_open("ab bb", "rr");
    expect_none(WEIR_ETLSSELFSIGNED, 1);
    path_open("ab bc bc", "rr");
    answers[0][2] = WEIR_ETLSBADCERT;
    expect_none(WEIR_ETLSBADCERT, 0);
    path_open("ab bc br", "rr");
    answers[0][1] = WEIR_ETLSBADCERT;
    answers[2][SENT_MAX] = WEIR_ETLSREVOKED;
    expect_none(WEIR_ETLSREVOKED, 2);
}

/* A trusted issuer does not bypass the list of its own issuer; if that has no
 * list, the issuer is trusted as it is. */
UNIT(x509_path, an_anchor_that_another_one_revoked_is_refused)
{
    path_open("ab br", "rr br");
    answers[SENT_MAX + 1][SENT_MAX] = WEIR_ETLSREVOKED;
    answers[1][SENT_MAX] = WEIR_ETLSREVOKED;
    expect_none(WEIR_ETLSREVOKED, SENT_MAX + 1);
    path_open("ab", "br rr");
    answers[SENT_MAX][SENT_MAX + 1] = WEIR_ETLSNOCRL;
    expect_path("0");
}

UNIT(x509_path, an_anchor_with_a_weak_key_is_refused)
{
    path_open("ar", "rr");
    anchors[0].key.strength = WR_X509_WEAK_CURVE;
    expect_none(WEIR_ETLSWEAK, SENT_MAX);
}

UNIT(x509_path, an_anchor_with_an_unknown_critical_extension_is_refused)
{
    path_open("ar", "rr");
    anchors[0].has_unknown = true;
    expect_none(WEIR_ETLSCRITICAL, SENT_MAX);
}

UNIT(x509_path, a_key_for_rsassa_pss_alone_is_an_issuers)
{
    path_open("ab br", "rr");
    sent[1].key.is_pss_alone = true;
    expect_path("01");
    sent[0].key.is_pss_alone = true;
    expect_none(WEIR_ETLSWEAK, 0);
}

UNIT(x509_path, stops_without_memory)
{
    path_open("ab br br", "rr");
    answers[0][1] = -ENOMEM;
    expect_none(-ENOMEM, 0);
    expect_eq(path.links, 1);
}

UNIT(x509_path, a_revoked_issuer_says_more_than_a_list_that_is_missing)
{
    path_open("ab br", "rr");
    answers[0][1] = WEIR_ETLSNOCRL;
    answers[1][SENT_MAX] = WEIR_ETLSREVOKED;
    expect_none(WEIR_ETLSREVOKED, 1);
    answers[1][SENT_MAX] = 0;
    expect_none(WEIR_ETLSNOCRL, 0);
}

UNIT(x509_path, a_missing_list_on_another_path_does_no_harm)
{
    path_open("ab bx br", "rr");
    answers[0][1] = WEIR_ETLSNOCRL;
    expect_path("02");
}

UNIT(x509_path, counts_issuers_but_those_that_issued_for_themselves)
{
    path_open("ab bc cr", "rr");
    anchors[0].path_len = 1;
    expect_none(WEIR_ETLSPATHLEN, 2);
    anchors[0].path_len = 2;
    expect_path("012");
    path_open("ab bb br", "rr");
    sent[2].path_len = 0;
    answers[0][2] = WEIR_ETLSBADCERT; /* only the path through the first one */
    expect_path("012");
}

UNIT(x509_path, an_anchor_counts_with_its_dates_and_purposes)
{
    path_open("ar", "rr");
    anchors[0].not_after = 149;
    expect_none(WEIR_ETLSEXPIRED, SENT_MAX);
    path_open("ar", "rr");
    anchors[0].has_purposes = true;
    anchors[0].purposes = WR_X509_FOR_CLIENTS;
    expect_none(WEIR_ETLSPURPOSE, SENT_MAX);
}

UNIT(x509_path, an_anchor_that_is_no_authority_vouches_for_itself_alone)
{
    path_open("ar", "rr");
    anchors[0].is_authority = false;
    expect_none(WEIR_ETLSPURPOSE, SENT_MAX);
    anchors[0].version = 1;
    anchors[0].has_usage = false;
    expect_path("0");
    path_open("rr", "rr");
    sent[0].signature = WR_X509_WEAK_HASH;
    anchors[0] = sent[0];
    anchors[0].is_authority = false;
    expect_path("0");
}

UNIT(x509_path, a_weak_signature_by_an_anchor_of_the_same_name_is_refused)
{
    path_open("ab bb", "bb");
    sent[1].signature = WR_X509_WEAK_HASH;
    answers[0][SENT_MAX] = WEIR_ETLSBADCERT; /* with the older key */
    expect_none(WEIR_ETLSBADCERT, 0);
    path_open("bb", "bb");
    sent[0].signature = WR_X509_WEAK_HASH;
    expect_none(WEIR_ETLSWEAK, 0);
}

enum { MANY = 1000, MANY_SIZE = MANY * 16 };

/* Writes different names, each in a tree if @is_tree. */
static size_t many_write(uint8_t *to, size_t count, bool is_tree)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        char text[16];
        const int len =
            snprintf(text, sizeof(text), "%c%zu.org", is_tree ? 't' : 'n', i);
        if (is_tree) {
            to[size++] = 0x30;
            to[size++] = (uint8_t)(len + 2);
        }
        to[size++] = 0x82;
        to[size++] = (uint8_t)len;
        memcpy(to + size, text, (size_t)len);
        size += (size_t)len;
    }
    return size;
}

/* A leaf with names below an issuer that excludes trees. */
static void many_open(size_t name_count, size_t tree_count)
{
    static uint8_t name_bytes[MANY_SIZE];
    static uint8_t tree_bytes[4 + MANY_SIZE];
    path_open("ab br", "rr");
    sent[0].names = (struct wr_bytes){
        name_bytes, many_write(name_bytes, name_count, false)};
    const size_t size = many_write(tree_bytes + 4, tree_count, true);
    tree_bytes[0] = 0xa1;
    tree_bytes[1] = 0x82;
    tree_bytes[2] = (uint8_t)(size >> 8);
    tree_bytes[3] = (uint8_t)size;
    sent[1].constraints = (struct wr_bytes){tree_bytes, size + 4};
}

UNIT(x509_path, compares_a_limited_number_of_names)
{
    many_open(MANY, 100);
    expect_path("01");
    many_open(100, MANY);
    expect_path("01");
    many_open(MANY, MANY);
    expect_none(WEIR_ETLSCONSTRAINT, 0);
    cr_assert(strstr(path.reason.text, "too many"), "%s", path.reason.text);
    expect_eq(path.names_left, 0);
}

/* The budget spent on one path is not available for the next one. */
UNIT(x509_path, compares_names_by_one_budget_of_all_paths)
{
    many_open(MANY, 100);
    anchors[trust.count++] = certificate("rr", SENT_MAX + 1);
    expect_path("01");
    answers[1][SENT_MAX] = WEIR_ETLSREVOKED; /* by the first anchor */
    expect_none(WEIR_ETLSCONSTRAINT, 0);
    many_open(MANY, 50);
    anchors[trust.count++] = certificate("rr", SENT_MAX + 1);
    answers[1][SENT_MAX] = WEIR_ETLSREVOKED;
    expect_path("01");
}
