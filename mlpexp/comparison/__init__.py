"""What a set of stored runs shows: grouped by what differs, averaged over seeds, tested, ranked and drawn."""
