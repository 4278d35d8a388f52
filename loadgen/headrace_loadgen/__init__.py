"""Load with a proof: sends OTLP at a rate and looks every acknowledged record up afterwards."""

import os

# numpy's OpenBLAS starts a thread per core that spins while idle; nothing here multiplies matrices,
# and the load generator shares its cores with what it measures. Must precede the import of numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
