"""Entry point of mutations. Importing the three modules registers their mutations."""

from graph_simulator.control import people_mutations, sharing_mutations, token_mutations
from graph_simulator.control.mutation_arguments import MUTATIONS, JsonObject, MutationError
from graph_simulator.model.registry import World

__all__ = ["MUTATIONS", "MUTATION_MODULES", "MutationError", "mutate"]

MUTATION_MODULES = (people_mutations, sharing_mutations, token_mutations)


def mutate(world: World, wanted: JsonObject) -> JsonObject:
    mutation = MUTATIONS.get(str(wanted.get("op")))
    if mutation is None:
        raise MutationError(f"op must be one of {', '.join(MUTATIONS)}")
    try:
        return {"op": wanted["op"], **mutation.run(world, wanted)}
    except (TypeError, AttributeError) as error:
        raise MutationError(f"an argument has the wrong type: {error}") from error
