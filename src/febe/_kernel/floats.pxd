# What the value modules cimport from floats.py.
cpdef double shortest_float4(double value)
cdef bytes float4_text(double value)
cdef bytes float8_text(double value)
