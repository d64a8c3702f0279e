"""Settings of every test run, the notebooks' included."""

import os

# The tests share two cores with a browser, a server and their kernels. PyTorch's threads wait by spinning, and two of
# them beside a busy browser have been seen to train a hundred times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
