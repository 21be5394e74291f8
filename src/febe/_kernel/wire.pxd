# What the compiled kernel calls instead of wire.py: the same names, inlined in C.
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>

    /* Written out because compilers know these as one load and a byte swap. */
    static inline uint16_t febe_load2(const void *at) {
        const unsigned char *p = at; return (uint16_t)(p[0] << 8 | p[1]);
    }
    static inline uint32_t febe_load4(const void *at) {
        const unsigned char *p = at;
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    static inline uint64_t febe_load8(const void *at) {
        const unsigned char *p = at;
        return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32
            | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | p[7];
    }
    static inline float febe_f4(const char *p) {
        uint32_t bits = febe_load4(p); float value; memcpy(&value, &bits, 4); return value;
    }
    static inline double febe_f8(const char *p) {
        uint64_t bits = febe_load8(p); double value; memcpy(&value, &bits, 8); return value;
    }

    /* A tuple (or subclass without fields of its own) with empty slots, not seen by the cyclic collector:
       rows of plain values cannot be part of a cycle.  CPython 3.14 keeps the hash in the tuple, -1 = not known. */
    static inline PyObject *febe_new_row(PyObject *type, Py_ssize_t width) {
        PyTupleObject *row = PyObject_GC_NewVar(PyTupleObject, (PyTypeObject *)type, width);
        if (row == NULL) return NULL;
        memset(row->ob_item, 0, sizeof(PyObject *) * (size_t)width);
    #if PY_VERSION_HEX >= 0x030E0000
        row->ob_hash = -1;
    #endif
        return (PyObject *)row;
    }
    /* Most text is ASCII, which is known eight bytes at a time and copied as it is; one character or none are
       objects that are there already, and all else is left to the decoder. */
    static inline PyObject *febe_utf8(const char *p, Py_ssize_t size) {
        if (size > 1) {
            uint64_t high = 0, word;
            Py_ssize_t at = 0;
            for (; at + 8 <= size; at += 8) { memcpy(&word, p + at, 8); high |= word; }
            for (; at < size; at++) high |= (unsigned char)p[at];
            if (!(high & 0x8080808080808080ULL)) {
                PyObject *text = PyUnicode_New(size, 127);
                if (text != NULL) memcpy(PyUnicode_1BYTE_DATA(text), p, (size_t)size);
                return text;
            }
        }
        return PyUnicode_DecodeUTF8(p, size, NULL);
    }
    static inline PyObject *febe_new_object(PyObject *type) {
        return ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    }
    static inline PyObject *febe_uint128(const char *p) {
    #if PY_VERSION_HEX >= 0x030D0000
        return PyLong_FromUnsignedNativeBytes(p, 16, Py_ASNATIVEBYTES_BIG_ENDIAN);
    #else
        return _PyLong_FromByteArray((const unsigned char *)p, 16, 0, 0);
    #endif
    }
    static inline void febe_put64(unsigned char *p, uint64_t value) {
        p[0] = value >> 56; p[1] = value >> 48; p[2] = value >> 40; p[3] = value >> 32;
        p[4] = value >> 24; p[5] = value >> 16; p[6] = value >> 8; p[7] = value;
    }
    static inline void febe_put_double(unsigned char *p, double value) {
        uint64_t bits; memcpy(&bits, &value, 8); febe_put64(p, bits);
    }
    static inline int febe_within(PyObject *value, long long low, long long high) {
        int overflow = 0;
        long long number;
        if (!PyLong_CheckExact(value)) return 0;
        number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return !overflow && low <= number && number <= high;
    }
    static inline Py_ssize_t febe_plain_length(PyObject *value) {
        if (!PyUnicode_CheckExact(value) || !PyUnicode_IS_COMPACT_ASCII(value)) return -1;
        Py_ssize_t size = PyUnicode_GET_LENGTH(value);
        return memchr(PyUnicode_DATA(value), 0, (size_t)size) == NULL ? size : -1;
    }
    static inline void febe_put_plain(unsigned char *p, PyObject *value) {
        memcpy(p, PyUnicode_DATA(value), (size_t)PyUnicode_GET_LENGTH(value));
    }
    static inline void febe_put16(unsigned char *p, unsigned value) { p[0] = value >> 8; p[1] = value; }
    static inline void febe_put32(unsigned char *p, uint32_t value) {
        p[0] = value >> 24; p[1] = value >> 16; p[2] = value >> 8; p[3] = value;
    }
    """
    unsigned short febe_load2(const char *p) noexcept nogil
    unsigned int febe_load4(const char *p) noexcept nogil
    unsigned long long febe_load8(const char *p) noexcept nogil
    float febe_f4(const char *p) noexcept nogil
    double febe_f8(const char *p) noexcept nogil
    object febe_new_row(object type, Py_ssize_t width)
    object febe_utf8(const char *p, Py_ssize_t size)
    object febe_new_object(object type)
    object febe_uint128(const char *p)
    void febe_put16(unsigned char *p, unsigned int value) noexcept nogil
    void febe_put32(unsigned char *p, unsigned int value) noexcept nogil
    void febe_put64(unsigned char *p, unsigned long long value) noexcept nogil
    void febe_put_double(unsigned char *p, double value) noexcept nogil
    bint febe_within(object value, long long low, long long high) noexcept
    Py_ssize_t febe_plain_length(object value) noexcept
    void febe_put_plain(unsigned char *p, object value) noexcept
    void *memcpy(void *to, const void *what, size_t size) noexcept nogil
    void PyObject_GC_Track(object thing) noexcept
    int collector_pause "PyGC_Disable"() noexcept
    int PyGC_Enable() noexcept
    char *PyOS_double_to_string(double value, char code, int precision, int flags, int *kind)
    double PyOS_string_to_double(const char *text, char **end, PyObject *overflow) except? -1.0

ctypedef object (*Decode)(bytes, Py_ssize_t, Py_ssize_t)
ctypedef bytes (*Encode)(object)


cdef inline void collector_resume(bint running) noexcept:
    if running:
        PyGC_Enable()

cdef inline void put16(unsigned char *out, Py_ssize_t pos, unsigned int value) noexcept nogil:
    febe_put16(out + pos, value)

cdef inline void put32(unsigned char *out, Py_ssize_t pos, int value) noexcept nogil:
    febe_put32(out + pos, <unsigned int>value)

cdef inline void put64(unsigned char *out, Py_ssize_t pos, long long value) noexcept nogil:
    febe_put64(out + pos, <unsigned long long>value)

cdef inline void put_double(unsigned char *out, Py_ssize_t pos, double value) noexcept nogil:
    febe_put_double(out + pos, value)

cdef inline bint within(object value, long long low, long long high) noexcept:
    return febe_within(value, low, high)

cdef inline Py_ssize_t plain_length(object value) noexcept:
    return febe_plain_length(value)

cdef inline void put_plain(unsigned char *out, Py_ssize_t pos, object value, Py_ssize_t size) noexcept:
    febe_put_plain(out + pos, value)

cdef inline void put(unsigned char *out, Py_ssize_t pos, bytes data, Py_ssize_t size) noexcept:
    memcpy(out + pos, PyBytes_AS_STRING(data), <size_t>size)


cdef inline (short,) i16(bytes data, Py_ssize_t pos) noexcept:
    return (<short>febe_load2(PyBytes_AS_STRING(data) + pos),)

cdef inline (unsigned short,) u16(bytes data, Py_ssize_t pos) noexcept:
    return (<unsigned short>febe_load2(PyBytes_AS_STRING(data) + pos),)

cdef inline (int,) i32(bytes data, Py_ssize_t pos) noexcept:
    return (<int>febe_load4(PyBytes_AS_STRING(data) + pos),)

cdef inline (unsigned int,) u32(bytes data, Py_ssize_t pos) noexcept:
    return (<unsigned int>febe_load4(PyBytes_AS_STRING(data) + pos),)

cdef inline (long long,) i64(bytes data, Py_ssize_t pos) noexcept:
    return (<long long>febe_load8(PyBytes_AS_STRING(data) + pos),)

cdef inline (unsigned long long,) u64(bytes data, Py_ssize_t pos) noexcept:
    return (febe_load8(PyBytes_AS_STRING(data) + pos),)

cdef inline (float,) f4(bytes data, Py_ssize_t pos) noexcept:
    return (febe_f4(PyBytes_AS_STRING(data) + pos),)

cdef inline (double,) f8(bytes data, Py_ssize_t pos) noexcept:
    return (febe_f8(PyBytes_AS_STRING(data) + pos),)

cdef inline (int, int, int) row_head(bytes data, Py_ssize_t pos) noexcept:
    cdef const char *p = PyBytes_AS_STRING(data) + pos
    return (<unsigned char>p[0], <int>febe_load4(p + 1), febe_load2(p + 5))
