/* The typed vector, and the list of strings made of it. */
#include "cmocka_compat.h"

#include "base/vector.h"

struct pair {
    int number;
    const char *name;
};
DEFINE_VECTOR(pairs, struct pair);

static void added_items_are_zeroed(void **state UNUSED)
{
    struct pairs pairs = {0};
    for (int i = 0; i < 1000; i++) {
        struct pair *pair = pairs_add(&pairs);
        assert_int_equal(pair->number, 0);
        assert_null(pair->name);
        *pair = (struct pair){i, "x"};
    }
    assert_int_equal(pairs.count, 1000);
    assert_true(pairs.room >= pairs.count);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pairs.items[i].number, i);
    free(pairs.items);
}

/* Room that was used before must not shine through. */
static void room_used_again_is_zeroed(void **state UNUSED)
{
    struct pairs pairs = {0};
    *pairs_add(&pairs) = (struct pair){7, "old"};
    pairs.count = 0;
    const struct pair *pair = pairs_add(&pairs);
    assert_int_equal(pair->number, 0);
    assert_null(pair->name);
    free(pairs.items);
}

static void lists_own_copies(void **state UNUSED)
{
    struct text_list list = {0};
    char text[] = "vda";
    text_list_append(&list, text);
    text[0] = 'x';
    text_list_append(&list, NULL);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "vda");
    assert_null(list.items[1]);
    text_list_clear(&list);
    assert_int_equal(list.count, 0);
    assert_null(list.items);
    text_list_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_items_are_zeroed),
        cmocka_unit_test(room_used_again_is_zeroed),
        cmocka_unit_test(lists_own_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
