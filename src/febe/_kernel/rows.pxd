# What other kernel modules cimport from rows.py.
cdef object read_value(int kind, bytes data, Py_ssize_t pos, Py_ssize_t size)
cdef object decode_cell(int kind, object function, bytes data, Py_ssize_t pos, Py_ssize_t size)
