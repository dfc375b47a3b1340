"""Cost of a grant in the product's process: parse, stage, compare, commit, checkpoint.

A partner's first check, in which everything is new, is compared with parsing the same JSON and
inserting the same rows (users, grants, changes) with the bare driver. A fast server in another
process answers for Meta at once. The product's cost includes its HTTP calls.
"""

from benchmarks.bare_driver import Cost, parse_and_insert
from benchmarks.customer import Customer, Json
from benchmarks.fast_graph import fast_graph, show_people
from benchmarks.fast_world import Name, Size, token_of
from benchmarks.measure import Goal, Options, Report, Row, report_progress, run
from benchmarks.product import DATABASES, Product, product
from benchmarks.replay import Sent, recording

LIMIT = 2.0
HOST, PARTNER = Name("business", 0, 0), Name("business", 0, 1)


def measure(options: Options) -> Report:
    """Measure product and bare driver in turn, on each database."""
    size = Size(1, assets=options.size(200, 8), users=options.size(500, 20))
    rows: list[Row] = []
    goals: list[Goal] = []
    with fast_graph(size) as graph:
        answers = _answers(graph)
        for database in DATABASES:
            with product(database, graph) as running:
                costs = _measure_costs(options.repeat, running, graph, answers)
            for what in Cost._fields:
                ours, bare = (
                    Row(
                        f"{who}, {database}, {what} a grant",
                        [getattr(cost, what) / size.grants * 1e6 for cost in some],
                        "µs",
                    )
                    for who, some in zip(("product", "bare driver"), costs, strict=True)
                )
                rows += [ours, bare]
                goals.append(Goal(f"{what} on {database}", ours.median / bare.median, LIMIT))
    world = (
        f"One partner, {size.assets} assets, each with all {size.users} people: "
        f"{size.grants:,} grants, all of them new."
    )
    goals.sort(key=lambda goal: goal.value, reverse=True)
    return Report("Cost of a grant", world, rows, goals)


def _measure_costs(
    repeat: int, running: Product, graph: str, answers: list[Sent]
) -> tuple[list[Cost], list[Cost]]:
    """Return the costs of the product and of the bare driver, measured in turn."""
    customer = running.customer()
    ours: list[Cost] = []
    bare: list[Cost] = []
    for round_number in range(repeat):
        integration, partner = connected(customer, graph)
        before = running.cpu_seconds()
        check = customer.check(partner)
        ours.append(Cost(check.working_seconds, running.cpu_seconds() - before))
        bare.append(parse_and_insert(answers, running.database_url))
        customer.delete(integration)
        report_progress(f"{round_number + 1}/{repeat} product {ours[-1]}, bare driver {bare[-1]}")
    return ours, bare


def connected(customer: Customer, graph: str) -> tuple[Json, Json]:
    """Return an integration and its connected partner, stored without access of people.

    Then all people get access, so that the next check finds all of it new.
    """
    show_people(graph, shown=False)
    integration = customer.integrate(HOST.id, token_of(HOST))
    partner = customer.partners(integration)[PARTNER.id]
    customer.connect([(partner, token_of(PARTNER))])
    show_people(graph, shown=True)
    return integration, partner


def _answers(graph: str) -> list[Sent]:
    """Return the requests of such a check, with Meta's answers."""
    with recording(graph) as recorder, product("SQLite", recorder.url) as running:
        customer = running.customer()
        _, partner = connected(customer, graph)
        recorder.sent.clear()
        customer.check(partner)
        return recorder.sent


if __name__ == "__main__":
    run(__doc__, measure)
