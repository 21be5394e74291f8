# What the compiled kernel calls instead of wire.py: the same names, inlined in C.
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject

cdef extern from *:
    """
    #include <string.h>
    #include <stdint.h>

    static inline uint64_t febe_load(const char *p, int size) {
        uint64_t value = 0;
        for (int i = 0; i < size; i++) value = (value << 8) | (unsigned char)p[i];
        return value;
    }
    static inline float febe_f4(const char *p) {
        uint32_t bits = (uint32_t)febe_load(p, 4); float value; memcpy(&value, &bits, 4); return value;
    }
    static inline double febe_f8(const char *p) {
        uint64_t bits = febe_load(p, 8); double value; memcpy(&value, &bits, 8); return value;
    }

    /* A tuple (or subclass without fields of its own) with empty slots, not seen by the cyclic collector:
       rows of plain values cannot be part of a cycle.  CPython 3.14 keeps the hash in the tuple, -1 = not known. */
    static inline PyObject *febe_new_row(PyTypeObject *type, Py_ssize_t width) {
        PyTupleObject *row = PyObject_GC_NewVar(PyTupleObject, type, width);
        if (row == NULL) return NULL;
        memset(row->ob_item, 0, sizeof(PyObject *) * (size_t)width);
    #if PY_VERSION_HEX >= 0x030E0000
        row->ob_hash = -1;
    #endif
        return (PyObject *)row;
    }
    """
    unsigned long long febe_load(const char *p, int size) noexcept nogil
    float febe_f4(const char *p) noexcept nogil
    double febe_f8(const char *p) noexcept nogil


cdef inline (short,) i16(bytes data, Py_ssize_t pos) noexcept:
    return (<short>febe_load(PyBytes_AS_STRING(data) + pos, 2),)

cdef inline (unsigned short,) u16(bytes data, Py_ssize_t pos) noexcept:
    return (<unsigned short>febe_load(PyBytes_AS_STRING(data) + pos, 2),)

cdef inline (int,) i32(bytes data, Py_ssize_t pos) noexcept:
    return (<int>febe_load(PyBytes_AS_STRING(data) + pos, 4),)

cdef inline (unsigned int,) u32(bytes data, Py_ssize_t pos) noexcept:
    return (<unsigned int>febe_load(PyBytes_AS_STRING(data) + pos, 4),)

cdef inline (long long,) i64(bytes data, Py_ssize_t pos) noexcept:
    return (<long long>febe_load(PyBytes_AS_STRING(data) + pos, 8),)

cdef inline (float,) f4(bytes data, Py_ssize_t pos) noexcept:
    return (febe_f4(PyBytes_AS_STRING(data) + pos),)

cdef inline (double,) f8(bytes data, Py_ssize_t pos) noexcept:
    return (febe_f8(PyBytes_AS_STRING(data) + pos),)
