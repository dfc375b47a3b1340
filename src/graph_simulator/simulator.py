"""All the state of one running simulator: the world, and what tests have done to its surface."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from graph_simulator.calls import CallLog
from graph_simulator.faults import Faults
from graph_simulator.registry import World
from graph_simulator.switches import Switches
from graph_simulator.throttle import Throttle


@dataclass(slots=True)
class Simulator:
    world: World
    switches: Switches = field(default_factory=Switches)
    faults: Faults = field(default_factory=Faults)
    throttle: Throttle = field(default_factory=Throttle)
    calls: CallLog = field(default_factory=CallLog)
    down: bool = False
    clock: Callable[[], float] = time.time
    answered: int = 0
    """Numbers the calls, for trace ids and repeatable chance."""

    def reset(self) -> None:
        """Back to the first moment: world, switches, faults, meters and counters."""
        self.world = self.world.rebuild()
        self.switches = Switches()
        self.faults = Faults()
        self.throttle = Throttle()
        self.calls = CallLog()
        self.down = False
        self.answered = 0
