"""Cost of one more partner: a check of all partners, with fifty and with a thousand.

One running product has both, as integrations of two workspaces. The time of a check is from the
request to its end, divided by the number of partners.
"""

from benchmarks.customer import Customer
from benchmarks.fast_graph import fast_graph, show_people
from benchmarks.fast_world import Name, Size, partner_at, token_of
from benchmarks.measure import Goal, Options, Report, Row, in_turn, report_progress, run
from benchmarks.product import product

LIMIT = 1.2
ASSETS, USERS = 6, 8


def measure(options: Options) -> Report:
    """Measure few and many in turn."""
    sizes = [
        Size(options.size(50, 2), ASSETS, USERS),
        Size(options.size(1000, 6), ASSETS, USERS),
    ]
    names = [f"{size.partners:,} partners, time of each" for size in sizes]
    with fast_graph(*sizes) as graph, product("SQLite", graph) as running:
        show_people(graph, shown=True)
        ready = [
            ConnectedIntegration(running.customer(), host, size) for host, size in enumerate(sizes)
        ]
        contenders = {name: one.check for name, one in zip(names, ready, strict=True)}
        times = in_turn(options.repeat, contenders)
    few, many = (Row(name, times[name], "ms") for name in names)
    world = f"Each partner has {ASSETS} assets and {USERS} people; nothing is new."
    who = f"a partner among {sizes[1].partners:,} / among {sizes[0].partners:,}"
    ratio = Goal(who, many.median / few.median, LIMIT)
    return Report("Many partners", world, [few, many], [ratio])


class ConnectedIntegration:
    """Integration of one host, with all partners connected."""

    def __init__(self, customer: Customer, host: int, size: Size) -> None:
        business = Name("business", host, 0)
        self._customer = customer
        self._size = size
        self._integration = customer.integrate(business.id, token_of(business))
        partners = customer.partners(self._integration)
        agencies = [partner_at(host, place + 1) for place in range(size.partners)]
        report_progress(f"connecting {size.partners:,} partners")
        customer.connect((partners[agency.id], token_of(agency)) for agency in agencies)

    def check(self) -> float:
        """Check all partners, and return the milliseconds per partner."""
        return self._customer.check(self._integration).seconds / self._size.partners * 1000


if __name__ == "__main__":
    run(__doc__, measure)
