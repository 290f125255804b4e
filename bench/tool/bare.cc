/* bare.cc - the bare work of the SQL cases on one core: what any engine must do with the same bytes, and nothing else.
 *
 *   walk the records' framing -> read the JSON, every member -> filter, sum or join -> write JSON -> CRC-32C -> append
 *
 * No protocol, threads, durable state or recovery. One pass over a prepared buffer; the best of R. It bounds what an engine can
 * reach on this machine. Called as: bare [records] [runs]; prints one JSON line a case.
 */
#include "dataset.h"

#include <fcntl.h>
#include <simdjson.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace
{

using simdjson::ondemand::parser;

double cpu_s()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

void put_varint(std::string &out, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        out += char(v | 128);
    out += char(v);
}

uint64_t get_varint(const char *&p)
{
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        uint8_t byte = uint8_t(*p++);
        v |= uint64_t(byte & 127) << shift;
        if (byte < 128)
            return v;
    }
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t checksum(const char *p, size_t n)
{
    uint64_t c = 0xffffffff, word;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
    }
    for (; n > 0; p++, n--)
        c = _mm_crc32_u8(uint32_t(c), uint8_t(*p));
    return ~uint32_t(c);
}
#else
uint32_t checksum(const char *p, size_t n)
{
    return uint32_t(crc32_z(0, reinterpret_cast<const unsigned char *>(p), n));
}
#endif

/* Takes output records and appends a batch of 256 KiB at a time to a file that has no name any more. */
class Sink
{
  public:
    Sink() : file_(tmpfile())
    {
        buffer_.reserve(1 << 19);
    }
    ~Sink()
    {
        fclose(file_);
    }
    Sink(const Sink &) = delete;
    Sink &operator=(const Sink &) = delete;

    void record(std::string_view key, const char *value, size_t length)
    {
        buffer_.append(3, char(0));
        put_varint(buffer_, key.size());
        buffer_.append(key);
        put_varint(buffer_, length);
        buffer_.append(value, length);
        buffer_ += char(0);
        records++;
        if (buffer_.size() > (1 << 18))
            flush();
    }

    void flush()
    {
        check ^= checksum(buffer_.data(), buffer_.size());
        if (pwrite(fileno(file_), buffer_.data(), buffer_.size(), 0) < 0)
            abort();
        buffer_.clear();
    }

    uint64_t records = 0;
    uint32_t check = 0;

  private:
    FILE *file_;
    std::string buffer_;
};

struct Input {
    std::string bytes;
    size_t end = 0;
    size_t records = 0;
};

Input make_input(size_t records)
{
    Input in;
    char key[DATA_KEY_MAX], value[DATA_VALUE_MAX];
    int64_t ts;
    in.records = records;
    for (size_t i = 0; i < records; i++) {
        int length = transaction_print(int64_t(i), key, sizeof key, value, sizeof value, &ts);
        std::string record(3, char(0));
        put_varint(record, strlen(key));
        record.append(key);
        put_varint(record, uint64_t(length));
        record.append(value, size_t(length));
        record += char(0);
        put_varint(in.bytes, record.size());
        in.bytes += record;
    }
    in.end = in.bytes.size();
    in.bytes.append(simdjson::SIMDJSON_PADDING, char(0));
    return in;
}

struct Row {
    std::string_view key, merchant;
    int64_t user_id, amount, ts;
};

/* Reads every member, as an engine must to find broken text. */
bool decode(parser &reader, const char *text, size_t length, Row &row)
{
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    if (reader.iterate(text, length, length + simdjson::SIMDJSON_PADDING).get(document) ||
        document.get_object().get(object))
        return false;
    for (auto field : object) {
        simdjson::ondemand::raw_json_string name;
        std::string_view other;
        bool bad;
        if (field.key().get(name))
            return false;
        auto value = field.value();
        switch (name.raw()[0]) {
        case 'u':
            bad = value.get_int64().get(row.user_id);
            break;
        case 'a':
            bad = value.get_int64().get(row.amount);
            break;
        case 't':
            bad = value.get_int64().get(row.ts);
            break;
        case 'm':
            bad = value.get_string().get(row.merchant);
            break;
        default:
            bad = value.get_string().get(other);
            break;
        }
        if (bad)
            return false;
    }
    return true;
}

class Case
{
  public:
    virtual ~Case() = default;
    virtual void take(const Row &row) = 0;
    virtual void commit()
    {
    }
    Sink sink;
};

char *put(char *out, std::string_view text)
{
    memcpy(out, text.data(), text.size());
    return out + text.size();
}

char *put(char *out, int64_t v)
{
    char digits[20];
    int n = 0;
    for (uint64_t u = uint64_t(v); u > 0 || n == 0; u /= 10)
        digits[n++] = char('0' + u % 10);
    while (n > 0)
        *out++ = digits[--n];
    return out;
}

class Filter : public Case
{
    void take(const Row &row) override
    {
        if (row.amount <= 50)
            return;
        char text[256], *o = put(put(text, "{\"USER_ID\":"), row.user_id);
        o = put(put(o, ",\"AMOUNT\":"), row.amount);
        o = put(put(put(o, ",\"MERCHANT\":\""), row.merchant), "\"}");
        sink.record(row.key, text, size_t(o - text));
    }
};

class Window : public Case
{
    struct Sum {
        int64_t total, n, commit;
    };
    std::unordered_map<uint64_t, Sum> sums_;
    std::vector<uint64_t> dirty_;
    int64_t commits_ = 1;

    void take(const Row &row) override
    {
        uint64_t key = uint64_t(row.ts / DATA_WINDOW_MS) << 20 | uint64_t(row.user_id);
        Sum &sum = sums_[key];
        sum.total += row.amount;
        sum.n++;
        if (sum.commit != commits_) {
            sum.commit = commits_;
            dirty_.push_back(key);
        }
    }

    void commit() override
    {
        char text[256], id[24];
        for (uint64_t key : dirty_) {
            const Sum &sum = sums_[key];
            char *o = put(put(put(put(text, "{\"TOTAL\":"), sum.total), ",\"N\":"), sum.n);
            *o++ = '}';
            sink.record({id, size_t(put(id, int64_t(key & 0xfffff)) - id)}, text, size_t(o - text));
        }
        dirty_.clear();
        commits_++;
    }
};

class Join : public Case
{
    std::vector<std::string> names_;

    void take(const Row &row) override
    {
        char text[256], *o = put(put(text, "{\"USER_ID\":"), row.user_id);
        o = put(put(o, ",\"AMOUNT\":"), row.amount);
        o = put(put(put(o, ",\"NAME\":\""), names_[size_t(row.user_id)]), "\"}");
        sink.record(row.key, text, size_t(o - text));
    }

  public:
    Join()
    {
        for (int i = 0; i < DATA_USERS; i++)
            names_.push_back("user " + std::to_string(i));
    }
};

/* A commit each 100,000 records: what ten commits a second are at a million records a second. */
uint64_t pass(const Input &in, Case &work)
{
    parser reader;
    Row row = {};
    size_t count = 0;
    uint64_t check = checksum(in.bytes.data(), in.end);
    for (const char *p = in.bytes.data(), *end = p + in.end; p < end; count++) {
        size_t length = get_varint(p);
        const char *next = p + length;
        p += 3;
        size_t key_length = get_varint(p);
        row.key = {p, key_length};
        p += key_length;
        size_t value_length = get_varint(p);
        if (!decode(reader, p, value_length, row))
            abort();
        work.take(row);
        if (count % 100000 == 99999)
            work.commit();
        p = next;
    }
    work.commit();
    work.sink.flush();
    return check;
}

template <typename T> void measure(const char *name, const Input &in, int runs)
{
    double best = 1e9;
    uint64_t out = 0, check = 0;
    for (int run = 0; run < runs; run++) {
        T work;
        double start = cpu_s();
        check ^= pass(in, work);
        double took = cpu_s() - start;
        best = took < best ? took : best;
        out = work.sink.records;
        check ^= work.sink.check;
    }
    printf("{\"case\":\"%s\",\"records\":%zu,\"output_records\":%llu,\"cpu_s_per_m\":%.4f,\"check\":%llu}\n",
           name, in.records, (unsigned long long)out, best * 1e6 / double(in.records),
           (unsigned long long)check);
}

} // namespace

int main(int argc, char **argv)
{
    long records = argc > 1 ? strtol(argv[1], nullptr, 10) : 1000000,
         runs = argc > 2 ? strtol(argv[2], nullptr, 10) : 5;
    if (records < 1 || runs < 1)
        return 2;
    Input in = make_input(size_t(records));
    measure<Filter>("filter", in, int(runs));
    measure<Window>("window", in, int(runs));
    measure<Join>("join", in, int(runs));
    return 0;
}
