#include "ceph/mon_target.h"

#include "ceph/failure.h"

#define SEPARATORS ",; \t\r\n"
#define MAX_TARGETS 64
#define MAX_HOST 253

static bool all_of(const char *text, const char *allowed)
{
    return *text && text[strspn(text, allowed)] == '\0';
}

static bool host_valid(const char *host)
{
    static const char address[] = "0123456789abcdefABCDEF:.";
    static const char name[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_";
    return strlen(host) <= MAX_HOST && all_of(host, strchr(host, ':') ? address : name) &&
           *host != '-';
}

static bool port_valid(const char *port)
{
    return all_of(port, "0123456789") && strlen(port) <= 5 && atoi(port) <= 65535;
}

/* Takes "v2:" and the like away from the front. */
static char *skip_protocol(char *word, enum mon_protocol *protocol)
{
    static const struct {
        const char *prefix;
        enum mon_protocol protocol;
    } known[] = {{"v1:", MON_V1}, {"v2:", MON_V2}, {"any:", MON_EITHER}};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (text_starts_with(word, known[i].prefix)) {
            *protocol = known[i].protocol;
            return word + strlen(known[i].prefix);
        }
    return word;
}

/* "[v2:…,v1:…]" is cut at its comma like everything else: what is left of the outer brackets goes
 * here, and the "/0" (a nonce) that Ceph prints after an address. */
static char *trim_vector(char *word)
{
    if (text_starts_with(word, "[v1:") || text_starts_with(word, "[v2:"))
        word++;
    size_t opened = 0, closed = 0;
    for (const char *at = word; *at; at++) {
        opened += *at == '[';
        closed += *at == ']';
    }
    if (closed > opened)
        *strrchr(word, ']') = '\0';
    char *nonce = strrchr(word, '/');
    if (nonce && all_of(nonce + 1, "0123456789"))
        *nonce = '\0';
    return word;
}

/* Cuts the word into host and port; false when it is neither "host", "host:port", "[v6]:port" nor a
 * bare IPv6 address. */
static bool cut_port(char **word, char **port)
{
    *port = NULL;
    char *colon = strchr(*word, ':');
    if (**word == '[') {
        char *end = strchr(*word, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
        if (end[1] == ':')
            *port = end + 2;
        *end = '\0';
        ++*word;
        return strchr(*word, ':') != NULL;
    }
    if (colon && !strchr(colon + 1, ':')) {
        *colon = '\0';
        *port = colon + 1;
    }
    return true;
}

static bool read_target(char *word, struct mon_targets *targets)
{
    enum mon_protocol protocol = MON_EITHER;
    char *port = NULL;
    char *host = skip_protocol(trim_vector(word), &protocol);
    if (!cut_port(&host, &port) || !host_valid(host) || (port && !port_valid(port)))
        return false;

    struct mon_target *target = mon_targets_add(targets);
    target->host = text_dup(host);
    target->port = port && atoi(port) != 0 ? text_dup(port) : NULL;
    target->protocol = protocol;
    return true;
}

int mon_targets_parse(const char *text, struct mon_targets *targets, struct error *error)
{
    AUTO_FREE char *copy = text_dup(text);
    char *rest = NULL;
    for (char *word = strtok_r(copy, SEPARATORS, &rest); word;
         word = strtok_r(NULL, SEPARATORS, &rest)) {
        AUTO_FREE char *shown = ceph_printable(word);
        if (targets->count == MAX_TARGETS) {
            error_set(error, ERROR_INPUT, "more than %d monitors are named", MAX_TARGETS);
            return error_hint(error, "some of them are enough: the cluster tells the rest");
        }
        if (!read_target(word, targets)) {
            error_set(error, ERROR_INPUT, "'%s' is not a monitor's address", shown);
            return error_hint(error, "write host, host:port or [IPv6]:port");
        }
    }
    if (targets->count == 0) {
        error_set(error, ERROR_INPUT, "no monitor is named");
        return error_hint(error, "name at least one, as host or host:port");
    }
    return 0;
}

void mon_targets_clear(struct mon_targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        free(targets->items[i].host);
        free(targets->items[i].port);
    }
    free(targets->items);
    *targets = (struct mon_targets){0};
}
