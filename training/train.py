"""Entry point of the training container; everything it does is in ``training.job``.

Nothing that ends up in a model may be defined here: it would be stored as ``__main__.X`` and not be found in
the server, whose ``__main__`` is another program.
"""

from __future__ import annotations

import os
import sys

# Idle OpenMP threads that spin cost a factor of four as soon as the machine has another busy process. Read
# once, when the first library with OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from training.main import main

if __name__ == "__main__":
    sys.exit(main(os.environ))
