"""Events out: who wants to be told, what there is to tell, and how the telling went."""
