"""Carry out one change a test asks for. Naming the three modules here registers what they know."""

from graph_simulator.control import people_mutations, sharing_mutations, token_mutations
from graph_simulator.control.mutation_book import MUTATIONS, MutationError, Wanted
from graph_simulator.model.registry import World

__all__ = ["MUTATIONS", "SUBJECTS", "MutationError", "mutate"]

SUBJECTS = (people_mutations, sharing_mutations, token_mutations)


def mutate(world: World, wanted: Wanted) -> Wanted:
    mutation = MUTATIONS.get(str(wanted.get("op")))
    if mutation is None:
        raise MutationError(f"op is one of {', '.join(MUTATIONS)}")
    try:
        return {"op": wanted["op"], **mutation.act(world, wanted)}
    except (TypeError, AttributeError) as error:
        raise MutationError(f"an argument has the wrong type: {error}") from error
