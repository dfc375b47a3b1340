"""A stand-in for Meta's Graph API over real HTTP, for demos and tests.

The simulator holds one invented world of businesses (see `world.build_world`). It answers reads
as Meta's public documentation describes, and refuses every write. A control surface under
`/__simulator__/` shows the whole world and lets a test inject faults and change the world.

`docs/reference/graph-facts.md` lists the facts about Meta that this package implements.
"""
