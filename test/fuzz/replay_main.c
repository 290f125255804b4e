/* replay_main.c - runs a fuzz target over the files of its corpus folder, so that every test run repeats what fuzzing
 * found; then over inputs made from them by changing bytes, the same ones each time.
 *
 *   fuzz_x [--changed COUNT] DIR_OR_FILE...      Exit status 0 when the target returned for every input.
 *
 * A crash ends the process; the input at fault is then in ./crash-input (in the working directory), for
 * `fuzz_x --changed 0 crash-input`.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_MAX = 2000, INPUT_BYTES_MAX = 1 << 16, CHANGED_DEFAULT = 3000, SECONDS_MAX = 5 };

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input inputs[INPUTS_MAX], present;
static size_t input_count;
static uint64_t seed = 1;

static uint64_t next_random(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void on_crash(int signum)
{
    int fd = open("crash-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0 && write(fd, present.bytes, present.size) == (ssize_t)present.size)
        close(fd);
    signal(signum, SIG_DFL);
    raise(signum);
}

static void run(const uint8_t *bytes, size_t size)
{
    present = (struct input){(uint8_t *)bytes, size};
    LLVMFuzzerTestOneInput(bytes, size);
}

static int read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    size_t got = fread(data, 1, size > 0 ? (size_t)size : 0, file);
    fclose(file);
    run(data, got);
    if (input_count < INPUTS_MAX && got <= INPUT_BYTES_MAX)
        inputs[input_count++] = (struct input){data, got};
    else
        free(data);
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dir(const char *dir, int *files)
{
    struct dirent **entries = NULL;
    int failed = 0, count = scandir(dir, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            failed += read_file(path);
            (*files)++;
        }
        free(entries[i]);
    }
    free(entries);
    return failed;
}

/* A copy of an input with bytes changed, put in or taken out, or joined with another. */
static size_t change(uint8_t *out, const struct input *from)
{
    size_t size = from->size;
    memcpy(out, from->bytes, size);
    for (uint64_t n = next_random() % 6 + 1; n > 0; n--) {
        size_t at = size > 0 ? next_random() % size : 0;
        const struct input *other = &inputs[next_random() % input_count];
        switch (next_random() % 6) {
        case 0: /* put in */
            if (size < INPUT_BYTES_MAX) {
                memmove(out + at + 1, out + at, size - at);
                out[at] = (uint8_t)next_random();
                size++;
            }
            break;
        case 1: /* cut out */
            if (size > 0) {
                size_t len = next_random() % (size - at) + 1;
                memmove(out + at, out + at + len, size - at - len);
                size -= len;
            }
            break;
        case 2: /* the tail of another */
            if (other->size > 0 && at + other->size <= INPUT_BYTES_MAX) {
                size_t start = next_random() % other->size;
                memcpy(out + at, other->bytes + start, other->size - start);
                size = at + other->size - start;
            }
            break;
        default:
            if (size > 0)
                out[at] = next_random() % 4 ? (uint8_t)next_random() : (uint8_t)(next_random() % 2 - 1);
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    int failed = 0, files = 0;
    long changed = CHANGED_DEFAULT;
    static uint8_t bytes[2 * INPUT_BYTES_MAX];
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (strcmp(argv[i], "--changed") == 0 && i + 1 < argc)
            changed = strtol(argv[++i], NULL, 10);
        else if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            failed += read_dir(argv[i], &files);
        else
            failed += read_file(argv[i]), files++;
    }
    time_t end = time(NULL) + SECONDS_MAX; /* a slow machine does fewer */
    long done = 0;
    for (; input_count > 0 && done < changed && time(NULL) < end; done++)
        run(bytes, change(bytes, &inputs[next_random() % input_count]));
    printf("%d inputs replayed, %ld changed ones\n", files, done);
    return failed != 0;
}
