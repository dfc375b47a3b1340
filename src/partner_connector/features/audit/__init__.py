"""Who decided what: written with each decision, read by auditors."""
