# What encode.py cimports from time_writers.py.
cdef bytes date_binary(object value)
cdef bytes date_text(object value)
cdef bytes timestamp_binary(object value)
cdef bytes timestamp_text(object value)
cdef bytes timestamptz_binary(object value)
cdef bytes timestamptz_text(object value)
