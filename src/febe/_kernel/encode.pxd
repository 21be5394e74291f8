# What other kernel modules cimport from encode.py.
cdef Py_ssize_t gather(bytes codes, list functions, object values, Py_ssize_t row, list cells)
cdef Py_ssize_t put_cells(unsigned char *out, Py_ssize_t pos, list cells)
cdef bytes encode_cell(int kind, object function, object value)
cdef object make_room(bytearray buffer, Py_ssize_t pos, Py_ssize_t size)
cdef Py_ssize_t put_row(bytes codes, bytes ways, list functions, bytearray buffer, Py_ssize_t pos, object values,
                        Py_ssize_t row)
