/* files.h, in the fake world: the images on this host, by their paths. */
#include "fake_world.h"

#include "base/text.h"
#include "files/files.h"

/* Files belong to no connection. */
static struct fake_world *files_world;

void fake_files_follow(struct fake_world *world)
{
    files_world = world;
}

int files_look(const char *path, struct file_look *look, struct error *error)
{
    *look = (struct file_look){0};
    if (fake_enter(files_world, CALL_FILE_LOOK, error) < 0)
        return -1;
    int image = fake_image_find(files_world, ON_HOST, path);
    if (image >= 0)
        *look = (struct file_look){.exists = true,
                                   .regular = true,
                                   .size = files_world->images[image].size,
                                   .allocated = files_world->images[image].size / 2,
                                   .links = 1};
    if (image >= 0)
        snprintf(look->identity, sizeof(look->identity), "%d", image);
    return fake_leave(files_world, CALL_FILE_LOOK, 0, error);
}

bool files_are_one(const char *a, const char *b)
{
    return text_equal(a, b);
}

int files_holder(const char *path, char **holder, struct error *error)
{
    *holder = NULL;
    if (fake_enter(files_world, CALL_FILE_HOLDER, error) < 0)
        return -1;
    int image = fake_image_find(files_world, ON_HOST, path);
    bool held = image >= 0 &&
                (files_world->images[image].held || fake_watchers(files_world, image, NULL) > 0);
    if (fake_leave(files_world, CALL_FILE_HOLDER, 0, error) < 0)
        return -1;
    *holder = held ? text_dup("process 4711 (qemu)") : NULL;
    return 0;
}

static int rename_image(const char *from, const char *to, struct error *error)
{
    int image = fake_image_find(files_world, ON_HOST, from);
    int there = fake_image_find(files_world, ON_HOST, to);
    if (image < 0)
        return there >= 0 ? 0 : error_set(error, ERROR_NOT_FOUND, "there is no %s", from);
    if (there >= 0)
        return error_set(error, ERROR_EXISTS, "%s exists", to);
    fake_check_may_go(files_world, image, false);
    FAKE_SET(files_world->images[image].name, to);
    return 0;
}

int files_rename(const char *from, const char *to, struct error *error)
{
    if (fake_enter(files_world, CALL_FILE_RENAME, error) < 0)
        return -1;
    return fake_leave(files_world, CALL_FILE_RENAME, rename_image(from, to, error), error);
}

int files_remove(const char *path, struct error *error)
{
    if (fake_enter(files_world, CALL_FILE_REMOVE, error) < 0)
        return -1;
    int image = fake_image_find(files_world, ON_HOST, path);
    if (image >= 0) {
        fake_check_may_go(files_world, image, true);
        if (fake_watchers(files_world, image, NULL) > 0)
            fake_violate(files_world, "%s is removed, and somebody has it open", path);
        files_world->images[image].exists = false;
    }
    return fake_leave(files_world, CALL_FILE_REMOVE, 0, error);
}

void file_backing_clear(struct file_backing *backing)
{
    free(backing->path);
    *backing = (struct file_backing){0};
}

int files_check_chain(const char *path UNUSED, const char *format UNUSED,
                      struct error *error UNUSED)
{
    return 0;
}

int files_backing(const char *path, const char *format UNUSED, struct file_backing *backing,
                  struct error *error)
{
    *backing = (struct file_backing){0};
    if (fake_enter(files_world, CALL_FILE_BACKING, error) < 0)
        return -1;
    int image = fake_image_find(files_world, ON_HOST, path);
    const char *name = image >= 0 ? files_world->images[image].backing : "";
    if (fake_leave(files_world, CALL_FILE_BACKING, 0, error) < 0)
        return -1;
    backing->path = *name ? text_dup(name) : NULL;
    return 0;
}

int files_disk(const char *path, const char *format UNUSED, struct file_disk *disk,
               struct error *error)
{
    *disk = (struct file_disk){0};
    if (fake_enter(files_world, CALL_FILE_LOOK, error) < 0)
        return -1;
    int image = fake_image_find(files_world, ON_HOST, path);
    if (image < 0)
        return error_set(error, ERROR_NOT_FOUND, "there is no %s", path);
    *disk = (struct file_disk){.size = files_world->images[image].size,
                               .cannot_hide = files_world->images[image].cannot_hide};
    return fake_leave(files_world, CALL_FILE_LOOK, 0, error);
}
