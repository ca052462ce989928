#include "policy/mons.h"

#include "base/text.h"
#include "policy/draft.h"

#include <arpa/inet.h>
#include <ctype.h>

#define SEPARATORS ",; \t\r\n"
#define DIGITS "0123456789"
/* The ports that a monitor listens on unless told otherwise: the messenger's version 2 and 1. */
#define PORT_V2 "3300"
#define PORT_V1 "6789"

enum { HOST_MAX_BYTES = 253 };

static void mon_clear(struct mon_address *mon)
{
    free(mon->host);
    free(mon->port);
}

void policy_mons_clear(struct mon_addresses *mons)
{
    for (size_t i = 0; i < mons->count; i++)
        mon_clear(&mons->items[i]);
    free(mons->items);
    *mons = (struct mon_addresses){0};
}

char *policy_host_normal(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    char shortest[INET6_ADDRSTRLEN];
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        if (inet_pton(families[i], host, address) == 1 &&
            inet_ntop(families[i], address, shortest, sizeof(shortest)))
            return text_dup(shortest);
    char *lower = text_dup(host);
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return lower;
}

static bool is_ipv6(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET6, host, address) == 1;
}

static bool is_host(const char *host)
{
    if (is_ipv6(host))
        return true;
    for (const char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-._", *c))
            return false;
    return isalnum((unsigned char)*host) && strlen(host) <= HOST_MAX_BYTES;
}

static bool has_port(const struct mon_address *mon, const char *port)
{
    if (mon->port)
        return strcmp(mon->port, port) == 0;
    return strcmp(port, PORT_V2) == 0 || strcmp(port, PORT_V1) == 0;
}

bool policy_mon_same(const struct mon_address *a, const struct mon_address *b)
{
    if (strcmp(a->host, b->host) != 0)
        return false;
    if (!a->port)
        return !b->port || has_port(a, b->port);
    return has_port(b, a->port);
}

static int bad_address(const char *start, size_t length, struct error *error)
{
    AUTO_FREE char *whole = text_slice(start, length);
    AUTO_FREE char *found = policy_shorten(whole);
    error_set(error, ERROR_INPUT, "'%s' is not the address of a monitor", found);
    return error_hint(error, "write it like 10.0.0.1, mon1:6789, [fd00::1]:3300 or "
                             "[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0]");
}

/* ":PORT/NONCE", both optional. Without a port, what a prefix "v1:" or "v2:" implies holds. */
static bool read_port(const char *text, size_t length, const char *implied, char **port)
{
    AUTO_FREE char *rest = text_slice(text, length);
    char *nonce = strchr(rest, '/');
    if (nonce) {
        *nonce++ = '\0';
        if (!*nonce || nonce[strspn(nonce, DIGITS)])
            return false;
    }
    if (!*rest) {
        *port = text_dup(implied);
        return true;
    }
    size_t digits = strspn(rest + 1, DIGITS);
    unsigned long number = strtoul(rest + 1, NULL, 10);
    if (*rest != ':' || rest[1 + digits] || digits == 0 || digits > 5 || number == 0 ||
        number > 65535)
        return false;
    *port = text_format("%lu", number);
    return true;
}

/* Where the host of an address ends. A bare IPv6 address, which has several colons, goes up to the
 * nonce and has no port. */
static size_t host_length(const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    const char *slash = memchr(text, '/', length);
    size_t before_nonce = slash ? (size_t)(slash - text) : length;
    if (!colon || (size_t)(colon - text) > before_nonce)
        return before_nonce;
    size_t behind = before_nonce - (size_t)(colon + 1 - text);
    return memchr(colon + 1, ':', behind) ? before_nonce : (size_t)(colon - text);
}

static bool read_address(const char *text, size_t length, struct mon_address *mon)
{
    static const struct {
        const char *prefix, *port;
    } messengers[] = {{"v2:", PORT_V2}, {"v1:", PORT_V1}, {"any:", NULL}};
    const char *implied = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(messengers); i++) {
        size_t prefix = strlen(messengers[i].prefix);
        if (length > prefix && strncmp(text, messengers[i].prefix, prefix) == 0) {
            implied = messengers[i].port;
            text += prefix;
            length -= prefix;
            break;
        }
    }
    AUTO_FREE char *host = NULL;
    if (*text == '[') {
        const char *close = memchr(text, ']', length);
        if (!close)
            return false;
        host = text_slice(text + 1, (size_t)(close - text - 1));
        length -= (size_t)(close + 1 - text);
        text = close + 1;
        if (!is_ipv6(host))
            return false;
    } else {
        size_t end = host_length(text, length);
        host = text_slice(text, end);
        text += end;
        length -= end;
    }
    if (!is_host(host) || !read_port(text, length, implied, &mon->port))
        return false;
    mon->host = policy_host_normal(host);
    return true;
}

static bool is_there(const struct mon_addresses *mons, const struct mon_address *mon)
{
    for (size_t i = 0; i < mons->count; i++)
        if (strcmp(mons->items[i].host, mon->host) == 0 &&
            text_equal(mons->items[i].port, mon->port))
            return true;
    return false;
}

static int add_address(const char *text, size_t length, struct mon_addresses *mons,
                       struct error *error)
{
    CLEANUP(mon_clear) struct mon_address mon = {0};
    if (!read_address(text, length, &mon))
        return bad_address(text, length, error);
    if (is_there(mons, &mon))
        return 0;
    if (mons->count == POLICY_MAX_MONITORS)
        return error_set(error, ERROR_INPUT, "more than %u monitors", POLICY_MAX_MONITORS);
    *mon_addresses_add(mons) = mon;
    mon = (struct mon_address){0};
    return 0;
}

/* Whether a bracket opens a monitor's several addresses, not an IPv6 address. */
static bool opens_group(const char *text)
{
    return text_starts_with(text, "[v1:") || text_starts_with(text, "[v2:") ||
           text_starts_with(text, "[any:");
}

/* Up to the next separator, or the bracket that closes the group; brackets of an IPv6 address
 * belong to the address. */
static size_t address_length(const char *text)
{
    bool in_brackets = false;
    size_t length = 0;
    for (; text[length] && !strchr(SEPARATORS, text[length]); length++) {
        if (text[length] == '[')
            in_brackets = true;
        else if (text[length] == ']' && !in_brackets)
            break;
        else if (text[length] == ']')
            in_brackets = false;
    }
    return length;
}

int policy_mons_read(const char *text, struct mon_addresses *mons, struct error *error)
{
    bool in_group = false, found = false;
    const char *cursor = text + strspn(text, SEPARATORS);
    while (*cursor) {
        if (!in_group && opens_group(cursor)) {
            in_group = true;
            cursor++;
        } else if (in_group && *cursor == ']') {
            in_group = false;
            cursor++;
        } else {
            size_t length = address_length(cursor);
            if (add_address(cursor, length ? length : 1, mons, error) < 0)
                return -1;
            found = true;
            cursor += length;
        }
        cursor += strspn(cursor, SEPARATORS);
    }
    return found && !in_group ? 0 : bad_address(text, strlen(text), error);
}
