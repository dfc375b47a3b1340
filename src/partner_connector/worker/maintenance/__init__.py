"""What is lost is found and runs again, what nobody answered ends, what is old is deleted."""
