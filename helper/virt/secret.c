#include "base/text.h"
#include "virt/private.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A cephx key is passed around in base64; libvirt hands out its bytes. */
static char *base64(const unsigned char *bytes, size_t length)
{
    char *text = memory_new((length + 2) / 3 * 4 + 1, 1);
    char *out = text;
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = bytes[i] << 16;
        if (i + 1 < length)
            group |= bytes[i + 1] << 8;
        if (i + 2 < length)
            group |= bytes[i + 2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = i + 1 < length ? digits[group >> 6 & 63] : '=';
        *out++ = i + 2 < length ? digits[group & 63] : '=';
    }
    return text;
}

int virt_secret(struct virt *virt, const char *name, bool is_uuid, char **key, struct error *error)
{
    CLEANUP(virSecretFreep)
    virSecretPtr secret =
        is_uuid ? virSecretLookupByUUIDString(virt->connection, name)
                : virSecretLookupByUsage(virt->connection, VIR_SECRET_USAGE_TYPE_CEPH, name);
    if (!secret) {
        virt_error(virt, error, "libvirt secret '%s'", name);
        return error_hint(error, "define it on this host: 'virsh secret-define', then "
                                 "'virsh secret-set-value --file'; 'virsh secret-list' shows what "
                                 "is there");
    }
    size_t length = 0;
    unsigned char *bytes = virSecretGetValue(secret, &length, 0);
    if (!bytes) {
        virt_error(virt, error, "libvirt secret '%s'", name);
        return error_hint(error,
                          "if it has no value yet: 'virsh secret-set-value --file'; if it is "
                          "private: name a keyring in the policy's cluster");
    }
    *key = base64(bytes, length);
    explicit_bzero(bytes, length);
    free(bytes);
    return 0;
}
