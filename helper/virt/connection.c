#include "base/text.h"
#include "virt/private.h"

static enum error_code code_of(const virError *cause)
{
    switch (cause ? cause->code : VIR_ERR_OK) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_SECRET:
    case VIR_ERR_NO_STORAGE_POOL:
    case VIR_ERR_NO_STORAGE_VOL:
        return ERROR_NOT_FOUND;
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_INVALID_SECRET:
        return ERROR_DENIED;
    case VIR_ERR_BLOCK_COPY_ACTIVE:
    case VIR_ERR_OPERATION_TIMEOUT:
    case VIR_ERR_RESOURCE_BUSY:
        return ERROR_BUSY;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_FAILED;
    }
}

int virt_error(struct virt *virt, struct error *error, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    AUTO_FREE char *text = text_vformat(what, args);
    va_end(args);

    /* Copied at once: every further call to libvirt resets it. */
    CLEANUP(virFreeErrorp) virErrorPtr cause = virSaveLastError();
    const char *reason = cause && cause->message ? cause->message : "no reason given";
    if (!virt_connected(virt)) {
        error_set(error, ERROR_DISCONNECTED, "%s: libvirt's daemon went away (%s)", text, reason);
        return error_hint(error, "see 'systemctl status libvirtd virtqemud'; the guests go on");
    }
    return error_set(error, code_of(cause), "%s: %s", text, reason);
}

/* libvirt prints every error to stderr unless somebody takes it. */
static void swallow(void *opaque UNUSED, virErrorPtr cause UNUSED)
{
}

static void drop(struct virt *virt)
{
    if (!virt->connection)
        return;
    virt_events_unsubscribe(virt);
    virConnectClose(virt->connection);
    virt->connection = NULL;
}

static int connect_once(struct virt *virt, struct error *error)
{
    virt->connection = virConnectOpenAuth(virt->uri, virConnectAuthPtrDefault, 0);
    if (!virt->connection) {
        CLEANUP(virFreeErrorp) virErrorPtr cause = virSaveLastError();
        error_set(error, code_of(cause) == ERROR_DENIED ? ERROR_DENIED : ERROR_UNREACHABLE,
                  "cannot connect to libvirt at %s: %s", virt->uri,
                  cause && cause->message ? cause->message : "no reason given");
        return error_hint(error, "is the daemon running, and are you in the group that may use its "
                                 "socket (usually 'libvirt')?");
    }
    pthread_mutex_lock(&virt->mutex);
    virt->lost = false;
    pthread_mutex_unlock(&virt->mutex);
    if (!virt->canonical)
        virt->canonical = virConnectGetURI(virt->connection);
    if (virt_events_subscribe(virt, error) < 0) {
        drop(virt);
        return -1;
    }
    /* Events are not replayed. Said only now: whatever comes from here on is collected. */
    virt_events_missed(virt);
    return 0;
}

int virt_open(const char *uri, struct virt **result, struct error *error)
{
    virSetErrorFunc(NULL, swallow);
    struct virt *virt = NEW(struct virt);
    virt->uri = text_dup(uri);
    virt->changes_fd = -1;
    for (size_t i = 0; i < ARRAY_SIZE(virt->callbacks); i++)
        virt->callbacks[i] = -1;
    if (virt_events_start(virt, error) < 0) {
        free(virt->uri);
        free(virt);
        return -1;
    }
    if (connect_once(virt, error) < 0) {
        virt_close(virt);
        return -1;
    }
    *result = virt;
    return 0;
}

void virt_close(struct virt *virt)
{
    drop(virt);
    virt_events_stop(virt);
    free(virt->uri);
    free(virt->canonical);
    free(virt->changes.items);
    cleanup_close(&virt->changes_fd);
    free(virt);
}

const char *virt_uri(const struct virt *virt)
{
    return virt->canonical ? virt->canonical : virt->uri;
}

bool virt_connected(struct virt *virt)
{
    pthread_mutex_lock(&virt->mutex);
    bool lost = virt->lost;
    pthread_mutex_unlock(&virt->mutex);
    return virt->connection && !lost && virConnectIsAlive(virt->connection) == 1;
}

int virt_reconnect(struct virt *virt, unsigned seconds, struct error *error)
{
    if (virt_connected(virt))
        return 0;
    for (;;) {
        drop(virt);
        if (connect_once(virt, error) == 0)
            return 0;
        if (seconds-- == 0)
            return -1;
        error_clear(error);
        sleep(1);
    }
}

int virt_versions(struct virt *virt, struct virt_versions *versions, struct error *error)
{
    if (virConnectGetLibVersion(virt->connection, &versions->libvirt) < 0 ||
        virConnectGetVersion(virt->connection, &versions->hypervisor) < 0)
        return virt_error(virt, error, "cannot read the versions of libvirt and QEMU");
    return 0;
}

bool virt_is_local(struct virt *virt)
{
    /* Remote URIs name a host: qemu+ssh://host/system. */
    const char *authority = strstr(virt->uri, "://");
    return text_starts_with(virt->uri, "qemu") && authority && authority[3] == '/';
}
