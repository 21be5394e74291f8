# What other kernel modules cimport from frames.py.
cdef object find_answer(bytes limits, bytes data, Py_ssize_t pos)
