"""The engine without a server: the same Lua, over a store and a clock in memory. Needs the extra `testing`."""

from yellowbooks.jobs.simulated.server import SimulatedServer
from yellowbooks.jobs.simulated.simulation import Simulation, Unclean

__all__ = ["SimulatedServer", "Simulation", "Unclean"]
