"""The state of one running simulator: the world, and all settings made by tests."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from graph_simulator.graph.throttle import Throttle
from graph_simulator.model.registry import World
from graph_simulator.runtime.calls import CallLog, OutsidePublished
from graph_simulator.runtime.faults import Faults
from graph_simulator.switches import Switches


@dataclass(slots=True)
class Simulator:
    world: World
    switches: Switches = field(default_factory=Switches)
    faults: Faults = field(default_factory=Faults)
    throttle: Throttle = field(default_factory=Throttle)
    calls: CallLog = field(default_factory=CallLog)
    outside_published: OutsidePublished = field(default_factory=OutsidePublished)
    """Complaints since the start: kept when counters are cleared and on reset."""
    down: bool = False
    clock: Callable[[], float] = time.time
    answered: int = 0
    """Number of calls, the input of trace ids and repeatable random choices."""

    def record_outside(self, method: str, edge: str, complaints: Iterable[str]) -> None:
        for complaint in complaints:
            self.calls.outside_published.add(method, edge, complaint)
            self.outside_published.add(method, edge, complaint)

    def reset(self) -> None:
        """Restore the first state of the world, switches, faults, meters and counters."""
        self.world = self.world.rebuild()
        self.switches = Switches()
        self.faults = Faults()
        self.throttle = Throttle()
        self.calls = CallLog()
        self.down = False
        self.answered = 0
