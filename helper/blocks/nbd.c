/* An export of an NBD server. libnbd works on the calling thread only: queue.c waits for its socket
 * and has it served. */
#include "blocks/nbd.h"

#include "base/crash.h"
#include "blocks/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <poll.h>
#include <sys/socket.h>

/* For the handshake: the server may have to open a long chain of images first. */
#define HANDSHAKE_SECONDS 60
#define CONNECT_SECONDS 15
#define POLL_MS 100
/* For an answer that nobody wants any more. */
#define GRACE_SECONDS 5

struct nbd_blocks {
    struct blocks blocks;
    struct nbd_handle *handle;
    struct blocks_server *server; /* NULL: not ours */
    bool flushes;                 /* else what it has answered is stable */
};

static struct nbd_blocks *nbd_of(struct blocks *blocks)
{
    return (struct nbd_blocks *)blocks;
}

static bool is_gone(struct nbd_handle *handle)
{
    return nbd_aio_is_dead(handle) > 0 || nbd_aio_is_closed(handle) > 0;
}

static void close_nbd(struct blocks *blocks)
{
    struct nbd_blocks *nbd = nbd_of(blocks);
    if (nbd->handle)
        nbd_close(nbd->handle);
    if (nbd->server)
        nbd->server->end(nbd->server);
    free(nbd);
}

static int last_errno(void)
{
    int number = nbd_get_errno();
    return number > 0 ? -number : -EIO;
}

static int completed(void *user, int *number)
{
    blocks_queue_finish(user, *number > 0 ? -*number : 0);
    return 1; /* libnbd forgets it */
}

static int64_t send_request(struct nbd_handle *handle, struct blocks_io *io)
{
    nbd_completion_callback callback = {.callback = completed, .user_data = io};
    switch (io->verb) {
    case BLOCKS_READ:
        return nbd_aio_pread(handle, io->data, io->length, io->offset, callback, 0);
    case BLOCKS_WRITE:
        return CRASH_AROUND(nbd_aio_pwrite(handle, io->data, io->length, io->offset, callback, 0));
    default:
        return nbd_aio_flush(handle, callback, 0);
    }
}

static int start(struct blocks *blocks, struct blocks_io *io)
{
    const struct nbd_blocks *nbd = nbd_of(blocks);
    if (is_gone(nbd->handle))
        return -ENOTCONN;
    if (io->verb == BLOCKS_FLUSH && !nbd->flushes) {
        blocks_queue_finish(io, 0);
        return 0;
    }
    if (send_request(nbd->handle, io) < 0)
        return is_gone(nbd->handle) ? -ENOTCONN : last_errno();
    return 0;
}

static int descriptor(struct blocks *blocks, short *events)
{
    struct nbd_handle *handle = nbd_of(blocks)->handle;
    if (is_gone(handle))
        return -1;
    unsigned direction = nbd_aio_get_direction(handle);
    *events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
              (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
    return nbd_aio_get_fd(handle);
}

/* The server cannot answer any more: libnbd notices, and ends what is under way with an error. */
static void hang_up(struct nbd_handle *handle)
{
    if (is_gone(handle))
        return;
    shutdown(nbd_aio_get_fd(handle), SHUT_RDWR);
    while (!is_gone(handle) && nbd_aio_notify_read(handle) == 0)
        continue;
}

static void serve(struct blocks *blocks)
{
    struct nbd_handle *handle = nbd_of(blocks)->handle;
    if (nbd_poll(handle, 0) < 0)
        hang_up(handle);
}

static void abandon(struct blocks *blocks)
{
    hang_up(nbd_of(blocks)->handle);
}

static enum error_code code_of(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case ENOTCONN:
    case ECONNRESET:
    case ESHUTDOWN:
    case EPIPE:
        return ERROR_DISCONNECTED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
        return ERROR_UNREACHABLE;
    case ENOENT:
        return ERROR_NOT_FOUND;
    default:
        return ERROR_FAILED;
    }
}

static int failed(const struct nbd_blocks *nbd, int number, const char *what, struct error *error)
{
    AUTO_FREE char *epitaph = nbd->server ? nbd->server->epitaph(nbd->server) : NULL;
    if (epitaph)
        return error_set(error, ERROR_DISCONNECTED, "%s %s: %s", nbd->blocks.name, what, epitaph);
    char room[128];
    return error_set(error, code_of(number), "%s %s: %s", nbd->blocks.name, what,
                     code_of(number) == ERROR_DISCONNECTED
                         ? "the server has closed the connection"
                         : strerror_r(number, room, sizeof(room)));
}

static void explain(const struct blocks *blocks, const struct blocks_io *io, struct error *error)
{
    AUTO_FREE char *what = blocks_io_text(io);
    failed((const struct nbd_blocks *)blocks, -io->result, what, error);
}

/* One answer about what is stored where. */
struct status {
    uint64_t at, end;
    struct range_list *data;
    bool done;
    int number;
};

static int note_extents(void *user, const char *context, uint64_t offset UNUSED, uint32_t *entries,
                        size_t count, int *number UNUSED)
{
    struct status *status = user;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    for (size_t i = 0; i + 1 < count && status->at < status->end; i += 2) {
        uint64_t left = status->end - status->at;
        uint64_t length = entries[i] < left ? entries[i] : left;
        struct range_list *data = status->data;
        struct range *last = data->count ? &data->items[data->count - 1] : NULL;
        bool zeros = entries[i + 1] & LIBNBD_STATE_ZERO;
        if (!zeros && last && last->offset + last->length == status->at)
            last->length += length;
        else if (!zeros && length)
            *range_list_add(data) = (struct range){.offset = status->at, .length = length};
        status->at += length;
    }
    return 0;
}

static int note_end(void *user, int *number)
{
    struct status *status = user;
    status->number = *number;
    status->done = true;
    return 1;
}

/* Serves the connection, reads under way included, until the answer is there. Libnbd fills it in
 * whenever it comes: who does not want to wait for it has to hang up. */
static int await(struct nbd_blocks *nbd, const struct status *status, struct error *error)
{
    double begin = blocks_clock(), stopped_at = 0;
    AUTO_ERROR struct error stopped = {0};
    while (!status->done) {
        if (nbd_poll(nbd->handle, POLL_MS) < 0)
            hang_up(nbd->handle);
        double now = blocks_clock();
        if (error_is_set(&stopped)) {
            if (now - stopped_at > GRACE_SECONDS)
                hang_up(nbd->handle);
            continue;
        }
        if (now - begin > nbd->blocks.patience)
            error_set(&stopped, ERROR_UNREACHABLE, "%s: no answer for %u s", nbd->blocks.name,
                      nbd->blocks.patience);
        if (error_is_set(&stopped) || blocks_beat(&nbd->blocks, &stopped) < 0)
            stopped_at = now;
    }
    if (!error_is_set(&stopped))
        return 0;
    error_move(error, &stopped);
    return -1;
}

/* Asks until all is known; a server may answer for less than it was asked. */
static int extents(struct blocks *blocks, uint64_t offset, uint64_t length, struct range_list *data,
                   struct error *error)
{
    struct nbd_blocks *nbd = nbd_of(blocks);
    struct status status = {.at = offset, .end = offset + length, .data = data};
    while (status.at < status.end) {
        uint64_t from = status.at;
        status.done = false;
        nbd_extent_callback each = {.callback = note_extents, .user_data = &status};
        nbd_completion_callback end = {.callback = note_end, .user_data = &status};
        if (is_gone(nbd->handle) ||
            nbd_aio_block_status(nbd->handle, status.end - from, from, each, end, 0) < 0)
            return failed(nbd, is_gone(nbd->handle) ? ENOTCONN : nbd_get_errno(),
                          "cannot be asked for its holes", error);
        if (await(nbd, &status, error) < 0)
            return -1;
        if (status.number)
            return failed(nbd, status.number, "cannot be asked for its holes", error);
        if (status.at == from) {
            *range_list_add(data) = (struct range){.offset = from, .length = status.end - from};
            break;
        }
    }
    return 0;
}

static int check_idle(struct blocks *blocks, struct error *error)
{
    struct blocks_server *server = nbd_of(blocks)->server;
    return server->check_idle(server, error);
}

static const struct blocks_kind nbd_kind = {
    .start = start,
    .extents = extents,
    .descriptor = descriptor,
    .serve = serve,
    .abandon = abandon,
    .explain = explain,
    .check_idle = check_idle,
    .close = close_nbd,
};

/* What libnbd says, with a prefix "nbd_function: " that helps nobody. */
static int refused(const struct nbd_blocks *nbd, const char *what, struct error *error)
{
    int number = nbd_get_errno();
    const char *text = nbd_get_error();
    const char *colon = text ? strstr(text, ": ") : NULL;
    AUTO_FREE char *copy = text_dup(colon ? colon + 2 : text ? text : "no reason given");
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return error_set(error, code_of(number), "%s %s: %s", nbd->blocks.name, what, copy);
}

static int shake_hands(struct nbd_blocks *nbd, unsigned seconds, struct error *error)
{
    double begin = blocks_clock();
    while (nbd_aio_is_connecting(nbd->handle) > 0) {
        if (blocks_clock() - begin > seconds)
            return error_set(error, ERROR_UNREACHABLE, "%s: no answer within %u s",
                             nbd->blocks.name, seconds);
        if (nbd_poll(nbd->handle, POLL_MS) < 0)
            return refused(nbd, "cannot be opened", error);
    }
    if (nbd_aio_is_ready(nbd->handle) <= 0)
        return refused(nbd, "cannot be opened", error);
    int64_t size = nbd_get_size(nbd->handle);
    if (size < 0)
        return refused(nbd, "has no size", error);
    blocks_prepare(&nbd->blocks, &nbd_kind, (uint64_t)size);
    nbd->blocks.knows_holes = nbd_can_meta_context(nbd->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
    nbd->flushes = nbd_can_flush(nbd->handle) > 0;
    int64_t largest = nbd_get_block_size(nbd->handle, LIBNBD_SIZE_MAXIMUM);
    if (largest > 0 && (uint64_t)largest < BLOCKS_PIECE)
        nbd->blocks.largest = (size_t)largest;
    return 0;
}

static struct nbd_blocks *new_blocks(const char *name)
{
    struct nbd_blocks *nbd = NEW(struct nbd_blocks);
    nbd->blocks.kind = &nbd_kind;
    nbd->blocks.name = text_dup(name);
    return nbd;
}

static int new_handle(struct nbd_blocks *nbd, struct error *error)
{
    nbd->handle = nbd_create();
    if (!nbd->handle || nbd_add_meta_context(nbd->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
        return refused(nbd, "cannot be opened", error);
#ifdef HAVE_NBD_SET_PREAD_INITIALIZE
    nbd_set_pread_initialize(nbd->handle, false);
#endif
    return 0;
}

static int check_writable(struct nbd_blocks *nbd, bool writable, struct error *error)
{
    nbd->blocks.writable = writable;
    if (!writable || nbd_is_read_only(nbd->handle) == 0)
        return 0;
    return error_set(error, ERROR_DENIED, "%s may be read only, by its server's will",
                     nbd->blocks.name);
}

int blocks_open_socket(int socket, const char *name, bool writable, struct blocks_server *server,
                       struct blocks **blocks, struct error *error)
{
    struct nbd_blocks *nbd = new_blocks(name);
    CLEANUP(blocks_closep) struct blocks *fresh = &nbd->blocks;
    AUTO_CLOSE int connection = socket;
    if (new_handle(nbd, error) < 0)
        return -1;
    /* libnbd closes it by itself, also when this fails (lib/connect.c, and its state DEAD). */
    if (nbd_aio_connect_socket(nbd->handle, steal_fd(&connection)) < 0)
        return refused(nbd, "cannot be opened", error);
    if (shake_hands(nbd, HANDSHAKE_SECONDS, error) < 0 || check_writable(nbd, writable, error) < 0)
        return -1;
    nbd->server = server;
    nbd->blocks.knows_idle = server && server->check_idle;
    *blocks = STEAL(fresh);
    return 0;
}

static int connect_uri(struct nbd_blocks *nbd, const char *uri, struct error *error)
{
    struct nbd_handle *handle = nbd->handle;
    if (nbd_set_uri_allow_transports(handle, LIBNBD_ALLOW_TRANSPORT_TCP |
                                                 LIBNBD_ALLOW_TRANSPORT_UNIX) < 0 ||
        nbd_set_uri_allow_tls(handle, LIBNBD_TLS_DISABLE) < 0 ||
        nbd_set_uri_allow_local_file(handle, false) < 0 || nbd_aio_connect_uri(handle, uri) < 0)
        return refused(nbd, "cannot be opened", error);
    return shake_hands(nbd, CONNECT_SECONDS, error);
}

int blocks_open_nbd(const char *uri, bool writable, struct blocks **blocks, struct error *error)
{
    AUTO_FREE char *name = text_format("export %s", uri);
    struct nbd_blocks *nbd = new_blocks(name);
    CLEANUP(blocks_closep) struct blocks *fresh = &nbd->blocks;
    if (new_handle(nbd, error) < 0 || connect_uri(nbd, uri, error) < 0 ||
        check_writable(nbd, writable, error) < 0)
        return -1;
    *blocks = STEAL(fresh);
    return 0;
}
