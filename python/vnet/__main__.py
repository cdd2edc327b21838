"""`python -m vnet` is the console script `vnet`."""

import sys

from vnet._cli import main

sys.exit(main())
