"""Records on disk while whoever should take them is away: appended, fsynced, given out in order, struck off.

A leaf: it knows neither what a record says nor where it goes.
"""

from yellowbooks.spool.disk import Disk
from yellowbooks.spool.frame import LONGEST_RECORD
from yellowbooks.spool.look import lying, rewrite
from yellowbooks.spool.segment import Place
from yellowbooks.spool.spool import Spool, SpoolFull

__all__ = ["LONGEST_RECORD", "Disk", "Place", "Spool", "SpoolFull", "lying", "rewrite"]
