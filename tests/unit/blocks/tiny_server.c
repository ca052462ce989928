#include "tiny_server.h"

#include "base/text.h"
#include "cmocka_compat.h"

#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Of the NBD protocol, what a client with fixed newstyle handshake needs. */
#define OPTION_MAGIC 0x49484156454f5054ull
#define REPLY_MAGIC 0x3e889045565a9ull
#define OPTION_GO 7
#define REPLY_ACK 1
#define REPLY_INFO 3
#define REPLY_UNSUPPORTED (1u << 31 | 1)
#define SIMPLE_REPLY_MAGIC 0x67446698u

struct __attribute__((packed)) option {
    uint64_t magic;
    uint32_t number, length;
};
struct __attribute__((packed)) reply {
    uint64_t magic;
    uint32_t option, type, length;
};
struct __attribute__((packed)) request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t handle, offset;
    uint32_t length;
};

static bool take(int fd, void *bytes, size_t length)
{
    return length == 0 || recv(fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

static bool give(int fd, const void *bytes, size_t length)
{
    return send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool reply(int fd, uint32_t option, uint32_t type, const void *data, uint32_t length)
{
    const struct reply header = {htobe64(REPLY_MAGIC), htobe32(option), htobe32(type),
                                 htobe32(length)};
    return give(fd, &header, sizeof(header)) && (length == 0 || give(fd, data, length));
}

static bool shake_hands(const struct tiny_server *server, int fd)
{
    const uint64_t hello[] = {htobe64(0x4e42444d41474943ull), htobe64(OPTION_MAGIC)};
    const uint16_t flags = htobe16(3);
    uint32_t client_flags;
    if (!give(fd, hello, sizeof(hello)) || !give(fd, &flags, sizeof(flags)) ||
        !take(fd, &client_flags, sizeof(client_flags)))
        return false;
    struct option option;
    while (take(fd, &option, sizeof(option))) {
        char rest[512];
        uint32_t length = be32toh(option.length), number = be32toh(option.number);
        if (length > sizeof(rest) || !take(fd, rest, length))
            return false;
        if (number != OPTION_GO) {
            reply(fd, number, REPLY_UNSUPPORTED, NULL, 0);
            continue;
        }
        const struct __attribute__((packed)) {
            uint16_t type;
            uint64_t size;
            uint16_t flags;
        } export = {0, htobe64(server->size), htobe16(3)};
        return reply(fd, number, REPLY_INFO, &export, sizeof(export)) &&
               reply(fd, number, REPLY_ACK, NULL, 0);
    }
    return false;
}

static bool answer(struct tiny_server *server, int fd, const struct request *request)
{
    int number = ++server->reads;
    if (server->stop_at && number >= server->stop_at)
        return true;
    if (number == server->hang_up_at)
        return false;
    bool fails = number == server->fail_at;
    const struct __attribute__((packed)) {
        uint32_t magic, error;
        uint64_t handle;
    } header = {htobe32(SIMPLE_REPLY_MAGIC), htobe32(fails ? EIO : 0), request->handle};
    if (!give(fd, &header, sizeof(header)) || fails)
        return fails;
    AUTO_FREE char *zeros = memory_new(be32toh(request->length), 1);
    return give(fd, zeros, be32toh(request->length));
}

static void *serve(void *opaque)
{
    struct tiny_server *server = opaque;
    AUTO_CLOSE int fd = accept(server->listening, NULL, NULL);
    char byte;
    if (server->silent) {
        while (take(fd, &byte, 1))
            continue;
        return NULL;
    }
    struct request request;
    if (!shake_hands(server, fd))
        return NULL;
    while (take(fd, &request, sizeof(request)) && request.type == 0)
        if (!answer(server, fd, &request))
            return NULL;
    return NULL;
}

void tiny_server_start(struct tiny_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(server->folder, "/tmp/vp-tiny-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", server->folder);
    snprintf(server->uri, sizeof(server->uri), "nbd+unix:///?socket=%s/socket", server->folder);
    server->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listening, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listening, 1), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void tiny_server_end(struct tiny_server *server)
{
    shutdown(server->listening, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listening);
    AUTO_FREE char *path = text_format("%s/socket", server->folder);
    unlink(path);
    rmdir(server->folder);
}
